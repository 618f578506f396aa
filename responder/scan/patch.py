"""Read diffs: which lines are new, of which file, under which number.

In a diff a line of a hunk begins with a space, ``+``, ``-`` or a backslash; so ``diff --`` or ``@@`` at the
start of a line is never content, and cut-off, overlong, merge and header-less hunks need no counting to be
read. Counts only give line numbers. A fault stays within the section of its file. Refuses to pass over
what is missing: binary content and a cut-off end are reported.
"""

import re
from typing import NamedTuple

from responder.scan.names import file_name, headed
from responder.scan.views import AFTER, BEFORE, CONTEXT, Block, Place, Unread

_LINES_BEFORE, _LINES_AFTER = 6, 120
_HUNK = re.compile(rb"(@@+)(?: -\d{1,9}(?:,\d{1,9})?){1,40}+ \+(\d{1,9})(?:,(\d{1,9}))? @@")
_PROSE = re.compile(rb"\n(?:commit [0-9a-f]{7,64}\b|From [0-9a-f]{40,64} )")
_BINARY = re.compile(rb"Binary files (.{1,4096}) and (.{1,4096}) differ")


class _Hunk(NamedTuple):
    """The lines of one hunk, how many columns of marks they have, the number of the first, and the file."""

    start: int
    end: int
    columns: int
    first: int
    path: str | None


class Patch:
    """The added lines of a diff, with the unchanged ones around them as context.

    Moves forward only: section, hunk and line are found by searching from where the last search ended.
    """

    def __init__(self, content: bytes, path: str | None) -> None:
        self.content = content
        self._given = path
        self._path = path
        self._section, self._section_end, self._git = 0, 0, False
        self._hunk = _Hunk(0, 0, 1, 0, path)
        self._looked, self._named = 0, 0
        self._line, self._line_end = 0, 0
        self._here: Place | None = None
        self._counted, self._number = 0, 0
        self._block: Block | None = None
        self._reusable = 0

    def place(self, at: int) -> Place | None:
        if at >= self._line_end:
            if at >= self._section_end:
                self._next_section(at)
            low = max(self._section, self._line_end)
            self._line = self.content.rfind(b"\n", low, at) + 1 or low
            end = self.content.find(b"\n", at)
            self._line_end = len(self.content) if end < 0 else end
            if self._line >= self._hunk.end:
                self._next_hunk()
            self._here = self._judge()
        return self._here

    def start(self, at: int) -> int:
        del at
        return self._line + (self._hunk.columns if self._inside else self.content.startswith(b"+", self._line))

    def before(self, start: int) -> bytes:
        return self.content[max(self._section, start - CONTEXT) : start]

    def block(self, at: int) -> Block:
        if not self._block or not self._block.lines[0][1] <= at < self._reusable:
            self._block = self._around(at)
            half = self._block.lines[len(self._block.lines) // 2]
            self._reusable = half[1] if half[0] > self._block.at else 0
        return self._block.moved(at)

    def _around(self, at: int) -> Block:
        here = self.start(at)
        low, high, columns = (
            (self._hunk.start, self._hunk.end, self._hunk.columns)
            if self._inside
            else (max(self._section, self._hunk.end), self._section_end, 1)
        )
        if at - here > BEFORE:
            here = at - BEFORE
            above = b""
        else:
            above = self._above(self._line, low, columns)
        pieces = [above, self.content[here : min(self._line_end + 1, at + AFTER)]]
        lines, size = [(len(above), here)], len(above) + len(pieces[1])
        position, most = self._line_end + 1, size + AFTER
        for _ in range(_LINES_AFTER):
            if position >= high or size >= most:
                break
            end = self.content.find(b"\n", position, min(high, position + AFTER))
            end = min(high, position + AFTER) if end < 0 else end + 1
            pieces.append(self._new(position, end, columns))
            lines.append((size, end - len(pieces[-1])))
            size += len(pieces[-1])
            position = end
        return Block(b"".join(pieces), len(above) + at - here, tuple(lines))

    def unread(self, at: int) -> Unread | None:
        self.place(at)
        if self.content.startswith(b"+version", at):
            return Unread(self._hunk.path, "the content is in Git LFS, the diff has only a pointer")
        if not self.content.startswith(b"Binary", at):
            return Unread(self._name_of_section(), "binary patch")
        named = _BINARY.match(self.content, at)
        if named is None:
            return Unread(self._name_of_section(), "binary file")
        new = file_name(named[2])
        return Unread(new, "binary file") if new else None

    def cut(self) -> Unread | None:
        """Whether the diff ends before its last hunk does."""
        start = self._last_line(b"@@", 0, len(self.content))
        header = _HUNK.match(self.content, start) if start >= 0 else None
        if header is None or len(header[1]) > 2 or self.content.find(b"\ndiff --", start) >= 0:
            return None
        body = self.content.find(b"\n", start) + 1 or len(self.content)
        lines = self.content.count(b"\n", body) + (body < len(self.content) and not self.content.endswith(b"\n"))
        new = (
            lines
            - self.content.count(b"\n-", body - 1)
            - self.content.count(b"\n\\ ", max(body, len(self.content) - 99))
        )
        promised = int(header[3] or 1)
        if new >= promised:
            return None
        self.place(min(body, len(self.content) - 1))
        return Unread(self._hunk.path, f"the diff is cut off: {new} of {promised} lines of the last hunk")

    @property
    def _inside(self) -> bool:
        return self._hunk.start <= self._line < self._hunk.end

    def _judge(self) -> Place | None:
        """The place of the current line, if it is new or no line of a hunk."""
        if not self._inside:
            # Hunk headers repeat an old line; all else outside of hunks is message or header.
            return None if self.content.startswith(b"@@", self._line) else Place(self._given, None)
        self._count()
        marks = self.content[self._line : self._line + self._hunk.columns]
        if b"-" in marks or marks[:1] == b"\\" or not marks.strip(b" "):
            return None
        # A line that begins like no line of a hunk may be the rest of a wrapped one: it is scanned.
        return Place(self._hunk.path, self._number)

    def _count(self) -> None:
        low, high = self._counted, self._line
        if self._hunk.columns == 1:
            count = self.content.count
            self._number += count(b"\n", low, high) - count(b"\n-", low - 1, high) - count(b"\n\\", low - 1, high)
        else:
            while low < high:
                marks = self.content[low : low + self._hunk.columns]
                self._number += b"-" not in marks and marks[:1] != b"\\"
                low = self.content.find(b"\n", low, high) + 1 or high
        self._counted = self._line

    def _next_section(self, at: int) -> None:
        start = self._last_line(b"diff --", self._section_end, at)
        self._git = start >= 0
        self._section = start if self._git else self._section_end
        end = self.content.find(b"\ndiff --", at)
        self._section_end = len(self.content) if end < 0 else end + 1
        self._path = None if self._git else self._given
        self._hunk = _Hunk(self._section, self._section, 1, 0, self._path)
        self._looked = self._named = self._section

    def _next_hunk(self) -> None:
        """Move to the hunk that the current line lies in, if it does."""
        start = self._last_line(b"@@", max(self._looked, self._hunk.end), self._line)
        self._looked = self._line
        body = self.content.find(b"\n", start, self._section_end) + 1
        if start < 0 or not 0 < body <= self._line:
            return
        end = self.content.find(b"\n@@", body - 1, self._section_end) + 1 or self._section_end
        for lead in (b"\ncommit ", b"\nFrom "):
            prose = self.content.find(lead, body - 1, end)
            if prose >= 0 and _PROSE.match(self.content, prose):
                end = prose + 1
        header = _HUNK.match(self.content, start)
        first = int(header[2]) if header else 0
        columns = len(header[1]) - 1 if header else 1
        self._hunk = _Hunk(body, end, columns, first, self._name(start))
        self._counted, self._number = body, first

    def _name(self, hunk: int) -> str | None:
        """The file of the hunk that begins at *hunk*."""
        if self._git:
            return self._name_of_section()
        # Without `diff --` lines every file has its own pair of names right above its first hunk.
        low, self._named, at = self._named, hunk, hunk - 1
        while (line := self._last_line(b"+++ ", low, at)) >= 0:
            end = self.content.find(b"\n", line, hunk)
            if end >= 0 and self.content.startswith(b"@@", end + 1):
                old = self._last_line(b"--- ", max(low, line - 4_096), line - 1)
                self._path = file_name(self.content[line + 4 : end]) or self._old_name(old) or self._given
                break
            at = line - 1
        return self._path

    def _name_of_section(self) -> str | None:
        if self._path is None:
            hunk = self.content.find(b"\n@@", self._section, self._section_end)
            high = hunk if hunk >= 0 else min(self._section_end, self._section + 16_384)
            new = self._last_line(b"+++ ", self._section, high)
            end = self.content.find(b"\n", new, high + 1)
            named = file_name(self.content[new + 4 : end if end >= 0 else high]) if new >= 0 else None
            old = self._old_name(self._last_line(b"--- ", self._section, high))
            self._path = named or old or headed(self.content, self._section) or self._given
        return self._path

    def _old_name(self, line: int) -> str | None:
        return file_name(self.content[line + 4 : self.content.find(b"\n", line)]) if line >= 0 else None

    def _last_line(self, mark: bytes, low: int, high: int) -> int:
        """Where the last line begins that starts with *mark*, from the line at *low* to the one at *high*; or -1."""
        found = self.content.rfind(b"\n" + mark, max(0, low - 1), high + len(mark))
        if found >= 0:
            return found + 1
        return 0 if low == 0 and self.content.startswith(mark) else -1

    def _above(self, position: int, low: int, columns: int) -> bytes:
        """A few lines of the new side that end at *position*."""
        lines: list[bytes] = []
        for _ in range(_LINES_BEFORE):
            if position <= low:
                break
            least = max(low, position - BEFORE)
            start = self.content.rfind(b"\n", least, position - 1) + 1 or least
            lines.append(self._new(start, position, columns))
            position = start
        return b"".join(reversed(lines))

    def _new(self, start: int, end: int, columns: int) -> bytes:
        """The line between *start* and *end* without its marks, or nothing if it is not of the new side."""
        marks = self.content[start : start + columns]
        if b"-" in marks or marks[:1] == b"\\":
            return b""
        return self.content[start if marks.strip(b" +") else start + columns : end]
