"""What may be said of a leaked key's use: which span, against which week, and how surely."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.damage import (
    FURTHEST_BACK,
    WEEK,
    AuditRecord,
    Cost,
    Counts,
    Damage,
    Usage,
    Window,
    exposure,
    floor,
    from_json,
    newer,
    to_json,
    week_before,
)
from responder.notify.damage import figures, money, paragraph
from responder.store import Store, damages
from responder.store.tables import metadata

ASKED = datetime(2026, 11, 23, 6, 13, tzinfo=UTC)
SEEN = ASKED - timedelta(minutes=2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPAN = Window(SEEN, ASKED)
EARLIER = Window(SEEN - timedelta(days=7), SEEN)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def damage(**changes: Any) -> Damage:
    values: dict[str, Any] = {
        "asked_at": ASKED,
        "window": SPAN,
        "usage": Usage(SPAN, (("large", Counts(10, 12_000, 500, 2400)), ("small", Counts(2, 0, 0, 0)))),
        "usage_before": Usage(EARLIER, (("small", Counts(21, 2100, 0, 7)),)),
        "cost": Cost(SPAN, Decimal("0.0288"), "usd"),
        "cost_before": Cost(EARLIER, Decimal("70.7"), "usd"),
        "records": (AuditRecord(SEEN, "api_key.created", "ada@acme.example", "192.0.2.10"),),
        "asked_again_at": ASKED + HOUR,
    }
    return Damage(**{**values, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = Store(f"sqlite:///{tmp_path / 'r.sqlite'}")
    with made.begin("make") as tx:
        metadata.create_all(tx)
    yield made
    made.close()


def test_exposure_begins_with_the_earliest_sighting() -> None:
    """Not with our being told of it: the first thief is the quickest."""
    assert exposure([SEEN, SEEN - DAY], ASKED, None, ASKED) == Window(SEEN - DAY, ASKED)


def test_exposure_does_not_begin_before_the_key_did() -> None:
    """A commit carries whatever date its author likes."""
    assert exposure([SEEN - DAY], ASKED, SEEN, ASKED).start == SEEN


@given(st.lists(instants, max_size=3), instants, st.none() | instants, instants)
def test_exposure_is_a_span_of_at_most_a_year_however_dates_lie(
    sighted_at: list[datetime], opened_at: datetime, created_at: datetime | None, until: datetime
) -> None:
    """A date of 1970 must not make us page through half a century, nor one of 2100 turn time around."""
    window = exposure(sighted_at, opened_at, created_at, until)
    assert window.start <= window.end == until
    assert until - window.start <= FURTHEST_BACK


@given(instants, st.none() | instants, st.sampled_from([HOUR, DAY]))
def test_the_week_before_never_overlaps_the_exposure(
    start: datetime, created_at: datetime | None, step: timedelta
) -> None:
    """A thief's requests must not be among the usual ones."""
    before = week_before(start, created_at, step)
    if before is not None:
        assert before.end <= start < before.end + step
        assert step <= before.end - before.start <= WEEK
        assert floor(before.start, step) == before.start


def test_a_key_that_leaked_at_birth_has_nothing_to_be_compared_with() -> None:
    """A week of zeros would make any use look like a theft."""
    assert week_before(SEEN, SEEN, HOUR) is None
    young = week_before(SEEN, SEEN - timedelta(days=2), HOUR)
    assert young is not None
    assert young.days == pytest.approx(2, abs=0.1)


def test_a_report_survives_being_kept(store: Store) -> None:
    """To the last decimal."""
    full = damage(cost=Cost(SPAN, Decimal("0.100000000000000000001"), "usd"), unread=("could not be read: x, y",))
    empty = Damage(ASKED, SPAN)
    for one in (full, empty):
        assert from_json(json.loads(json.dumps(to_json(one)))) == one
    with store.begin("put") as tx:
        damages.put(tx, "inc_1", full)
    with store.read() as tx:
        assert damages.get(tx, "inc_1") == full
        assert damages.get(tx, "inc_2") is None


def test_a_later_report_replaces_an_earlier_one_and_never_the_other_way_round(store: Store) -> None:
    """A round that was taken up late by another process brings old news."""
    late = damage(asked_at=ASKED + DAY, usage=None, asked_again_at=None)
    for order in ([damage(), late], [late, damage()]):
        with store.begin("put") as tx:
            for one in order:
                damages.put(tx, str(order), one)
        with store.read() as tx:
            assert damages.get(tx, str(order)) == late


def test_a_report_that_knows_less_does_not_replace_one_that_knows_more() -> None:
    """The provider may be away for the last round: the figures of the one before are still true of their time."""
    poor = damage(
        asked_at=ASKED + DAY, usage=None, unread=("could not be read: usage, timeout",), asked_again_at=None
    )
    kept = newer(poor, damage())
    assert kept == replace(damage(), asked_again_at=None)
    assert newer(damage(asked_at=ASKED + 2 * DAY), poor).unread == ()


@pytest.mark.parametrize(
    "changes", [{}, {"cost": None}, {"usage": None}, {"usage_before": None, "cost_before": None}]
)
def test_no_figure_comes_without_its_time_and_the_word_preliminary(changes: dict[str, Any]) -> None:
    """OpenAI counts late, and does not say how late: "12 requests" alone reads as "no more than 12"."""
    words = paragraph(damage(**changes), "openai")
    assert words.startswith(
        "Preliminary: what OpenAI had counted when we asked at 2026-11-23 06:13:00 UTC. We ask again"
    )
    kept = to_json(damage(**changes))
    assert kept["preliminary"] is True
    assert kept["asked_at"] == "2026-11-23T06:13:00.000Z"


def test_the_week_before_is_told_by_the_day() -> None:
    """Two minutes and seven days cannot be compared as they stand."""
    rows = {label: (during, before) for label, during, before in figures(damage())}
    assert rows["Requests"] == ("12", "3.0")
    assert rows["Input tokens"] == ("12,000", "300.0")
    assert rows["Cost"] == ("0.0288 USD", "10.10 USD")
    assert "12 requests, 12,000 input and 2,400 output tokens; before that, 3.0 requests a day." in paragraph(
        damage(), "openai"
    )


def test_what_could_not_be_read_is_said_and_not_shown_as_nothing() -> None:
    """No line at all would read as no damage."""
    words = paragraph(Damage(ASKED, SPAN, unread=("could not be read: usage, refused with status 403",)), "openai")
    assert words.endswith("Could not be read: usage, refused with status 403.")
    assert figures(Damage(ASKED, SPAN)) == []
    assert "request" not in paragraph(Damage(ASKED, SPAN), "openai")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "0.00 USD"), ("0.000123", "0.0001 USD"), ("0.03", "0.0300 USD"), ("1234.5", "1,234.50 USD")],
)
def test_small_amounts_are_not_rounded_to_nothing(amount: str, shown: str) -> None:
    """A cent a minute is a cent a minute."""
    assert money(Cost(SPAN, Decimal(amount), "usd")) == shown
