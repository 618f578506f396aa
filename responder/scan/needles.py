"""Find, at memory speed, the few places of a text where a token may begin.

One pass with a linear multi-pattern matcher answers for thousands of bytes at once that there is nothing;
only where it says otherwise are places looked for one by one. Knows how ``sk-`` looks in every encoding we
undo.
"""

import re
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from responder.scan.matcher import matcher

_CHUNK = 16_384
_LEAF = 512
_REACH = 96
"""No needle is longer than this."""

_QUOTE = "[\"'`]"
_BREAK = r"(?:\r?\n|\\n)[+ \t]{0,32}"


# The dash of `sk-` as an escape, behind the two letters as they are.
_DASH = (
    r"\\{1,4}(?:u002[dD]|u\{0{0,4}2[dD]|x2[dD]|0?55|-|N\{)|%(?:25){0,3}2[dD]|%u002[dD]"
    r"|&(?:amp;){0,2}(?:#0{0,4}45|#[xX]0{0,4}2[dD]|hyphen;|dash;)|=2D"
)
# The s as an escape, the k as itself or another. No alternative begins with a backslash or ampersand of its
# own, since these are too frequent to stop at.
_LETTER = (
    r"u0073[k\\]|u\{73\}|u\{0073\}|x73[k\\]|%73[k%]|%2573|%u0073|#115;|#0115;|#x73;|#X73;|#x0073;"
    r"|163\\0?153|163k|=73=6"
)
_KINDS = {
    "plain": "sk-[A-Za-z0-9_-]{13}",
    "split": rf"sk-[A-Za-z0-9_-]{{0,12}}(?:{_QUOTE}|\\|%(?:25){{0,3}}[0-9A-Fa-f]{{2}}|&(?:amp;)?#"
    r"|=(?:[0-9A-F]{2}|\r?\n))",
    "parted": rf"{_QUOTE}sk{_QUOTE}",
    "escaped": rf"sk(?:{_DASH})|{_LETTER}",
    # Base64 of `sk-`, `sk\\`, `sk%` and `sk&`, of UTF-16, and of that base64 once more. Where in a group of four
    # a needle begins is known, which says how to decode around it.
    "base64_0": "c2s[tlm]|c2tc|cwBrAC0|YzJzd|emF5M|TnJM[UVWYZ]",
    "base64_2": rf"Nr(?:{_BREAK})?(?:L[Q-f]|J[Q-v]|X[A-P])|MA(?:{_BREAK})?awAt|Myc3[QR]|pheT[ABEF]|5yT[FG]",
    "base64_3": rf"z(?:{_BREAK})?a(?:y[01UVYZ]|1[wx])|z(?:{_BREAK})?AGsALQ|jMnN0|6YXk[wx]|Ockx",
    "hex": rf"73[ :]?(?:{_BREAK})?6[bB][ :]?(?:{_BREAK})?2[dD]|73006[bB]002[dD]",
    "codes": r"115, ?107, ?45,|0x73, ?0x6[bB], ?0x2[dD]",
    "wide": r"s\x00k\x00-",
}
# Two patterns rather than one: the matcher skips ahead by literals and gives that up beyond some number of them.
_WRITTEN = frozenset({"plain", "split", "parted", "escaped", "codes", "wide"})
_MARKERS = r"\nBinary files |\nGIT binary patch|\n\+version https://git-lfs"


class Hit(NamedTuple):
    """A place worth a look: what kind of needle, and where it begins."""

    kind: str
    at: int


class Needles:
    """The needles, compiled for both engines.

    Args:
        layers: which kinds to look for; all of them unless a benchmark asks for less.
        diff: whether to look for marks of binary content, too.
    """

    def __init__(self, layers: frozenset[str] | None = None, *, diff: bool = False) -> None:
        kinds = {kind: text for kind, text in _KINDS.items() if layers is None or kind in layers}
        if diff:
            kinds["binary"] = _MARKERS
        written = [text for kind, text in kinds.items() if kind in _WRITTEN]
        encoded = [text for kind, text in kinds.items() if kind not in _WRITTEN]
        self._written = matcher("|".join(written))
        self._encoded = matcher("|".join(encoded)) if encoded else _never
        self._each = [(kind, matcher(text), re.compile(text.encode("latin-1"))) for kind, text in kinds.items()]

    def find(self, content: bytes) -> Iterator[Hit]:
        """Every needle in *content*, in order."""
        written, encoded = self._written, self._encoded
        for start in range(0, len(content), _CHUNK):
            text = content[start : start + _CHUNK + _REACH].decode("latin-1")
            if written(text) or encoded(text):
                yield from self._narrow(content, text, start, min(_CHUNK, len(content) - start))

    def _narrow(self, content: bytes, text: str, start: int, size: int) -> Iterator[Hit]:
        """The needles that begin in the first *size* characters of *text*, which begins at *start*."""
        if size > _LEAF:
            half = size // 2
            for low, high in ((0, half), (half, size)):
                part = text[low : high + _REACH]
                if self._written(part) or self._encoded(part):
                    yield from self._narrow(content, part, start + low, high - low)
            return
        end = start + size
        hits = [
            Hit(kind, match.start())
            for kind, occurs, pattern in self._each
            if occurs(text)
            for match in pattern.finditer(content, start, min(len(content), end + _REACH))
            if match.start() < end
        ]
        yield from sorted(hits, key=itemgetter(1))


def _never(_text: str) -> bool:
    return False
