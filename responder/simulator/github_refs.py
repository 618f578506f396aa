"""GitHub's endpoints about what points at commits: branches, tags, and commits as git keeps them.

https://docs.github.com/rest/branches , https://docs.github.com/rest/git
"""

from collections.abc import Mapping
from typing import Protocol

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import github_shapes as shapes
from responder.simulator.github_code import BOTH
from responder.simulator.github_pages import paged, problem
from responder.simulator.github_shapes import Json, Repository
from responder.simulator.server import reply


class Hub(Protocol):
    """What the endpoints need of the whole."""

    @property
    def origin(self) -> str: ...

    def repository(self, parts: dict[str, object]) -> Repository | Response: ...


class Refs:
    """The endpoints."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def rules(self) -> list[Rule]:
        """The routes, twice each."""
        return [
            Rule(home + path, methods=["GET"], endpoint=endpoint)
            for home in BOTH
            for path, endpoint in (
                ("/branches", self.list_branches),
                ("/tags", self.list_tags),
                ("/git/commits/<sha>", self.get_commit),
            )
        ]

    def list_branches(self, request: Request, **parts: object) -> Response:
        found = self.hub.repository(parts)
        if isinstance(found, Response):
            return found
        return paged(request, self.hub.origin, self._named(found, found.objects.branches, {"protected": False}))

    def list_tags(self, request: Request, **parts: object) -> Response:
        found = self.hub.repository(parts)
        if isinstance(found, Response):
            return found
        home, more = f"{self.hub.origin}/repos/{found.full_name}", {"node_id": shapes.node_id("T", found.id)}
        balls = {f"{kind}_url": f"{home}/{kind}/refs/tags" for kind in ("zipball", "tarball")}
        return paged(request, self.hub.origin, self._named(found, found.objects.tags, {**more, **balls}))

    def get_commit(self, request: Request, sha: str, **parts: object) -> Response:
        """A commit without its files."""
        del request
        found = self.hub.repository(parts)
        if isinstance(found, Response):
            return found
        made = found.objects.commits.get(sha)
        if made is None:
            return problem(404, "Not Found")
        shown = shapes.commit(self.hub.origin, found, made)
        commit = shown["commit"]
        assert isinstance(commit, dict)  # noqa: S101 (a shape of our own)
        plain = {name: commit[name] for name in ("author", "committer", "message", "tree", "verification")}
        named = {name: shown[name] for name in ("sha", "node_id", "html_url", "parents")}
        return reply({**named, **plain, "url": commit["url"]})

    def _named(self, repository: Repository, names: Mapping[str, str], more: Json) -> list[Json]:
        home = f"{self.hub.origin}/repos/{repository.full_name}"
        return [
            {"name": name, "commit": {"sha": sha, "url": f"{home}/commits/{sha}"}, **more}
            for name, sha in sorted(names.items())
        ]
