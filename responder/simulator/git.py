"""A git repository in memory: real object ids, real patches, no working copy.

https://git-scm.com/book/en/v2/Git-Internals-Git-Objects . Renames are found
only where the content is the same to the byte.
"""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

NOBODY = "0" * 40
"""The id GitHub gives for "there was no commit"."""

Content = str | bytes | None
"""What a file becomes; None removes it."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a commit."""

    name: str = "Alice Author"
    email: str = "alice@acme.example"
    login: str = "alice"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; *files* maps each path in the tree to its blob."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: Author
    at: datetime
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One file between two trees; *before* and *after* are blob ids, None where there is none."""

    path: str
    before: str | None
    after: str | None
    previous_path: str | None = None

    @property
    def status(self) -> str:
        """GitHub's word for it."""
        if self.previous_path is not None:
            return "renamed"
        return "added" if self.before is None else "removed" if self.after is None else "modified"


class Objects:
    """The blobs, trees and commits of one repository, and where its branches point.

    Attributes:
        blobs: id to content.
        trees: id to entries ``(mode, name, id)``.
        commits: id to commit.
        branches: name to commit id; a forced-away commit stays in ``commits``.
        tags: name to commit id.
        pushed: when a branch last moved, to the second.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[str, list[tuple[str, str, str]]] = {}
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.pushed: datetime | None = None
        self._order: dict[str, int] = {}

    def commit(
        self,
        files: Mapping[str, Content],
        message: str = "Change",
        *,
        branch: str = "main",
        author: Author | None = None,
        parents: tuple[str, ...] | None = None,
        at: datetime | None = None,
    ) -> Commit:
        """Commit changes to *files* on *branch*, on top of its tip unless *parents* say otherwise."""
        tip = self.branches.get(branch)
        above = ((tip,) if tip else ()) if parents is None else parents
        tree = dict(self.commits[above[0]].files) if above else {}
        for path, content in files.items():
            if content is None:
                tree.pop(path, None)
            else:
                tree[path] = self._blob(content.encode() if isinstance(content, str) else content)
        moment = (at or datetime.now(UTC)).replace(microsecond=0)
        made = self._commit(tree, above, message, author or Author(), moment)
        self.commits[made.sha] = made
        self._order.setdefault(made.sha, len(self._order))
        self.branches[branch] = made.sha
        self.pushed = datetime.now(UTC).replace(microsecond=0)
        return made

    def resolve(self, name: str) -> Commit | None:
        """The commit a branch, a full id or an unambiguous beginning of one names."""
        name = name.removeprefix("refs/heads/")
        sha = self.branches.get(name, name)
        if sha in self.commits:
            return self.commits[sha]
        starting = [c for s, c in self.commits.items() if len(sha) >= 7 and s.startswith(sha)]
        return starting[0] if len(starting) == 1 else None

    def ancestry(self, tip: Commit) -> list[Commit]:
        """*tip* and everything below it, newest first."""
        found, waiting = {tip.sha: tip}, [tip]
        while waiting:
            for parent in waiting.pop().parents:
                if parent in self.commits and parent not in found:
                    found[parent] = self.commits[parent]
                    waiting.append(self.commits[parent])
        return sorted(found.values(), key=lambda c: (c.at, self._order[c.sha]), reverse=True)

    def merge_base(self, one: Commit, other: Commit) -> Commit | None:
        """The newest commit below both."""
        below = {c.sha for c in self.ancestry(one)}
        return next((c for c in self.ancestry(other) if c.sha in below), None)

    def changes(self, before: Commit | None, after: Commit) -> list[Change]:
        """What differs between two trees, by path."""
        old, new = (before.files if before else {}), after.files
        gone = {path: blob for path, blob in old.items() if path not in new}
        found = []
        for path in sorted({*old, *new}):
            if old.get(path) == new.get(path):
                continue
            source = None
            if path not in old:
                source = next((p for p, blob in gone.items() if blob == new[path]), None)
            if source is not None:
                del gone[source]
                found.append(Change(path, new[path], new[path], source))
            else:
                found.append(Change(path, old.get(path), new.get(path)))
        moved = {change.previous_path for change in found}
        return [c for c in found if c.after is not None or c.path not in moved]

    def own_changes(self, commit: Commit) -> list[Change]:
        """What *commit* did to its first parent."""
        return self.changes(self.commits.get(commit.parents[0]) if commit.parents else None, commit)

    def patch(self, change: Change) -> str | None:
        """Its hunks as GitHub's ``patch`` member; None for a binary file."""
        old = b"" if change.before is None else self.blobs[change.before]
        new = b"" if change.after is None else self.blobs[change.after]
        if b"\0" in old[:8000] or b"\0" in new[:8000]:
            return None
        return "".join(_hunks(_lines(old), _lines(new)))

    def _blob(self, content: bytes) -> str:
        sha = _object_id("blob", content)
        self.blobs[sha] = content
        return sha

    def _commit(
        self, files: dict[str, str], parents: tuple[str, ...], message: str, author: Author, at: datetime
    ) -> Commit:
        tree = self._tree({tuple(path.split("/")): blob for path, blob in files.items()})
        who = f"{author.name} <{author.email}> {int(at.timestamp())} +0000"
        lines = [f"tree {tree}", *(f"parent {p}" for p in parents), f"author {who}", f"committer {who}"]
        sha = _object_id("commit", ("\n".join(lines) + f"\n\n{message}").encode())
        return Commit(sha, tree, parents, message, author, at, files)

    def _tree(self, files: Mapping[tuple[str, ...], str]) -> str:
        entries: list[tuple[str, str, str]] = []
        below: dict[str, dict[tuple[str, ...], str]] = {}
        for path, blob in files.items():
            if len(path) == 1:
                entries.append(("100644", path[0], blob))
            else:
                below.setdefault(path[0], {})[path[1:]] = blob
        entries += [("40000", name, self._tree(part)) for name, part in below.items()]
        entries.sort(key=lambda entry: entry[1] + ("/" if entry[0] == "40000" else ""))
        content = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
        sha = _object_id("tree", content)
        self.trees[sha] = entries
        return sha


def _object_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _lines(content: bytes) -> list[str]:
    """Lines as git sees them: only a line feed ends one."""
    text = content.decode(errors="replace")
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, last + "\n\\ No newline at end of file\n"] if last else lines


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    if not old or not new:
        sign, lines = ("+", new) if new else ("-", old)
        count = f"1,{len(lines)}" if len(lines) > 1 else "1"
        if lines:
            yield f"@@ -0,0 +{count} @@\n" if new else f"@@ -{count} +0,0 @@\n"
            yield from (sign + line for line in lines)
        return
    yield from list(difflib.unified_diff(old, new))[2:]
