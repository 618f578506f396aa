"""The journal of revocations, the outbox of notices, and whether anything is still on its way."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from responder.core.incident import State
from responder.core.notice import Audience, Channel, Notice, Topic
from responder.core.notice import Delivery as Sent
from responder.core.revocation import Outcome
from responder.core.sighting import Sighting, Source
from responder.store import Store, Transaction, deliveries, heartbeats, idle, incidents, notices, revocations
from responder.store.deliveries import Delivery
from tests.grown import NOON, seen

_KEY = ("openai", "default", "key_1")


def _at_once(count: int, work: Callable[[int], bool]) -> list[bool]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def _owe(tx: Transaction, topic: Topic = Topic.REVOKED, to: str = "olivia@acme.example", at: datetime = NOON) -> bool:
    return notices.owe(tx, "inc_1", Audience.OWNER, topic, Channel.MAIL, to, at)


def _claim(store: Store, claimer: str, at: datetime = NOON) -> Sequence[Notice]:
    with store.begin("claim") as tx:
        return notices.claim(tx, "inc_1", claimer, at, lambda _: timedelta(0))


def test_of_many_that_intend_to_revoke_a_key_one_may(store: Store) -> None:
    """Two sightings in two processes end in one DELETE."""

    def intend(number: int) -> bool:
        with store.begin("intend") as tx:
            return revocations.intend(tx, *_KEY, f"inc_{number}", f"holder{number}", NOON)

    won = _at_once(8, intend)
    assert won.count(True) == 1
    with store.read() as tx:
        intent = revocations.get(tx, *_KEY)
    assert intent is not None
    assert intent.incident_id == f"inc_{won.index(True)}"
    assert (intent.outcome, intent.attempts) == (None, 0)


def test_an_intent_is_known_by_its_key_alone(store: Store) -> None:
    """The same id in another account is another key."""
    with store.begin("intend") as tx:
        assert revocations.intend(tx, *_KEY, "inc_1", "holder", NOON)
        assert revocations.intend(tx, "openai", "other", "key_1", "inc_1", "holder", NOON)
        assert revocations.get(tx, "openai", "third", "key_1") is None


def test_an_unknown_outcome_stays_open_and_counts_as_a_try(store: Store) -> None:
    """A DELETE that timed out may have worked: nobody may read it as either."""
    with store.begin("settle") as tx:
        revocations.intend(tx, *_KEY, "inc_1", "holder", NOON)
        revocations.settle(tx, *_KEY, None, NOON)
        revocations.take_up(tx, *_KEY, "another")
    with store.begin("settle") as tx:
        unknown = revocations.get(tx, *_KEY)
        revocations.settle(tx, *_KEY, Outcome.REVOKED, NOON)
        settled = revocations.get(tx, *_KEY)
    assert unknown is not None
    assert (unknown.outcome, unknown.attempts, unknown.holder) == (None, 1, "another")
    assert settled is not None
    assert (settled.outcome, settled.attempts) == (Outcome.REVOKED, 2)


def test_the_breaker_counts_what_was_intended_since(store: Store) -> None:
    """It limits what we ask for, not what happened to succeed."""
    with store.begin("intend") as tx:
        for minute in range(5):
            at = NOON + timedelta(minutes=minute)
            revocations.intend(tx, "openai", "default", f"key_{minute}", "inc_1", "holder", at)
    with store.read() as tx:
        assert revocations.since(tx, NOON + timedelta(minutes=2)) == 2
        assert revocations.since(tx, NOON - timedelta(hours=1)) == 5


def test_a_notice_is_owed_once_however_often_it_is_written(store: Store) -> None:
    """The owner hears once of the same token found eight times."""

    def owe(_: int) -> bool:
        with store.begin("owe") as tx:
            return _owe(tx)

    assert _at_once(8, owe).count(True) == 1
    with store.begin("owe") as tx:
        assert _owe(tx, Topic.STILL_ALIVE)
        assert _owe(tx, to="other@acme.example")
    with store.read() as tx:
        assert len(notices.of(tx, "inc_1")) == 3


def test_a_notice_is_sent_by_one_task_at_a_time(store: Store) -> None:
    """Two mails about one thing make people doubt both."""
    with store.begin("owe") as tx:
        _owe(tx)
    assert len(_claim(store, "first")) == 1
    assert _claim(store, "second", NOON + timedelta(minutes=4)) == []


def test_a_task_takes_its_own_claim_up_again(store: Store) -> None:
    """It died between claiming and sending, and runs again under its own name."""
    with store.begin("owe") as tx:
        _owe(tx)
    assert len(_claim(store, "first")) == 1
    assert len(_claim(store, "first", NOON + timedelta(seconds=1))) == 1


def test_an_abandoned_claim_is_taken_over(store: Store) -> None:
    """At least once, even if the sender never comes back."""
    with store.begin("owe") as tx:
        _owe(tx)
    _claim(store, "first")
    later = NOON + timedelta(minutes=5, seconds=1)
    assert len(_claim(store, "second", later)) == 1
    assert _claim(store, "first", later) == []


@pytest.mark.parametrize(("status", "again"), [(Sent.SENT, 0), (Sent.FAILED, 0), (Sent.PENDING, 1)])
def test_what_was_settled_is_sent_again_only_if_it_is_still_owed(store: Store, status: Sent, again: int) -> None:
    """Sent is sent, failed for good is told to somebody else, and everything else is tried again at once."""
    with store.begin("owe") as tx:
        _owe(tx)
    [mine] = _claim(store, "first")
    with store.begin("settle") as tx:
        notices.settle(tx, mine, status, NOON + timedelta(seconds=3))
    with store.read() as tx:
        [kept] = notices.of(tx, "inc_1")
        assert notices.pending(tx, "inc_1") is (again == 1)
    assert (kept.status, kept.attempts) == (status, 1)
    assert kept.sent_at == (NOON + timedelta(seconds=3) if status is Sent.SENT else None)
    assert len(_claim(store, "second")) == again


def test_notices_keep_the_order_in_which_they_were_owed(store: Store) -> None:
    """First "revoked", then "still alive", or the story makes no sense."""
    with store.begin("owe") as tx:
        _owe(tx, Topic.STILL_ALIVE, at=NOON + timedelta(seconds=1))
        _owe(tx, Topic.REVOKED)
    assert [notice.topic for notice in _claim(store, "first")] == [Topic.REVOKED, Topic.STILL_ALIVE]


def test_a_heartbeat_is_the_last_one(store: Store) -> None:
    """Readiness asks when the worker was alive, not when it first was."""
    with store.begin("beat") as tx:
        assert heartbeats.last(tx, "worker") is None
        heartbeats.beat(tx, "worker", NOON)
        heartbeats.beat(tx, "worker", NOON + timedelta(seconds=2))
        heartbeats.beat(tx, "other", NOON)
    with store.read() as tx:
        assert heartbeats.last(tx, "worker") == NOON + timedelta(seconds=2)


def _unfinished(store: Store) -> int:
    with store.read() as tx:
        return idle.unfinished(tx)


def test_nothing_accepted_is_nothing_unfinished(store: Store) -> None:
    """An empty installation is idle."""
    assert _unfinished(store) == 0


def test_a_delivery_is_unfinished_until_it_ends(store: Store) -> None:
    """Waiting for idle is how tests and drills know that everything was seen."""
    with store.begin("accept") as tx:
        deliveries.accept(tx, Delivery("d", "report", "one", {}, NOON))
    assert _unfinished(store) == 1
    with store.begin("start") as tx:
        deliveries.start(tx, ["d"])
    assert _unfinished(store) == 1
    with store.begin("end") as tx:
        deliveries.end(tx, "d", "done", NOON)
    assert _unfinished(store) == 0


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"state": State.OPEN.value, "decision": "hold"}, 1),
        ({"state": State.OPEN.value, "decision": "hold", "looked_dead_at": NOON}, 0),
        ({"state": State.OPEN.value, "decision": "revoke"}, 1),
        ({"state": State.OPEN.value, "decision": "revoke", "looked_dead_at": NOON}, 1),
        ({"state": State.CONTAINED.value, "decision": "revoke"}, 1),
        ({"state": State.HELD.value, "decision": "hold"}, 0),
        ({"state": State.CLOSED.value, "decision": "ignore"}, 0),
    ],
)
def test_an_incident_is_unfinished_as_long_as_it_has_a_next_step_of_its_own(
    store: Store, changes: dict[str, object], count: int
) -> None:
    """A held one waits for a person, and one that looked dead for its second look: neither is counted."""
    with store.begin("join") as tx:
        sighting = Sighting(Source.REPORT, "place", None, NOON, "d")
        made = incidents.join(tx, seen(), "openai", "default", sighting, NOON)
        if changes:
            incidents.change(tx, made.incident_id, **changes)
    assert _unfinished(store) == count


def test_a_pending_notice_is_unfinished(store: Store) -> None:
    """Contained but untold is not done."""
    with store.begin("owe") as tx:
        _owe(tx)
    assert _unfinished(store) == 1
    [mine] = _claim(store, "first")
    with store.begin("settle") as tx:
        notices.settle(tx, mine, Sent.FAILED, NOON)
    assert _unfinished(store) == 0
