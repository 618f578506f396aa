"""One account listed by several processes on one database."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from responder.core.key import KnownKey
from responder.inventory import Inventory
from responder.store import Store, accounts, keys
from tests.grown import NOON, known
from tests.listing import ACCOUNT, BOTH, Clock, Scripted, gone, listing, made


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with our tables."""
    yield from made(request.param, tmp_path)


@pytest.fixture
def clock() -> Clock:
    """Everybody's."""
    return Clock()


def _process(store: Store, provider: Scripted, clock: Clock, sleep: Callable[[float], None]) -> Inventory:
    return Inventory(store, provider, (), clock, sleep)  # type: ignore[arg-type]  # lists only


def test_a_second_process_takes_the_first_ones_list_instead_of_its_own(store: Store, clock: Clock) -> None:
    """The same list twice at once is rate wasted; an unknown token is not kept waiting for it either."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Sequence[KnownKey]:
        begun.set()
        assert go_on.wait(10)
        return [known(1)]

    first = _process(store, Scripted([slow]), clock, lambda _: None)
    idle = Scripted()
    second = _process(store, idle, clock, lambda _: go_on.set())
    with ThreadPoolExecutor() as pool:
        listed = pool.submit(first.sync)
        assert begun.wait(10)
        assert not second.refresh(NOON - timedelta(seconds=1))
        assert second.sync()
        assert listed.result()
    assert idle.listed == 0
    assert second.key("key_1") == known(1)


def test_a_list_that_was_overtaken_buries_nothing(store: Store, clock: Clock) -> None:
    """Two lists at once must never bury a living key: the one that stalled knows less."""
    stalled = Scripted([[known(1), known(2)]])
    first = _process(store, stalled, clock, lambda _: None)
    assert first.sync()

    def overtaken() -> Sequence[KnownKey]:
        clock.move(accounts.LEASE.total_seconds() * 2)
        assert _process(store, Scripted([[known(1), known(2), known(3)]]), clock, lambda _: None).sync()
        return [known(1)]

    clock.move(60)
    stalled.lists.append([overtaken])
    assert not first.sync()
    assert gone(first) == set()
    assert listing(store).complete_at == clock()


def test_a_key_that_another_list_wrote_meanwhile_is_not_buried(store: Store, clock: Clock) -> None:
    """It was made after this list had passed its project."""
    provider = Scripted([[known(1)]])
    inventory = _process(store, provider, clock, lambda _: None)
    inventory.sync()

    def while_another_writes() -> Sequence[KnownKey]:
        with store.begin("other") as tx:
            keys.write(tx, [known(2)], clock.move(1))
        return [known(1)]

    clock.move(60)
    provider.lists.append([while_another_writes])
    assert inventory.sync()
    assert gone(inventory) == set()


def test_a_key_deleted_while_its_page_was_on_the_way_stays_deleted(store: Store, clock: Clock) -> None:
    """We delete a key while the schedule lists it: the list is older than what we know."""
    provider = Scripted([[known(1)]])
    inventory = _process(store, provider, clock, lambda _: None)
    inventory.sync()

    def while_we_delete() -> Sequence[KnownKey]:
        with store.begin("delete") as tx:
            keys.bury_one(tx, *ACCOUNT, "key_1", clock.move(1))
        return [known(1)]

    clock.move(60)
    provider.lists.append([while_we_delete])
    assert inventory.sync()
    assert gone(inventory) == {"key_1"}


def test_forced_lists_are_spaced_across_processes(store: Store, clock: Clock) -> None:
    """Ten workers and a flood of unknown tokens are still one list every fifteen seconds."""
    first, second = Scripted([[known(1)]]), Scripted([[known(1)]])
    assert _process(store, first, clock, lambda _: None).refresh(NOON)
    now = clock.move(10)
    assert not _process(store, second, clock, lambda _: None).refresh(now)
    assert second.listed == 0
    now = clock.move(5)
    assert _process(store, second, clock, lambda _: None).refresh(now)
    assert second.listed == 1


def test_a_list_of_the_future_proves_nothing(store: Store, clock: Clock) -> None:
    """The clock was three days ahead, and has been put right."""
    provider = Scripted([[known(1)]], [[known(1)]])
    inventory = _process(store, provider, clock, lambda _: None)
    clock.move(3 * 86400)
    assert inventory.sync()
    now = clock.move(-3 * 86400)
    assert inventory.refresh(now)
    assert provider.listed == 2


def test_a_list_that_lacks_another_large_part_each_time_buries_nothing(store: Store, clock: Clock) -> None:
    """Only a key that two complete lists lacked, one after the other, is gone."""
    everyone = [known(seed) for seed in range(20)]
    provider = Scripted([everyone], [everyone[10:]], [everyone[:10]], [everyone])
    scripted = _process(store, provider, clock, lambda _: None)
    assert scripted.sync()
    for _ in range(2):
        clock.move(60)
        assert not scripted.sync()
        assert gone(scripted) == set()
    clock.move(60)
    assert scripted.sync()
    assert gone(scripted) == set()
    assert listing(store).problem is None
