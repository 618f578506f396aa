"""Tell random characters from what people type instead of a key.

Judges only how characters are distributed: placeholders, sequences, repeated blocks, words. A live
token fails one of these tests less than once in ten thousand. No path, no pragma and no comment can
switch a finding off, since whoever leaks a key also writes the comment.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from responder.scan.matcher import matcher

_WORD = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{5,}")
_SPOKEN = re.compile(r"(?!.*[bcdfghjklmnpqrstvwxz]{4})(?=.*[aeiouy])", re.IGNORECASE)
_SHORTEST = 8
_SEQUENCE = 6
_PROBES = 12
_THRICE, _STAMMERS = re.compile(r"(.)\1\1"), 4


# What a character that occurs so many times takes away from the entropy.
_TAKEN = [0.0, *(count * log2(count) for count in range(1, 512))]


def entropy(text: str) -> float:
    """Shannon entropy of the characters of *text*, shorter than 512, in bits a character."""
    size = len(text)
    return log2(size) - sum(map(_TAKEN.__getitem__, Counter(text).values())) / size if size else 0.0


def is_made_up(text: str) -> bool:
    """Whether a person rather than a generator wrote *text*: repeated, counted up or down, too regular."""
    if len(text) < _SHORTEST:
        return False
    return _is_regular(text.lower()) or len(_THRICE.findall(text)) >= _STAMMERS or _repeats(text)


def _sequences() -> Iterator[str]:
    """What people type when they count: one key, the next key, or two such rows in turn."""
    letters, digits = "abcdefghijklmnopqrstuvwxyz", "01234567890"
    for row in (letters, digits, "qwertyuiop", "asdfghjkl"):
        for at in range(len(row) - _SEQUENCE + 1):
            yield row[at : at + _SEQUENCE]
            yield row[at : at + _SEQUENCE][::-1]
    for character in letters + digits[:10] + "_-":
        yield character * _SEQUENCE
    for first in range(2):
        for shift in range(8):
            pairs = "".join(map(str.__add__, letters[shift : shift + 4], digits[shift + first : shift + first + 4]))
            yield from ((pairs, pairs[::-1]) if len(pairs) == _SHORTEST else ())


_is_regular = matcher("|".join(_sequences()))


def _repeats(text: str) -> bool:
    """Whether most stretches of three characters occur again, as in a block written several times."""
    step = max(1, (len(text) - 2) // _PROBES)
    probes = [text[at : at + 3] for at in range(0, len(text) - 2, step)]
    return sum(text.count(probe) > 1 for probe in probes) * 2 >= len(probes)


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
