"""A manual report: whoever holds a token may report it.

The body holds tokens, so it is sealed by the receiver and opened by the worker.
What it must look like is `Report`; a refusal says what is wrong in our words and
never repeats what was sent, not even the names.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from responder.core.errors import Malformed
from responder.core.sighting import Source, readable_address
from responder.sources import Material, Reach, Told

LARGEST_REPORT = 4 * 1024 * 1024
"""Bytes of a whole report."""

LONGEST_TEXT = 1024 * 1024
"""Characters."""

ANYBODY = "report:"
"""Begins the lane of whoever is known by nothing but an address."""

BEARER = "report:bearer:"
"""Begins the lane of whoever was given a bearer."""

_Token = Annotated[str, Field(min_length=1, max_length=1000)]


class Report(BaseModel):
    """Exactly one of token, tokens and text, and what else is known."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
                for name in ("token", "tokens", "text")
            ]
        },
    )

    token: _Token | None = Field(default=None, repr=False, description="One token.")
    tokens: Annotated[list[_Token], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, repr=False, description="Several tokens."
    )
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)] | None = Field(
        default=None, repr=False, description="Any text with tokens in it."
    )
    url: Annotated[str, Field(max_length=2000)] | None = Field(
        default=None, repr=False, description="Where it was seen: an https address that people will be shown."
    )
    comment: Annotated[str, Field(max_length=4000)] | None = Field(
        default=None, repr=False, description="Anything; looked through like the rest."
    )
    reporter: Annotated[str, Field(max_length=320)] | None = Field(
        default=None, repr=False, description="Who reports, if they want to say so."
    )

    @property
    def contents(self) -> list[str]:
        """What is to be looked through: the text, or token by token; then the comment, where people paste as well."""
        return [one for one in (self.token, self.text, *(self.tokens or ()), self.comment) if one]


_MUST = {
    "token": "a string of 1 to 1,000 characters",
    "tokens": "a list of 1 to 1,000 strings of 1 to 1,000 characters",
    "text": "a string of 1 to 1,048,576 characters",
    "url": "a string of at most 2,000 characters",
    "comment": "a string of at most 4,000 characters",
    "reporter": "a string of at most 320 characters",
}


def read(payload: Mapping[str, Any]) -> Report:
    """Check a report.

    Raises:
        Malformed: unknown members, or not exactly one of token, tokens and text.
    """
    try:
        report = Report.model_validate(dict(payload))
    except ValidationError as error:
        name = error.errors(include_input=False, include_url=False, include_context=False)[0]["loc"][0]
        said = f"{name} must be {_MUST[str(name)]}." if name in _MUST else f"Only {', '.join(_MUST)} are known."
    else:
        if sum(one is not None for one in (report.token, report.tokens, report.text)) == 1:
            return report
        said = "Exactly one of token, tokens and text must be there."
    raise Malformed(said)  # out here, or what was sent would be its context


def told(payload: Mapping[str, Any]) -> Told:
    """Check the report; nothing of it is kept in the open.

    Raises:
        Malformed: as `read`.
    """
    read(payload)
    return Told("report", {})


def material(_reach: Reach, refs: Mapping[str, Any], opened: bytes | None, at: datetime) -> Iterator[Material]:
    """What the report holds, token by token, or as text; each has a place of its own."""
    if opened is None:
        return  # shredded: nobody needs it any more
    report = read(json.loads(opened))
    where = readable_address(report.url)
    for index, content in enumerate(report.contents):
        if refs.get("index") in (None, index):
            yield Material("text", content, Source.REPORT, f"report/{refs['receipt']}/{index}", where, at)


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one token of the report that a sighting is of."""
    return {**refs, "index": int(place.rpartition("/")[2])}


def asker(lane: str) -> str:
    """Under which name the questions that *lane* makes us ask a provider are counted.

    Reporters without a bearer share one: addresses cost nothing, and a provider's patience does.
    """
    return ANYBODY if lane.startswith(ANYBODY) and not lane.startswith(BEARER) else lane
