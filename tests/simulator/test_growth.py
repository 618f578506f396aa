"""Grown keys look like the real ones, and none is written down."""

import json
import random
import re
from pathlib import Path

import pytest

from responder.simulator import growth

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LENGTHS = {"openai-project": 164, "openai-service-account": 167, "openai-admin": 133, "openai-user-legacy": 51}


@pytest.mark.parametrize(("family", "length"), LENGTHS.items())
def test_each_family_has_the_length_seen_in_the_wild(family: str, length: int) -> None:
    value = growth.grow(family, random.Random(1))
    assert len(value) == length
    assert growth.family_of(value) == family


@pytest.mark.parametrize("family", LENGTHS)
def test_each_family_matches_the_public_detectors(family: str, contracts: Path) -> None:
    families = json.loads((contracts / "token-families.json").read_text())["families"]
    pattern = next(f["pattern"] for f in families if f["id"] == family)
    chance = random.Random(2)
    assert all(re.fullmatch(pattern, growth.grow(family, chance)) for _ in range(200))


def test_a_modern_key_ends_in_padding() -> None:
    """Four visible characters with sixteen bits: the reason why a mask proves nothing."""
    chance = random.Random(3)
    grown = [growth.grow("openai-project", chance) for _ in range(300)]
    assert all(value[-1] == "A" and ALPHABET.index(value[-2]) % 4 == 0 for value in grown)
    assert len({value[-2] for value in grown}) == 16


def test_the_mask_keeps_eight_characters_four_and_the_length() -> None:
    value = growth.grow("openai-service-account", random.Random(4))
    shown = growth.mask(value)
    assert (shown[:8], shown[-4:], len(shown)) == (value[:8], value[-4:], len(value))
    assert set(shown[8:-4]) == {"*"}


@pytest.mark.parametrize("family", LENGTHS)
def test_a_lookalike_shares_the_mask_and_nothing_else(family: str) -> None:
    chance = random.Random(5)
    value = growth.grow(family, chance)
    other = growth.lookalike(value, chance)
    assert other != value
    assert growth.mask(other) == growth.mask(value)


def test_a_tail_of_another_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="at most four"):
        growth.grow("openai-project", random.Random(6), "ab+A")
    assert growth.grow("openai-project", random.Random(6), "abQA").endswith("abQA")


def test_no_key_shaped_text_stands_in_the_sources() -> None:
    """Scanners search this repository too, and so do we."""
    marker = "T3Blbk" + "FJ"
    places = (Path(growth.__file__).parent, Path(__file__).parent)
    sources = [path for place in places for path in place.glob("*.py")]
    assert len(sources) > 20
    assert [path.name for path in sources if marker in path.read_text()] == []
