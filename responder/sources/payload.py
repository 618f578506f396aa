"""Reading JSON that a stranger may have written, without being surprised by it.

Bounded before it is parsed, strict while it is, and every refusal is a
`Malformed` whose reason never repeats the input.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Never

from responder.core.errors import Malformed

_MOST_CONTAINERS = 100_000
_MOST_SEPARATORS = 1_000_000
_MOST_QUOTES = 4_000_000
_DEEPEST = 64
_SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_LARGEST_ID = 2**63 - 1
_Hook = Callable[[Any], Any]
_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A string, whole or never closed, or a bracket; nothing is ever gone back over, so the time is linear."""


def decode(body: bytes) -> dict[str, Any]:
    """Parse a JSON object from UTF-8.

    Raises:
        Malformed: not UTF-8, too many parts, too deep, a duplicate name, a number no
            integer or float holds, a lone surrogate, or no object.
    """
    text = _bounded(body)
    value = _parse(text)
    if not isinstance(value, dict):
        raise Malformed("The body is not a JSON object.")
    if "\\u" in text and re.search(r"\\u[dD][89a-fA-F]", text):
        _no_surrogates(value)
    return value


def decode_list(body: bytes) -> list[Any]:
    """Parse a JSON array from UTF-8 whose elements are independent, so that none can spoil the others.

    An object with a duplicate name, and a number no integer or float holds, is None; a string may hold a
    lone surrogate.

    Raises:
        Malformed: not UTF-8, too many parts, too deep, or no array.
    """
    value = _parse(_bounded(body), _or_none)
    if not isinstance(value, list):
        raise Malformed("The body is not a JSON array.")
    return value


def number(payload: Mapping[str, Any], *path: str) -> int:
    """The positive integer at *path*.

    Raises:
        Malformed: there is none.
    """
    value = _at(payload, path)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_ID:
        raise Malformed(f"{'.'.join(path)} must be a positive integer.")
    return value


def sha(value: object, name: str) -> str:
    """A commit id: 40 or 64 hexadecimal digits.

    Raises:
        Malformed: it is something else.
    """
    if not isinstance(value, str) or not _SHA.match(value):
        raise Malformed(f"{name} must be a commit id.")
    return value


def text(payload: Mapping[str, Any], name: str, most: int) -> str | None:
    """The optional string called *name*, of at most *most* characters.

    Raises:
        Malformed: it is no string, or too long.
    """
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise Malformed(f"{name} must be a string of at most {most} characters.")
    return value


def _bounded(body: bytes) -> str:
    parts = body.count(b"{") + body.count(b"[")
    if parts > _MOST_CONTAINERS or body.count(b",") > _MOST_SEPARATORS or body.count(b'"') > _MOST_QUOTES:
        raise Malformed("The JSON has too many parts.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    if parts > _DEEPEST:  # with fewer it cannot be
        _measure_depth(text)
    return text


def _parse(text_: str, spare: Callable[[_Hook], _Hook] = lambda hook: hook) -> Any:  # noqa: ANN401 -- JSON has no narrower type
    try:
        return json.loads(
            text_,
            object_pairs_hook=spare(_unique),
            parse_constant=spare(_no_constant),
            parse_int=spare(_integer),
            parse_float=spare(_real),
        )
    except (json.JSONDecodeError, RecursionError):
        raise Malformed("The body is not JSON.") from None


def _or_none(hook: _Hook) -> _Hook:
    def spared(read: Any) -> Any:  # noqa: ANN401 -- as the hooks
        try:
            return hook(read)
        except Malformed:
            return None

    return spared


def _at(payload: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = payload
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _measure_depth(text_: str) -> None:
    """Refuse what nests too deep, before a recursive parser meets it."""
    depth = 0
    for found in _MARKS.finditer(text_):
        mark = found.group()
        if mark in "[{":
            depth += 1
            if depth > _DEEPEST:
                raise Malformed("The JSON nests too deep.")
        elif mark in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("The JSON has a duplicate name.")
    return value


def _no_constant(_: str) -> Never:
    raise Malformed("The JSON has a number that is not one.")


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise Malformed("The JSON has a number that is too long.")
    return int(digits)


def _real(digits: str) -> float:
    if len(digits) > 64:
        raise Malformed("The JSON has a number that is too long.")
    value = float(digits)
    if math.isinf(value):
        raise Malformed("The JSON has a number that is too large.")
    return value


def _no_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("The JSON has half a character.") from None
