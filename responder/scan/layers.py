"""Undo what stands between a token and plain text: escapes, split literals, base64, hexadecimal.

Every function takes a bounded block and a place in it, and looks no further than a token can reach.
Refuses compression, encryption and arithmetic: what only running a program reveals is not searched for.
"""

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple

from responder.scan.shape import LONGEST

_ROUNDS = 3
_PIECES = 64
_ESCAPE = re.compile(
    r"""\\{1,4}u([0-9a-fA-F]{4}) | \\{1,4}u\{([0-9a-fA-F]{1,6})\} | \\{1,4}x([0-9a-fA-F]{2}) | %u([0-9a-fA-F]{4})
      | %([0-9a-fA-F]{2}) | &\#[xX]([0-9a-fA-F]{1,6}); | &\#([0-9]{1,6});? | \\{1,4}([0-7]{2,3})
      | \\{1,4}([nrtabfv"'`/_-]) | &([a-z]{2,6}); | \\{1,4}N\{([A-Z-]{3,20})\} | =([0-9A-F]{2}) | (=\r?\n)
    """,
    re.VERBOSE,
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_NAMES = {
    "quot": '"',
    "apos": "'",
    "amp": "&",
    "lt": "<",
    "gt": ">",
    "hyphen": "-",
    "dash": "-",
    "lowbar": "_",
    "nbsp": " ",
}
_CALLED = {"HYPHEN-MINUS": "-", "LOW-LINE": "_"}

_RUN = re.compile(rb"[A-Za-z0-9_-]*").match
_SPACE = rb"[\s\\_]{0,96}+"
_GLUE = re.compile(
    rb"""(?: \\\r?\n[ \t]* | =\r?\n                                       # a line continued inside the literal
      | \\{0,3}["'`] (?: ;?\)?"""
    + _SPACE
    + rb"""                   # or the literal ends,
            (?: (?P<comma>,)
              | (?: \+\+? | \.\.? | \|\|? | <[<>] | && | & | \^ | ~ | ::: | : )
              | ;? [\w.$@\[\]"'-]{1,48} \s{0,8}
                (?: \+= | \.= | &= | <>= | <<= | \|\|= | = \s{0,8} [\w.$@]{1,48} \s{0,8} [+.&] )
              | \.? (?:append|concat|plus|push|push_str|write|add) \s? (?=\()
            )? """
    + _SPACE
    + rb"""(?:\#[^\n]{0,80}\n\s{0,40}|//[^\n]{0,80}\n\s{0,40})? \(? [ \t]{0,8}
            (?:[A-Za-z]{1,2}|@|\$)? \\{0,3}["'`] ) )                       # and another begins
    """,
    re.VERBOSE,
).match
_JOINING = re.compile(rb"join|concat|paste|strcat|format|printf|\bcat\(|String\.raw|%s|\+ *\[", re.IGNORECASE).search

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/_-]")
_WRAP = re.compile(rb"""(?:["'`]?[ \t,+.\\]{0,8})(?:\r?\n|\\r\\n|\\n)[ \t]{0,40}(?:["'`]?)""").match
_WRAPPED_AT = 40
_GROUPS_BEFORE, _GROUPS_AFTER = 60, 480
_TOKEN = 800
"""A little more than the base64 of the longest token."""
_HEX_PAIR = re.compile(rb"[0-9a-fA-F]{2}")
_CODE = re.compile(rb"(?:0x([0-9a-fA-F]{2})|([0-9]{2,3}))(?:(, ?)|(?![0-9A-Za-z]))")


def unescape(text: str) -> Iterator[str]:
    """*text* with its escapes undone, then with those of the result undone, until nothing changes."""
    for _ in range(_ROUNDS):
        undone = _ESCAPE.sub(_character, text)
        if undone == text:
            return
        text = undone
        yield text


def _character(found: re.Match[str]) -> str:
    unicode, braced, x, wide, percent, html_hex, html, octal, letter, name, called, quoted, soft = found.groups()
    if code := unicode or braced or x or wide or percent or html_hex or quoted:
        return _chr(int(code, 16), found[0])
    if html:
        return _chr(int(html), found[0])
    if octal:
        return _chr(int(octal, 8), found[0])
    if letter:
        return str(_LETTERS.get(letter, letter))
    if soft:
        return ""
    return _NAMES.get(name or "", _CALLED.get(called or "", found[0]))


def _chr(code: int, otherwise: str) -> str:
    # All text here is Latin-1, one character a byte; others cannot be part of a token.
    return chr(code) if code < 256 else otherwise if code > 0x10FFFF else "\xbf"


def join(block: bytes, at: int) -> Iterator[str]:
    """The string whose first piece begins at *at*, longer by one piece each time."""
    run = _RUN(block, at)
    value = run[0] if run else b""
    position = at + len(value)
    joining: bool | None = None
    for _ in range(_PIECES):
        glue = _GLUE(block, position)
        if glue is None:
            return
        if glue["comma"]:
            if joining is None:
                joining = bool(_JOINING(block, max(0, at - 80), at) or _JOINING(block, position, position + 600))
            if not joining:
                return
        position = glue.end()
        piece = _RUN(block, position)
        if piece is None or not piece[0] or piece[0].startswith(b"sk-"):
            return
        value += piece[0]
        position = piece.end()
        if len(value) > LONGEST:
            return
        yield value.decode("latin-1")


class Decoded(NamedTuple):
    """Decoded bytes, and which other needles are answered for with them.

    Attributes:
        text: the bytes, without the zeros of UTF-16.
        until: up to where in the block.
        stretches: for base64, where in the block each line begins and ends, and how far into the run it begins.
    """

    text: bytes
    until: int
    stretches: tuple[tuple[int, int, int], ...] = ()


def base64_around(block: bytes, at: int, back: int) -> Decoded | None:
    """Decode the base64 around *at*; the group of four begins *back* characters before."""
    before = _base64_before(block, at)
    if len(before) < back:
        return None
    after, stretches = _base64_after(block, at)
    # The run's first characters may be another alignment's; only whole groups before ours count.
    start = len(before) - back - min((len(before) - back) // 4, _GROUPS_BEFORE) * 4
    run = before[start:] + after
    run = run[: len(run) - (len(run) % 4 == 1)]
    text = base64.b64decode((run + b"=" * (-len(run) % 4)).translate(_STANDARD))
    size = len(after)
    until = stretches[-1][1] - (_TOKEN if size >= _GROUPS_AFTER * 4 else 0)
    return Decoded(text.replace(b"\0", b""), until, tuple(stretches))


_STANDARD = bytes.maketrans(b"-_", b"+/")


def _base64_after(block: bytes, at: int) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The base64 text from *at* on, over wrapped lines, and which stretches of the block it is made of."""
    pieces: list[bytes] = []
    stretches: list[tuple[int, int, int]] = []
    size, position, line = 0, at, block.rfind(b"\n", 0, at) + 1
    while size < _GROUPS_AFTER * 4:
        limit = position + _GROUPS_AFTER * 4 - size
        stop = _NOT_BASE64.search(block, position, limit)
        end = stop.start() if stop else min(len(block), limit)
        pieces.append(block[position:end])
        stretches.append((position, end, size))
        size += end - position
        if stop is None:
            break
        if block.startswith(b"\\/", end):
            pieces.append(b"/")
            size += 1
            position = end + 2
            continue
        wrap = _WRAP(block, end)
        if wrap is None or end - line < _WRAPPED_AT:
            break
        position = line = wrap.end()
    return b"".join(pieces), stretches


def _base64_before(block: bytes, at: int) -> bytes:
    """The base64 text that leads up to *at*, over wrapped lines."""
    gathered = b""
    low, high = max(0, at - _GROUPS_BEFORE * 8), at
    for _ in range(8):
        text = block[low:high]
        tail = _LAST_RUN.search(text)
        run = tail[0] if tail else b""
        gathered = run + gathered
        start = high - len(run)
        wrap = _WRAP_BACK.search(block, max(low, start - 60), start)
        if wrap is None or len(gathered) >= _GROUPS_BEFORE * 4:
            return gathered
        above = _LAST_RUN.search(block[low : wrap.start()])
        if above is None or len(above[0]) < _WRAPPED_AT:
            return gathered
        high = wrap.start()
    return gathered


_LAST_RUN = re.compile(rb"[A-Za-z0-9+/_-]*\Z")
_WRAP_BACK = re.compile(rb"""(?:["'`]?[ \t,+.\\]{0,8})(?:\r?\n|\\r\\n|\\n)[ \t]{0,40}(?:["'`]?)\Z""")


def hex_around(block: bytes, at: int) -> Decoded:
    """Decode the hexadecimal digits from a little before *at* on."""
    start = at
    step = 3 if block[at + 2 : at + 3] in b" :" else 2
    while step == 2 and at - start < 80 and _HEX_PAIR.fullmatch(block, start - 2, start):
        start -= 2
    digits = bytearray()
    position, line = start, max(start, block.rfind(b"\n", 0, at) + 1)
    most = LONGEST * 4
    while len(digits) < most:
        pair = _HEX_PAIR.match(block, position)
        if pair is None:
            # Dumps break their lines, too; a short line is the last one.
            wrap = _WRAP(block, position) if position - line >= _WRAPPED_AT else None
            if wrap is None:
                break
            position = line = wrap.end()
            continue
        digits += pair[0]
        position += step if block[position + 2 : position + step] in b" :" else 2
    until = position - (LONGEST * step if len(digits) >= most else 0)
    return Decoded(bytes.fromhex(digits.decode()).replace(b"\0", b""), until)


def codes_after(block: bytes, at: int) -> Decoded:
    """Decode a list of character codes that begins at *at*."""
    text = bytearray()
    position = at
    most = LONGEST * 2
    while len(text) < most and (code := _CODE.match(block, position)):
        number = int(code[1], 16) if code[1] else int(code[2])
        text.append(number if number < 256 else 63)
        position = code.end()
        if not code[3]:
            break
    return Decoded(bytes(text), position if len(text) < most else (at + position) // 2)


def narrow(block: bytes, at: int) -> Decoded:
    """Take the zeros out of UTF-16 around *at*."""
    return Decoded(block[max(0, at - 200) : at + LONGEST * 4].replace(b"\0", b""), min(len(block), at + LONGEST * 2))
