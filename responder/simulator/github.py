"""GitHub on loopback: code, alerts, webhooks, and its bad days.

https://docs.github.com/rest and https://docs.github.com/webhooks . A bearer token
is checked; with an `app`, its signature and the tokens it was given instead.
"""

import base64
import itertools
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import fault, github_alerts, github_diff, github_events
from responder.simulator import github_shapes as shapes
from responder.simulator.fault import Fault, Faults
from responder.simulator.git import Author, Commit, Content
from responder.simulator.github_alerts import Alert
from responder.simulator.github_app import App
from responder.simulator.github_code import Code
from responder.simulator.github_pages import paged, problem
from responder.simulator.github_refs import Refs
from responder.simulator.github_security import Security
from responder.simulator.github_shapes import Json, Repository
from responder.simulator.hookshot import Delivery, Hookshot
from responder.simulator.server import Server, reply

_LIMIT = 5000


class GitHub(Server):
    """One GitHub with one organization, one caller and one webhook.

    Besides the faults every server has, it knows ``secondary_limit`` (403 with
    the abuse message; add ``headers={"Retry-After": "60"}``), ``too_large`` (406)
    and ``rate_limit`` (403, nothing remaining until the reset).

    Args:
        port: 0 for any free one.

    Attributes:
        token: the bearer token to present.
        login: who that is; the ``resolved_by`` of alerts and the sender of their webhooks.
        organization: owner of repositories by default.
        hooks: sends webhooks and keeps their deliveries; ``hooks.target`` says where it is installed.
        repositories: by id.
        alerts: of all repositories.
        remaining: requests left; at 0 everything is refused until the reset.
        reset_at: Unix seconds.
        delegated_dismissal: closing an alert takes a reviewer: 403.
        diff_limit_files: above it, diffs are refused with 406.
        diff_limit_lines: the same.
        patch_limit_bytes: above it, a file's patch is left out of the JSON.
        tree_limit_entries: above it, a tree listed with everything below is cut, and says so.
        partner_keys: what ``/meta/public_keys/secret_scanning`` answers.
        app: who calls, if it is a GitHub App: then *token* is worth nothing.
        prefix: of every path, such as ``/api/v3`` on a GitHub Enterprise Server.
    """

    def __init__(self, port: int = 0) -> None:
        self.token = "ghp" + "_" + secrets.token_hex(18)
        self.login = "leak-responder[bot]"
        self.organization = "acme"
        self.hooks = Hookshot(secrets.token_hex(20))
        self.hooks.target_id = shapes.number_of(self.organization)
        self.repositories: dict[int, Repository] = {}
        self.alerts: list[Alert] = []
        self.remaining = _LIMIT
        self.reset_at = int(time.time()) + 3600
        self.delegated_dismissal = False
        self.diff_limit_files = 300
        self.diff_limit_lines = 20_000
        self.patch_limit_bytes = 500_000
        self.tree_limit_entries = 100_000
        self.partner_keys: list[Json] = []
        self.app: App | None = None
        self.prefix = ""
        self._numbers = itertools.count(900_000_001)
        super().__init__(port)
        self.tampers = {
            "secondary_limit": _secondary_limit,
            "too_large": _too_large,
            "rate_limit": self._rate_limit,
        }
        self.faults = Faults((*fault.REPLACING, *fault.SILENT, *fault.BREAKING, *self.tampers))

    @property
    def api_url(self) -> str:
        """The base of the API's addresses."""
        return self.origin + self.prefix

    @property
    def hook_url(self) -> str:
        """Where webhooks go."""
        return self.hooks.url

    @hook_url.setter
    def hook_url(self, url: str) -> None:
        self.hooks.url = url

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to deliver a webhook, oldest first."""
        return list(self.hooks.deliveries)

    def close(self) -> None:
        """Stop for good: no more webhooks either."""
        self.stop()
        self.hooks.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_repository(self, name: str = "service", *, owner: str | None = None, private: bool = True) -> Repository:
        """A new, empty repository."""
        number = next(self._numbers)
        made = Repository(number, owner or self.organization, name, private, datetime.now(UTC))
        self.repositories[number] = made
        return made

    def rename(self, repository: Repository, name: str) -> None:
        """Rename; the old name answers 301 from now on."""
        repository.former_names.append(repository.full_name)
        repository.name = name

    def push(
        self,
        repository: Repository,
        *commits: Commit,
        branch: str = "main",
        before: str | None = None,
        forced: bool = False,
        wait: bool = True,
    ) -> Delivery | None:
        """Announce commits already made on *branch*, oldest first.

        Args:
            repository: where.
            commits: what was pushed; none for a new branch on an existing commit.
            branch: without ``refs/heads/``.
            before: the former tip; the first commit's parent unless given.
            forced: as said in the event.
            wait: deliver in the caller's thread and return the delivery, else None at once.
        """
        payload = github_events.push(self.origin, repository, commits, branch, before, forced=forced)
        return self._emit("push", payload, wait=wait)

    def commit_and_push(
        self,
        repository: Repository,
        files: Mapping[str, Content],
        message: str = "Change",
        *,
        branch: str = "main",
        author: Author | None = None,
        wait: bool = True,
    ) -> Delivery | None:
        """Commit *files* and announce it."""
        made = repository.objects.commit(files, message, branch=branch, author=author)
        return self.push(repository, made, branch=branch, wait=wait)

    def alert(
        self,
        repository: Repository,
        secret: str,
        *,
        commit: Commit | None = None,
        place: str = "issue_comment",
        kind: str = "openai_api_key",
        base64_encoded: bool = False,
        publicly_leaked: bool = False,
        metadata: Mapping[str, str] | None = None,
        announce: bool = True,
        wait: bool = True,
    ) -> Alert:
        """Open an alert and announce it with its locations; no webhook holds the secret.

        Args:
            repository: where.
            secret: what was found.
            commit: locates it in every file that holds it.
            place: where it is if not in a commit, such as ``pull_request_title``.
            kind: GitHub's ``secret_type``.
            base64_encoded: the alert shows the secret in base64 and says so.
            publicly_leaked: as said in the alert.
            metadata: extended metadata, such as ``owner_email`` and ``secret_id``.
            announce: whether webhooks are sent at all.
            wait: deliver them in the caller's thread.
        """
        number = 1 + sum(a.repository is repository for a in self.alerts)
        shown = base64.b64encode(secret.encode()).decode() if base64_encoded else secret
        made = Alert(number, repository, shown, kind, publicly_leaked=publicly_leaked)
        made.base64, made.metadata = base64_encoded, dict(metadata or {})
        if commit is None or not made.place(self.origin, commit):
            made.locations.append(github_alerts.elsewhere(self.origin, repository, place))
        with self.lock:
            self.alerts.append(made)
        if announce:
            event = github_events.alert(self.origin, "created", made, "github")
            self._emit("secret_scanning_alert", event, wait=wait)
            for location in made.locations:
                payload = {**event, "location": location}
                self._emit("secret_scanning_alert_location", payload, wait=wait)
        return made

    def publicize(self, repository: Repository, *, wait: bool = True) -> None:
        """Make a private repository public, and announce it: as ``public`` and as ``repository``."""
        repository.private = False
        event = github_events.public(self.origin, repository)
        self._emit("public", event, wait=wait)
        self._emit("repository", {"action": "publicized", **event}, wait=wait)

    def announce(self, action: str, alert: Alert, *, who: str | None = None, wait: bool = False) -> Delivery | None:
        """Send ``secret_scanning_alert`` with any action, in the background unless *wait*."""
        who = who or (self.login if action in ("resolved", "reopened") else "github")
        return self._emit("secret_scanning_alert", github_events.alert(self.origin, action, alert, who), wait=wait)

    def decide(self, alert: Alert, resolution: str | None, who: str = "alice", comment: str | None = None) -> None:
        """Have somebody close an alert as *resolution*, or open it again with None, and announce it."""
        wish = {"state": "resolved", "resolution": resolution} if resolution else {"state": "open"}
        with self.lock:
            wrong = alert.change({**wish, **({"resolution_comment": comment} if comment else {})}, who)
        if wrong is not None:
            raise ValueError(wrong)
        self.announce("resolved" if resolution else "reopened", alert, who=who, wait=True)

    def locate(self, alert: Alert, kind: str, number: int = 1, *, announce: bool = True) -> None:
        """The secret stands in one more place outside the code, such as ``pull_request_title``."""
        place = github_alerts.elsewhere(self.origin, alert.repository, kind, number)
        with self.lock:
            alert.locations.append(place)
        if announce:
            event = github_events.alert(self.origin, "created", alert, "github")
            self._emit("secret_scanning_alert_location", {**event, "location": place}, wait=True)

    def ping(self) -> Delivery | None:
        """What GitHub sends when a webhook is made."""
        return self._emit("ping", github_events.ping(self.origin, self.organization, self.hooks), wait=True)

    def deliver(self, event: str, payload: Json, guid: str | None = None, secret: str | None = None) -> Delivery:
        """Send any event in the caller's thread; *secret* signs with another than the webhook's."""
        return self.hooks.send(event, payload, guid, secret=secret)

    def redeliver(self, guid: str) -> Delivery:
        """Deliver an event again under its GUID, in the caller's thread.

        Raises:
            KeyError: nothing was delivered under it.
        """
        found = self.hooks.find(guid)
        if found is None:
            raise KeyError(guid)
        return self.hooks.again(found)

    def routes(self) -> Sequence[Rule]:
        return [
            *Code(self).rules(),
            *Refs(self).rules(),
            *Security(self).rules(),
            Rule("/app/installations/<int:installation>/access_tokens", methods=["POST"], endpoint=self._give_token),
            Rule("/meta", methods=["GET"], endpoint=self._meta),
            Rule("/meta/public_keys/secret_scanning", methods=["GET"], endpoint=self._partner_keys),
            Rule("/installation/repositories", methods=["GET"], endpoint=self._installed),
            Rule("/orgs/<org>/repos", methods=["GET"], endpoint=self._owned),
            Rule("/organizations/<int:org_id>/repos", methods=["GET"], endpoint=self._owned),
            Rule("/rate_limit", methods=["GET"], endpoint=self._rates),
        ]

    def error(self, status: int) -> Response:
        messages = {
            401: "Bad credentials",
            404: "Not Found",
            410: "This repository is disabled",
            422: "Validation Failed",
            451: "Repository access blocked",
        }
        return problem(status, messages.get(status, Response(status=status).status.partition(" ")[2].title()))

    def admit(self, request: Request) -> Response | None:
        authorization = request.authorization
        scheme, given = (authorization.type, authorization.token) if authorization else ("", None)
        public = request.path.startswith("/meta")
        if self.app is not None and request.path.startswith("/app"):
            if (wrong := self.app.fault_of(given)) is not None:
                return problem(401, wrong)
        elif not (public and authorization is None) and (scheme not in ("bearer", "token") or not self._knows(given)):
            return problem(401, "Bad credentials" if authorization else "Requires authentication")
        if time.time() >= self.reset_at:
            self.remaining, self.reset_at = _LIMIT, int(time.time()) + 3600
        if self.remaining <= 0 and request.path != "/rate_limit":
            return problem(403, "API rate limit exceeded for user ID 1. If you reach out, say when.")
        self.remaining = max(0, self.remaining - 1)
        return None

    def finish(self, request: Request, response: Response) -> None:
        response.headers["X-GitHub-Request-Id"] = secrets.token_hex(8).upper()
        response.headers.setdefault("x-ratelimit-limit", str(_LIMIT))
        response.headers.setdefault("x-ratelimit-remaining", str(self.remaining))
        response.headers.setdefault("x-ratelimit-used", str(_LIMIT - self.remaining))
        response.headers.setdefault("x-ratelimit-reset", str(self.reset_at))
        response.headers.setdefault("x-ratelimit-resource", "core")
        if request.method == "GET" and response.status_code == 200:
            response.add_etag()
            response.make_conditional(request)

    def repository(self, parts: dict[str, object]) -> Repository | Response:
        """The repository a path names, or the answer if there is none."""
        if "number" in parts:
            found = self.repositories.get(int(str(parts["number"])))
            return found or problem(404, "Not Found")
        name = f"{parts['owner']}/{parts['name']}".lower()
        for repository in self.repositories.values():
            if repository.full_name.lower() == name:
                return repository
            if name in map(str.lower, repository.former_names):
                url = f"{self.origin}/repositories/{repository.id}"
                body = {"message": "Moved Permanently", "url": url, "documentation_url": ""}
                return reply(body, 301, {"Location": url})
        return problem(404, "Not Found")

    def dispatch(self, request: Request) -> Response:
        """Below the prefix, if there is one."""
        if not self.prefix:
            return super().dispatch(request)
        path = request.environ["PATH_INFO"]
        if not path.startswith(f"{self.prefix}/"):
            return self.error(404)
        return super().dispatch(Request({**request.environ, "PATH_INFO": path.removeprefix(self.prefix)}))

    def _knows(self, token: str | None) -> bool:
        return token == self.token if self.app is None else self.app.admits(token)

    def _give_token(self, request: Request, installation: int) -> Response:
        return problem(404, "Not Found") if self.app is None else self.app.give(request, installation)

    def _emit(self, event: str, payload: Json, *, wait: bool) -> Delivery | None:
        if wait:
            return self.hooks.send(event, payload)
        self.hooks.later(event, payload)
        return None

    def _meta(self, request: Request) -> Response:
        del request
        return reply({"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8", "::1/128"]})

    def _partner_keys(self, request: Request) -> Response:
        del request
        return reply({"public_keys": self.partner_keys})

    def _installed(self, request: Request) -> Response:
        everything = [shapes.full_repository(self.origin, r) for r in self.repositories.values()]
        response = paged(request, self.origin, everything)
        part = response.get_json()
        response.set_data(json.dumps({"total_count": len(everything), "repositories": part}))
        return response

    def _owned(self, request: Request, org: str = "", org_id: int = 0) -> Response:
        owned = [r for r in self.repositories.values() if org == r.owner or org_id == shapes.number_of(r.owner)]
        if request.args.get("sort") == "pushed":
            owned.sort(key=lambda r: r.objects.pushed or r.created, reverse=True)
        return paged(request, self.origin, [shapes.full_repository(self.origin, r) for r in owned])

    def _rates(self, request: Request) -> Response:
        del request
        used = _LIMIT - self.remaining
        core = {"limit": _LIMIT, "remaining": self.remaining, "reset": self.reset_at, "used": used}
        return reply({"resources": {"core": core, "search": core}, "rate": core})

    def _rate_limit(self, request: Request, struck: Fault) -> Response:
        del request
        response = problem(403, "API rate limit exceeded for user ID 1.")
        response.headers.update({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(self.reset_at)})
        response.headers.update(struck.headers)
        return response


def _secondary_limit(request: Request, struck: Fault) -> Response:
    del request
    response = problem(
        403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    )
    response.headers.update(struck.headers)
    return response


def _too_large(request: Request, struck: Fault) -> Response:
    del request, struck
    return github_diff.too_large("files (300)")
