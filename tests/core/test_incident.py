"""The incident as JSON: the product's outside, member by member, and the figures it is measured by."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from responder.core.decision import Action, Disposition
from responder.core.incident import Event, Incident, LeakedKey, State, clocks, milliseconds, timestamp, to_json
from responder.core.key import Owner
from responder.core.match import Evidence
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Alert, Sighting, Source
from tests.grown import NOON, token


def _at(milliseconds_: float) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds_)


def _incident(**changes: object) -> Incident:
    owner = Owner("user", "user-1", "Olivia Owner", "olivia@acme.example")
    whole: dict[str, object] = {
        "id": "inc_1",
        "state": State.CLOSED,
        "disposition": Disposition.REVOKED.value,
        "provider": "openai",
        "account": "default",
        "family": "openai-project",
        "key": LeakedKey(token().redacted, "key_1", "build", "proj_1", "One", owner, NOON, NOON),
        "evidence": Evidence.PROBE.word,
        "decision": Action.REVOKE.value,
        "reason": "It is alive.",
        "confirmed_dead": True,
        "opened_at": _at(0),
        "sightings": (
            Sighting(Source.GITHUB_PUSH, "1/sha", "https://github.example/c", _at(-1000), "d1"),
            Sighting(Source.GITHUB_ALERT, "1/alert/2", None, _at(-500), "d2", Alert(1, 2)),
        ),
        "timeline": (
            Event(_at(0), "received"),
            Event(_at(12.4), "revoke_requested", {"key": "key_1"}),
            Event(_at(20), "revoke_requested"),
            Event(_at(1500.6), "confirmed_dead"),
        ),
        "notices": (
            Notice("n1", Audience.OWNER, Topic.REVOKED, Channel.MAIL, "olivia@acme.example", Delivery.SENT, 1, NOON),
        ),
    } | changes
    return Incident(**whole)  # type: ignore[arg-type]


def test_the_json_is_what_the_interface_says_member_by_member() -> None:
    """Other people's scripts read it; a member that moves breaks them at night."""
    assert to_json(_incident()) == {
        "id": "inc_1",
        "state": "closed",
        "disposition": "revoked",
        "provider": "openai",
        "account": "default",
        "family": "openai-project",
        "key": {
            "id": "key_1",
            "name": "build",
            "redacted": token().redacted,
            "project": "proj_1",
            "owner": {"kind": "user", "name": "Olivia Owner", "email": "olivia@acme.example"},
        },
        "evidence": "probe",
        "decision": "revoke",
        "reason": "It is alive.",
        "confirmed_dead": True,
        "severity": "normal",
        "hints": {},
        "sightings": [
            {
                "source": "github_push",
                "kind": None,
                "where": "https://github.example/c",
                "at": "2026-11-23T11:59:59.000Z",
            },
            {"source": "github_alert", "kind": None, "where": None, "at": "2026-11-23T11:59:59.500Z"},
        ],
        "timeline": [
            {"at": "2026-11-23T12:00:00.000Z", "event": "received", "detail": {}},
            {"at": "2026-11-23T12:00:00.012Z", "event": "revoke_requested", "detail": {"key": "key_1"}},
            {"at": "2026-11-23T12:00:00.020Z", "event": "revoke_requested", "detail": {}},
            {"at": "2026-11-23T12:00:01.500Z", "event": "confirmed_dead", "detail": {}},
        ],
        "clocks": {
            "received_to_revoke_requested_ms": 12,
            "received_to_confirmed_dead_ms": 1501,
            "exposure_ms": 2501,
        },
        "notices": [{"to": "olivia@acme.example", "channel": "mail", "status": "sent", "attempts": 1}],
    }


def test_the_members_keep_their_order() -> None:
    """People read it too: what it is first, what happened last."""
    assert list(to_json(_incident())) == [
        "id", "state", "disposition", "provider", "account", "family", "key", "evidence", "decision", "reason",
        "confirmed_dead", "severity", "hints", "sightings", "timeline", "clocks", "notices",
    ]  # fmt: skip


def test_an_incident_nothing_is_known_of_yet_has_the_same_members() -> None:
    """Null says "not known"; an absent member says nothing."""
    shown = to_json(
        _incident(
            state=State.OPEN,
            disposition=None,
            decision=None,
            key=LeakedKey("sk-proj-…AbCd"),
            confirmed_dead=False,
            sightings=(),
            timeline=(),
            notices=(),
        )
    )
    assert list(shown) == list(to_json(_incident()))
    assert shown["key"] == {"id": None, "name": None, "redacted": "sk-proj-…AbCd", "project": None, "owner": None}
    assert shown["clocks"] == dict.fromkeys(
        ("received_to_revoke_requested_ms", "received_to_confirmed_dead_ms", "exposure_ms")
    )
    json.dumps(shown)


@pytest.mark.parametrize(
    ("enumeration", "words"),
    [
        (State, "open held contained closed"),
        (Disposition, "revoked already_dead not_ours dismissed"),
        (Action, "revoke hold ignore"),
        (Source, "github_push github_alert github_partner gitlab report scan"),
        (Delivery, "sent failed pending"),
    ],
)
def test_the_words_of_the_interface_are_the_words_of_the_code(enumeration: type[State], words: str) -> None:
    """One word per thing, everywhere."""
    assert {member.value for member in enumeration} == set(words.split())


def test_exposure_begins_where_anybody_could_first_read_it() -> None:
    """A push that was made an hour before we heard of it was readable for that hour."""
    early = Sighting(Source.GITHUB_PUSH, "p", None, _at(-3_600_000), "d")
    late = Sighting(Source.REPORT, "r", None, _at(10_000), "d")
    assert clocks(_incident(sightings=(late, early)))["exposure_ms"] == 3_601_501


def test_the_first_of_a_kind_of_event_counts() -> None:
    """A request that is repeated was late from the first time on."""
    assert _incident().first("revoke_requested") == _at(12.4)
    assert _incident().first("never") is None


def test_clocks_that_have_not_run_out_are_null() -> None:
    """Not dead yet is not dead at once."""
    alive = _incident(timeline=(Event(_at(0), "received"), Event(_at(5), "revoke_requested")))
    assert clocks(alive) == {
        "received_to_revoke_requested_ms": 5,
        "received_to_confirmed_dead_ms": None,
        "exposure_ms": None,
    }


def test_instants_are_utc_with_milliseconds_whatever_zone_they_came_in() -> None:
    """RFC 3339, and sortable as text."""
    assert timestamp(None) is None
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 678_999, UTC)) == "2026-01-02T03:04:05.678Z"
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02T01:04:05.000Z"


def test_durations_are_whole_milliseconds_and_unknown_without_an_end() -> None:
    """Rounded, not cut: the figures are published."""
    assert milliseconds(_at(0), _at(1.6)) == 2
    assert milliseconds(_at(5), _at(0)) == -5
    assert milliseconds(None, _at(0)) is None
    assert milliseconds(_at(0), None) is None
