"""What the leaked token's own answers lead to: every row of the verdict, answers that flip, spells of untrue ones."""

from collections.abc import Callable
from typing import Any

import pytest

from responder.core.notice import Topic
from tests.faults.cell import DAY, HOUR, ME, MODELS, Cell
from tests.faults.faults import ABSURD, EVERY, Ill, names

Make = Callable[..., Cell]

HELD = "held"


def error(status: int, code: str | None, message: str = "No.") -> dict[str, Any]:
    return {"status": status, "body": {"error": {"message": message, "type": "x", "param": None, "code": code}}}


@pytest.mark.parametrize("ill", [*EVERY, *ABSURD], ids=names)
def test_an_answer_that_says_nothing_keeps_the_question_open(make_cell: Make, ill: Ill) -> None:
    """Unknown is neither dead nor alive: the owner is warned, a person told, and the rest follows once it is over."""
    cell = make_cell()
    cell.warm()
    fault = ill.plan(cell.vendor.faults, MODELS, None)
    cell.report()
    cell.run(2.2 * HOUR, until=cell.someone_knows)
    assert cell.incident_state() == "open"
    assert cell.someone_knows()
    assert Topic.WARNED in cell.box.topics()
    assert cell.deletes() == []
    fault.times = 0
    cell.run(2.2 * HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert cell.runner.failed == []
    cell.waited_as_asked()
    cell.no_token_anywhere()


ROWS = [
    ("missing scopes", error(403, None, "You have missing scopes: api.model.read"), HELD),
    ("missing scopes by code", error(401, "missing_scope"), HELD),
    ("address not allowed", error(401, "ip_not_authorized"), HELD),
    ("no quota", error(429, "insufficient_quota"), HELD),
    ("rate limit", error(429, "rate_limit_exceeded"), None),
    ("a 401 without a code", error(401, None), None),
    ("a 401 of another code", error(401, "some_new_code"), None),
    ("a 403 that calls it invalid", error(403, "invalid_api_key"), None),
    ("a country", error(403, "unsupported_country_region_territory"), None),
]


@pytest.mark.parametrize(("answer", "end"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_every_row_of_the_verdict(make_cell: Make, answer: dict[str, Any], end: str | None) -> None:
    """Alive without a project named proves nothing; whatever is no verdict leaves the question open."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(f"{MODELS}|{ME}", "status", times=None, **answer)
    cell.report()
    cell.run(HOUR, until=cell.someone_knows)
    assert cell.someone_knows()
    assert cell.incident_state() == (end or "open")
    assert cell.deletes() == []
    cell.no_token_anywhere()


@pytest.mark.parametrize(
    "script", [["unknown"], ["dead"], ["dead", "unknown", "dead"], ["unknown", "dead", "unknown"]], ids="-".join
)
def test_a_verdict_that_flips_ends_by_what_is_true(make_cell: Make, script: list[str]) -> None:
    """One "dead" is a suspicion: it is looked at again before it is believed."""
    cell = make_cell()
    cell.warm()
    answers = {"unknown": error(500, None), "dead": error(401, "invalid_api_key")}
    for said in script:
        if said in answers:
            cell.vendor.faults.add(MODELS, "status", **answers[said])
    cell.report()
    cell.run(3 * HOUR, until=cell.ended_right)
    assert cell.ended_right()
    cell.no_token_anywhere()


@pytest.mark.parametrize("minutes", [1, 10, 14])
def test_a_spell_of_untrue_401s_ends_right(make_cell: Make, minutes: int) -> None:
    """An outage that calls every key invalid, shorter than the second look is away."""
    cell = make_cell()
    cell.warm()
    fault = cell.vendor.faults.add(MODELS, "status", times=None, **error(401, "invalid_api_key"))
    cell.report()
    cell.run(minutes * 60)
    fault.times = 0
    cell.run(2 * HOUR, until=cell.ended_right)
    assert cell.ended_right()


def test_a_day_of_untrue_401s_is_seen_through_by_the_control(make_cell: Make) -> None:
    """With a control key no probe is believed as long as our own live key is called invalid too."""
    cell = make_cell(control=True)
    cell.warm()
    fault = cell.vendor.faults.add(MODELS, "status", times=None, **error(401, "invalid_api_key"))
    cell.report()
    cell.run(DAY)
    assert cell.incident_state() == "open"
    assert cell.someone_knows()
    fault.times = 0
    cell.run(2 * HOUR, until=cell.ended_right)
    assert cell.ended_right()


def test_a_day_in_which_everything_is_answered_with_401_is_seen_through_without_one(make_cell: Make) -> None:
    """Our admin key is refused as well: then nothing that is said about a token is believed."""
    cell = make_cell()
    cell.warm()
    fault = cell.vendor.faults.add("GET ", "status", times=None, **error(401, "invalid_api_key"))
    cell.report()
    cell.run(2 * HOUR)
    assert cell.incident_state() == "open"
    assert cell.someone_knows()
    fault.times = 0
    cell.run(2 * HOUR, until=cell.ended_right)
    assert cell.ended_right()


def test_a_forged_token_is_closed_and_the_key_it_looks_like_stays(make_cell: Make) -> None:
    """Dead, seen twice: what merely looks like it lives on, and nobody is told of an attack that failed."""
    cell = make_cell()
    cell.warm()
    cell.report(cell.vendor.forge(cell.key))
    cell.run(HOUR)
    assert cell.vendor.is_live(cell.key.id)
    assert cell.deletes() == []
    with cell.store.read() as tx:
        assert cell.only_incident(tx).disposition == "already_dead"


def test_the_deletion_of_a_key_that_is_still_accepted_is_never_called_done(make_cell: Make) -> None:
    """The provider deleted it and its machines go on taking it: at the deadline a person is told, loudly."""
    cell = make_cell()
    cell.warm()
    cell.vendor.spread_seconds, cell.vendor.spread_acceptance = 10 * DAY, 1.0
    cell.report()
    cell.run(HOUR)
    assert cell.incident_state() == "held"
    assert Topic.STILL_ALIVE in cell.pager.topics()
    assert "confirmed_dead" not in cell.incident_events()
    cell.vendor.spread_seconds = 0.0
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
