"""One incident for a token, whatever the door; its sightings, its alerts and its story."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from responder.core.incident import State
from responder.core.key import Owner
from responder.core.sighting import Alert, Sighting, Source
from responder.store import Store, deliveries, incidents
from responder.store.deliveries import Delivery
from responder.store.incidents import Joined
from tests.grown import NOON, known, seen


def _sighting(place: str = "1/sha", source: Source = Source.GITHUB_PUSH, alert: Alert | None = None) -> Sighting:
    return Sighting(source, place, f"https://github.example/{place}", NOON, f"delivery of {place}", alert)


def _join(store: Store, sighting: Sighting, seed: int = 0) -> Joined:
    with store.begin("join") as tx:
        return incidents.join(tx, seen(seed), "openai", "default", sighting, NOON)


def test_eight_threads_that_see_one_token_open_one_incident(store: Store) -> None:
    """One token, one incident: a second one would revoke, tell and close a second time."""
    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(lambda n: _join(store, _sighting(f"1/{n % 4}")), range(16)))
    assert len({one.incident_id for one in joined}) == 1
    assert sum(one.new_incident for one in joined) == 1
    assert sum(one.new_sighting for one in joined) == 4
    with store.read() as tx:
        whole = incidents.load(tx, joined[0].incident_id)
    assert len(whole.sightings) == 4
    assert [event.event for event in whole.timeline] == ["received"] * 4


def test_the_same_place_through_another_door_is_another_sighting(store: Store) -> None:
    """An alert on a pushed commit still has to be closed."""
    first = _join(store, _sighting("same"))
    second = _join(store, _sighting("same", Source.GITHUB_ALERT, Alert(1, 2)))
    assert first.incident_id == second.incident_id
    assert second.new_sighting


def test_two_tokens_are_two_incidents(store: Store) -> None:
    """Even in one line of one file."""
    assert _join(store, _sighting(), seed=1).incident_id != _join(store, _sighting(), seed=2).incident_id


def test_an_incident_that_does_not_exist_is_a_lookup_error(store: Store) -> None:
    """The command line turns it into a sentence."""
    with store.read() as tx:
        with pytest.raises(LookupError):
            incidents.get(tx, "inc_none")
        with pytest.raises(LookupError):
            incidents.load(tx, "inc_none")


def test_a_key_is_shown_as_it_was_when_it_was_matched(store: Store) -> None:
    """Later lists no longer show it, and people still ask whose it was."""
    id_ = _join(store, _sighting()).incident_id
    key = known(0, created_at=NOON - timedelta(days=9), last_used_at=NOON - timedelta(hours=1))
    with store.begin("name") as tx:
        assert incidents.load(tx, id_).key.id is None
        incidents.name_key(tx, id_, key)
    with store.read() as tx:
        shown, record = incidents.load(tx, id_).key, incidents.get(tx, id_)
    assert (shown.id, shown.name, shown.project, shown.project_name) == ("key_0", "key number 0", "proj_one", "One")
    assert shown.owner == Owner("user", "user-1", "Olivia Owner", "olivia@acme.example")
    assert (shown.created_at, shown.last_used_at) == (key.created_at, key.last_used_at)
    assert (record.key_id, record.project, record.owner_email) == ("key_0", "proj_one", "olivia@acme.example")


def test_the_record_has_the_fingerprint_of_its_token(store: Store) -> None:
    """It stands for the token in every later step."""
    id_ = _join(store, _sighting()).incident_id
    with store.read() as tx:
        assert incidents.get(tx, id_).fingerprint == seen()


def test_the_timeline_is_in_order_of_time_and_then_of_writing(store: Store) -> None:
    """People read it from top to bottom."""
    id_ = _join(store, _sighting()).incident_id
    with store.begin("note") as tx:
        incidents.note(tx, id_, "third", NOON + timedelta(seconds=2), {"status": 200})
        incidents.note(tx, id_, "second", NOON + timedelta(seconds=1))
        incidents.note(tx, id_, "fourth", NOON + timedelta(seconds=2))
        assert incidents.noted(tx, id_, "third")
        assert not incidents.noted(tx, id_, "fifth")
        assert not incidents.noted(tx, "inc_other", "third")
    with store.read() as tx:
        lines = incidents.timeline(tx, id_)
    assert [line.event for line in lines] == ["received", "second", "third", "fourth"]
    assert lines[2].detail == {"status": 200}


def test_only_alerts_still_open_are_to_be_closed(store: Store) -> None:
    """Closing one twice would undo what a person did with it since."""
    one, two = Alert(1, 5), Alert(2, 5)
    id_ = _join(store, _sighting("1/alert/5", Source.GITHUB_ALERT, one)).incident_id
    _join(store, _sighting("2/alert/5", Source.GITHUB_ALERT, two))
    _join(store, _sighting("2/alert/5/again", Source.GITHUB_ALERT, two))
    _join(store, _sighting("3/sha"))
    with store.begin("close") as tx:
        assert sorted(incidents.open_alerts(tx, id_), key=lambda a: a.repository) == [one, two]
        incidents.close_alert(tx, id_, one, NOON)
        assert incidents.open_alerts(tx, id_) == [two]


def test_a_delivery_is_idle_once_every_incident_it_told_of_is_closed(store: Store) -> None:
    """A sealed report of two tokens must outlive the first incident, and not the second."""
    shared = Sighting(Source.REPORT, "report/1", None, NOON, "report")
    with store.begin("accept") as tx:
        deliveries.accept(tx, Delivery("report", "report", "report", {}, NOON, b"sealed"))
    first, second = _join(store, shared, 1).incident_id, _join(store, shared, 2).incident_id
    with store.begin("close") as tx:
        incidents.change(tx, first, state=State.CLOSED.value)
        deliveries.end(tx, "report", "followed up", NOON)
        assert incidents.idle_deliveries(tx) == []
        incidents.change(tx, second, state=State.CLOSED.value)
        assert incidents.idle_deliveries(tx) == ["report"]
        deliveries.shred(tx, ["report"])
        assert incidents.idle_deliveries(tx) == []


def test_a_delivery_that_has_not_ended_is_never_idle(store: Store) -> None:
    """Its second token may not have been looked at when the incident of its first is closed."""
    with store.begin("accept") as tx:
        deliveries.accept(tx, Delivery("report", "report", "report", {}, NOON, b"sealed"))
    id_ = _join(store, Sighting(Source.REPORT, "report/1", None, NOON, "report")).incident_id
    with store.begin("close") as tx:
        incidents.change(tx, id_, state=State.CLOSED.value)
        assert incidents.idle_deliveries(tx) == []


def test_recent_incidents_come_newest_first_and_by_state(store: Store) -> None:
    """The list people open first."""
    ids = []
    for number in range(3):
        with store.begin("join") as tx:
            at = NOON + timedelta(seconds=number)
            ids.append(incidents.join(tx, seen(number), "openai", "default", _sighting(), at).incident_id)
    with store.begin("hold") as tx:
        incidents.change(tx, ids[1], state=State.HELD.value)
    with store.read() as tx:
        assert incidents.recent(tx, 2) == [ids[2], ids[1]]
        assert incidents.recent(tx, 10, "held") == [ids[1]]
        assert incidents.recent(tx, 10, "contained") == []
