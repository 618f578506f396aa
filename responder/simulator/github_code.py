"""GitHub's endpoints about code: repositories, commits, comparisons, blobs and trees.

https://docs.github.com/rest/commits . Every route exists under the repository's
name and under its number; a former name redirects to the number.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import github_diff
from responder.simulator import github_shapes as shapes
from responder.simulator.git import Change, Commit
from responder.simulator.github_pages import link, numbers, paged, problem
from responder.simulator.github_shapes import Json, Repository
from responder.simulator.server import reply

BOTH = ("/repos/<owner>/<name>", "/repositories/<int:number>")
_MOST_COMMITS, _MOST_FILES, _FILES_A_PAGE = 250, 3000, 300


class Hub(Protocol):
    """What the endpoints need of the whole."""

    diff_limit_files: int
    diff_limit_lines: int
    patch_limit_bytes: int
    tree_limit_entries: int

    @property
    def origin(self) -> str: ...

    def repository(self, parts: dict[str, object]) -> Repository | Response: ...


class Code:
    """The endpoints."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def rules(self) -> list[Rule]:
        """The routes, twice each."""
        table: dict[str, Callable[[Request, Repository, str], Response]] = {
            "": self.get_repository,
            "/commits": self.list_commits,
            "/commits/<path:rest>": self.get_commit,
            "/compare/<path:rest>": self.compare,
            "/git/blobs/<rest>": self.get_blob,
            "/git/trees/<path:rest>": self.get_tree,
            "/contents/<path:rest>": self.get_contents,
        }
        return [
            Rule(home + path, methods=["GET"], endpoint=self._within(endpoint))
            for home in BOTH
            for path, endpoint in table.items()
        ]

    def get_repository(self, request: Request, repository: Repository, _: str) -> Response:
        del request
        permissions = dict.fromkeys(("admin", "maintain", "push", "triage", "pull"), True)
        owner = shapes.user(self.hub.origin, repository.owner, "Organization")
        return reply(
            {
                **shapes.full_repository(self.hub.origin, repository),
                "permissions": permissions,
                "organization": owner,
            }
        )

    def list_commits(self, request: Request, repository: Repository, _: str) -> Response:
        objects = repository.objects
        if not objects.branches:
            return problem(409, "Git Repository is empty.")
        tip = objects.resolve(request.args.get("sha", repository.default_branch))
        if tip is None:
            return problem(404, "Not Found")
        try:
            since, until = (_moment(request.args.get(name)) for name in ("since", "until"))
        except ValueError:
            return problem(422, "Validation Failed")
        path = request.args.get("path")
        found = [
            made
            for made in objects.ancestry(tip)
            if (since is None or made.at >= since)
            and (until is None or made.at <= until)
            and (path is None or any(c.path == path for c in objects.own_changes(made)))
        ]
        shown = [shapes.commit(self.hub.origin, repository, made) for made in found]
        return paged(request, self.hub.origin, shown)

    def get_commit(self, request: Request, repository: Repository, sha: str) -> Response:
        made = repository.objects.resolve(sha)
        if made is None:
            return problem(422, f"No commit found for SHA: {sha}")
        changes = repository.objects.own_changes(made)
        media = _media(request)
        if media == "sha":
            return Response(made.sha, mimetype="text/plain")
        if media in ("diff", "patch"):
            return self._text(repository, [(made, changes)], media)
        page, size = numbers(request, _FILES_A_PAGE, _FILES_A_PAGE)
        files = [self._file(repository, made, c) for c in changes[:_MOST_FILES][(page - 1) * size : page * size]]
        everything = [self._file(repository, made, c) for c in changes] if len(changes) <= size else files
        response = reply(
            {
                **shapes.commit(self.hub.origin, repository, made),
                "stats": _stats(everything),
                "files": files,
            }
        )
        link(response, request, self.hub.origin, page, -(-min(len(changes), _MOST_FILES) // size))
        return response

    def compare(self, request: Request, repository: Repository, basehead: str) -> Response:
        objects = repository.objects
        names = basehead.split("...")
        base, head = (objects.resolve(n.rpartition(":")[2]) for n in (names[0], names[-1]))
        if len(names) != 2 or base is None or head is None:
            return problem(404, "Not Found")
        shared = objects.merge_base(base, head)
        if shared is None:
            return problem(404, f"No common ancestor between {names[0]} and {names[1]}.")
        below = {c.sha for c in objects.ancestry(base)}
        ahead = [c for c in objects.ancestry(head) if c.sha not in below][::-1]
        above = {c.sha for c in objects.ancestry(head)}
        behind = sum(c.sha not in above for c in objects.ancestry(base))
        changes = objects.changes(shared, head)
        if _media(request) == "patch":
            return self._text(repository, [(c, objects.own_changes(c)) for c in ahead], "patch")
        if _media(request) == "diff":
            return self._text(repository, [(head, changes)], "diff")
        page, size = numbers(request, _MOST_COMMITS, _MOST_COMMITS)
        shown = self._comparison(repository, basehead, (base, shared, head))
        shown["status"] = _relation(len(ahead), behind)
        shown |= {"ahead_by": len(ahead), "behind_by": behind, "total_commits": len(ahead)}
        part = ahead[(page - 1) * size : page * size]
        shown["commits"] = [shapes.commit(self.hub.origin, repository, c) for c in part]
        first = changes[:_FILES_A_PAGE] if page == 1 else []
        shown["files"] = [self._file(repository, head, c) for c in first]
        response = reply(shown)
        link(response, request, self.hub.origin, page, -(-len(ahead) // size))
        return response

    def get_blob(self, request: Request, repository: Repository, sha: str) -> Response:
        content = repository.objects.blobs.get(sha)
        if content is None:
            return problem(404, "Not Found") if len(sha) == 40 else problem(422, "Validation Failed")
        if _media(request) == "raw":
            return Response(content, mimetype="application/octet-stream")
        encoded = base64.encodebytes(content).decode()
        home = f"{self.hub.origin}/repos/{repository.full_name}"
        return reply(
            {
                "sha": sha,
                "node_id": shapes.node_id("B", sha),
                "size": len(content),
                "url": f"{home}/git/blobs/{sha}",
                "content": encoded,
                "encoding": "base64",
            }
        )

    def get_tree(self, request: Request, repository: Repository, name: str) -> Response:
        objects = repository.objects
        made = objects.resolve(name)
        sha = made.tree if made else name
        if sha not in objects.trees:
            return problem(404, "Not Found")
        home = f"{self.hub.origin}/repos/{repository.full_name}/git"
        entries: list[Json] = []
        waiting = [("", sha)]
        while waiting and (len(entries) < self.hub.tree_limit_entries or "recursive" not in request.args):
            prefix, tree = waiting.pop(0)
            for mode, part, object_id in objects.trees[tree]:
                kind = "tree" if mode == "40000" else "blob"
                entry: Json = {"path": prefix + part, "mode": mode.zfill(6), "type": kind, "sha": object_id}
                if kind == "blob":
                    entry["size"] = len(objects.blobs[object_id])
                elif "recursive" in request.args:
                    waiting.append((f"{prefix}{part}/", object_id))
                entries.append({**entry, "url": f"{home}/{kind}s/{object_id}"})
        most = self.hub.tree_limit_entries if "recursive" in request.args else len(entries)
        cut = bool(waiting) or len(entries) > most
        return reply({"sha": sha, "url": f"{home}/trees/{sha}", "tree": entries[:most], "truncated": cut})

    def get_contents(self, request: Request, repository: Repository, path: str) -> Response:
        made = repository.objects.resolve(request.args.get("ref", repository.default_branch))
        blob = made.files.get(path) if made else None
        if made is None or blob is None:
            return problem(404, "Not Found")
        content = repository.objects.blobs[blob]
        if _media(request) == "raw":
            return Response(content, mimetype="application/octet-stream")
        home = f"{self.hub.origin}/repos/{repository.full_name}"
        page = f"{shapes.HTML}/{repository.full_name}/blob/{made.sha}/{path}"
        own, git = f"{home}/contents/{path}?ref={made.sha}", f"{home}/git/blobs/{blob}"
        return reply(
            {
                "type": "file",
                "encoding": "base64",
                "size": len(content),
                "name": path.rsplit("/", 1)[-1],
                "path": path,
                "content": base64.encodebytes(content).decode(),
                "sha": blob,
                "url": own,
                "git_url": git,
                "html_url": page,
                "download_url": page.replace("/blob/", "/raw/"),
                "_links": {"self": own, "git": git, "html": page},
            }
        )

    def _text(self, repository: Repository, parts: list[github_diff.Part], media: str) -> Response:
        return github_diff.answer(repository, parts, media, self.hub.diff_limit_files, self.hub.diff_limit_lines)

    def _within(self, endpoint: Callable[[Request, Repository, str], Response]) -> Callable[..., Response]:
        def answer(request: Request, rest: str = "", **parts: object) -> Response:
            found = self.hub.repository(parts)
            return found if isinstance(found, Response) else endpoint(request, found, rest)

        return answer

    def _patch(self, repository: Repository, change: Change) -> str | None:
        """The hunks the JSON shows: none for binary files and for diffs too large to load."""
        size = sum(len(repository.objects.blobs[b]) for b in (change.before, change.after) if b)
        if size > 2 * self.hub.patch_limit_bytes:
            return None
        patch = repository.objects.patch(change)
        return None if patch is None or len(patch) > self.hub.patch_limit_bytes else patch

    def _file(self, repository: Repository, at: Commit, change: Change) -> Json:
        return shapes.changed_file(self.hub.origin, repository, at, change, self._patch(repository, change))

    def _comparison(self, repository: Repository, basehead: str, ends: tuple[Commit, Commit, Commit]) -> Json:
        base, shared, head = ends
        page = f"{shapes.HTML}/{repository.full_name}/compare/{basehead}"
        owner = repository.owner
        return {
            "url": f"{self.hub.origin}/repos/{repository.full_name}/compare/{basehead}",
            "html_url": page,
            "permalink_url": f"{shapes.HTML}/{repository.full_name}/compare/"
            f"{owner}:{base.sha[:7]}...{owner}:{head.sha[:7]}",
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "base_commit": shapes.commit(self.hub.origin, repository, base),
            "merge_base_commit": shapes.commit(self.hub.origin, repository, shared),
        }


def _media(request: Request) -> str:
    """``diff``, ``patch``, ``raw``, ``sha`` or ``json``, from the Accept header."""
    accept = request.headers.get("Accept", "")
    return next(
        (m for m in ("diff", "patch", "raw", "sha") if f"vnd.github.{m}" in accept or f"vnd.github.v3.{m}" in accept),
        "json",
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _stats(files: list[Json]) -> Json:
    added, removed = (sum(int(str(f[name])) for f in files) for name in ("additions", "deletions"))
    return {"additions": added, "deletions": removed, "total": added + removed}


def _relation(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"
