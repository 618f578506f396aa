"""A leaked secret in memory, and the only names it may be stored under.

A `Token` refuses every way Python has of turning an object into text or bytes
behind one's back. What is kept of it is a `Fingerprint`.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Never

_SAFE = re.compile(r"sk-[A-Za-z0-9_-]{13,397}\Z")
_LIKE_A_TOKEN = re.compile(r"sk-[A-Za-z0-9_-]{13,}")
_FINGERPRINT_DOMAIN = b"responder-fp-v1\0"
_MARK_DOMAIN = b"responder-pepper-v1\0"


class Token:
    """A secret of a known family, held in memory only.

    Printing, formatting, copying, pickling and comparing in variable time are
    all closed; `reveal` is for the adapters that must send it.

    Args:
        value: the whole token, ``sk-`` and 13 to 397 of ``[A-Za-z0-9_-]``, so
            that it can stand in an HTTP header as it is.
        family: the rule that recognised it, such as ``"openai-project"``.

    Raises:
        ValueError: the value has another shape. The message does not repeat it.
    """

    __slots__ = ("_value", "family")

    def __init__(self, value: str, family: str) -> None:
        if not _SAFE.match(value):
            raise ValueError("not a token: wrong prefix, alphabet or length")
        self._value = value
        self.family = family

    def reveal(self) -> str:
        """The secret itself: only for adapters that send it, fingerprint it or seal it."""
        return self._value

    @property
    def redacted(self) -> str:
        """The form people may see: ``sk-proj-…abcd``, eight characters and four, never more than a third."""
        return f"{self._value[:8]}…{self._value[-4:]}" if len(self._value) >= 36 else f"{self._value[:5]}…"

    def __repr__(self) -> str:
        return f"<Token {self.family} {self.redacted}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a Token is never copied, pickled or serialised")

    def __getstate__(self) -> Never:
        raise TypeError("a Token is never copied, pickled or serialised")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The name a token may be stored under.

    Attributes:
        digest: ``HMAC-SHA256(pepper, domain ‖ SHA-256(token))`` in hex, 64 characters.
        family: as of the token.
        length: characters in the token.
        head: its first eight characters, as providers show them.
        tail: its last four.
        former: digests under peppers that were rotated out but are still at hand, newest first.
        peppers: the marks of all those peppers, see `mark`, newest first; empty where they are not known.
    """

    digest: str
    family: str
    length: int
    head: str
    tail: str
    former: tuple[str, ...] = field(default=(), compare=False)
    peppers: tuple[int, ...] = field(default=(), compare=False)

    @property
    def digests(self) -> tuple[str, ...]:
        """Every name the token may be stored under, the newest first."""
        return self.digest, *self.former

    @property
    def redacted(self) -> str:
        """The form people may see."""
        return f"{self.head}…{self.tail}" if self.length >= 36 else f"{self.head[:5]}…"


def fingerprint(token: Token, pepper: bytes, *former: bytes) -> Fingerprint:
    """Name *token* so that neither reading nor writing our database reveals or forges it.

    Args:
        token: the secret.
        pepper: 32 random bytes of this installation, kept outside the database.
        former: those it had before, newest first, as far as they are still at hand.
    """
    value = token.reveal()
    inner = hashlib.sha256(value.encode()).digest()
    digest, *others = (
        hmac.new(one, _FINGERPRINT_DOMAIN + inner, hashlib.sha256).hexdigest() for one in (pepper, *former)
    )
    marks = tuple(mark(one) for one in (pepper, *former))
    return Fingerprint(digest, token.family, len(value), value[:8], value[-4:], tuple(others), marks)


def mark(pepper: bytes) -> int:
    """Fifteen bits to tell peppers apart by: a digest says nothing about a token unless its pepper is at hand."""
    return int.from_bytes(hashlib.sha256(_MARK_DOMAIN + pepper).digest()[:2]) & 0x7FFF


def scrub(text: str) -> str:
    """Return *text* without anything that could be a token: people name keys, files and links after them."""
    return _LIKE_A_TOKEN.sub("sk-[redacted]", text)
