"""Known keys by the million: what did not change is not written, and what lives is not buried."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from responder.core.key import KeyKind, KnownKey, Owner
from responder.core.token import Fingerprint
from responder.store import Store, accounts, keys
from responder.store.rows import Rows
from tests.grown import NOON, known, seen, twin

_ACCOUNT = ("openai", "default")
_SECOND = timedelta(seconds=1)
_OLD, _NEW = 11, 22  # marks of peppers
_NUMBERS = st.sets(st.integers(0, 5000))


def _write(store: Store, *found: KnownKey, second: int = 0) -> Rows:
    with store.begin("write") as tx:
        return Rows.of(keys.write(tx, found, NOON + second * _SECOND))


def _get(store: Store, id_: str) -> KnownKey:
    with store.read() as tx:
        found = keys.get(tx, *_ACCOUNT, id_)
    assert found is not None
    return found


def _raw(store: Store) -> Mapping[str, Mapping[str, Any]]:
    with store.read() as tx:
        return {row["key_id"]: dict(row) for row in tx.execute(sa.text("SELECT * FROM known_keys")).mappings()}


# --- what a list writes --------------------------------------------------------------------------


def test_a_page_that_did_not_change_writes_nothing(store: Store) -> None:
    """A million keys are listed every few minutes; disks and backups must not notice."""
    page = [known(1, last_used_at=NOON), known(2, kind=KeyKind.ADMIN, project=None, project_name=None)]
    shown = _write(store, *page)
    before = _raw(store)
    with store.begin("bind") as tx:
        keys.bind(tx, known(1), seen(1).digest)
    with store.read() as tx:
        rows, rest = keys.compare(tx, page)
    assert (sorted(rows), rest) == (sorted(shown), [])
    assert list(_write(store, *page, second=5)) == sorted(rows)
    after = {id_: {**row, "fingerprint": None, "pepper": None} for id_, row in _raw(store).items()}
    assert after == before


def test_a_key_that_was_used_has_only_that_written(store: Store) -> None:
    """Last use changes all day; names, masks and fingerprints do not."""
    _write(store, known(1), known(2))
    before = _raw(store)
    with store.read() as tx:
        rows, rest = keys.compare(tx, [known(1, last_used_at=NOON), known(2)])
    assert (len(rows), [key.id for key in rest]) == (1, ["key_1"])
    _write(store, *rest, second=5)
    after = _raw(store)
    changed = {name for name, value in after["key_1"].items() if value != before["key_1"][name]}
    assert changed == {"last_used_at", "written_at"}
    assert after["key_2"] == before["key_2"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"project_name": "Other"},
        {"project": "proj_two"},
        {"owner": Owner("user", "user-1", "Olivia Owner", "new@acme.example")},
        {"owner": Owner("service_account", "user-1")},
        {"created_at": NOON},
        {"kind": KeyKind.SERVICE_ACCOUNT},
        {"mask": known(3).mask},
    ],
)
def test_whatever_else_changes_is_seen_and_written(store: Store, change: dict[str, Any]) -> None:
    """Who is told, and what is asked for, follows from it."""
    _write(store, known(1), known(2))
    newer = known(1, **change)
    with store.read() as tx:
        assert keys.compare(tx, [newer])[1] == [newer]
    _write(store, newer, second=5)
    assert _get(store, "key_1") == newer
    assert _get(store, "key_2") == known(2)


def test_two_owners_without_an_id_keep_their_own_addresses(store: Store) -> None:
    """A frightening mail to the wrong person helps nobody, and tells a stranger."""
    ada, bob = Owner("user", "", "Ada", "ada@acme.example"), Owner("user", "", "Bob", "bob@acme.example")
    _write(store, known(1, owner=ada), known(2, owner=bob), known(3, owner=Owner("user", "")))
    assert [_get(store, f"key_{n}").owner for n in (1, 2, 3)] == [ada, bob, Owner("user", "")]


def test_a_key_listed_twice_on_a_page_is_written_once(store: Store) -> None:
    """Lists that shift while they are read show a key again."""
    assert len(_write(store, known(1), known(1, name="newer"))) == 1
    assert _get(store, "key_1").name == "newer"


def test_two_processes_may_write_the_same_page_at_once(store: Store) -> None:
    """A forced list and a scheduled one meet; neither may fail."""
    page = [known(seed) for seed in range(50)]
    both = [threading.Thread(target=_write, args=(store, *page)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    with store.read() as tx:
        assert keys.count(tx) == 50
        assert keys.compare(tx, page)[1] == []


# --- what a list buries --------------------------------------------------------------------------


def test_a_key_written_since_the_list_began_is_not_buried_by_it(store: Store) -> None:
    """It may have been made after the list had passed its project; another list showed it."""
    _write(store, known(1))
    _write(store, known(2), second=5)
    with store.begin("bury") as tx:
        assert keys.bury(tx, *_ACCOUNT, NOON + 5 * _SECOND) == 1
    assert _get(store, "key_2").gone_at is None


def test_a_key_written_between_the_count_and_the_burial_lives(store: Store) -> None:
    """What is buried is looked at once more, in the transaction that buries it."""
    _write(store, known(1))
    started = NOON + 5 * _SECOND
    with store.read() as tx:
        lost, _ = keys.missing(tx, *_ACCOUNT, started)
    _write(store, known(1, last_used_at=NOON), second=6)
    with store.begin("bury") as tx:
        assert keys.bury(tx, *_ACCOUNT, started, lost) == 0


def test_a_page_asked_for_before_a_key_was_deleted_does_not_revive_it(store: Store) -> None:
    """The answer was on its way while we deleted the key."""
    _write(store, known(1))
    with store.begin("delete") as tx:
        keys.bury_one(tx, *_ACCOUNT, "key_1", NOON + 5 * _SECOND)
    _write(store, known(1), second=4)
    assert _get(store, "key_1").gone_at == NOON + 5 * _SECOND
    _write(store, known(1), second=6)
    assert _get(store, "key_1") == known(1)


# --- one listing at a time -----------------------------------------------------------------------


def _claim(store: Store, second: float, gap: timedelta | None = None) -> bool:
    with store.begin("claim") as tx:
        return accounts.claim(tx, *_ACCOUNT, NOON + second * _SECOND, gap)


def _renew(store: Store, started: float, now: float) -> bool:
    with store.begin("renew") as tx:
        return accounts.renew(tx, *_ACCOUNT, NOON + started * _SECOND, NOON + now * _SECOND)


def test_one_process_lists_an_account_at_a_time(store: Store) -> None:
    """The provider's rate is shared with whatever else the organisation runs."""
    assert _claim(store, 0)
    assert not _claim(store, 1)
    with store.begin("end") as tx:
        keys.listed(tx, *_ACCOUNT, NOON, None)
    assert _claim(store, 2)
    with store.begin("other") as tx:
        assert accounts.claim(tx, "openai", "other", NOON)


def test_a_listing_that_died_is_taken_over_and_its_result_does_not_count(store: Store) -> None:
    """A process that was only slow must not bury what the next one has just listed."""
    lease = accounts.LEASE / _SECOND
    assert _claim(store, 0)
    assert _renew(store, 0, lease - 1)
    assert not _claim(store, lease + 1)
    assert _claim(store, 2 * lease)
    assert not _renew(store, 0, 2 * lease + 1)
    assert _renew(store, 2 * lease, 2 * lease + 1)


def test_a_clock_put_back_does_not_keep_a_claim_for_days(store: Store) -> None:
    """Clocks jump; nothing may hang on one that did."""
    assert _claim(store, 3 * 86400)
    assert _claim(store, 0)


def test_forced_lists_are_spaced_over_all_processes(store: Store) -> None:
    """A flood of unknown tokens at ten workers is still one list every so often."""
    gap = 15 * _SECOND
    assert _claim(store, 0, gap)
    with store.begin("end") as tx:
        keys.listed(tx, *_ACCOUNT, NOON, None)
    assert not _claim(store, 14, gap)
    assert _claim(store, 14), "a scheduled list is not a forced one"
    with store.begin("end") as tx:
        keys.listed(tx, *_ACCOUNT, NOON + 14 * _SECOND, None)
    assert _claim(store, 15, gap)


# --- fingerprints --------------------------------------------------------------------------------


def _seen(seed: int, *peppers: int, former: tuple[str, ...] = ()) -> Fingerprint:
    return replace(seen(seed), former=former, peppers=peppers)


def test_a_fingerprint_under_a_pepper_that_is_lost_says_nothing(store: Store) -> None:
    """Taken for another token's, it would turn a leak of that very key into "not ours"."""
    _write(store, known(0))
    with store.begin("bind") as tx:
        keys.bind(tx, known(0), seen(1).digest, _OLD)
        assert keys.candidates(tx, "openai", _seen(0, _NEW))[0].fingerprint is None
        assert keys.candidates(tx, "openai", _seen(0, _NEW, _OLD))[0].fingerprint == seen(1).digest
        assert keys.fingerprints(tx, *_ACCOUNT, "proj_one", [_NEW]) == {}
        assert keys.fingerprints(tx, *_ACCOUNT, "proj_one", [_OLD]) == {"key_0": seen(1).digest}


def test_a_former_fingerprint_finds_its_key_whatever_the_mask(store: Store) -> None:
    """A rotated pepper loses no key that was proved."""
    _write(store, known(5))
    with store.begin("bind") as tx:
        keys.bind(tx, known(5), seen(9).digest, _OLD)
        found = keys.candidates(tx, "openai", _seen(0, _NEW, _OLD, former=(seen(9).digest,)))
    assert [key.id for key in found] == ["key_5"]


def test_coverage_counts_listed_keys_and_fingerprints_that_can_be_used(store: Store) -> None:
    """A number that people steer by must not flatter."""
    _write(store, *(known(seed) for seed in range(4)), replace(known(8), account="other"))
    with store.begin("bind") as tx:
        assert keys.coverage(tx, "openai", "nobody") == (0, 0)
        keys.bind(tx, known(1), seen(1).digest, _NEW)
        keys.bind(tx, known(2), seen(2).digest, _OLD)
        keys.bind(tx, known(3), seen(3).digest, _NEW)
        keys.bury_one(tx, *_ACCOUNT, "key_3", NOON)
        assert keys.coverage(tx, *_ACCOUNT) == (3, 2)
        assert keys.coverage(tx, *_ACCOUNT, [_NEW]) == (3, 1)


def test_shared_masks_are_counted_among_listed_keys_of_one_account(store: Store) -> None:
    """Each of them waits for a person when it leaks, unless it is fingerprinted."""
    _write(store, known(0), twin(0), twin(0, id="key_third"), known(1), twin(1, id="key_gone"), known(2))
    _write(store, replace(known(2), account="other"))
    with store.begin("delete") as tx:
        keys.bury_one(tx, *_ACCOUNT, "key_gone", NOON)
        assert keys.shared_masks(tx, *_ACCOUNT) == 3
        assert keys.shared_masks(tx, "openai", "other") == 0


# --- at a million ---------------------------------------------------------------------------------


def test_no_question_that_a_leak_asks_reads_every_key(store: Store) -> None:
    """A million keys must not delay the deletion of one."""
    if not store.is_sqlite:
        return  # plans there depend on statistics
    _write(store, known(0))
    with store.read() as tx:
        asked: list[tuple[str, Any]] = []
        sa.event.listen(tx, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        keys.candidates(tx, "openai", _seen(0, _NEW, former=(seen(1).digest,)))
        keys.get(tx, *_ACCOUNT, "key_0")
        keys.fingerprints(tx, *_ACCOUNT, "proj_one", [_NEW])
        keys.fingerprints(tx, *_ACCOUNT, None)
        keys.compare(tx, [known(0)])
        keys.every(tx, *_ACCOUNT, "key_")
        plans = [
            step
            for statement, values in list(asked)
            for step in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        ]
    steps = [str(step[3]) for step in plans]
    assert any("ix_known_keys_fingerprint (fingerprint=?)" in step for step in steps)
    assert any("ix_known_keys_mask_tail (mask_tail=?)" in step for step in steps)
    assert [step for step in steps if "SCAN known_keys" in step or step.endswith("(account=?)")] == []


# --- rows ----------------------------------------------------------------------------------------


@given(_NUMBERS, _NUMBERS)
def test_rows_are_a_set_of_numbers(one: set[int], other: set[int]) -> None:
    """What is buried is computed with it."""
    left, right = Rows.of(one), Rows(Rows.of(other).bits)
    assert list(left) == sorted(one)
    assert len(left) == len(one)
    assert {number for number in range(5001) if number in right} == other
    assert list(left & right) == sorted(one & other)
    assert list(left - right) == sorted(one - other)
