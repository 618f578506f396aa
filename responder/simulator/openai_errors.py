"""OpenAI's errors, word for word where the words are known.

https://platform.openai.com/docs/guides/error-codes/api-errors and captured
answers. The status alone says nothing: a 401 may well mean a live key.
"""

from werkzeug.wrappers import Response

from responder.simulator import growth
from responder.simulator.server import reply

_INVALID = "invalid_request_error"
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_DEACTIVATED = (
    "The OpenAI account associated with this API key has been deactivated. If you are the developer for this OpenAI "
    "app, please check your email for more information. If you are seeing this error while using another app or "
    "site, please reach out to them for more help."
)
_ADDRESS = (
    "IP not authorized. Your request IP does not match the configured IP allowlist for your project or organization."
)
_RATE = (
    "Rate limit reached for requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 1s. Visit "
    "https://platform.openai.com/account/rate-limits to learn more."
)
_MEMBER = (
    "You must be a member of an organization to use the API. Please contact your organization owner to be added, or "
    "create a new organization."
)

ANSWERS: dict[str, tuple[int, str, str, str | None]] = {
    "ip_not_authorized": (401, _ADDRESS, _INVALID, None),
    "insufficient_quota": (429, _QUOTA, "insufficient_quota", "insufficient_quota"),
    "rate_limited": (429, _RATE, "requests", "rate_limit_exceeded"),
    "credit_balance_exhausted": (
        429,
        "Your credit balance is exhausted.",
        "insufficient_quota",
        "credit_balance_exhausted",
    ),
    "account_deactivated": (401, _DEACTIVATED, _INVALID, "account_deactivated"),
    "unsupported_country": (
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    "not_member": (401, _MEMBER, _INVALID, None),
    "server_error": (
        500,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
    ),
}
"""Verdict to status, message, type and code."""

NAMED = (
    "missing_scopes",
    "missing_scopes_401",
    "ip_not_authorized",
    "insufficient_quota",
    "rate_limited",
    "credit_balance_exhausted",
)
"""Errors given after the key was recognised, so that the answer still names organization and project."""


def failure(status: int, message: str, kind: str = _INVALID, code: str | None = None) -> Response:
    """An answer in OpenAI's envelope."""
    return reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)


def invalid_key(value: str) -> Response:
    """The 401 of an unknown, deleted or disabled key; it repeats the mask, not the key."""
    shown = growth.mask(value) if len(value) >= 36 else f"{value[:3]}***"
    return failure(
        401,
        f"Incorrect API key provided: {shown}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def no_key() -> Response:
    """The 401 of a request without credentials."""
    return failure(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
        "auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def missing_scopes(status: int, scope: str) -> Response:
    """A live key that may not do this; both 401 and 403 have been seen."""
    return failure(
        status,
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you have the "
        "correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using "
        "a restricted API key, that it has the necessary scopes.",
    )


def of_verdict(verdict: str, value: str, scope: str) -> Response | None:
    """The answer a verdict leads to; None if the key may go on."""
    if verdict == "live":
        return None
    if verdict == "dead":
        return invalid_key(value)
    if verdict.startswith("missing_scopes"):
        return missing_scopes(401 if verdict.endswith("401") else 403, scope)
    status, message, kind, code = ANSWERS[verdict]
    response = failure(status, message, kind, code)
    if verdict == "rate_limited":
        response.headers["Retry-After"] = "1"
    return response


def not_found(what: str) -> Response:
    """The 404 of the administration API; its wording is not documented."""
    return failure(404, f"No such {what}.", code="not_found")
