"""Deliveries: written down once, handed out fairly, shredded when nobody needs them."""

from datetime import timedelta

from responder.store import Store, deliveries
from responder.store.deliveries import Delivery
from tests.grown import NOON


def _accept(store: Store, id_: str, lane: str = "one", second: float = 0, sealed: bytes | None = None) -> bool:
    at = NOON + timedelta(seconds=second)
    with store.begin("accept") as tx:
        return deliveries.accept(tx, Delivery(id_, "github_push", lane, {"repository": 1}, at, sealed))


def _waiting(store: Store, limit: int = 100) -> list[str]:
    with store.read() as tx:
        return list(deliveries.next_waiting(tx, limit))


def test_a_delivery_comes_back_as_it_went_in(store: Store) -> None:
    """The worker must work on what the receiver authenticated, to the microsecond and the byte."""
    given = Delivery("d", "report", "lane", {"receipt": "rcp_1", "commits": ["a", "b"]}, NOON, b"\x00sealed\xff")
    with store.begin("accept") as tx:
        deliveries.accept(tx, given)
    with store.read() as tx:
        assert deliveries.get(tx, "d") == given
        assert deliveries.get(tx, "other") is None


def test_a_redelivery_is_written_once_and_never_over_the_first(store: Store) -> None:
    """GitHub delivers twice when it doubts; the second must not undo what was done about the first."""
    assert _accept(store, "d", lane="first")
    assert not _accept(store, "d", lane="second")
    with store.begin("end") as tx:
        deliveries.end(tx, "d", "done", NOON)
    assert not _accept(store, "d", lane="third")
    assert _waiting(store) == []
    with store.read() as tx:
        found = deliveries.get(tx, "d")
    assert found is not None
    assert found.lane == "first"


def test_within_a_lane_the_oldest_goes_first(store: Store) -> None:
    """A leak that waited longer has been readable for longer."""
    for id_, second in (("late", 2), ("early", 0), ("middle", 1)):
        _accept(store, id_, second=second)
    assert _waiting(store) == ["early", "middle", "late"]


def test_a_flood_in_one_lane_delays_another_by_one_turn(store: Store) -> None:
    """One noisy repository must not hold up a leak in a quiet one."""
    for number in range(50):
        _accept(store, f"flood{number:02}", "noisy", number / 100)
    _accept(store, "quiet", "quiet", 10)
    _accept(store, "calm", "calm", 11)
    assert _waiting(store, 3) == ["flood00", "quiet", "calm"]
    assert _waiting(store, 5)[3:] == ["flood01", "flood02"]


def test_deliveries_of_one_instant_are_handed_out_in_a_fixed_order(store: Store) -> None:
    """Two workers that ask must be told the same."""
    for id_ in "cab":
        _accept(store, id_)
    assert _waiting(store) == ["a", "b", "c"]


def test_what_was_started_is_not_handed_out_again(store: Store) -> None:
    """The engine has it, and finishes it."""
    for id_ in "ab":
        _accept(store, id_)
    with store.begin("start") as tx:
        deliveries.start(tx, ["a"])
    assert _waiting(store) == ["b"]
    with store.read() as tx:
        assert deliveries.unfinished(tx) == 2


def test_starting_late_does_not_reopen_what_has_ended(store: Store) -> None:
    """A fast delivery may end before its start is written down."""
    _accept(store, "a")
    with store.begin("end") as tx:
        deliveries.end(tx, "a", "done", NOON)
        deliveries.start(tx, ["a"])
    with store.read() as tx:
        assert deliveries.unfinished(tx) == 0
    assert _waiting(store) == []


def test_a_failed_delivery_has_ended_too(store: Store) -> None:
    """Nobody waits for what a person has been told about."""
    _accept(store, "a")
    with store.begin("end") as tx:
        deliveries.end(tx, "a", "Cannot be fetched.", NOON, failed=True)
    with store.read() as tx:
        assert deliveries.unfinished(tx) == 0


def test_a_shredded_body_is_gone_and_its_delivery_stays(store: Store) -> None:
    """A sealed token is kept only as long as somebody needs it; that it came is kept."""
    _accept(store, "a", sealed=b"one")
    _accept(store, "b", sealed=b"two")
    with store.begin("shred") as tx:
        deliveries.shred(tx, ["a"])
    with store.read() as tx:
        kept = {id_: deliveries.get(tx, id_) for id_ in "ab"}
    assert {id_: found and found.sealed for id_, found in kept.items()} == {"a": None, "b": b"two"}


def test_bodies_older_than_the_limit_are_shredded_whoever_wants_them(store: Store) -> None:
    """72 hours are the promise, whatever else hangs."""
    _accept(store, "old", second=-1, sealed=b"one")
    _accept(store, "young", second=0, sealed=b"two")
    with store.begin("tidy") as tx:
        deliveries.shred_before(tx, NOON)
    with store.read() as tx:
        old, young = deliveries.get(tx, "old"), deliveries.get(tx, "young")
    assert old is not None
    assert old.sealed is None
    assert young is not None
    assert young.sealed == b"two"
