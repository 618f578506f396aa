"""GitLab's token revocation: the tokens that its secret detection found in public projects, for us to revoke.

The body holds tokens, so it is sealed by the receiver and opened by the worker. Each
record is taken by itself, and what else GitLab puts into it is passed over.

Source: https://docs.gitlab.com/development/sec/token_revocation_api/
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from responder.core.errors import Malformed
from responder.core.sighting import Source, readable_address
from responder.sources import Material, Reach, Told
from responder.sources.payload import decode_list

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes."""

_RULES = ("open ai token", "OpenAiProjectKey", "OpenAiServiceAccountKey", "anthropic_key")
"""GitLab's rules whose tokens begin with ``sk-``, by the ids of its own list.

Source: https://docs.gitlab.com/user/application_security/secret_detection/detected_secrets/
"""

TYPES = tuple(f"gitleaks_rule_id_{rule.replace(' ', '_').lower()}" for rule in _RULES)
"""What GitLab may send: it makes a type of a rule's id just so, and sends no other."""


class Record(BaseModel):
    """One leaked token, as GitLab found it; what else it says is left alone. The token says what it is."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    token: str = Field(min_length=1, max_length=4096, repr=False)
    location: Any = Field(default=None, repr=False, description="Where it is: an https address.")


def read(entry: object) -> Record | None:
    """The record, or None if it is none."""
    try:
        return Record.model_validate(entry)
    except ValidationError:
        return None


def told(payload: Mapping[str, Any]) -> Told:
    """Check the ``records`` of the body whose ``digest`` this is; nothing of them is kept in the open.

    Raises:
        Malformed: none of them has a token.
    """
    if all(read(entry) is None for entry in payload["records"]):
        raise Malformed("No record has a token.")
    return Told("gitlab_revocation", {"digest": payload["digest"]})


def material(_reach: Reach, refs: Mapping[str, Any], opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Each record's token, by itself; a record that cannot be read is a gap.

    GitLab sends what it found with every pipeline anew: a place is named by its address, so that it counts once.
    """
    if opened is None:
        return  # shredded: nobody needs it any more
    for number, entry in enumerate(decode_list(opened)):
        record = read(entry)
        if record is None:
            place, gap = f"revocation/{refs['digest']}/{number}", f"record {number + 1} cannot be read"
            yield Material("secret", "", Source.GITLAB, place, None, at, gap=gap)
            continue
        name = record.location if isinstance(record.location, str) else f"{refs['digest']} {number}"
        place = f"revocation/{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"
        yield Material("secret", record.token, Source.GITLAB, place, readable_address(record.location), at)
