"""Keys made up on the spot, in the shapes vendors give out.

None is ever written down: scanners read this repository too. The shapes are
those of public detector rules and of captured answers; a modern OpenAI key ends
in padding, so its four visible characters carry sixteen bits.
"""

import random
import string

_MARKER = "T3Blbk" + "FJ"
_ALNUM = string.ascii_letters + string.digits
_BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_BEFORE_LAST = _BASE64URL[::4]

SHAPES = {
    "openai-project": ("sk-" + "proj-", 74),
    "openai-service-account": ("sk-" + "svcacct-", 74),
    "openai-admin": ("sk-" + "admin-", 58),
    "openai-user-legacy": ("sk-", 20),
}
"""Family to its prefix and the number of characters on each side of the marker."""


def grow(family: str, chance: random.Random, tail: str = "") -> str:
    """A new key of *family*.

    Args:
        family: one of `SHAPES`.
        chance: where the characters come from.
        tail: the last characters, at most four, to make two keys share a mask.

    Raises:
        ValueError: the tail is too long or not of a key's alphabet.
    """
    prefix, side = SHAPES[family]
    legacy = family == "openai-user-legacy"
    alphabet = _ALNUM if legacy else _BASE64URL
    if len(tail) > 4 or not set(tail) <= set(alphabet):
        raise ValueError("a tail is at most four characters of the key's alphabet")
    grown = "".join(chance.choices(alphabet, k=2 * side))
    if not legacy:
        grown = grown[:-2] + chance.choice(_BEFORE_LAST) + "A"
    return prefix + grown[:side] + _MARKER + grown[side : 2 * side - len(tail)] + tail


def family_of(value: str) -> str:
    """The family a grown key belongs to."""
    return next(name for name, (prefix, _) in SHAPES.items() if value.startswith(prefix))


def mask(value: str) -> str:
    """What OpenAI shows of a key: eight characters, asterisks, four; as long as the key itself."""
    return value[:8] + "*" * (len(value) - 12) + value[-4:]


def lookalike(value: str, chance: random.Random) -> str:
    """Another key of the same family with the same mask."""
    while True:
        other = value[:8] + grow(family_of(value), chance, value[-4:])[8:]
        if other != value:
            return other
