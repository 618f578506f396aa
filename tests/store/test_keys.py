"""Known keys: candidates, tombstones, proved fingerprints, and when they were last listed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from responder.core.key import KeyKind, KnownKey, Mask
from responder.store import Store, keys
from responder.store.rows import Rows
from tests.grown import NOON, known, seen, twin

_ACCOUNT = ("openai", "default")
_SECOND = timedelta(seconds=1)


def _write(store: Store, *found: KnownKey, second: int = 0) -> None:
    with store.begin("write") as tx:
        keys.write(tx, found, NOON + second * _SECOND)


def _get(store: Store, id_: str) -> KnownKey | None:
    with store.read() as tx:
        return keys.get(tx, *_ACCOUNT, id_)


def _candidates(store: Store, seed: int = 0) -> list[str]:
    with store.read() as tx:
        return sorted(key.id for key in keys.candidates(tx, "openai", seen(seed)))


def test_a_key_comes_back_as_it_was_listed(store: Store) -> None:
    """Nothing the decision depends on may be lost on the way."""
    key = known(1, created_at=NOON, last_used_at=NOON, kind=KeyKind.SERVICE_ACCOUNT)
    _write(store, key)
    assert _get(store, "key_1") == key
    assert _get(store, "key_2") is None


def test_listing_again_brings_a_key_up_to_date(store: Store) -> None:
    """Names, owners and last use change; the key does not."""
    _write(store, known(1))
    newer = known(1, name="renamed", last_used_at=NOON)
    _write(store, newer, second=1)
    assert _get(store, "key_1") == newer


def test_a_proved_fingerprint_outlives_every_list(store: Store) -> None:
    """It was proved once, and ids are never used again."""
    _write(store, known(1))
    with store.begin("bind") as tx:
        keys.bind(tx, known(1), seen(1).digest)
    _write(store, known(1), second=1)
    found = _get(store, "key_1")
    assert found is not None
    assert found.fingerprint == seen(1).digest
    with store.read() as tx:
        assert keys.fingerprints(tx, *_ACCOUNT, "proj_one") == {"key_1": seen(1).digest}
        assert keys.fingerprints(tx, *_ACCOUNT, "proj_two") == {}
        assert keys.fingerprints(tx, "openai", "other", "proj_one") == {}


def test_a_key_missing_from_a_complete_list_becomes_a_tombstone(store: Store) -> None:
    """A leak of a key deleted yesterday is known to be dead today."""
    _write(store, known(1), known(2))
    started = NOON + 5 * _SECOND
    with store.begin("bury") as tx:
        shown = Rows.of(keys.write(tx, [known(2)], started))
        lost, listed = keys.missing(tx, *_ACCOUNT, started, shown)
        assert (len(lost), listed) == (1, 2)
        assert keys.bury(tx, *_ACCOUNT, started, lost) == 1
        assert keys.bury(tx, *_ACCOUNT, started, lost) == 0
    gone, kept = _get(store, "key_1"), _get(store, "key_2")
    assert gone is not None
    assert gone.gone_at == NOON + 5 * _SECOND
    assert kept is not None
    assert kept.gone_at is None


def test_a_tombstone_that_is_listed_again_lives(store: Store) -> None:
    """A list that was behind must not make a live key look dead for ever."""
    _write(store, known(1))
    with store.begin("bury") as tx:
        keys.bury(tx, *_ACCOUNT, NOON + _SECOND)
    _write(store, known(1), second=2)
    found = _get(store, "key_1")
    assert found is not None
    assert found.gone_at is None


def test_only_the_listed_account_is_buried(store: Store) -> None:
    """A list of one account says nothing about another."""
    _write(store, known(1), replace(known(2), account="other"))
    with store.begin("bury") as tx:
        assert keys.bury(tx, *_ACCOUNT, NOON + _SECOND) == 1


def test_admin_keys_are_not_buried_by_a_list_that_shows_none(store: Store) -> None:
    """We run on an admin key, so a list without any was withheld: they are unknown, not gone."""
    above = known(1, kind=KeyKind.ADMIN, project=None, project_name=None)
    _write(store, above, known(2))
    with store.begin("bury") as tx:
        assert keys.bury(tx, *_ACCOUNT, NOON + _SECOND) == 1
    hidden = _get(store, "key_1")
    assert hidden is not None
    assert hidden.gone_at is None
    _write(store, replace(above, id="key_3"), second=5)
    with store.begin("bury") as tx:
        assert keys.bury(tx, *_ACCOUNT, NOON + 5 * _SECOND) == 1
    gone = _get(store, "key_1")
    assert gone is not None
    assert gone.gone_at is not None


def test_one_deleted_key_is_buried_once(store: Store) -> None:
    """The first time is the true one."""
    _write(store, known(1))
    with store.begin("bury") as tx:
        keys.bury_one(tx, *_ACCOUNT, "key_1", NOON)
        keys.bury_one(tx, *_ACCOUNT, "key_1", NOON + _SECOND)
    found = _get(store, "key_1")
    assert found is not None
    assert found.gone_at == NOON


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (Mask(seen().head, seen().tail, seen().length), True),
        (Mask(seen().head, seen().tail[-2:], None), True),
        (Mask("sk-", seen().tail, None), True),
        (Mask(seen().head, "zz" + seen().tail[-2:], None), False),
    ],
)
def test_candidates_are_found_by_the_tail_that_is_shown(store: Store, mask: Mask, found: bool) -> None:
    """A shorter mask leaves more candidates, never fewer."""
    _write(store, known(0, mask=mask))
    assert _candidates(store) == (["key_0"] if found else [])


def test_candidates_include_twins_tombstones_and_other_accounts(store: Store) -> None:
    """Whatever might be the token takes part in saying which one it is not."""
    _write(store, known(0), twin(0), replace(known(0), account="other", id="key_other"), known(9))
    with store.begin("bury") as tx:
        keys.bury_one(tx, *_ACCOUNT, "key_twin", NOON)
    assert _candidates(store) == ["key_0", "key_other", "key_twin"]
    with store.read() as tx:
        assert list(keys.candidates(tx, "anthropic", seen())) == []


def test_a_key_with_the_tokens_fingerprint_is_a_candidate_whatever_its_mask(store: Store) -> None:
    """Proof does not depend on how a provider shows its keys this year."""
    _write(store, known(5))
    with store.begin("bind") as tx:
        keys.bind(tx, known(5), seen(0).digest)
    assert _candidates(store) == ["key_5"]


def test_an_incomplete_list_does_not_count_as_a_fresh_one(store: Store) -> None:
    """The last complete one is what proves an absence."""
    with store.begin("list") as tx:
        assert keys.listing(tx, *_ACCOUNT) is None
        keys.listed(tx, *_ACCOUNT, NOON, None)
        keys.listed(tx, *_ACCOUNT, NOON + _SECOND, "it broke off")
        found = keys.listing(tx, *_ACCOUNT)
    assert found is not None
    assert (found.tried_at, found.complete_at, found.problem) == (NOON + _SECOND, NOON, "it broke off")
    with store.begin("list") as tx:
        keys.listed(tx, *_ACCOUNT, NOON + 2 * _SECOND, None)
        found = keys.listing(tx, *_ACCOUNT)
    assert found is not None
    assert (found.complete_at, found.problem) == (NOON + 2 * _SECOND, None)
