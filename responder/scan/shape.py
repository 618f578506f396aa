"""The template language of the rule files: one notation for shapes, samples and counter-samples.

A template is literal text with parts in braces: ``{alnum:20}`` is twenty characters of the class
``alnum``, ``{url:60-200}`` a range, and every ``{url:n}`` of one template has the same, unnamed
length. ``{same:20}`` is one character twenty times and ``{count:20}`` digits in order, for counter-samples.
``{border}`` says that no letter or digit follows, ``{end}`` that nothing but dashes follows.

Knows nothing about vendors. Refuses shapes whose matching could take more than linear time: a part
of unknown length must be followed by literal text or by the end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

LONGEST = 400
"""No token is longer, so nothing ever reads further."""

_ALPHABETS = {
    "alnum": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz0123456789",
    "hex": "0123456789abcdef",
    "digit": "0123456789",
    "url": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
    "word": "abcdefghijklmnopqrstuvwxyz",
    "tail": "AQgw",
}
_CLASSES = {
    "alnum": "[A-Za-z0-9]",
    "lower": "[a-z0-9]",
    "hex": "[0-9a-fA-F]",
    "digit": "[0-9]",
    "url": "[A-Za-z0-9_-]",
    "word": "[A-Za-z0-9_-]",
    "tail": "[AQgw]",
    "same": "[A-Za-z0-9]",
    "count": "[0-9]",
}
_PART = re.compile(r"\{([a-z]+)(?::(?:(\d+)(?:-(\d+))?|(n)))?\}")
_LITERAL = re.compile(r"[A-Za-z0-9_.*<>\[\]-]*")
_ENDS = {"border": "(?![A-Za-z0-9])", "end": r"(?=[_-]*\Z)"}
_TWINS = range(20, 181)
"""How long the equal, unnamed parts of a template may be."""


class ShapeError(ValueError):
    """A template that says nothing we can follow."""


@dataclass(frozen=True, slots=True)
class Part:
    """Literal text, a class of characters with its bounds, or what must follow."""

    text: str = ""
    kind: str = ""
    low: int = 0
    high: int = 0

    @property
    def twin(self) -> bool:
        """Whether its length is the unnamed one all twins share."""
        return bool(self.kind) and self.high == 0


@dataclass(frozen=True)
class Shape:
    """One parsed template."""

    parts: tuple[Part, ...]

    @property
    def closed(self) -> bool:
        """Whether the shape itself says where a token ends."""
        return all(part.low == part.high for part in self.parts)

    def match(self, run: str, start: int) -> re.Match[str] | None:
        """What of *run* from *start* on has this shape; its groups are the random parts."""
        if self._mark not in run:
            return None
        matcher = self._matcher
        if matcher is None:
            between = self._twin_length(run, start)
            if between not in _TWINS:
                return None
            matcher = _compiled(self.parts, between)
        return matcher(run, start)

    @cached_property
    def _mark(self) -> str:
        """The longest literal, without which nothing has this shape."""
        return max((part.text for part in self.parts if part.text not in _ENDS), key=len)

    @cached_property
    def _matcher(self) -> Callable[[str, int], re.Match[str] | None] | None:
        return None if any(part.twin for part in self.parts) else _compiled(self.parts, 0)

    def _twin_length(self, run: str, start: int) -> int:
        before = 0
        for part, following in zip(self.parts, self.parts[1:], strict=False):
            if part.twin:
                return run.find(following.text, start + before) - start - before
            before += len(part.text) + part.high
        return 0

    def grow(self, random: Random, twin: int = 40) -> str:
        """Make up a string of this shape, different for every *random*."""
        grown = []
        for part in self.parts:
            if part.kind:
                many = twin if part.twin else random.randint(part.low, part.high)
                grown.append(_grown(part.kind, many, random))
            elif part.text not in _ENDS:
                grown.append(part.text)
        return "".join(grown)


def _grown(kind: str, many: int, random: Random) -> str:
    if kind == "same":
        return random.choice(_ALPHABETS["alnum"]) * many
    if kind == "count":
        return ("1234567890" * (many // 10 + 1))[:many]
    return "".join(random.choice(_ALPHABETS[kind]) for _ in range(many))


@lru_cache(maxsize=1024)
def _compiled(parts: tuple[Part, ...], twin: int) -> Callable[[str, int], re.Match[str] | None]:
    pattern = []
    for part, following in zip(parts, (*parts[1:], None), strict=True):
        if part.kind:
            low, high = (twin, twin) if part.twin else (part.low, part.high)
            # A range before literal text looks for that text and stops at its first place; any other
            # part takes what it can and gives nothing back.
            lazy = low != high and following is not None and following.text not in ("", *_ENDS)
            repeat = f"{{{low}}}" if low == high else f"{{{low},{high}}}{'?' if lazy else '+'}"
            text = _CLASSES[part.kind] + repeat
            pattern.append(text if part.kind == "word" else f"({text})")
        else:
            pattern.append(_ENDS.get(part.text, re.escape(part.text)))
    return re.compile("".join(pattern)).match


@lru_cache(maxsize=1024)
def parse(template: str) -> Shape:
    """Read *template*.

    Raises:
        ShapeError: an unknown part, or one whose length nothing settles.
    """
    parts: list[Part] = []
    at = 0
    while at < len(template):
        if literal := _LITERAL.match(template, at, len(template)):
            text = literal[0]
            if text:
                parts.append(Part(text=text))
                at = literal.end()
                continue
        named = _PART.match(template, at)
        if named is None:
            raise ShapeError(f"cannot read the template from character {at + 1} on")
        parts.append(_part(named))
        at = named.end()
    _check(parts)
    return Shape(tuple(parts))


def _part(named: re.Match[str]) -> Part:
    kind, low, high, twin = named.groups()
    if kind in _ENDS and low is None and twin is None:
        return Part(text=kind)
    if kind == "uuid" and low is None and twin is None:
        raise ShapeError("spell a UUID out as five parts of hex")
    if kind not in _CLASSES or (low is None and twin is None):
        raise ShapeError(f"no such part: {kind}; there are {', '.join([*_CLASSES, *_ENDS])}")
    if twin:
        return Part(kind=kind)
    least, most = int(low), int(high or low)
    if not 0 < least <= most <= LONGEST:
        raise ShapeError(f"a part is 1 to {LONGEST} characters, the smaller number first")
    return Part(kind=kind, low=least, high=most)


def _check(parts: list[Part]) -> None:
    for part, following in zip(parts, [*parts[1:], Part(text="end")], strict=True):
        if part.kind and part.low != part.high and not following.text:
            raise ShapeError("a part of varying length needs literal text after it")
        if part.twin and not following.text:
            raise ShapeError("a part of length n needs literal text after it")
