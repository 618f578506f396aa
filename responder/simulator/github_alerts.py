"""Secret-scanning alerts on GitHub.

https://docs.github.com/rest/secret-scanning . A webhook's alert never holds the
secret; the REST answer does unless asked not to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from responder.simulator import github_shapes as shapes
from responder.simulator.git import Commit
from responder.simulator.github_shapes import HTML, Json, Repository

RESOLUTIONS = ("false_positive", "wont_fix", "revoked", "used_in_tests")
_DISPLAY = {"openai_api_key": ("OpenAI API Key", "OpenAI", "openai")}


@dataclass(slots=True)
class Alert:
    """One alert.

    Attributes:
        number: within its repository.
        secret: what was found.
        locations: ``{"type", "details"}`` as the API lists them.
        hidden: the API leaves the secret out, as for callers without the right to see it.
        metadata: of extended metadata, such as ``owner_email`` and ``secret_id``.
    """

    number: int
    repository: Repository
    secret: str = field(repr=False)
    secret_type: str = "openai_api_key"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: str = "open"
    resolution: str | None = None
    resolution_comment: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    validity: str = "unknown"
    publicly_leaked: bool = False
    base64: bool = False
    hidden: bool = False
    locations: list[Json] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    def change(self, wish: Mapping[str, object], who: str) -> str | None:
        """Apply a PATCH; what is wrong with it, or None."""
        state, resolution = wish.get("state", self.state), wish.get("resolution")
        comment, validity = wish.get("resolution_comment"), wish.get("validity", self.validity)
        if state not in ("open", "resolved"):
            return "state must be open or resolved"
        if validity not in ("active", "inactive", "unknown", None):
            return "validity must be active, inactive or null"
        if wish.get("state") == "resolved" and resolution not in RESOLUTIONS:
            return "resolution is required to resolve an alert"
        if comment is not None and not isinstance(comment, str):
            return "resolution_comment must be a string"
        self.updated = datetime.now(UTC)
        self.validity = str(validity or "unknown")
        if wish.get("state") == "resolved":
            self.state, self.resolution = "resolved", str(resolution)
            self.resolution_comment, self.resolved_at, self.resolved_by = comment, self.updated, who
        elif wish.get("state") == "open":
            self.state, self.resolution, self.resolved_at, self.resolved_by = "open", None, None, None
        return None

    def webhook(self, api: str) -> Json:
        """The alert of a webhook: no state and no secret."""
        home, page = f"{api}/repos/{self.repository.full_name}", f"{HTML}/{self.repository.full_name}"
        display, provider, slug = _DISPLAY.get(self.secret_type, (self.secret_type, None, None))
        bypass = ("by", "at", "request_reviewer", "request_reviewer_comment")
        return {
            "number": self.number,
            "created_at": shapes.rfc3339(self.created),
            "updated_at": shapes.rfc3339(self.updated),
            "url": f"{home}/secret-scanning/alerts/{self.number}",
            "html_url": f"{page}/security/secret-scanning/{self.number}",
            "locations_url": f"{home}/secret-scanning/alerts/{self.number}/locations",
            "resolution": self.resolution,
            "resolved_at": shapes.rfc3339(self.resolved_at) if self.resolved_at else None,
            "resolved_by": shapes.user(api, self.resolved_by, "Bot") if self.resolved_by else None,
            "resolution_comment": self.resolution_comment,
            "secret_type": self.secret_type,
            "secret_type_display_name": display,
            "provider": provider,
            "provider_slug": slug,
            "validity": self.validity,
            "push_protection_bypassed": False,
            **{f"push_protection_bypassed_{name}": None for name in bypass[:2]},
            **{f"push_protection_bypass_{name}": None for name in bypass[2:]},
            "push_protection_bypass_request_comment": None,
            "push_protection_bypass_request_html_url": None,
            "publicly_leaked": self.publicly_leaked,
            "multi_repo": False,
            "assigned_to": None,
            "closure_request_comment": None,
            "closure_request_reviewer_comment": None,
            "closure_request_reviewer": None,
            **({"metadata": self._metadata()} if self.metadata else {}),
        }

    def rest(self, api: str, *, hide_secret: bool = False, single: bool = False) -> Json:
        """The alert as the REST API shows it; metadata only for a *single* one."""
        shown: Json = {
            **self.webhook(api),
            "state": self.state,
            "is_base64_encoded": self.base64,
            "first_location_detected": self.locations[0]["details"] if self.locations else None,
            "has_more_locations": len(self.locations) > 1,
        }
        if not (hide_secret or self.hidden):
            shown["secret"] = self.secret
        if single:
            shown["metadata"] = self._metadata()
        else:
            shown.pop("metadata", None)
        return shown

    def _metadata(self) -> list[Json]:
        return [{"key": key, "value": value} for key, value in self.metadata.items()]

    def place(self, api: str, made: Commit) -> bool:
        """Add a location for every file of *made* that holds the secret; whether there was any."""
        found = False
        for path, blob in made.files.items():
            text = self.repository.objects.blobs[blob].decode(errors="replace")
            for number, line in enumerate(text.split("\n"), 1):
                column = line.find(self.secret)
                if column >= 0:
                    self.locations.append(self._location(api, made, path, blob, number, column + 1))
                    found = True
        return found

    def _location(self, api: str, made: Commit, path: str, blob: str, line: int, column: int) -> Json:
        home = f"{api}/repos/{self.repository.full_name}"
        return {
            "type": "commit",
            "details": {
                "path": path,
                "start_line": line,
                "end_line": line,
                "start_column": column,
                "end_column": column + len(self.secret),
                "blob_sha": blob,
                "blob_url": f"{home}/git/blobs/{blob}",
                "commit_sha": made.sha,
                "commit_url": f"{home}/git/commits/{made.sha}",
            },
        }


_ADDRESSES = {
    "issue_title": ("issues/{n}", None),
    "issue_body": ("issues/{n}", None),
    "issue_comment": ("issues/comments/{n}", "issues/1#issuecomment-{n}"),
    "discussion_title": (None, "discussions/{n}"),
    "discussion_body": (None, "discussions/1#discussion-{n}"),
    "discussion_comment": (None, "discussions/1#discussioncomment-{n}"),
    "pull_request_title": ("pulls/{n}", "pull/{n}"),
    "pull_request_body": ("pulls/{n}", "pull/{n}"),
    "pull_request_comment": ("issues/comments/{n}", "pull/1#issuecomment-{n}"),
    "pull_request_review": ("pulls/1/reviews/{n}", "pull/1#pullrequestreview-{n}"),
    "pull_request_review_comment": ("pulls/comments/{n}", "pull/1#discussion_r{n}"),
}
"""Of each kind of place its address in the API, where it has one, and below its repository's page."""


def elsewhere(api: str, repository: Repository, kind: str, number: int = 1) -> Json:
    """A location outside the code, such as ``issue_comment`` or ``pull_request_title``."""
    own, page = _ADDRESSES[kind]
    shown = f"{HTML}/{repository.full_name}/{page or own}".format(n=number)
    if own is None:
        return {"type": kind, "details": {f"{kind}_url": shown}}
    address = f"{api}/repos/{repository.full_name}/{own}".format(n=number)
    return {"type": kind, "details": {f"{kind}_url": address, "html_url": shown}}
