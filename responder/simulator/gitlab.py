"""GitLab on loopback: projects, commits, diffs, files, push webhooks, and its bad days.

https://docs.gitlab.com/api/commits/ , https://docs.gitlab.com/api/repository_files/ and
https://docs.gitlab.com/user/project/integrations/webhook_events/ .
"""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import ssl
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import httpx
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import fault
from responder.simulator.fault import Fault, Faults
from responder.simulator.git import NOBODY, Change, Commit, Objects
from responder.simulator.server import Json, Server, reply

_API = "/api/v4/projects"
_LISTED = 20
"""Commits that a webhook lists at most."""


@dataclass(slots=True)
class Project:
    """One project; its number is all that we ever ask by."""

    id: int
    path: str
    default_branch: str = "main"
    objects: Objects = field(default_factory=Objects, repr=False)


class GitLab(Server):
    """One GitLab with one caller and one webhook.

    Besides the faults every server has, it knows ``rate_limit``: 429, with ``RateLimit-Reset``.

    Args:
        port: 0 for any free one.

    Attributes:
        token: what ``PRIVATE-TOKEN`` must be.
        secret: sent as ``X-Gitlab-Token`` with every webhook; empty for none.
        signing_key: signs them too, as Standard Webhooks say; empty for none.
        hook_url: where webhooks go.
        url: a web address that payloads name wherever the true ones name one.
        projects: by number.
        diff_limit_bytes: above it a file's diff is left out and called too large.
        diff_limit_files: what is beyond it is left out without a word.
    """

    def __init__(self, port: int = 0) -> None:
        self.token = "glpat" + "-" + secrets.token_hex(10)
        self.secret = secrets.token_hex(16)
        self.signing_key = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.hook_url = ""
        self.url = "https://gitlab.example"
        self.projects: dict[int, Project] = {}
        self.diff_limit_bytes = 200_000
        self.diff_limit_files = 1000
        self._numbers = itertools.count(700_001)
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)), timeout=10
        )
        super().__init__(port)
        self.tampers = {"rate_limit": _rate_limit}
        self.faults = Faults((*fault.REPLACING, *fault.SILENT, *fault.BREAKING, *self.tampers))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()

    def environment(self) -> dict[str, str]:
        """The settings that point a responder here; all by environment name."""
        return {
            "RESPONDER_GITLAB__URL": self.origin,
            "RESPONDER_GITLAB__TOKEN": self.token,
            "RESPONDER_GITLAB__WEBHOOK_SECRET": f"{self.secret},{self.signing_key}",
        }

    def add_project(self, name: str = "service") -> Project:
        """A new, empty project."""
        number = next(self._numbers)
        self.projects[number] = Project(number, f"acme/{name}")
        return self.projects[number]

    def push(
        self, project: Project, commits: Sequence[Commit], branch: str = "main", before: str | None = None
    ) -> httpx.Response:
        """Announce commits already made on *branch*, oldest first, and return the receiver's answer.

        Args:
            project: where.
            commits: what was pushed.
            branch: without ``refs/heads/``.
            before: the former tip; the first commit's parent unless given.
        """
        above = commits[0].parents if commits else ()
        payload = self.payload(project, commits, branch, before or (above[0] if above else NOBODY))
        return self.deliver("Push Hook", json.dumps(payload).encode())

    def payload(self, project: Project, commits: Sequence[Commit], branch: str, before: str) -> Json:
        """A ``push``: the newest twenty of *commits*, and how many there are."""
        after = commits[-1].sha if commits else project.objects.branches[branch]
        home = f"{self.url}/{project.path}"
        return {
            "object_kind": "push",
            "event_name": "push",
            "before": before,
            "after": after,
            "checkout_sha": after,
            "ref": f"refs/heads/{branch}",
            "user_name": "Alice Author",
            "user_avatar": f"{self.url}/avatar.png",
            "project_id": project.id,
            "project": {"id": project.id, "web_url": home, "git_http_url": f"{home}.git", "url": f"{home}.git"},
            "repository": {"name": project.path, "url": f"{home}.git", "homepage": home},
            "commits": [
                {"id": one.sha, "message": one.message, "url": f"{home}/-/commit/{one.sha}", "added": []}
                for one in commits[-_LISTED:]
            ],
            "total_commits_count": len(commits),
        }

    def deliver(self, event: str, body: bytes) -> httpx.Response:
        """Send one webhook as GitLab does."""
        headers = {"Content-Type": "application/json", "User-Agent": "GitLab/18.6.0", "X-Gitlab-Event": event}
        id_ = str(uuid.uuid4())
        headers |= {"Idempotency-Key": id_, "X-Gitlab-Event-UUID": str(uuid.uuid4())}
        headers |= {"X-Gitlab-Token": self.secret} if self.secret else {}
        headers |= signature(self.signing_key, id_, int(time.time()), body) if self.signing_key else {}
        return self._client.post(self.hook_url, content=body, headers=headers)

    def routes(self) -> Sequence[Rule]:
        repository = f"{_API}/<int:number>/repository"
        return [
            Rule(_API, methods=["GET"], endpoint=self._list),
            Rule(f"{_API}/<int:number>", methods=["GET"], endpoint=self._get),
            Rule(f"{repository}/commits", methods=["GET"], endpoint=self._commits),
            Rule(f"{repository}/commits/<sha>", methods=["GET"], endpoint=self._commit),
            Rule(f"{repository}/commits/<sha>/diff", methods=["GET"], endpoint=self._diff),
            Rule(f"{repository}/files/<path:path>/raw", methods=["GET"], endpoint=self._raw),
        ]

    def error(self, status: int) -> Response:
        return reply({"message": f"{status} {Response(status=status).status.partition(' ')[2].title()}"}, status)

    def admit(self, request: Request) -> Response | None:
        return None if request.headers.get("PRIVATE-TOKEN") == self.token else self.error(401)

    def _list(self, request: Request) -> Response:
        return _paged(request, [self._shown(project) for project in self.projects.values()])

    def _get(self, request: Request, number: int) -> Response:
        del request
        project = self.projects.get(number)
        return reply(self._shown(project)) if project else self.error(404)

    def _shown(self, project: Project) -> Json:
        home = f"{self.url}/{project.path}"
        return {"id": project.id, "default_branch": project.default_branch, "web_url": home}

    def _commits(self, request: Request, number: int) -> Response:
        project = self.projects.get(number)
        if project is None:
            return self.error(404)
        objects, name = project.objects, request.args.get("ref_name", project.default_branch)
        base, ranged, tip = name.rpartition("..")
        below, found = objects.resolve(base) if ranged else None, objects.resolve(tip)
        if found is None or (ranged and below is None):
            return self.error(404)
        known = {one.sha for one in objects.ancestry(below)} if below else set[str]()
        return _paged(request, [_listed(one) for one in objects.ancestry(found) if one.sha not in known])

    def _commit(self, request: Request, number: int, sha: str) -> Response:
        del request
        project, made = self._find(number, sha)
        if project is None or made is None:
            return self.error(404)
        added = sum((project.objects.patch(c) or "").count("\n+") for c in project.objects.own_changes(made))
        page = f"{self.url}/{project.path}/-/commit/{made.sha}"
        return reply(
            {**_listed(made), "web_url": page, "stats": {"additions": added, "deletions": 0, "total": added}}
        )

    def _diff(self, request: Request, number: int, sha: str) -> Response:
        project, made = self._find(number, sha)
        if project is None or made is None:
            return self.error(404)
        changes = project.objects.own_changes(made)[: self.diff_limit_files]
        return _paged(request, [self._changed(project.objects, change) for change in changes])

    def _changed(self, objects: Objects, change: Change) -> Json:
        diff, old = objects.patch(change), change.previous_path or change.path
        too_large = diff is not None and len(diff) > self.diff_limit_bytes
        binary = f"Binary files a/{old} and b/{change.path} differ\n"
        return {
            "diff": "" if too_large else binary if diff is None else diff,
            "collapsed": False,
            "too_large": too_large,
            "new_path": change.path,
            "old_path": old,
            "a_mode": "0" if change.before is None else "100644",
            "b_mode": "0" if change.after is None else "100644",
            "new_file": change.before is None,
            "renamed_file": change.previous_path is not None,
            "deleted_file": change.after is None,
        }

    def _raw(self, request: Request, number: int, path: str) -> Response:
        project, made = self._find(number, request.args.get("ref", ""))
        if project is None or made is None or path not in made.files:
            return self.error(404)
        return Response(project.objects.blobs[made.files[path]], mimetype="text/plain")

    def _find(self, number: int, sha: str) -> tuple[Project | None, Commit | None]:
        project = self.projects.get(number)
        return project, project.objects.resolve(sha) if project else None


def signature(signing_key: str, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks over a raw body."""
    key = base64.b64decode(signing_key.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
    signed = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(timestamp), "webhook-signature": signed}


def _listed(made: Commit) -> Json:
    return {"id": made.sha, "message": made.message, "parent_ids": list(made.parents), "title": made.message[:72]}


def _paged(request: Request, items: Sequence[Json]) -> Response:
    """One page of a list by ``page`` and ``per_page``, with the headers that lead on."""
    page = max(1, request.args.get("page", 1, type=int))
    size = min(100, max(1, request.args.get("per_page", 20, type=int)))
    following = str(page + 1) if page * size < len(items) else ""
    headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": following}
    return reply(items[(page - 1) * size : page * size], headers=headers)


def _rate_limit(request: Request, struck: Fault) -> Response:
    del request
    headers: Mapping[str, str] = {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(time.time()) + 30)}
    response = Response("Retry later\n", status=429, mimetype="text/plain", headers=dict(headers))
    response.headers.update(struck.headers)
    return response
