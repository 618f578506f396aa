"""Somebody saw a token, there, then.

A sighting names the place only; the token itself is fetched again, or unsealed,
by whoever needs it, and never travels with it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from responder.core.token import scrub

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Source(StrEnum):
    """The doors through which a leak is told (the names of the incident JSON)."""

    GITHUB_PUSH = "github_push"
    GITHUB_ALERT = "github_alert"
    GITHUB_PARTNER = "github_partner"
    GITLAB = "gitlab"
    REPORT = "report"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Alert:
    """A GitHub secret-scanning alert, by the two numbers that name it."""

    repository: int
    number: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where a token was seen.

    Attributes:
        source: the door.
        place: a stable name of the place, unique within the source; two sightings
            of one token in one place are one sighting.
        where: an address a person can open, or None.
        at: when it was put there, as far as known, else when we heard of it; UTC.
        alert: the alert to be closed once the key is dead, if the place is one.
        delivery: the delivery that told us, from which the token can be had again.
        kind: of place, in the source's own word, such as ``commit`` or ``issue_comment``; None if it has none.
    """

    source: Source
    place: str
    where: str | None
    at: datetime
    delivery: str
    alert: Alert | None = None
    kind: str | None = None


def readable_address(url: object) -> str | None:
    """Return *url* if a person may be shown it, else None.

    It must be https (or loopback http), without credentials, controls or anything like a token.
    """
    if not isinstance(url, str) or len(url) > 2000 or not url.isprintable() or any(c in url for c in "<>\"'`\\ "):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.username or parts.password or not host or _hides_a_token(url):
        return None
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return url
    return None


def _hides_a_token(url: str) -> bool:
    """Whether anything like a token is in it, however often it was quoted."""
    while (plain := unquote(url)) != url:
        url = plain
    return scrub(url) != url
