"""Listing keys from a provider that breaks off, lies and forgets, over real HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from responder.core.errors import Unavailable
from responder.inventory import Inventory
from responder.outbound import Door
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor
from responder.store import Store, keys
from tests.grown import NOON
from tests.listing import ACCOUNT, BOTH, Clock, gone, listing, made

_KEYS = r"GET .*/projects/[^/]+/api_keys$"


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database with our tables."""
    yield from made(request.param, tmp_path)


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
    assert listing(store).problem is None


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ("status", {"status": 500, "skip": 1, "times": 3}),
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
    last = listing(store)
    assert (last.tried_at, last.complete_at) == (began, NOON)
    assert last.problem is not None
    assert gone(inventory) == set()
    vendor.faults.clear()
    clock.move(60)
    assert inventory.sync()
    assert listing(store).problem is None
    assert gone(inventory) == {key.id for key in grown[:3]}
    assert inventory.key(new.id) is not None


def test_a_stale_list_delays_a_tombstone_and_does_no_more(vendor: Vendor, inventory: Inventory, clock: Clock) -> None:
    """A deletion takes a while to reach every list."""
    key = vendor.add_key()
    inventory.sync()
    vendor.delete(key)
    vendor.faults.add(_KEYS, "stale_list")
    clock.move(60)
    assert inventory.sync()
    assert gone(inventory) == set()
    clock.move(60)
    assert inventory.sync()
    assert gone(inventory) == {key.id}


def test_a_key_that_a_list_forgot_lives_again_with_the_next(
    vendor: Vendor, inventory: Inventory, clock: Clock
) -> None:
    """A list that was behind must not make a live key look dead for ever."""
    key = vendor.add_key()
    inventory.sync()
    vendor.faults.add(_KEYS, "missing_new")
    clock.move(60)
    assert inventory.sync()
    assert gone(inventory) == {key.id}
    clock.move(60)
    assert inventory.sync()
    assert gone(inventory) == set()


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
        lost, listed = keys.missing(tx, *ACCOUNT, began)
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
    last = listing(store)
    assert last.complete_at == NOON
    assert last.problem == "The list lacks 8 of 21 known keys, which a second list has to confirm."
    assert gone(inventory) == set()
    clock.move(60)
    assert inventory.sync()
    assert gone(inventory) == {key.id for key in grown[:8]}
    assert listing(store).problem is None


def test_a_few_missing_keys_are_believed_at_once(vendor: Vendor, inventory: Inventory, clock: Clock) -> None:
    """Small teams delete half of their keys on a Friday."""
    grown = [vendor.add_key(f"key {number}") for number in range(6)]
    inventory.sync()
    for key in grown[:5]:
        vendor.delete(key)
    clock.move(60)
    assert inventory.sync()
    assert len(gone(inventory)) == 5


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
    assert gone(inventory) == set()


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
    vendor.faults.add(_KEYS, "status", times=3, status=503)
    with pytest.raises(Unavailable):
        inventory.revive(lost)


def test_a_list_is_whole_although_every_page_failed_once(vendor: Vendor, inventory: Inventory) -> None:
    """Of thousands of pages some always meet a gateway that has just lost its server."""
    grown = [vendor.add_key(f"key {number}") for number in range(220)]
    for page in range(3):
        vendor.faults.add(_KEYS, "status", skip=page, status=502)
    assert inventory.sync()
    assert {key.id for key in inventory.every()} >= {key.id for key in grown}


def test_who_asks_us_to_wait_is_not_asked_again_at_once(vendor: Vendor, inventory: Inventory) -> None:
    """A 503 with ``Retry-After`` is a wish, and not an accident."""
    vendor.faults.add(_KEYS, "status", times=None, status=503, headers={"Retry-After": "30"})
    assert not inventory.sync()
    assert sum("/api_keys" in seen.path for seen in vendor.journal) == 1


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


# --- many tokens at once --------------------------------------------------------------------------


def test_many_tokens_that_force_a_list_at_once_share_one(
    vendor: Vendor, inventory: Inventory, store: Store, clock: Clock
) -> None:
    """They all came before it began."""
    vendor.latency_seconds = 0.05
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: inventory.refresh(NOON), range(8)))
    assert sum(seen.path.endswith("/organization/projects") for seen in vendor.journal) == 1
