"""The secret under all fingerprints, and what becomes of them when it is renewed."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from responder.core.key import KnownKey
from responder.core.match import Evidence, find
from responder.core.sighting import Sighting, Source
from responder.core.token import Fingerprint, Token, fingerprint
from responder.inventory import Inventory
from responder.seal import Keys
from responder.simulator import World
from responder.store import Store, incidents, keys
from responder.store.tables import metadata
from tests.grown import NOON, known, token, twin
from tests.running import Group, eventually

_ACCOUNT = ("openai", "default")
_FORGOTTEN = "an unproved key is a hint, never proof and never proved to be another"


@pytest.fixture
def files(tmp_path: Path) -> Keys:
    """An installation's own secrets."""
    made = Keys(tmp_path / "data")
    made.create()
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with our tables, holding the key of ``token(0)`` and its twin."""
    made = Store(f"sqlite:///{tmp_path / 'responder.sqlite'}")
    with made.begin("make") as tx:
        metadata.create_all(tx)
        keys.write(tx, [known(0), twin(0)], NOON)
    yield made
    made.close()


@pytest.fixture
def inventory(store: Store) -> Inventory:
    """Of an account that is never listed here."""
    provider = SimpleNamespace(provider="openai", account="default", list_project=lambda _: [known(0), twin(0)])
    return Inventory(store, provider, (), lambda: NOON)


def _seen(files: Keys, seed: int = 0) -> Fingerprint:
    return fingerprint(token(seed), *files.peppers)


def _prove(inventory: Inventory, files: Keys, seed: int = 0, key: KnownKey | None = None) -> None:
    inventory.learn(key or known(0), _seen(files, seed))


# --- the file ------------------------------------------------------------------------------------


def test_a_rotation_puts_a_new_pepper_before_the_former_ones(files: Keys, tmp_path: Path) -> None:
    """What the former ones named must still be recognised."""
    first = files.pepper
    files.rotate()
    second = files.pepper
    files.rotate()
    assert list(files.peppers[1:]) == [second, first]
    assert len({*files.peppers}) == 3
    assert {len(one) for one in files.peppers} == {32}
    assert stat.S_IMODE((tmp_path / "data" / "pepper").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").glob(".*")] == [], "nothing is left beside it"


def test_forgetting_leaves_the_newest_pepper_alone(files: Keys) -> None:
    """Whoever read the old one together with the database has nothing of use any more."""
    files.rotate()
    newest = files.pepper
    files.forget_former()
    assert list(files.peppers) == [newest]


def test_starting_again_keeps_every_pepper(files: Keys, tmp_path: Path) -> None:
    """Each start makes what is missing, and nothing else."""
    files.rotate()
    before = files.peppers
    Keys(tmp_path / "data").create()
    assert files.peppers == before


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_pepper_stops_everything(files: Keys, tmp_path: Path, content: bytes) -> None:
    """Under a wrong pepper each token would look like no key of ours, and its leak be ignored."""
    (tmp_path / "data" / "pepper").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        _ = files.peppers


# --- names ---------------------------------------------------------------------------------------


def test_a_token_keeps_its_former_names(files: Keys) -> None:
    """Keys and incidents were written down under them."""
    before = _seen(files)
    files.rotate()
    after = _seen(files)
    assert after.digest != before.digest
    assert after.former == (before.digest,)
    assert after.digests == (after.digest, before.digest)
    assert len(set(after.peppers)) == 2


def test_a_former_name_is_proof_as_good_as_the_newest(files: Keys) -> None:
    """The key was proved; only the name of the proof is older."""
    bound = known(0, fingerprint=_seen(files).digest)
    files.rotate()
    assert find(_seen(files), [bound, twin(0)]).evidence is Evidence.FINGERPRINT
    assert find(_seen(files), [bound, twin(0)]).key == bound
    assert find(_seen(files, 1), [bound]).evidence is Evidence.NONE


# --- known keys ----------------------------------------------------------------------------------


def test_a_key_that_is_seen_again_is_bound_under_the_newest_pepper(files: Keys, inventory: Inventory) -> None:
    """So that the former ones can be forgotten one day."""
    _prove(inventory, files)
    files.rotate()
    seen = _seen(files)
    assert find(seen, inventory.candidates(seen)).evidence is Evidence.FINGERPRINT
    bound = inventory.key("key_0")
    assert bound is not None
    assert bound.fingerprint == seen.digest
    files.forget_former()
    seen = _seen(files)
    assert find(seen, inventory.candidates(seen)).evidence is Evidence.FINGERPRINT


def test_a_key_not_renewed_before_its_pepper_was_forgotten_counts_as_unproved(
    files: Keys, inventory: Inventory
) -> None:
    """A fingerprint that cannot be compared must not make a leak of that very key "not ours"."""
    _prove(inventory, files)
    _prove(inventory, files, 1, twin(0))
    files.rotate()
    files.forget_former()
    seen = _seen(files)
    match = find(seen, inventory.candidates(seen))
    assert (match.evidence, match.disproved, len(match.keys)) == (Evidence.HINT, False, 2), _FORGOTTEN
    assert [key.fingerprint for key in inventory.listed_now(known(0), seen)] == [None, None]
    _prove(inventory, files)
    match = find(seen, inventory.candidates(seen))
    assert match.evidence is Evidence.FINGERPRINT, "it can be proved again"


def test_a_lost_pepper_makes_no_key_look_like_another(inventory: Inventory, files: Keys, tmp_path: Path) -> None:
    """A data directory made anew beside an old database is a mishap, not a disproof."""
    _prove(inventory, files)
    _prove(inventory, files, 1, twin(0))
    other = Keys(tmp_path / "restored")
    other.create()
    seen = _seen(other)
    assert find(seen, inventory.candidates(seen)).disproved is False, _FORGOTTEN


def test_coverage_after_a_rotation_counts_what_can_still_be_recognised(
    files: Keys, inventory: Inventory, store: Store
) -> None:
    """It is what tells when the former pepper may go."""
    _prove(inventory, files)
    files.rotate()
    _prove(inventory, files, 1, twin(0))
    marks = _seen(files).peppers
    with store.read() as tx:
        assert keys.coverage(tx, *_ACCOUNT, marks) == (2, 2)
        assert keys.coverage(tx, *_ACCOUNT, marks[:1]) == (2, 1)


# --- incidents -----------------------------------------------------------------------------------


def _join(store: Store, seen: Fingerprint, place: str) -> incidents.Joined:
    sighting = Sighting(Source.REPORT, place, None, NOON, "delivery", None)
    with store.begin("join") as tx:
        return incidents.join(tx, seen, *_ACCOUNT, sighting, NOON)


def test_a_token_seen_again_after_a_rotation_joins_its_incident(files: Keys, store: Store) -> None:
    """One token, one incident, one letter to its owner."""
    first = _join(store, _seen(files), "one")
    files.rotate()
    again = _join(store, _seen(files), "two")
    assert (again.incident_id, again.new_incident) == (first.incident_id, False)
    files.forget_former()
    assert _join(store, _seen(files), "three").incident_id == first.incident_id
    assert _join(store, replace(_seen(files, 1), former=()), "four").incident_id != first.incident_id


def test_two_incidents_of_one_token_do_not_stop_a_third_sighting(files: Keys, store: Store) -> None:
    """A worker that had not heard of the rotation may have opened one of its own."""
    old = _seen(files)
    files.rotate()
    newest = _seen(files)
    first = _join(store, old, "one")
    second = _join(store, replace(newest, former=()), "two")
    assert first.incident_id != second.incident_id
    assert _join(store, newest, "three").incident_id == second.incident_id


# --- the whole of it -----------------------------------------------------------------------------


def test_a_running_worker_notices_a_rotation(make_group: Callable[..., Group]) -> None:
    """A registered key that leaks is still deleted at once, with no restart in between."""
    with World(5) as world:
        key = world.openai.add_key("registered")
        group = make_group(world).start("serve").wait_until_ready()
        files = Keys(group.data)
        listed = eventually(lambda: _known(group.store, key.id), "the key to be listed")
        assert listed is not None
        leaked = Token(key.value, key.family)
        with group.store.begin("register") as tx:
            name = fingerprint(leaked, *files.peppers)
            keys.bind(tx, listed, name.digest, name.peppers[0])
        files.rotate()
        assert group.client.post("/v1/reports", json={"token": key.value}).status_code == 202
        assert group.closed(key.id)["evidence"] == "fingerprint"
        renewed = _known(group.store, key.id)
        assert renewed is not None
        assert renewed.fingerprint == fingerprint(leaked, files.pepper).digest
        group.stop()


def _known(store: Store, id_: str) -> KnownKey | None:
    with store.read() as tx:
        return keys.get(tx, *_ACCOUNT, id_)
