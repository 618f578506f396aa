"""A manual report: whoever holds a token may report it.

The body holds tokens, so it is sealed by the receiver and opened by the worker.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed
from responder.core.sighting import Source, readable_address
from responder.sources import Material, Reach, Told
from responder.sources.payload import text

_NAMES = frozenset({"token", "tokens", "text", "url", "comment", "reporter"})
_MOST_TOKENS = 1000
_LONGEST_TOKEN = 1000
_LONGEST_TEXT = 1024 * 1024


def told(payload: Mapping[str, Any]) -> Told:
    """Check the report; nothing of it is kept in the open.

    Raises:
        Malformed: unknown members, or not exactly one of token, tokens and text.
    """
    if not payload.keys() <= _NAMES:
        raise Malformed("Only token, tokens, text, url, comment and reporter are known.")
    if sum(name in payload for name in ("token", "tokens", "text")) != 1:
        raise Malformed("Exactly one of token, tokens and text must be there.")
    if not _contents(payload):
        raise Malformed("There is nothing to look through.")
    for name, most in (("url", 2000), ("comment", 4000), ("reporter", 320)):
        text(payload, name, most)
    return Told("report", {})


def material(_reach: Reach, refs: Mapping[str, Any], opened: bytes | None, at: datetime) -> Iterator[Material]:
    """What the report holds, token by token, or as text."""
    if opened is None:
        return  # shredded: nobody needs it any more
    payload = json.loads(opened)
    where = readable_address(payload.get("url"))
    place = f"report/{refs['receipt']}"
    for content in _contents(payload):
        yield Material("text", content, Source.REPORT, place, where, at)


def _contents(payload: Mapping[str, Any]) -> list[str]:
    if "text" in payload:
        whole = text(payload, "text", _LONGEST_TEXT)
        return [whole] if whole else []
    if "token" in payload:
        one = text(payload, "token", _LONGEST_TOKEN)
        return [one] if one else []
    many = payload["tokens"]
    if not isinstance(many, list) or not 0 < len(many) <= _MOST_TOKENS:
        raise Malformed(f"tokens must be a list of one to {_MOST_TOKENS} strings.")
    if not all(isinstance(one, str) and 0 < len(one) <= _LONGEST_TOKEN for one in many):
        raise Malformed(f"Each token must be a string of at most {_LONGEST_TOKEN} characters.")
    return many
