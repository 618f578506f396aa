"""Look for planted tokens in everything that came out: whole, in pieces, and in disguise.

A token counts as found if twenty-four of its characters in a row, other than
those people may see, stand anywhere in any of the spellings below, or in what
unpacking and decoding a value brings to light.
"""

import base64
import binascii
import gzip
import json
import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

_WINDOW = 16
_SHOWN_HEAD, _SHOWN_TAIL = 8, 4
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Find:
    """A token where none may be.

    Attributes:
        token: its number among the planted ones.
        spelling: how it was written there.
        where: in words.
    """

    token: int
    spelling: str
    where: str


def spellings(text: str) -> Iterator[tuple[str, int, bytes]]:
    """Every way in which *text* could have been written: its name, bytes for each character, and itself."""
    plain = text.encode()
    yield "plain", 1, plain
    yield "upper case", 1, text.upper().encode()
    yield "reversed", 1, plain[::-1]
    yield "URL-escaped", 1, text.replace("-", "%2D").replace("_", "%5F").encode()
    yield "JSON-escaped signs", 1, text.replace("-", "\\u002d").replace("_", "\\u005f").encode()
    yield "HTML-escaped", 1, text.replace("-", "&#45;").replace("_", "&#95;").encode()
    yield "hexadecimal", 2, binascii.hexlify(plain)
    yield "hexadecimal, upper case", 2, binascii.hexlify(plain).upper()
    yield "UTF-16, little", 2, text.encode("utf-16-le")
    yield "UTF-16, big", 2, text.encode("utf-16-be")
    yield "URL-escaped, every character", 3, "".join(f"%{byte:02X}" for byte in plain).encode()
    yield "quoted-printable", 3, "".join(f"={byte:02X}" for byte in plain).encode()
    yield "JSON-escaped", 6, "".join(f"\\u{byte:04x}" for byte in plain).encode()
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + plain)
        inner = whole[(offset * 8 + 5) // 6 : (offset + len(plain)) * 8 // 6]
        yield f"base64, offset {offset}", 1, inner
        yield f"base64url, offset {offset}", 1, inner.translate(bytes.maketrans(b"+/", b"-_"))


class Canary:
    """Knows the planted tokens, and finds them again.

    Every window of sixteen characters of every spelling is known by heart, and what
    is looked through is compared at every eighth: whatever is twenty-four long is met.

    Args:
        tokens: what was planted.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._windows: dict[int, dict[bytes, tuple[int, str]]] = {}
        for number, token in enumerate(tokens):
            for name, scale, written in spellings(token[_SHOWN_HEAD:-_SHOWN_TAIL]):
                known, width = self._windows.setdefault(scale, {}), _WINDOW * scale
                for start in range(max(len(written) - width, 0) + 1):
                    known[written[start : start + width]] = (number, name)

    def in_bytes(self, content: bytes, where: str, depth: int = 0) -> list[Find]:
        """Look through *content*, and through whatever it turns out to be made of."""
        found = {
            known[content[start : start + _WINDOW * scale]]
            for scale, known in self._windows.items()
            for start in range(0, len(content), _WINDOW * scale // 2)
            if content[start : start + _WINDOW * scale] in known
        }
        finds = [Find(number, name, where) for number, name in sorted(found)]
        if depth < _DEEPEST and not finds:
            for how, inner in _unpacked(content):
                finds += self.in_bytes(inner, f"{where}, {how}", depth + 1)
        return finds

    def in_text(self, content: str, where: str) -> list[Find]:
        """As `in_bytes`, also across the ends of lines."""
        joined = "".join(content.split())
        return self.in_bytes(content.encode(), where) + self.in_bytes(joined.encode(), f"{where}, joined")

    def in_database(self, path: Path) -> list[Find]:
        """Look through every cell of every table of a SQLite file."""
        found: list[Find] = []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                rows = file.execute(f'SELECT * FROM "{name}"')
                columns = [column[0] for column in rows.description]
                for row in rows:
                    for column, cell in zip(columns, row, strict=True):
                        content = cell if isinstance(cell, bytes) else str(cell).encode()
                        found += self.in_bytes(content, f"{path.name}: {name}.{column}")
        return found

    def in_folder(self, folder: Path) -> list[Find]:
        """Look through the name and the raw bytes of every file; SQLite's also cell by cell."""
        found: list[Find] = []
        for path in sorted(folder.rglob("*")):
            found += self.in_text(str(path.relative_to(folder)), "a file's name")
            if path.is_file():
                content = path.read_bytes()
                found += self.in_bytes(content, path.name)
                if content.startswith(b"SQLite format 3\0"):
                    found += self.in_database(path)
        return found

    def in_processes(self, pids: Sequence[int]) -> list[Find]:
        """Look through the command lines and environments of living processes."""
        found: list[Find] = []
        for pid in pids:
            for name in ("cmdline", "environ", "comm"):
                with suppress(OSError):  # it ended in the meantime
                    found += self.in_bytes((Path("/proc") / str(pid) / name).read_bytes(), f"{name} of {pid}")
        return found


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What *content* may be the packed or encoded form of."""
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):
            yield "unzipped", gzip.decompress(content)
    if content[:1] == b"\x78":
        with suppress(zlib.error):
            yield "inflated", zlib.decompress(content)
    if len(content) > 1024 * 1024:
        return
    stripped = content.strip()
    if len(stripped) >= _WINDOW:
        with suppress(binascii.Error, ValueError):
            yield "from base64", base64.b64decode(stripped, validate=True)
        with suppress(binascii.Error, ValueError):
            yield "from hexadecimal", bytes.fromhex(stripped.decode("ascii"))
    if b"%" in stripped:
        yield "unescaped", urllib.parse.unquote_to_bytes(stripped)
    if stripped[:1] in (b"{", b"[", b'"'):
        with suppress(ValueError, RecursionError):
            yield from _strings(json.loads(stripped))


def _strings(value: object) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, str):
        yield "a JSON text", value.encode("utf-8", "surrogatepass")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield "a JSON name", str(name).encode("utf-8", "surrogatepass")
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
