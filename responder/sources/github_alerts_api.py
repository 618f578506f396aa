"""What GitHub's REST API says of a secret-scanning alert, and of the places where its secret was seen.

Peculiar: most places come as an address of the API, and not every one names the page
that a person could open. Only numbers and ids are taken from such an address, and the
page's own is built from them, below that of the alert's repository.

Source: https://docs.github.com/rest/secret-scanning/secret-scanning
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from responder.core.sighting import readable_address
from responder.core.token import scrub
from responder.sources.github_call import instant

_PAGE = re.compile(r"(https?://[^?#]{1,1000})/security/secret-scanning/\d{1,19}\Z")
_WORD = re.compile(r"[a-z][a-z_]{0,39}\Z")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,50}(?:\[bot\])?\Z")
_NUMBER = re.compile(r"/(?:issues|pulls?|discussions)/(\d{1,19})")
_TAIL = re.compile(r"/(?:issues|pulls?|discussions)/.*")
"""What of an address stays when the repository is renamed."""
_LONGEST_HINT = 200

RESOLUTIONS = frozenset(
    {"false_positive", "wont_fix", "revoked", "used_in_tests", "pattern_edited", "pattern_deleted"}
)
_HINTS = (
    "owner_email",
    "owner_id",
    "owner_name",
    "organization_id",
    "organization_name",
    "secret_id",
    "secret_name",
    "secret_issued_date",
    "secret_expiration_date",
    "last_used_date",
)
_ANCHORS = {
    "issue_comment": (r"(?:/comments/|#issuecomment-)(\d{1,19})", "#issuecomment-"),
    "discussion_body": (r"#discussion-(\d{1,19})", "#discussion-"),
    "discussion_comment": (r"#discussioncomment-(\d{1,19})", "#discussioncomment-"),
    "pull_request_comment": (r"(?:/comments/|#issuecomment-)(\d{1,19})", "#issuecomment-"),
    "pull_request_review": (r"(?:/reviews/|#pullrequestreview-)(\d{1,19})", "#pullrequestreview-"),
    "pull_request_review_comment": (r"(?:/comments/|#discussion_r)(\d{1,19})", "#discussion_r"),
}
_SECTIONS = {"issue": "issues", "discussion": "discussions", "pull": "pull"}


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """A secret-scanning alert with its secret.

    Attributes:
        secret: None if GitHub does not show it to us.
        where: its page.
        encoded: the secret stood there in base64.
        severe: GitHub saw the secret in public, or alive.
        inactive: GitHub, or whoever closed the alert, says that it is dead; never evidence.
        hints: what GitHub says of the secret's owner: bounded, without anything like a token; never evidence.
        resolution: how it was closed, None while it is open or if the word is not known.
        resolved_by: the login of whoever closed it, if it looks like one.
    """

    secret: str | None = field(repr=False)
    state: str
    where: str | None
    created_at: datetime | None
    encoded: bool
    updated_at: datetime | None = None
    severe: bool = False
    inactive: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    resolution: str | None = None
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True)
class AlertLocation:
    """One place where an alert's secret was seen.

    Attributes:
        kind: GitHub's word for it, such as ``commit`` or ``issue_comment``.
        name: a stable name; a path in it may be a secret, so it is a digest.
        path: of its page, below that of the repository; None if it cannot be told.
    """

    kind: str
    name: str
    path: str | None = field(repr=False)

    def address(self, alert_page: str | None) -> str | None:
        """The page that a person can open: the place's own, or else that of the alert."""
        found = _PAGE.match(alert_page or "")
        own = readable_address(f"{found.group(1)}/{self.path}") if found and self.path is not None else None
        return own or alert_page


def read_alert(content: Mapping[str, Any]) -> AlertDetail:
    """An alert from its JSON."""
    secret, resolution = content.get("secret"), content.get("resolution")
    by = content.get("resolved_by")
    login = by.get("login") if isinstance(by, dict) else None
    return AlertDetail(
        secret if isinstance(secret, str) and secret else None,
        str(content.get("state")),
        readable_address(content.get("html_url")),
        instant(content.get("created_at")),
        content.get("is_base64_encoded") is True,
        instant(content.get("updated_at")),
        severe=content.get("publicly_leaked") is True or content.get("validity") == "active",
        inactive=content.get("validity") == "inactive",
        hints=_hints(content.get("metadata")),
        resolution=resolution if isinstance(resolution, str) and resolution in RESOLUTIONS else None,
        resolved_by=login if isinstance(login, str) and _LOGIN.match(login) and scrub(login) == login else None,
    )


def read_location(content: object) -> AlertLocation | None:
    """A place from its JSON; None if it is none."""
    kind = content.get("type") if isinstance(content, dict) else None
    details = content.get("details") if isinstance(content, dict) else None
    if not isinstance(kind, str) or not _WORD.match(kind) or not isinstance(details, dict):
        return None
    if kind in ("commit", "wiki_commit"):
        parts: tuple[object, ...] = tuple(
            details.get(one) for one in ("commit_sha", "path", "start_line", "start_column")
        )
        path = _commit(kind, details)
    else:
        addresses = [one for one in (details.get(f"{kind}_url"), details.get("html_url")) if isinstance(one, str)]
        parts = tuple(found.group() for one in addresses[:1] if (found := _TAIL.search(one))) or (*addresses[:1],)
        path = _discourse(kind, addresses)
    name = hashlib.sha256(repr((kind, parts)).encode("utf-8", "replace")).hexdigest()[:16]
    return AlertLocation(kind, name, path)


def _commit(kind: str, details: Mapping[str, Any]) -> str | None:
    sha, path, line = details.get("commit_sha"), details.get("path"), details.get("start_line")
    if not isinstance(sha, str) or not _SHA.match(sha):
        return None
    if kind == "wiki_commit":
        return f"wiki/_compare/{sha}"
    if not isinstance(path, str) or not path.strip("/") or ".." in path.split("/"):
        return f"commit/{sha}"
    number = int(line) if isinstance(line, int | float) and 0 < line < 10**9 else None
    quoted = quote(path.strip("/"), safe="/", errors="replace")
    return f"blob/{sha}/{quoted}{f'#L{number}' if number else ''}"


def _discourse(kind: str, addresses: list[str]) -> str | None:
    """A title, body or comment: its number, and the part of the page, from any address that names them."""
    section = _SECTIONS.get(kind.partition("_")[0])
    number = next((found.group(1) for one in addresses if (found := _NUMBER.search(one))), None)
    if section is None or number is None:
        return None
    pattern, anchor = _ANCHORS.get(kind, (None, ""))
    if pattern is None:
        return f"{section}/{number}"
    part = next((found.group(1) for one in addresses if (found := re.search(pattern, one))), None)
    return f"{section}/{number}{anchor}{part}" if part else f"{section}/{number}"


def _hints(metadata: object) -> Mapping[str, str]:
    """What is said of the owner, by the names that GitHub documents; anything else is left out."""
    said = {
        item["key"]: item["value"]
        for item in (metadata if isinstance(metadata, list) else ())
        if isinstance(item, dict) and isinstance(item.get("key"), str) and isinstance(item.get("value"), str)
    }
    return {name: plain for name in _HINTS if (plain := _plain(said.get(name, "")))}


def _plain(value: str) -> str:
    """One visible line of it."""
    line = "".join(one if one.isprintable() else " " for one in value[: 2 * _LONGEST_HINT])
    return scrub(" ".join(line.split()))[:_LONGEST_HINT]
