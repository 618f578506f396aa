"""What of the input is text to be scanned, and where it lies.

A view answers for one place: is it scanned, which file and line is it, what stands around it. `Text` is
everything as it is; `responder.scan.patch` has the new side of a diff. Neither splits its input into
lines: only what stands around a needle is ever copied, so memory does not grow with the input. Lines end
at line feeds and nowhere else.
"""

from bisect import bisect_right
from operator import itemgetter
from typing import NamedTuple, Protocol

BEFORE, AFTER = 1_024, 6_144
CONTEXT = 240


class Place(NamedTuple):
    """File and line of a finding."""

    path: str | None
    line: int | None


class Block(NamedTuple):
    """Text around a place, where in it the place is, and where its lines came from.

    Attributes:
        lines: for stretches of the text, in order, their beginnings here and in the input.
    """

    text: bytes
    at: int
    lines: tuple[tuple[int, int], ...]

    def origin(self, offset: int) -> int:
        """Where in the input the character at *offset* is."""
        here, there = self.lines[max(0, bisect_right(self.lines, (offset, 1 << 62)) - 1)]
        return there + offset - here

    def moved(self, origin: int) -> "Block":
        """The same text around the character that is at *origin* in the input."""
        here, there = self.lines[bisect_right(self.lines, origin, key=itemgetter(1)) - 1]
        return self._replace(at=here + origin - there)


class Unread(NamedTuple):
    """Something that is not there to be scanned, and why."""

    path: str | None
    reason: str


class View(Protocol):
    """Input as text. Places are asked for in ascending order."""

    content: bytes

    def place(self, at: int) -> Place | None:
        """Where *at* is, or nothing if it is not to be scanned."""

    def start(self, at: int) -> int:
        """Where the text of the line of *at* begins."""

    def before(self, start: int) -> bytes:
        """Some text before the line that begins at *start*."""

    def block(self, at: int) -> Block:
        """The text around *at*, over line ends."""

    def unread(self, at: int) -> Unread | None:
        """What the mark of binary content at *at* says is missing."""

    def cut(self) -> Unread | None:
        """What is missing because the input ends too early."""


class Text:
    """A text that is scanned as it is."""

    def __init__(self, content: bytes, path: str | None, place: Place | None = None) -> None:
        self.content = content
        self._path = path
        self._fixed = place
        self._counted, self._line = 0, 1
        self._start, self._searched = 0, 0

    def place(self, at: int) -> Place:
        if self._fixed:
            return self._fixed
        self._line += self.content.count(b"\n", self._counted, at)
        self._counted = at
        return Place(self._path, self._line)

    def start(self, at: int) -> int:
        # From where the last search ended: a line may be as long as the input.
        found = self.content.rfind(b"\n", self._searched, at)
        self._start, self._searched = max(self._start, found + 1), max(self._searched, at)
        return self._start

    def before(self, start: int) -> bytes:
        return self.content[max(0, start - CONTEXT) : start]

    def block(self, at: int) -> Block:
        start = max(0, at - BEFORE)
        return Block(self.content[start : at + AFTER], at - start, ((0, start),))

    def unread(self, at: int) -> None:
        del at

    def cut(self) -> None:
        return
