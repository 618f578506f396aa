"""Known keys are kept in step with the provider's list, and a list that breaks off changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from responder.core.errors import Unavailable
from responder.core.key import Tier
from tests.beside import Beside, beside, leaked

_SECOND = timedelta(seconds=1)
_LISTS = r"GET .*/organization/(projects|admin_api_keys)"
_KEYS = r"GET .*/projects/[^/]+/api_keys$"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Beside]:
    """One organisation."""
    with beside(tmp_path) as made:
        yield made


def test_a_key_made_after_the_last_list_is_found_by_a_forced_one(here: Beside) -> None:
    """Made at nine, pushed a minute later: the next list is due in an hour."""
    inventory = here.inventory()
    assert inventory.sync()
    here.wait(60)
    key = here.vendor.add_key("brand new")
    _, seen = leaked(key)
    assert inventory.candidates(seen) == []
    assert inventory.refresh(here.now)
    assert [one.id for one in inventory.candidates(seen)] == [key.id]


def test_a_list_fresh_enough_is_not_asked_for_again(here: Beside) -> None:
    """A list costs a call for every project."""
    inventory = here.inventory()
    heard = here.now
    here.wait(1)
    assert inventory.sync()
    here.vendor.journal.clear()
    assert inventory.refresh(heard)
    assert inventory.sync(unless_since=heard)
    assert here.vendor.journal == []


def test_forced_lists_are_spaced_whoever_forces_them(here: Beside) -> None:
    """A flood of unknown tokens must not empty our rate: meanwhile the answer is "not yet", not "no"."""
    one, other = here.inventory(), here.inventory()
    assert one.refresh(here.now)
    here.vendor.journal.clear()
    for inventory in (one, other):
        here.wait(1)
        assert not inventory.refresh(here.now)
    assert here.vendor.journal == []
    here.wait(60)
    assert other.refresh(here.now)


def test_a_list_older_than_the_sighting_proves_no_absence(here: Beside) -> None:
    """The key may have been made in between."""
    inventory = here.inventory()
    inventory.sync()
    here.wait(1)
    here.vendor.faults.add(_LISTS, "status", times=3, status=503)
    assert not inventory.refresh(here.now)


@pytest.mark.parametrize(
    "kind", ["status", "timeout", "reset", "html", "cut_json", "wrong_schema", "repeated_cursor"]
)
def test_a_list_that_breaks_off_buries_nobody_and_keeps_what_it_showed(here: Beside, kind: str) -> None:
    """What came before the break is true; what did not come is unknown."""
    second = here.vendor.add_project("Second")
    old, far = here.vendor.add_key("old"), here.vendor.add_key("far", project=second)
    inventory = here.inventory()
    assert inventory.sync()
    here.wait(60)
    old.name = "renamed"
    here.vendor.faults.add(f"GET .*/{second.id}/api_keys", kind, times=None, seconds=5)
    assert not inventory.sync()
    assert not inventory.refresh(here.now)
    kept, missed = inventory.key(old.id), inventory.key(far.id)
    assert kept is not None
    assert (kept.name, kept.gone_at) == ("renamed", None)
    assert missed is not None
    assert missed.gone_at is None


def test_a_key_missing_from_a_complete_list_is_gone(here: Beside) -> None:
    """And stays known: a leak of it is dead, and somebody may still push it."""
    key = here.vendor.add_key()
    inventory = here.inventory()
    inventory.sync()
    here.wait(60)
    here.vendor.delete(key)
    assert inventory.sync()
    found = inventory.key(key.id)
    assert found is not None
    assert found.gone_at == here.now
    assert [one.id for one in inventory.candidates(leaked(key)[1])] == [key.id]


def test_admin_keys_that_are_withheld_are_not_gone(here: Beside) -> None:
    """A list we may not read is not an empty one."""
    other = here.vendor.add_admin_key("other")
    inventory = here.inventory()
    inventory.sync()
    here.wait(60)
    here.vendor.faults.add("GET .*/admin_api_keys", "status", status=403)
    assert inventory.sync()
    found = inventory.key(other.id)
    assert found is not None
    assert found.gone_at is None


def test_a_list_that_suddenly_lacks_a_large_part_has_to_be_confirmed(here: Beside) -> None:
    """A vendor's bad day must not turn every leak into "already gone"."""
    keys = [here.vendor.add_key(f"key {number}") for number in range(12)]
    inventory = here.inventory()
    inventory.sync()
    here.wait(60)
    for key in keys[:8]:
        here.vendor.delete(key)
    assert not inventory.sync()
    gone = [one for key in keys if (one := inventory.key(key.id)) is not None and one.gone_at is not None]
    assert gone == []
    here.wait(60)
    assert inventory.sync()
    gone = [one for key in keys if (one := inventory.key(key.id)) is not None and one.gone_at is not None]
    assert len(gone) == 8


@pytest.mark.parametrize(
    ("rule", "guarded"),
    [
        ("the id", True), ("prod-*", True), ("prod-billing", True), ("Payments", True), ("olivia@acme.example", True),
        ("*@acme.example", True), ("prod", False), ("PROD-*", False), ("*@other.example", False), ("", False),
    ],
)  # fmt: skip
def test_a_key_is_protected_by_its_id_or_a_pattern_of_its_names(here: Beside, rule: str, guarded: bool) -> None:
    """Somebody says beforehand what production hangs on."""
    key = here.vendor.add_key("prod-billing", project=here.vendor.add_project("Payments"))
    inventory = here.inventory("nothing", key.id if rule == "the id" else rule)
    inventory.sync()
    wanted = Tier.PROTECTED if guarded else Tier.STANDARD
    found = inventory.key(key.id)
    assert found is not None
    assert found.tier is wanted
    assert [one.tier for one in inventory.candidates(leaked(key)[1])] == [wanted]


def test_a_fingerprint_that_was_proved_is_known_from_then_on(here: Beside) -> None:
    """In the inventory and in the fresh list of its project, whatever is listed meanwhile."""
    key = here.vendor.add_key()
    inventory = here.inventory()
    inventory.sync()
    _, seen = leaked(key)
    known = inventory.key(key.id)
    assert known is not None
    inventory.learn(known, seen)
    here.wait(60)
    inventory.sync()
    learned = replace(known, fingerprint=seen.digest)
    assert inventory.candidates(seen) == [learned]
    assert [one.fingerprint for one in inventory.listed_now(known) if one.id == key.id] == [seen.digest]


def test_an_admin_keys_fingerprint_is_known_in_the_fresh_list_too(here: Beside) -> None:
    """It has no project to be looked up by."""
    key = here.vendor.add_admin_key("other")
    inventory = here.inventory()
    inventory.sync()
    known = inventory.key(key.id)
    assert known is not None
    inventory.learn(known, leaked(key)[1])
    assert [one.fingerprint for one in inventory.listed_now(known) if one.id == key.id] == [leaked(key)[1].digest]


def test_a_fresh_list_that_cannot_be_had_is_unavailable(here: Beside) -> None:
    """It is half of a proof, and half a proof is none."""
    key = here.vendor.add_key()
    inventory = here.inventory()
    inventory.sync()
    known = inventory.key(key.id)
    assert known is not None
    here.vendor.faults.add(_KEYS, "status", times=3, status=500)
    with pytest.raises(Unavailable):
        inventory.listed_now(known)


def test_names_of_anybodys_choosing_do_not_stop_the_list(here: Beside) -> None:
    """One NUL in one name must not blind us to every other key."""
    ids = [here.vendor.add_key(name).id for name in ("\x00", "\ud800", "x" * 10_000, "'; DROP TABLE", "ordinary")]
    inventory = here.inventory()
    assert inventory.sync()
    assert all(inventory.key(id_) is not None for id_ in ids)
