"""The story of a leaked key over every door, with real processes, real HTTP and real mail."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from responder.simulator.github_alerts import Alert
from responder.simulator.openai_objects import Key
from tests.postgres import settings_for
from tests.running import eventually
from tests.town import Scene, Town, town


def pushed(place: Town) -> Scene[tuple[Key, str]]:
    key, repository = place.key("pushed"), place.repository("pushed")
    yield
    return key, place.push(repository, {"settings.py": f"KEY = '{key.value}'\n"})


def alerted(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("alerted"), place.repository("alerted")
    yield
    return key, place.world.github.alert(repository, key.value)


def reported(place: Town) -> Scene[Key]:
    key = place.key("reported")
    yield
    place.report(token=key.value, url="https://paste.example/abc", comment="seen in a paste")
    return key


def reported_in_text(place: Town) -> Scene[tuple[Key, Key]]:
    first, second = place.key("first"), place.key("second")
    yield
    place.report(text=f"one is {first.value}, the other\nexport OPENAI_API_KEY={second.value}\n")
    return first, second


def added_and_removed(place: Town) -> Scene[Key]:
    key, repository = place.key("removed"), place.repository("removed")
    objects = repository.objects
    yield
    first = objects.commit({"notes.txt": "hello\n"}, "Begin")
    second = objects.commit({"notes.txt": f"hello\n{key.value}\n"}, "Add")
    third = objects.commit({"notes.txt": "hello\n"}, "Remove again")
    place.world.github.push(repository, first, second, third)
    return key


def in_a_message(place: Town) -> Scene[Key]:
    key, repository = place.key("message"), place.repository("message")
    yield
    place.push(repository, {"a.txt": "nothing here\n"}, f"Use {key.value} for now")
    return key


def everywhere(place: Town) -> Scene[Key]:
    key, repository = place.key("everywhere"), place.repository("everywhere")
    yield
    commit = repository.objects.commit({"a.env": f"OPENAI_API_KEY={key.value}\n"})
    place.world.github.push(repository, commit, wait=False)
    place.world.github.alert(repository, key.value, commit=commit, wait=False)
    place.report(token=key.value)
    return key


def of_a_service_account(place: Town) -> Scene[Key]:
    key = place.key("robot", owner=place.world.openai.add_service_account("robot"))
    yield
    place.report(token=key.value)
    return key


def of_a_refused_account(place: Town) -> Scene[Key]:
    key = place.key("stubborn", owner=place.world.openai.add_service_account("stubborn"))
    place.world.openai.faults.add(f"DELETE .*{key.id}", "service_account_refused", times=None)
    yield
    place.report(token=key.value)
    return key


def of_somebody_who_left(place: Town) -> Scene[Key]:
    key = place.key("departed", access="inactive")
    yield
    place.report(token=key.value)
    return key


def restricted(place: Town) -> Scene[Key]:
    key = place.key("restricted", verdict="missing_scopes_401")
    yield
    place.report(token=key.value)
    return key


def leaked_again(place: Town) -> Scene[tuple[Key, Alert]]:
    key, repository = place.key("again"), place.repository("again")
    yield
    guid = place.push(repository, {"a.py": f"k = '{key.value}'\n"})
    place.group.closed(key.id)
    place.world.github.redeliver(guid)
    return key, place.world.github.alert(repository, key.value)


SCENES = (
    pushed,
    alerted,
    reported,
    reported_in_text,
    added_and_removed,
    in_a_message,
    everywhere,
    of_a_service_account,
    of_a_refused_account,
    of_somebody_who_left,
    restricted,
    leaked_again,
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with (
        settings_for(request.param) as settings,
        town(tmp_path_factory.mktemp("story"), 11, *SCENES, **settings) as played,
    ):
        yield played


def test_a_pushed_key_is_deleted_once_seen_dead_and_its_owner_told_once(place: Town) -> None:
    """The main job; GitHub sends the same thing again sometimes, and that must change nothing."""
    key, guid = place.after(pushed)
    incident = place.contained(key)
    assert place.letters(key) == 1
    assert place.posts(incident) == 1
    assert [sighting["source"] for sighting in incident["sightings"]] == ["github_push"]

    place.world.github.redeliver(guid)
    place.group.wait_until_idle()
    again = place.contained(key)
    for one in (incident, again):
        one.pop("damage", None)  # what it was used for is asked beside the story, and may arrive in between
    assert again == incident
    assert place.letters(key) == 1


def test_an_alert_is_closed_as_revoked_only_after_the_key_is_seen_dead(place: Town) -> None:
    """An alert closed too early hides a key that still works."""
    key, alert = place.after(alerted)
    incident = place.contained(key)
    assert (alert.state, alert.resolution, alert.validity) == ("resolved", "revoked", "inactive")
    assert alert.resolution_comment is not None
    assert incident["id"] in alert.resolution_comment

    (change,) = [seen for seen in place.world.github.journal if seen.line == _change_of(alert)]
    assert change.at >= _at(incident, "confirmed_dead")
    assert place.letters(key) == 1


def test_the_echo_of_our_own_closing_changes_nothing(place: Town) -> None:
    """GitHub announces to us what we did ourselves; taking it for news would go round for ever."""
    key, alert = place.after(alerted)
    incident = place.contained(key)
    eventually(
        lambda: [d for d in place.world.github.deliveries if d.action == "resolved" and d.status_code == 202],
        "the echo to be delivered",
    )
    place.group.wait_until_idle()
    assert place.contained(key) == incident
    assert sum(seen.line == _change_of(alert) for seen in place.world.github.journal) == 1


def test_a_reported_key_is_dealt_with_like_any_other(place: Town) -> None:
    """Whoever holds a token may report it, and is believed because it proves itself."""
    key = place.after(reported)
    incident = place.contained(key)
    assert place.letters(key) == 1
    assert incident["sightings"][0]["source"] == "report"
    assert incident["sightings"][0]["where"] == "https://paste.example/abc"


def test_every_token_in_a_reported_text_is_found(place: Town) -> None:
    """A paste seldom holds one key only."""
    for key in place.after(reported_in_text):
        place.contained(key)
        assert place.letters(key) == 1


def test_a_key_added_and_removed_within_one_push_has_leaked(place: Town) -> None:
    """The tip of the branch is clean, and the key is public all the same."""
    place.contained(place.after(added_and_removed))


def test_a_key_in_a_commit_message_has_leaked(place: Town) -> None:
    """No diff shows it."""
    place.contained(place.after(in_a_message))


def test_one_token_over_every_door_at_once_is_one_incident(place: Town) -> None:
    """Three doors open within milliseconds: one deletion, one mail, three sightings and the alert's one place."""
    key = place.after(everywhere)
    eventually(lambda: len(place.group.incident_of(key.id)["sightings"]) == 4, "four sightings")
    incident = place.contained(key)
    assert {s["source"] for s in incident["sightings"]} == {"github_alert", "github_push", "report"}
    assert place.letters(key) == 1
    assert place.posts(incident) == 1
    (alert,) = [alert for alert in place.world.github.alerts if alert.secret == key.value]
    assert alert.resolution == "revoked"


def test_a_service_accounts_key_is_deleted_and_its_security_team_told(place: Town) -> None:
    """A robot has no mail address; somebody must hear of it all the same."""
    incident = place.contained(place.after(of_a_service_account))
    assert incident["key"]["owner"]["kind"] == "service_account"
    assert place.posts(incident) == 1


def test_a_deletion_that_the_provider_refuses_is_held_for_a_person(place: Town) -> None:
    """Trying for ever helps nobody, and deleting the whole account would kill its other keys."""
    key = place.after(of_a_refused_account)
    incident = place.group.in_state(key.id, "held")
    assert incident["disposition"] is None
    assert incident["confirmed_dead"] is False
    assert place.deletions(key) == 1
    assert place.posts(incident) >= 1
    assert place.world.openai.is_live(key.id)


def test_the_key_of_somebody_who_left_is_found(place: Town) -> None:
    """Lists hide it unless asked for, and it opens as much as any other."""
    place.contained(place.after(of_somebody_who_left))


def test_a_restricted_key_is_not_taken_for_dead(place: Town) -> None:
    """It answers 401 to nearly everything, and lives."""
    place.contained(place.after(restricted))


def test_a_key_that_leaks_again_adds_a_sighting_and_closes_that_alert_too(place: Town) -> None:
    """The matter is over, and the second alert must not stay open; nobody is told twice."""
    key, alert = place.after(leaked_again)
    eventually(lambda: alert.state == "resolved", "the second alert to be closed")
    eventually(lambda: len(place.group.incident_of(key.id)["sightings"]) == 3, "the push, the alert and its place")
    place.contained(key)
    assert place.letters(key) == 1


def test_the_incident_has_the_shape_that_was_promised(place: Town) -> None:
    """Other people's programs read this JSON, from the command as from the tables."""
    key, _ = place.after(pushed)
    incident = place.contained(key)
    shown = place.group.run("incidents", "show", incident["id"], "--json")
    assert shown.returncode == 0, shown.stderr
    for one in (json.loads(shown.stdout), *place.group.incidents()):
        jsonschema.validate(one, INCIDENT)
    events = [line["event"] for line in incident["timeline"]]
    wanted = ["received", "matched", "decided", "revoke_requested", "revoked", "confirmed_dead", "closed"]
    looked = dict.fromkeys(events)  # a first look that met a slow provider is followed by another
    assert [event for event in looked if event in wanted] == wanted
    assert all(events.count(event) == 1 for event in ("received", *wanted[3:]))
    assert events.count("notified") == 2
    assert (
        incident["clocks"]["received_to_confirmed_dead_ms"] >= incident["clocks"]["received_to_revoke_requested_ms"]
    )


def test_people_can_read_every_incident_from_the_command_line(place: Town) -> None:
    """On call at night there may be nothing but a terminal."""
    key, _ = place.after(pushed)
    id_ = place.contained(key)["id"]
    listed = place.group.run("incidents", "list", "--json")
    assert id_ in listed.stdout
    assert id_ in place.group.run("incidents", "summary", id_).stdout
    assert place.group.run("incidents", "list", "--state", "held").returncode == 0
    missing = place.group.run("incidents", "show", "inc_nothing")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


def test_waiting_for_idle_returns_and_nothing_but_what_leaked_was_deleted(place: Town) -> None:
    """Comes last: over all scenes together, no request changed anything else."""
    waited = place.group.run("wait-idle", "--timeout", "45")
    assert waited.returncode == 0, waited.stderr
    leaked = [key.id for key in place.world.openai.keys.values() if key is not place.world.openai.admin_key]
    assert sorted(m.key_id or "" for m in place.world.openai.mutations) == sorted(leaked)
    assert not place.world.decoy.journal


def _change_of(alert: Alert) -> str:
    return f"PATCH /repositories/{alert.repository.id}/secret-scanning/alerts/{alert.number}"


def _at(incident: dict[str, Any], event: str) -> datetime:
    return next(datetime.fromisoformat(line["at"]) for line in incident["timeline"] if line["event"] == event)


_TEXT, _OPTIONAL = {"type": "string"}, {"type": ["string", "null"]}
_INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_COUNT = {"type": ["integer", "null"], "minimum": 0}


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_SPAN = {"from": _INSTANT, "to": _INSTANT}
_COUNTS = dict.fromkeys(("requests", "input_tokens", "cached_tokens", "output_tokens"), _COUNT)
_USAGE = _object(**_SPAN, **_COUNTS, models={"type": "array", "items": _object(model=_TEXT, **_COUNTS)})
_COST = _object(**_SPAN, amount={"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, currency=_TEXT)
_RECORD = _object(at=_INSTANT, what=_TEXT, actor=_TEXT, address=_OPTIONAL)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "null"}, schema]}


DAMAGE = _object(
    preliminary={"const": True},
    asked_at=_INSTANT,
    asked_again_at=_or_null(_INSTANT),
    **_SPAN,
    usage=_or_null(_USAGE),
    usage_before=_or_null(_USAGE),
    cost=_or_null(_COST),
    cost_before=_or_null(_COST),
    records=_or_null({"type": "array", "items": _RECORD}),
    unread={"type": "array", "items": {"type": "string", "pattern": "^could not be read: "}},
)
INCIDENT = _object(
    id={"type": "string", "pattern": "^inc_"},
    state={"enum": ["open", "held", "contained", "closed"]},
    disposition={"enum": ["revoked", "already_dead", "not_ours", "dismissed", None]},
    provider=_TEXT,
    account=_TEXT,
    family=_TEXT,
    key=_object(
        id=_OPTIONAL,
        name=_OPTIONAL,
        redacted={"type": "string", "maxLength": 13, "pattern": "…"},
        project=_OPTIONAL,
        owner={"anyOf": [{"type": "null"}, _object(kind=_TEXT, name=_OPTIONAL, email=_OPTIONAL)]},
    ),
    evidence={"enum": ["fingerprint", "probe", "provider_hash", "hint", "none"]},
    decision={"enum": ["revoke", "hold", "ignore"]},
    reason={"type": "string", "minLength": 10},
    confirmed_dead={"type": "boolean"},
    severity={"enum": ["normal", "high"]},
    hints={"type": "object", "additionalProperties": _TEXT},
    sightings={
        "type": "array",
        "minItems": 1,
        "items": _object(
            source={"enum": ["github_push", "github_alert", "github_partner", "gitlab", "report", "scan"]},
            kind=_OPTIONAL,
            where={"type": ["string", "null"], "pattern": "^https?://"},
            at=_INSTANT,
        ),
    },
    timeline={"type": "array", "items": _object(at=_INSTANT, event=_TEXT, detail={"type": "object"})},
    clocks=_object(received_to_revoke_requested_ms=_COUNT, received_to_confirmed_dead_ms=_COUNT, exposure_ms=_COUNT),
    notices={
        "type": "array",
        "items": _object(
            to=_TEXT, channel=_TEXT, status={"enum": ["sent", "failed", "pending"]}, attempts={"type": "integer"}
        ),
    },
)
INCIDENT["properties"]["damage"] = DAMAGE  # from the moment the provider was asked what the key was used for
