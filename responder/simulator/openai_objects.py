"""The things an OpenAI organization consists of, and their JSON.

https://platform.openai.com/docs/api-reference/administration
"""

from dataclasses import dataclass, field
from datetime import datetime

from responder.simulator import growth

Json = dict[str, object]

VERDICTS = (
    "live",
    "dead",
    "missing_scopes",
    "missing_scopes_401",
    "ip_not_authorized",
    "insufficient_quota",
    "rate_limited",
    "credit_balance_exhausted",
    "account_deactivated",
    "unsupported_country",
    "not_member",
    "server_error",
)
"""What authenticating with a key may lead to; `openai_errors` has the answers."""

GONE = ("dead", "account_deactivated")
"""The verdicts of a key that is no longer one."""


@dataclass(slots=True)
class Project:
    """A project; ``archived_at`` in Unix seconds, None while active."""

    id: str
    name: str
    created_at: int
    archived_at: int | None = None

    def json(self) -> Json:
        return {
            "id": self.id,
            "object": "organization.project",
            "name": self.name,
            "created_at": self.created_at,
            "archived_at": self.archived_at,
            "status": "active" if self.archived_at is None else "archived",
        }


@dataclass(slots=True)
class User:
    """A member of the organization; *projects* are the ids of those they belong to."""

    id: str
    name: str
    email: str
    role: str
    created_at: int
    projects: list[str] = field(default_factory=list)
    member: bool = True


@dataclass(slots=True)
class ServiceAccount:
    """A bot of one project."""

    id: str
    name: str
    project_id: str
    created_at: int
    role: str = "member"
    deleted: bool = False


@dataclass(slots=True)
class Key:
    """One key, with everything the vendor knows and the secret nobody else does.

    Attributes:
        value: the whole key.
        project_id: None for admin keys.
        verdict: what authenticating leads to, one of `VERDICTS`.
        script: verdicts of the next authentications, used up before ``verdict``.
        access: ``"active"`` or ``"inactive"``; inactive keys are listed only on demand.
        scopes: empty means everything.
        expires_at: Unix seconds or None.
        deleted_monotonic_seconds: when a deletion took effect.
        uses: authentications accepted.
    """

    id: str
    value: str = field(repr=False)
    family: str
    name: str
    owner: User | ServiceAccount
    created_at: int
    project_id: str | None = None
    organization_id: str = ""
    verdict: str = "live"
    script: list[str] = field(default_factory=list)
    access: str = "active"
    scopes: list[str] = field(default_factory=list)
    expires_at: int | None = None
    last_used_at: int | None = None
    deleted_monotonic_seconds: float | None = None
    uses: int = 0

    @property
    def mask(self) -> str:
        """The redacted value."""
        return growth.mask(self.value)


@dataclass(slots=True)
class Mutation:
    """A request that changes something, recorded as it arrived.

    Attributes:
        method: ``POST`` or ``DELETE``.
        path: as requested.
        monotonic_seconds: ``time.monotonic()`` on arrival.
        at: the same on the wall clock, UTC.
        key_id: the key it is about, if its path names one.
        project_id: the project its path names.
        applied: it took effect.
    """

    method: str
    path: str
    monotonic_seconds: float
    at: datetime
    key_id: str | None = None
    project_id: str | None = None
    applied: bool = False


@dataclass(slots=True)
class Use:
    """Model requests made with one key; *at* in Unix seconds."""

    at: int
    key: Key
    model: str
    requests: int
    input_tokens: int
    output_tokens: int


def key_json(key: Key) -> Json:
    """An ``organization.project.api_key``."""
    kind = "service_account" if isinstance(key.owner, ServiceAccount) else "user"
    owner: Json = {
        "id": key.owner.id,
        "name": key.owner.name,
        "created_at": key.owner.created_at,
        "role": "member",
    }
    if isinstance(key.owner, User):
        owner["email"] = key.owner.email
    return {
        "object": "organization.project.api_key",
        "redacted_value": key.mask,
        "name": key.name,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "id": key.id,
        "owner_project_access": key.access,
        "owner": {"type": kind, kind: owner},
    }


def admin_key_json(key: Key) -> Json:
    """An ``organization.admin_api_key``; its owner has no mail address here."""
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.mask,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": key.owner.id,
            "name": key.owner.name,
            "created_at": key.owner.created_at,
            "role": "owner",
        },
    }


def account_json(account: ServiceAccount) -> Json:
    """An ``organization.project.service_account``."""
    return {
        "object": "organization.project.service_account",
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
    }


def project_user_json(user: User) -> Json:
    """An ``organization.project.user``."""
    return {
        "object": "organization.project.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": "member",
        "added_at": user.created_at,
    }
