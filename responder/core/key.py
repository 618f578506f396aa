"""The keys we could revoke, as their providers list them.

Providers never show a whole key again. What they show is a mask, and a mask is
a filter for candidates, never evidence (see `match`).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_MASK = re.compile(r"([A-Za-z0-9_-]{1,40})(\*{2,}|\.{2,}|…)([A-Za-z0-9_-]{1,40})\Z")


class KeyKind(StrEnum):
    """What a key belongs to, which decides how it can be revoked."""

    PROJECT = "project"
    SERVICE_ACCOUNT = "service_account"
    ADMIN = "admin"


class Tier(StrEnum):
    """Whether a proof is enough, or a person must agree as well."""

    STANDARD = "standard"
    PROTECTED = "protected"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for a key, as the provider names them.

    Attributes:
        kind: ``"user"`` or ``"service_account"``.
        id: the provider's id.
        name: for people; None if the provider gives none.
        email: from the provider's own admin API, never from a payload.
    """

    kind: str
    id: str
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """The visible part of a key.

    Attributes:
        head: the first characters (eight at OpenAI).
        tail: the last characters (four at OpenAI, about 16 bits in a modern key).
        length: characters in the whole key where the mask preserves it, else None.
    """

    head: str
    tail: str
    length: int | None

    def fits(self, head: str, tail: str, length: int) -> bool:
        """Say whether a token with these first eight and last four characters could be behind the mask."""
        n, m = min(len(self.head), len(head)), min(len(self.tail), len(tail))
        return (
            self.head[:n] == head[:n]
            and self.tail[len(self.tail) - m :] == tail[len(tail) - m :]
            and (self.length is None or self.length == length)
        )


UNREADABLE = Mask("", "", None)
"""A mask that shows nothing: it could be any token, so nothing in its project can be proved by elimination."""


def parse_mask(text: str) -> Mask | None:
    """Read ``sk-proj-****…****abcd`` or ``sk-proj-...abcd``; None where there is no mask in it.

    A run of stars preserves the length; dots do not. Of what it shows, only as much is
    kept as a `Fingerprint` can be compared with: eight characters and four.
    Source: captured answers of ``GET /organization/projects/{id}/api_keys``.
    """
    found = _MASK.match(text)
    if found is None:
        return None
    head, middle, tail = found.groups()
    return Mask(head[:8], tail[-4:], len(text) if middle[0] == "*" else None)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that we could revoke.

    Attributes:
        provider: as in the rules, such as ``"openai"``.
        account: the name of the configured account.
        id: the provider's own id of the key.
        kind: what it belongs to.
        name: given by its owner.
        mask: its visible part.
        owner: who answers for it.
        project: the provider's id of its project; None for keys above projects.
        project_name: for people.
        created_at: UTC.
        last_used_at: UTC, None if never or unknown.
        fingerprint: digest of the token proved to be this key, if that ever happened.
        tier: whether a person must agree before it is revoked.
        gone_at: when it was first missing from a complete list; None while listed.
    """

    provider: str
    account: str
    id: str
    kind: KeyKind
    name: str
    mask: Mask
    owner: Owner
    project: str | None = None
    project_name: str | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    fingerprint: str | None = None
    tier: Tier = Tier.STANDARD
    gone_at: datetime | None = None
