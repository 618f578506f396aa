"""Listing keys from a provider that breaks off, lies, forgets and is asked by several processes at once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.core.errors import Unavailable
from responder.core.key import KnownKey
from responder.inventory import Inventory
from responder.outbound import Door
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor
from responder.store import Store, accounts, keys
from responder.store.accounts import Listing
from responder.store.tables import metadata
from tests.grown import NOON, known
from tests.postgres import database

_ACCOUNT = ("openai", "default")
_KEYS = r"GET .*/projects/[^/]+/api_keys$"
_PROJECTS = r"GET .*/organization/projects$"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> datetime:
        """Later, or earlier; what time it is then."""
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with our tables."""
    if request.param == "sqlite":
        yield from _made(f"sqlite:///{tmp_path / 'responder.sqlite'}")
        return
    with database() as url:
        yield from _made(url)


def _made(url: str) -> Iterator[Store]:
    made = Store(url)
    with made.begin("make") as tx:
        metadata.create_all(tx)
    yield made
    made.close()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """The vendor, fresh."""
    with Vendor(seed=3) as server:
        yield server
    assert not server.bugs


@pytest.fixture
def clock() -> Clock:
    """Everybody's."""
    return Clock()


@pytest.fixture
def inventory(store: Store, vendor: Vendor, clock: Clock) -> Iterator[Inventory]:
    """Of the vendor's one account."""
    door = Door("openai", vendor.base_url, deadline_seconds=1.0)
    yield Inventory(store, OpenAI("default", door, vendor.admin_key.value), (), clock)
    door.close()


def _listing(store: Store) -> Listing:
    with store.read() as tx:
        found = keys.listing(tx, *_ACCOUNT)
    assert found is not None
    return found


def _gone(inventory: Inventory) -> set[str]:
    return {key.id for key in inventory.every() if key.gone_at is not None}


# --- a provider that lies ------------------------------------------------------------------------


@pytest.mark.parametrize("lie", ["no_more_lie", "has_more_lie"])
def test_a_wrong_word_about_the_end_of_a_list_loses_no_key(
    vendor: Vendor, inventory: Inventory, store: Store, lie: str
) -> None:
    """The key behind a page that claimed to be the last would be taken for deleted."""
    wanted = {vendor.add_key(f"key {number}").id for number in range(150)}
    vendor.faults.add(_KEYS, lie, skip=int(lie == "has_more_lie"))
    assert inventory.sync()
    assert {key.id for key in inventory.every()} == wanted | {vendor.admin_key.id}
    assert _listing(store).problem is None


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ("status", {"status": 500, "skip": 1}),
        ("status", {"status": 401, "skip": 1}),
        ("cut_json", {"skip": 1}),
        ("cut_body", {"skip": 1}),
        ("reset_mid_body", {"skip": 1}),
        ("html", {"skip": 1}),
        ("wrong_schema", {}),
        ("repeated_cursor", {"times": None}),
        ("has_more_lie", {"times": None}),
    ],
)
def test_a_list_that_breaks_off_changes_only_what_it_showed(
    vendor: Vendor, inventory: Inventory, store: Store, clock: Clock, fault: str, details: dict[str, Any]
) -> None:
    """No key is taken for gone, and the account is marked as behind until a list is whole."""
    grown = [vendor.add_key(f"key {number}") for number in range(120)]
    assert inventory.sync()
    for key in grown[:3]:
        vendor.delete(key)
    new = vendor.add_key("new")
    began = clock.move(60)
    vendor.faults.add(_KEYS, fault, **details)
    assert not inventory.sync()
    listing = _listing(store)
    assert (listing.tried_at, listing.complete_at) == (began, NOON)
    assert listing.problem is not None
    assert _gone(inventory) == set()
    vendor.faults.clear()
    clock.move(60)
    assert inventory.sync()
    assert _listing(store).problem is None
    assert _gone(inventory) == {key.id for key in grown[:3]}
    assert inventory.key(new.id) is not None


def test_a_stale_list_delays_a_tombstone_and_does_no_more(vendor: Vendor, inventory: Inventory, clock: Clock) -> None:
    """A deletion takes a while to reach every list."""
    key = vendor.add_key()
    inventory.sync()
    vendor.delete(key)
    vendor.faults.add(_KEYS, "stale_list")
    clock.move(60)
    assert inventory.sync()
    assert _gone(inventory) == set()
    clock.move(60)
    assert inventory.sync()
    assert _gone(inventory) == {key.id}


def test_a_key_that_a_list_forgot_lives_again_with_the_next(
    vendor: Vendor, inventory: Inventory, clock: Clock
) -> None:
    """A list that was behind must not make a live key look dead for ever."""
    key = vendor.add_key()
    inventory.sync()
    vendor.faults.add(_KEYS, "missing_new")
    clock.move(60)
    assert inventory.sync()
    assert _gone(inventory) == {key.id}
    clock.move(60)
    assert inventory.sync()
    assert _gone(inventory) == set()


def test_a_list_without_change_leaves_the_keys_as_they_lie(
    vendor: Vendor, inventory: Inventory, store: Store, clock: Clock
) -> None:
    """Nothing is written for what was known."""
    for number in range(120):
        vendor.add_key(f"key {number}")
    inventory.sync()
    began = clock.move(60)
    assert inventory.sync()
    with store.read() as tx:
        lost, listed = keys.missing(tx, *_ACCOUNT, began)
    assert (len(lost), listed) == (120, 121), "none was written since; the admin key is judged apart"


# --- a large part is missing ---------------------------------------------------------------------


def test_a_list_that_lacks_a_large_part_is_believed_the_second_time(
    vendor: Vendor, inventory: Inventory, store: Store, clock: Clock
) -> None:
    """An admin key that lost its rights, or a list cut short, looks like a mass deletion."""
    grown = [vendor.add_key(f"key {number}") for number in range(20)]
    inventory.sync()
    for key in grown[:8]:
        vendor.delete(key)
    clock.move(60)
    assert not inventory.sync()
    listing = _listing(store)
    assert listing.complete_at == NOON
    assert listing.problem == "The list lacks 8 of 21 known keys, which a second list has to confirm."
    assert _gone(inventory) == set()
    clock.move(60)
    assert inventory.sync()
    assert _gone(inventory) == {key.id for key in grown[:8]}
    assert _listing(store).problem is None


def test_a_list_that_lacks_another_large_part_each_time_buries_nothing(inventory: Inventory, store: Store) -> None:
    """Only a key that two complete lists lacked, one after the other, is gone."""
    everyone = [known(seed) for seed in range(20)]
    provider = Scripted([everyone], [everyone[10:]], [everyone[:10]], [everyone])
    clock = Clock()
    scripted = Inventory(store, provider, (), clock)  # type: ignore[arg-type]  # lists only
    assert scripted.sync()
    for _ in range(2):
        clock.move(60)
        assert not scripted.sync()
        assert _gone(scripted) == set()
    clock.move(60)
    assert scripted.sync()
    assert _gone(scripted) == set()
    assert _listing(store).problem is None


def test_a_few_missing_keys_are_believed_at_once(vendor: Vendor, inventory: Inventory, clock: Clock) -> None:
    """Small teams delete half of their keys on a Friday."""
    grown = [vendor.add_key(f"key {number}") for number in range(6)]
    inventory.sync()
    for key in grown[:5]:
        vendor.delete(key)
    clock.move(60)
    assert inventory.sync()
    assert len(_gone(inventory)) == 5


# --- several processes ---------------------------------------------------------------------------


class Scripted:
    """A provider whose lists are written down beforehand; a page may be a thing to do first.

    Args:
        lists: each a sequence of pages, one list after the other.
    """

    provider = "openai"
    account = "default"

    def __init__(self, *lists: Sequence[Any]) -> None:
        self.lists = list(lists)
        self.listed = 0

    def list_keys(self) -> Iterator[Sequence[KnownKey]]:
        """The next list."""
        self.listed += 1
        for page in self.lists.pop(0):
            yield page() if callable(page) else page


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
        listing = pool.submit(first.sync)
        assert begun.wait(10)
        assert not second.refresh(NOON - timedelta(seconds=1))
        assert second.sync()
        assert listing.result()
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
    assert _gone(first) == set()
    assert _listing(store).complete_at == clock()


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
    assert _gone(inventory) == set()


def test_a_key_deleted_while_its_page_was_on_the_way_stays_deleted(store: Store, clock: Clock) -> None:
    """We delete a key while the schedule lists it: the list is older than what we know."""
    provider = Scripted([[known(1)]])
    inventory = _process(store, provider, clock, lambda _: None)
    inventory.sync()

    def while_we_delete() -> Sequence[KnownKey]:
        with store.begin("delete") as tx:
            keys.bury_one(tx, *_ACCOUNT, "key_1", clock.move(1))
        return [known(1)]

    clock.move(60)
    provider.lists.append([while_we_delete])
    assert inventory.sync()
    assert _gone(inventory) == {"key_1"}


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


def test_many_tokens_that_force_a_list_at_once_share_one(
    vendor: Vendor, inventory: Inventory, store: Store, clock: Clock
) -> None:
    """They all came before it began."""
    vendor.latency_seconds = 0.05
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: inventory.refresh(NOON), range(8)))
    assert sum(seen.path.endswith("/organization/projects") for seen in vendor.journal) == 1


def test_a_list_of_the_future_proves_nothing(store: Store, clock: Clock) -> None:
    """The clock was three days ahead, and has been put right."""
    provider = Scripted([[known(1)]], [[known(1)]])
    inventory = _process(store, provider, clock, lambda _: None)
    clock.move(3 * 86400)
    assert inventory.sync()
    now = clock.move(-3 * 86400)
    assert inventory.refresh(now)
    assert provider.listed == 2


# --- one key -------------------------------------------------------------------------------------


def test_a_key_wrongly_taken_for_gone_is_revived_when_asked_for(
    vendor: Vendor, inventory: Inventory, clock: Clock
) -> None:
    """A leak of it would else be closed as "already dead" while it works."""
    key = vendor.add_key()
    inventory.sync()
    vendor.faults.add(_KEYS, "missing_new")
    clock.move(60)
    inventory.sync()
    lost = inventory.key(key.id)
    assert lost is not None
    assert lost.gone_at is not None
    clock.move(1)
    assert inventory.revive(lost).gone_at is None
    assert _gone(inventory) == set()


def test_a_key_that_is_gone_stays_so_when_asked_for(vendor: Vendor, inventory: Inventory, clock: Clock) -> None:
    """It is not there: that is an answer."""
    key = vendor.add_key()
    inventory.sync()
    vendor.delete(key)
    clock.move(60)
    inventory.sync()
    lost = inventory.key(key.id)
    assert lost is not None
    assert inventory.revive(lost) == lost
    vendor.faults.add(_KEYS, "status", status=503)
    with pytest.raises(Unavailable):
        inventory.revive(lost)


def test_the_address_of_an_admin_keys_owner_is_asked_for_once_a_list(vendor: Vendor, inventory: Inventory) -> None:
    """The list of admin keys does not tell it; each call is taken from the rate of everything else."""
    for number in range(3):
        vendor.add_admin_key(f"admin {number}")
    inventory.sync()
    admin = inventory.key(vendor.admin_key.id)
    assert admin is not None
    assert admin.owner.email == vendor.owner.email
    inventory.listed_now(admin)
    assert sum("/organization/users/" in seen.path for seen in vendor.journal) == 1
