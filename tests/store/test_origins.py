"""Where deliveries come from: noted cheaply, bounded, and never forgotten by mistake."""

from datetime import timedelta

from responder.store import Store, deliveries, origins
from responder.store.deliveries import Delivery
from responder.store.origins import Came, Hook
from tests.grown import NOON

_GUID = "0b989ba4-242f-11e5-81e1-c7b6966d2516"


def test_a_stranger_with_many_webhooks_fills_no_table(store: Store) -> None:
    """Their numbers come in headers that nobody signed; the one that still delivers stays."""
    with store.begin("test") as tx:
        for number in range(1, 251):
            later = NOON + timedelta(seconds=number)
            origins.note(tx, Came(Hook("organization", 1, 1), None), later)
            origins.note(tx, Came(Hook("organization", 7, number), None), later)
        known = [hook for hook, _ in origins.webhooks(tx, NOON)]
    assert len(known) == 200
    assert Hook("organization", 1, 1) in known
    assert Hook("organization", 7, 250) in known


def test_a_webhook_is_asked_about_for_a_month(store: Store) -> None:
    """One that was deleted must not cost a call for ever."""
    with store.begin("test") as tx:
        origins.note(tx, Came(Hook("repository", 1, 2), 1), NOON)
        assert origins.webhooks(tx, NOON + timedelta(days=29)) == [(Hook("repository", 1, 2), None)]
        assert origins.webhooks(tx, NOON + timedelta(days=31)) == []


def test_an_event_is_here_whatever_its_body_and_no_other_is(store: Store) -> None:
    """The GUID alone names it; one that begins alike is another."""
    with store.begin("test") as tx:
        for guid in (_GUID, f"{_GUID}-x"):
            deliveries.accept(tx, Delivery(f"gh_{guid}_{'0123456789abcdef'}", "github_push", "l", {}, NOON))
        assert origins.is_here(tx, _GUID)
        assert origins.is_here(tx, f"{_GUID}-x")
        assert not origins.is_here(tx, _GUID[:-1])
        assert not origins.is_here(tx, f"{_GUID}-y")


def test_a_repository_is_as_old_as_its_first_delivery(store: Store) -> None:
    """What is older than that is the past, and is told as such."""
    with store.begin("test") as tx:
        for hours in (0, 5):
            origins.note(tx, Came(None, 9), NOON + timedelta(hours=hours))
        origins.meet(tx, [9, 10], NOON + timedelta(hours=7))
        known = origins.known(tx, [9, 10])
    assert [known[id_].seen_at - NOON for id_ in (9, 10)] == [timedelta(), timedelta(hours=7)]
