"""Tell random characters from what people type instead of a key.

Judges only how characters are distributed: placeholders, sequences, repeated blocks, words. A live
token fails one of these tests less than once in ten thousand. No path, no pragma and no comment can
switch a finding off, since whoever leaks a key also writes the comment.
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import repeat
from math import log2
from operator import sub

_SIX_ALIKE = re.compile(r"(.)\1{5}")
_WORD = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{5,}")
_SPOKEN = re.compile(r"(?!.*[bcdfghjklmnpqrstvwxz]{5})(?=.*[aeiouy])", re.IGNORECASE)
_SEQUENCE = 6
_SHORTEST = 8
# A step of one up or down; nine to nought and nought to nine count on.
_STEP = {1: 1, -9: 1, -1: 2, 9: 2}


@lru_cache(maxsize=512)
def _share(count: int, of: int) -> float:
    return -(count / of) * log2(count / of)


def entropy(text: str) -> float:
    """Shannon entropy of the characters of *text*, in bits a character."""
    size = len(text)
    return sum(_share(count, size) for count in Counter(text).values())


def is_made_up(text: str) -> bool:
    """Whether a person rather than a generator wrote *text*: repeated, counted up or down, too regular."""
    if len(text) < _SHORTEST:
        return False
    return bool(_SIX_ALIKE.search(text)) or _counts(text) or _repeats(text)


def _counts(text: str) -> bool:
    codes = text.lower().encode("latin-1")
    near = bytes(map(_STEP.get, map(sub, codes[1:], codes), repeat(0)))
    far = bytes(map(_STEP.get, map(sub, codes[2:], codes), repeat(0)))
    return any(run in near for run in _RUNS) or any(run in far for run in _LONG_RUNS)


_RUNS = (bytes([1]) * (_SEQUENCE - 1), bytes([2]) * (_SEQUENCE - 1))
_LONG_RUNS = (bytes([1]) * 8, bytes([2]) * 8)


def _repeats(text: str) -> bool:
    threes = len(text) - 2
    return len(set(zip(text, text[1:], text[2:], strict=False))) < 0.7 * threes


def changes(text: str) -> float:
    """How often neighbours differ in kind (upper, lower, digit, dash), as a share of all neighbours."""
    kinds = text.translate(_KINDS)
    return sum(map(str.__ne__, kinds, kinds[1:])) / max(1, len(kinds) - 1)


_KINDS = str.maketrans(
    {chr(c): "A" for c in range(65, 91)}
    | {chr(c): "a" for c in range(97, 123)}
    | {chr(c): "0" for c in range(48, 58)}
)


def wordiness(text: str) -> float:
    """The share of *text* that stands in runs of letters that could be spoken."""
    return sum(len(word) for word in _WORD.findall(text) if _SPOKEN.match(word)) / max(1, len(text))


def kinds(text: str) -> int:
    """How many of upper case, lower case and digits *text* has; a single letter of a case is none."""
    found = text.translate(_KINDS)
    return (found.count("A") > 1) + (found.count("a") > 1) + ("0" in found)
