"""Whether a leaked token still opens anything, judged from one answer of its provider.

Three verdicts, and "we do not know" is one of them. A 401 alone says nothing:
restricted keys, address allow-lists and outages answer 401 for live keys too.
"""

from dataclasses import dataclass
from enum import StrEnum


class Liveness(StrEnum):
    """Live: it authenticates. Dead: the provider says so in its own code. Unknown: everything else."""

    LIVE = "live"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe said.

    Attributes:
        liveness: one of three.
        code: the provider's own error code, or a short reason of ours; never a message.
        project: the project that the answer itself names, if it names one.
        ours: the answer shows the organisation itself, which only its own admin keys can see.
        elsewhere: the token lives, but not in the organisation or project we asked about.
        retry_after_seconds: how long the provider asked us to wait, if it did.
    """

    liveness: Liveness
    code: str = ""
    project: str | None = None
    elsewhere: bool = False
    ours: bool = False
    retry_after_seconds: float | None = None


DEAD_CODES = frozenset({"invalid_api_key", "account_deactivated"})
ELSEWHERE_CODES = frozenset({"mismatched_organization", "mismatched_project"})
LIVE_429_CODES = frozenset({"insufficient_quota", "credit_balance_exhausted"})


def judge(status: int, code: str, message: str, *, genuine: bool, project: str | None = None) -> Verdict:
    """Judge one answer to a GET made with the leaked token (OpenAI's dialect).

    Args:
        status: HTTP status.
        code: ``error.code`` or an empty string.
        message: ``error.message`` or an empty string; read, never kept.
        genuine: a 200 whose body has the documented shape.
        project: the ``openai-project`` response header.

    Source: error codes guide of the OpenAI API, and captured answers; the message is
    looked at only for the two live cases that carry no code.
    """
    text = message.lower()
    if status == 200:
        if genuine:
            return Verdict(Liveness.LIVE, "", project)
        return Verdict(Liveness.UNKNOWN, "unexpected_body")
    if status in (401, 403):
        if code in ELSEWHERE_CODES:
            return Verdict(Liveness.LIVE, code, project, elsewhere=True)
        if status == 401 and code in DEAD_CODES:
            return Verdict(Liveness.DEAD, code)
        if code in ("missing_scope", "missing_scopes", "insufficient_permissions") or "missing scopes" in text:
            return Verdict(Liveness.LIVE, "missing_scopes", project)
        if code in ("ip_not_authorized", "ip_not_allowed") or "ip not authorized" in text:
            return Verdict(Liveness.LIVE, "ip_not_authorized", project)
    if status == 429 and code in LIVE_429_CODES:
        return Verdict(Liveness.LIVE, code, project)
    return Verdict(Liveness.UNKNOWN, code or f"status_{status}")
