"""Leaked tokens told by GitHub's secret-scanning partner programme, or by whoever speaks its protocol.

Peculiar: one body is an array of hundreds of records, and one that cannot be read says nothing about the others.
What the sender takes a token for is not asked: the token decides. Where it was found is shown, and never opened.
The body holds tokens, so it is sealed by the receiver and opened by the worker.

Source: https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from responder.core.sighting import Source, readable_address
from responder.core.token import scrub
from responder.sources import Material, Reach, Told
from responder.sources.payload import decode_list

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")


def _or_none(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:
        return None


_Remark = Annotated[str | None, WrapValidator(_or_none)]
"""A string, or what stands in its place and is not worth losing a token for."""


class Record(BaseModel):
    """One leaked token, as the sender found it; further members are left alone."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    token: str = Field(min_length=1, max_length=4096, repr=False)
    type: _Remark = None
    url: _Remark = Field(default=None, repr=False)
    source: _Remark = None


class Feedback(BaseModel):
    """What the sender is told about one record.

    The label says whether the record holds a whole token of a known family, and never whether it is a key of ours.
    """

    model_config = ConfigDict(frozen=True)

    token_hash: str = Field(pattern=r"^([0-9a-f]{64})?$", description="SHA-256; empty where there was no token.")
    token_type: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{0,100}$", description="As it was sent, where that was a plain word."
    )
    label: Literal["true_positive", "false_positive"]


def read(entry: object) -> Record | None:
    """The record, or None if it is none."""
    try:
        return Record.model_validate(entry)
    except ValidationError:
        return None


def feedback(entry: object, holds_token: Callable[[str], bool]) -> Feedback:
    """What the sender is told about *entry*.

    Args:
        entry: one element of the array.
        holds_token: whether a text holds a whole token of a known family.
    """
    record = read(entry)
    token, word = (entry.get("token"), entry.get("type")) if isinstance(entry, dict) else (None, None)
    try:
        digest = hashlib.sha256(token.encode()).hexdigest() if isinstance(token, str) else ""
    except UnicodeEncodeError:  # half a character
        digest = ""
    plain = isinstance(word, str) and _WORD.match(word) and scrub(word) == word
    real = record is not None and holds_token(record.token)
    return Feedback(
        token_hash=digest,
        token_type=str(word) if plain else "",
        label="true_positive" if real else "false_positive",
    )


def told(payload: Mapping[str, Any]) -> Told:
    """Name the body, of which nothing is kept in the open.

    Args:
        payload: ``origin``, who signed it; ``digest``, of the whole body, since the same body is the same report; and
            ``first``, the number of the first record that the delivery holds.
    """
    origin = payload["origin"]
    return Told(f"partner:{origin}", {"of": f"partner_{origin}_{payload['digest']}", "first": payload["first"]})


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one record that was seen at *place*."""
    return {**refs, "record": int(place.rpartition("/")[2])}


def material(_reach: Reach, refs: Mapping[str, Any], opened: bytes | None, at: datetime) -> Iterator[Material]:
    """The tokens, record by record; those that cannot be read are counted."""
    if opened is None:
        return  # shredded: nobody needs it any more
    entries = decode_list(opened)
    unread = 0
    for number, entry in enumerate(entries, refs["first"]):
        if refs.get("record", number) != number:
            continue
        place = f"{refs['of']}/{number}"
        record = read(entry)
        if record is None:
            unread += 1
        else:
            yield Material("secret", record.token, Source.GITHUB_PARTNER, place, readable_address(record.url), at)
    if unread:
        gap = f"{unread} of {len(entries)} records cannot be read"
        yield Material("secret", "", Source.GITHUB_PARTNER, refs["of"], None, at, gap=gap)
