"""Sealing: the receiver writes what only the worker can read, and nobody can move or alter it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.seal import Keys, Unsealable, seal, unseal


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path / "data")
    made.create()
    return made


@settings(max_examples=50, deadline=None)
@given(text=st.binary(max_size=5000), place=st.text(max_size=60).filter(lambda p: p.isprintable()))
def test_what_is_sealed_comes_back(tmp_path_factory: pytest.TempPathFactory, text: bytes, place: str) -> None:
    """Of any length, for any place."""
    keys = Keys(tmp_path_factory.getbasetemp() / "sealing")
    keys.create()
    assert unseal(keys.private, seal(keys.public, text, place), place) == text


def test_the_same_text_is_sealed_differently_each_time(keys: Keys) -> None:
    """Equal rows would show that the same token was reported twice."""
    assert len({seal(keys.public, b"the same", "rep_1") for _ in range(20)}) == 20


def test_the_text_does_not_show(keys: Keys) -> None:
    """Neither does any stretch of it."""
    sealed = seal(keys.public, b"sixteen bytes!!!" * 10, "rep_1")
    assert b"sixteen" not in sealed
    assert len(sealed) == 32 + 160 + 16


@pytest.mark.parametrize("position", [0, 15, 31, 32, 40, -17, -1])
def test_an_altered_body_does_not_open(keys: Keys, position: int) -> None:
    """Whoever can write to the database must not be able to choose what the worker reads."""
    sealed = bytearray(seal(keys.public, b"the text", "rep_1"))
    sealed[position] ^= 1
    with pytest.raises(Unsealable):
        unseal(keys.private, bytes(sealed), "rep_1")


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(31), bytes(32), bytes(48), bytes(200)])
def test_what_was_never_sealed_does_not_open(keys: Keys, sealed: bytes) -> None:
    """And says so in one way, whatever it is."""
    with pytest.raises(Unsealable):
        unseal(keys.private, sealed, "rep_1")


def test_a_body_does_not_open_in_another_place_or_with_another_key(keys: Keys, tmp_path: Path) -> None:
    """Rows cannot be swapped, and another installation's are noise."""
    other = Keys(tmp_path / "other")
    other.create()
    sealed = seal(keys.public, b"the text", "rep_1")
    for private, place in ((keys.private, "rep_2"), (other.private, "rep_1")):
        with pytest.raises(Unsealable) as caught:
            unseal(private, sealed, place)
        assert caught.value.args == ()


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    """A pepper made twice would make every fingerprint of before worthless."""
    keys = Keys(tmp_path / "data")
    before = os.umask(0)
    try:
        keys.create()
    finally:
        os.umask(before)
    first = (keys.pepper, keys.private, keys.public)
    keys.create()
    assert (keys.pepper, keys.private, keys.public) == first
    assert {len(key) for key in first} == {32}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for path in (tmp_path / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    """Receiver and worker may both be the first."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: _create(tmp_path / "data"), range(16)))
    assert len(set(made)) == 1


def _create(folder: Path) -> tuple[bytes, bytes, bytes]:
    keys = Keys(folder)
    keys.create()
    return keys.pepper, keys.private, keys.public
