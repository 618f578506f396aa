"""Make text that somebody else wrote safe to show.

Names, projects, addresses and comments come from whoever leaked the key or
reported it. What is made here stays on one line, has an end, hides nothing and
starts nothing: no control or invisible characters, no key, no link that was
not meant as one. HTML is not escaped here; that is the templates' work.

Sources: Unicode TR 36 and CVE-2021-42574 on invisible and bidirectional characters;
docs.slack.dev/messaging/formatting-message-text on what chat makes of text.
"""

import re
import unicodedata
from urllib.parse import quote, urlsplit

from responder.core.sighting import readable_address

_LONGEST = 120
_LONGEST_ADDRESS = 400
_MOST_READ = 4000
_MARKS_IN_A_ROW = 2
_KEY = re.compile(r"sk-[A-Za-z0-9_-]{16,}")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_SCHEME = re.compile(r"(?i)(https?|ftp|file|mailto|tel|sms|javascript|vbscript|data):")
_ADDRESS_LIKE = re.compile(r"(?i)://|\bwww\.|[\w-]\.[a-z]{2,}/")
_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z")
_CALLS_EVERYBODY = re.compile(r"(?i)@(here|channel|everyone|all|room|group)\b")
_CHAT = str.maketrans("<>[]`*~|&\\", "‹›()'∗∼¦＆＼")  # noqa: RUF001 -- to look alike is their work


def plain(text: object, longest: int = _LONGEST) -> str:
    """Return *text* as one visible line for a mail, keys taken out, links made unclickable."""
    line = visible(text)
    if _SCHEME.search(line) or _ADDRESS_LIKE.search(line):
        line = defang(line)
    return shorten(line, longest)


def chat(text: object, longest: int = _LONGEST) -> str:
    """Return *text* as one visible line that calls nobody and formats nothing in a chat.

    Characters with a meaning become ones that look like them. An address of one
    person stays whole, because somebody may have to write to it.
    """
    line = visible(text)
    if _MAIL_ADDRESS.match(line) and not _CALLS_EVERYBODY.search(line):
        return shorten(line, longest)
    return plain(line, longest).translate(_CHAT).replace("@", "(at)")


def link(address: object) -> str | None:
    """Return *address* in ASCII, fit to be clicked and to stand in mail, HTML, chat and Markdown; None if it is not.

    The host is ASCII as it stands, since one in another script may look like one that it is not.
    """
    if not isinstance(address, str) or len(address) > _LONGEST_ADDRESS or _KEY.search(address):
        return None
    if readable_address(address) is None:
        return None
    parts = urlsplit(address)
    if not parts.netloc.isascii() or re.search(r"[^A-Za-z0-9.:\[\]-]", parts.netloc):
        return None
    rest = address[address.index(parts.netloc) + len(parts.netloc) :]
    return f"{parts.scheme}://{parts.netloc}{quote(rest, safe='/?#=&%:,;+!._-')}"


def defang(text: str) -> str:
    """Return *text* with its addresses readable, but no longer clickable: ``hxxps[:]//evil[.]example``."""
    unlinked = _SCHEME.sub(lambda found: found[1].replace("tt", "xx").replace("TT", "XX") + "[:]", text)
    return re.sub(r"(?<!\[:\]):(?=//)", "[:]", unlinked).replace(".", "[.]")


def visible(text: object) -> str:
    """Return *text* on one line, without controls, invisible or direction-changing characters, and without keys."""
    line = str(text)[:_MOST_READ]
    if line.isascii() and line.isprintable():
        return without_keys(" ".join(line.split()))
    kept: list[str] = []
    marks = 0
    for character in line:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character.isspace():
            kept.append(" ")
        elif category[0] != "C" and character not in _INVISIBLE and marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    return without_keys(" ".join("".join(kept).split()))


def without_keys(text: str) -> str:
    """Return *text* with everything taken out that has the shape of a key."""
    return _KEY.sub("(key removed)", text)


def shorten(line: str, longest: int) -> str:
    """Return *line*, or its beginning and an ellipsis, in at most *longest* characters."""
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
