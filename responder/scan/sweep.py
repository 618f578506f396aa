"""Walk the needles of one input, undo layer by layer, and hand lines to the plugin.

Every needle is looked at once, in order; what one look answers for is not looked at again. Refuses
to undo more than three layers, and says so.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from responder.scan import layers
from responder.scan.needles import Hit, Needles
from responder.scan.views import Block, Place, Text, Unread, View

DEEPEST = 3
MOST = 10_000
"""More tokens than this in one input are counted as not scanned."""
_BACK, _AHEAD, _OVERLAP = 24, 1_280, 448
_LONGEST_RUN = 401
_ESCAPED_AHEAD = 3_072
_SHORTEST = 16
_RUN = re.compile(rb"[A-Za-z0-9_-]*").match


class Sighted(NamedTuple):
    """A token as the plugin saw it in a line."""

    start: int
    value: str
    family: str

    @property
    def end(self) -> int:
        return self.start + len(self.value)


class _Spot(NamedTuple):
    """Where a needle is reported, and what had to be undone to get there."""

    place: Place
    layer: str
    depth: int
    escapes: bool


class _Answered:
    """Which needles need no further look, because an earlier one's look saw them, too."""

    def __init__(self) -> None:
        self.sighted: list[Sighted] = []
        self._until: dict[str, int] = {}
        self._runs: deque[tuple[list[tuple[int, int, int]], int]] = deque(maxlen=4)

    def covers(self, kind: str, at: int) -> bool:
        return at < self._until.get(kind, 0)

    def cover(self, kind: str, until: int) -> None:
        self._until[kind] = until

    def aligned(self, at: int, back: int) -> bool:
        """Whether base64 decoded before holds the needle at *at* whose group begins *back* before it."""
        for stretches, first in self._runs:
            index = bisect_right(stretches, (at, 1 << 62)) - 1
            if index >= 0 and at < stretches[index][1]:
                start, _, into = stretches[index]
                if (into + at - start - back + first) % 4 == 0:
                    return True
        return False

    def align(self, block: Block, decoded: layers.Decoded, back: int) -> None:
        stretches = [
            (block.origin(low), block.origin(low) + min(high, decoded.until) - low, into)
            for low, high, into in decoded.stretches
            if low < decoded.until
        ]
        self._runs.append((stretches, back))


class Sweep:
    """One scan under way.

    Args:
        plugin: the detect-secrets plugin.
        needles: where to look.
        inner: needles for decoded text.
        context: the code-snippet class of detect-secrets.
    """

    def __init__(self, plugin: Any, needles: Needles, inner: Needles, context: Any) -> None:  # noqa: ANN401
        self._plugin = plugin
        self._reader = plugin.reader
        self._needles = needles
        self._inner = inner
        self._context = context
        self.found: dict[tuple[str, str | None, int | None], tuple[str, str]] = {}
        self.skipped: dict[Unread, None] = {}

    def run(self, view: View) -> None:
        """Look at every needle of *view*."""
        self._walk(view, self._needles.find(view.content), "", 0)
        self._drop_halves()

    def _walk(self, view: View, hits: Iterable[Hit], layer: str, depth: int, *, escapes: bool = True) -> None:
        answered = _Answered()
        for kind, at in hits:
            if kind == "binary":
                if unread := view.unread(at + 1):
                    self.skipped[unread] = None
                continue
            place = view.place(at)
            if place is None:
                continue
            if len(self.found) >= MOST:
                self.skipped[Unread(place.path, f"more than {MOST} tokens")] = None
                return
            self._look(view, kind, at, _Spot(place, layer, depth, escapes), answered)

    def _look(self, view: View, kind: str, at: int, spot: _Spot, answered: _Answered) -> None:
        """Look at one needle, as its kind wants."""
        if kind in ("plain", "split", "parted"):
            # The quote is part of that needle, not of the token.
            start = at + (kind == "parted")
            if not answered.covers("plain", start):
                answered.sighted, until = self._feed(view, start, spot.place, spot.layer or "plain")
                answered.cover("plain", until)
            self._extend(view, start, spot, answered)
        elif kind == "escaped" and not spot.escapes:
            return
        elif spot.depth >= DEEPEST:
            self.skipped[Unread(spot.place.path, f"encoded more than {DEEPEST} times")] = None
        elif kind == "escaped":
            self._unescape(view, at, spot, answered)
        else:
            self._decode(view, kind, at, spot, answered)

    def _feed(self, view: View, at: int, place: Place, layer: str) -> tuple[list[Sighted], int]:
        """Hand the line from *at* on to the plugin; say what is in it and how far that holds."""
        content = view.content
        line = view.start(at)
        start = max(line, at - _BACK)
        end, whole = _window(content, at, _AHEAD)
        text = content[start:end].decode("latin-1")
        sighted = []
        for value, family in self._ask(text, view.before(start), place):
            position = text.find(value)
            while position >= 0:
                seen = Sighted(start + position, value, family)
                # At the edge of a window cut out of a long line nothing says where a token begins or ends.
                if (whole or seen.end < end) and (start == line or position >= at - start):
                    sighted.append(seen)
                    self.found.setdefault((value, *place), (family, layer))
                position = text.find(value, position + len(value))
        return sighted, end if whole else end - _OVERLAP

    def _ask(self, text: str, before: bytes, place: Place) -> list[tuple[str, str]]:
        context = self._context([before.decode("latin-1"), text], 0, 1)
        secrets = self._plugin.analyze_line(place.path or "", text, place.line or 0, context)
        return [(secret.secret_value, secret.type) for secret in secrets]

    def _extend(self, view: View, at: int, spot: _Spot, answered: _Answered) -> None:
        """Where a run is cut off by a quote or an escape, see whether it goes on behind it."""
        content = view.content
        run = _RUN(content, at, at + _LONGEST_RUN)
        end = run.end() if run else at
        follows = content[end : end + 1]
        if not follows or follows not in b"\"'`\\%&=":
            return
        half = next((seen for seen in answered.sighted if seen.start <= at < seen.end), None)
        closed = half is not None and self._reader.closed(half.value, half.family)
        if half and closed and self._reader.strong(half.family):
            return
        if follows in b"\"'`\\=":
            self._join(view, at, spot, extend=not closed)
        if follows in b"\\%&=" and spot.depth < DEEPEST and spot.escapes and not closed:
            self._unescape(view, at, spot, answered)

    def _join(self, view: View, at: int, spot: _Spot, *, extend: bool) -> None:
        """Report the literal that begins at *at*, put together, if that makes a token of it.

        Unless told to *extend*, what ends by its own shape is continued only into what does so, too.
        """
        block = view.block(at)
        start = max(block.text.rfind(b"\n", 0, block.at) + 1, block.at - 120)
        lead = block.text[start : block.at].decode("latin-1")
        before = view.before(view.start(at))
        best: tuple[str, str] | None = None
        ended = not extend
        for value in layers.join(block.text, block.at):
            if len(value) < _SHORTEST:
                continue
            for token, family in self._ask(lead + value, before, spot.place):
                if not value.startswith(token) or len(token) < len(value.rstrip("-_")):
                    continue
                closed = self._reader.closed(token, family)
                if closed or not ended:
                    best, ended = (token, family), closed
            if best and ended and self._reader.strong(best[1]):
                break
        if best:
            self.found.setdefault((best[0], *spot.place), (best[1], spot.layer or "join"))

    def _unescape(self, view: View, at: int, spot: _Spot, answered: _Answered) -> None:
        if answered.covers("escaped", at):
            return
        start = max(view.start(at), at - 200)
        end, whole = _window(view.content, at, _ESCAPED_AHEAD)
        answered.cover("escaped", end if whole else end - _ESCAPED_AHEAD // 2)
        for text in layers.unescape(view.content[start:end].decode("latin-1")):
            self._inside(text.encode("latin-1"), spot, "escape", escapes=False)

    def _decode(self, view: View, kind: str, at: int, spot: _Spot, answered: _Answered) -> None:
        back = int(kind[-1]) if kind.startswith("base64") else 0
        if answered.aligned(at, back) if kind.startswith("base64") else answered.covers(kind, at):
            return
        block = view.block(at)
        if kind.startswith("base64"):
            decoded = layers.base64_around(block.text, block.at, back)
            if decoded:
                answered.align(block, decoded, back)
                self._inside(decoded.text, spot, "base64")
            return
        undo = {"hex": layers.hex_around, "codes": layers.codes_after, "wide": layers.narrow}[kind]
        decoded = undo(block.text, block.at)
        answered.cover(kind, block.origin(decoded.until))
        self._inside(decoded.text, spot, "utf-16" if kind == "wide" else kind)

    def _inside(self, text: bytes, spot: _Spot, layer: str, *, escapes: bool = True) -> None:
        """Look at decoded *text* as at everything else."""
        inner = Text(text, None, spot.place)
        self._walk(inner, self._inner.find(text), spot.layer or layer, spot.depth + 1, escapes=escapes)

    def _drop_halves(self) -> None:
        """Keep a token that turned out longer, once joined or unescaped, instead of its beginning."""
        last: tuple[str, str | None, int | None] | None = None
        by_place = sorted(self.found, key=lambda key: (key[1] or "", key[2] or 0, key[0]), reverse=True)
        for key in by_place:
            value, *place = key
            if last and last[0].startswith(value) and list(last[1:]) == place:
                family = self.found[key][0]
                if self.found[last][1] != "plain" and not (
                    self._reader.strong(family) and self._reader.closed(value, family)
                ):
                    del self.found[key]
                    continue
            last = key


def _window(content: bytes, at: int, ahead: int) -> tuple[int, bool]:
    """Where the text from *at* on ends, at most *ahead* further, and whether its line ends there."""
    end = content.find(b"\n", at, at + ahead)
    if end >= 0:
        return end, True
    return min(len(content), at + ahead), at + ahead >= len(content)
