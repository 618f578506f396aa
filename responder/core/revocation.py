"""What a provider did when it was asked to revoke a key."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Said by the provider; `UNKNOWN` means that nobody knows, and that its state must be read first."""

    REVOKED = "revoked"
    ALREADY_GONE = "already_gone"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One request to revoke, and its outcome.

    Attributes:
        outcome: what became of it.
        detail: status and code, for people; never a body.
        status: the provider's HTTP status, 0 where there was no answer.
        retry_after_seconds: the provider's own wish, if it had one.
    """

    outcome: Outcome
    detail: str = ""
    status: int = 0
    retry_after_seconds: float | None = None
