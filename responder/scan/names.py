"""Read file names as Git writes them in diffs: prefixed, quoted, octal, absent."""

import re

_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_PREFIXES = (b"a/", b"b/", b"c/", b"i/", b"w/", b"o/")
_LONGEST = 8_192


def file_name(written: bytes) -> str | None:
    """The name in a ``---`` or ``+++`` line; nothing if it stands for no file."""
    name = written.rstrip(b"\r").split(b"\t")[0]
    if name == b"/dev/null":
        return None
    if len(name) > 1 and name[:1] == name[-1:] == b'"':
        name = _ESCAPE.sub(_unquoted, name[1:-1])
    if name.startswith(_PREFIXES):
        name = name[2:]
    return name.decode("utf-8", "replace")


def headed(content: bytes, start: int) -> str | None:
    """The new name in the ``diff --`` line that begins at *start*."""
    line = content[start : start + _LONGEST].split(b"\n", 1)[0]
    for lead in (b"diff --cc ", b"diff --combined "):
        if line.startswith(lead):
            return file_name(line[len(lead) :])
    new = max(line.rfind(b" b/"), line.rfind(b' "b/'))
    return file_name(line[new + 1 :]) if new >= 0 else None


def _unquoted(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8) & 255]) if len(code) == 3 else _LETTERS.get(code, code)
