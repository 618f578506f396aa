"""Deliveries: written down once, handed out fairly, shredded when nobody needs them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from responder.store import Store, deliveries
from responder.store.deliveries import Crowded, Delivery, Quota
from tests.grown import NOON


def _accept(store: Store, id_: str, lane: str = "one", second: float = 0, sealed: bytes | None = None) -> bool:
    at = NOON + timedelta(seconds=second)
    with store.begin("accept") as tx:
        return deliveries.accept(tx, Delivery(id_, "github_push", lane, {"repository": 1}, at, sealed))


def _accept_within(store: Store, id_: str, *quotas: Quota, lane: str = "one", second: float = 0) -> bool:
    given = Delivery(id_, "report", lane, {}, NOON + timedelta(seconds=second))
    with store.begin("accept") as tx:
        return deliveries.accept(tx, given, quotas)


def _waiting(store: Store, limit: int = 100) -> list[str]:
    with store.read() as tx:
        return [turn.id for turn in deliveries.next_waiting(tx, limit)]


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


def test_lanes_with_much_to_do_delay_one_in_which_something_has_just_happened_by_one_turn(store: Store) -> None:
    """What they have waiting is older, all of it; a leak that is new must not wait until they are done."""
    for number in range(50):
        _accept(store, f"flood{number:02}", f"noisy{number % 5}", number / 100)
    _accept(store, "leak", "quiet", 10)
    assert _waiting(store, 6)[5] == "leak"
    served = {f"noisy{number}": 1.0 + number for number in range(5)}
    with store.read() as tx:
        after = [turn.id for turn in deliveries.next_waiting(tx, 3, served=served)]
    assert after == ["leak", "flood00", "flood01"]


def test_a_flood_from_many_lanes_of_one_source_delays_another_source_by_one_turn(store: Store) -> None:
    """Addresses to report from cost nothing: who has a thousand must not hold up what GitHub tells."""
    for number in range(50):
        _accept_within(store, f"flood{number:02}", lane=f"report:{number}", second=number / 100)
    _accept(store, "push", "github:7", 10)
    assert _waiting(store, 3) == ["flood00", "push", "flood01"]
    with store.read() as tx:
        assert [turn.id for turn in deliveries.next_waiting(tx, 5, full_sources=["report"])] == ["push"]


def test_a_quota_is_exact_and_says_when_it_ends(store: Store) -> None:
    """A caller is told how long to wait, and what was refused does not make them wait longer."""
    quota = Quota(3, timedelta(seconds=60))
    for number in range(3):
        assert _accept_within(store, f"d{number}", quota, second=number * 10)
    for second, left in ((20.0, 40), (59.5, 1)):
        with pytest.raises(Crowded) as caught:
            _accept_within(store, "late", quota, second=second)
        assert caught.value.seconds == left
    assert _accept_within(store, "late", quota, second=60)
    with pytest.raises(Crowded):
        _accept_within(store, "later", quota, second=60)


def test_the_longest_wait_of_several_quotas_is_told(store: Store) -> None:
    """Coming back in a minute would be in vain when the hour is used up."""
    quotas = (Quota(1, timedelta(minutes=1)), Quota(1, timedelta(hours=1)))
    _accept_within(store, "first", *quotas)
    with pytest.raises(Crowded) as caught:
        _accept_within(store, "second", *quotas)
    assert caught.value.seconds == 3600


def test_a_repeated_delivery_is_answered_as_before_however_full_its_lane_is(store: Store) -> None:
    """A client that lost our answer must not be told that its report was not taken."""
    quota = Quota(1, timedelta(minutes=1))
    assert _accept_within(store, "d", quota)
    assert not _accept_within(store, "d", quota)
    with pytest.raises(Crowded):
        _accept_within(store, "other", quota)


def test_a_quota_counts_one_lane_only(store: Store) -> None:
    """One caller's flood is not another's."""
    quota = Quota(1, timedelta(minutes=1))
    assert _accept_within(store, "a", quota, lane="one")
    assert _accept_within(store, "b", quota, lane="two")


def test_many_at_once_share_one_quota(store: Store) -> None:
    """Every process and machine counts the same rows, one at a time."""

    def accept(number: int) -> bool:
        try:
            return _accept_within(store, f"d{number}", Quota(5, timedelta(minutes=1)), second=number / 1000)
        except Crowded:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(accept, range(40))) == 5


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
