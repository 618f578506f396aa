"""A commit that GitHub does not show: told by the difference between its tree and its parent's.

Too many files, a diff that is too large, a server that gives up over it: the
content is there all the same, file by file. More is read than was changed, and
nothing less.

Source: https://docs.github.com/rest/git/trees
"""

from collections.abc import Mapping
from dataclasses import dataclass

from responder.core.errors import Refused
from responder.sources import github_lists as lists
from responder.sources.github_call import Caller
from responder.sources.github_lists import Entry

_MOST_TREES = 1000
_MOST_FILES = 50_000


@dataclass(frozen=True, slots=True)
class Changed:
    """What a commit brought.

    Attributes:
        message: its own.
        files: path by blob, for each content that its parent has not in that place, or anywhere.
        cut: there was more than is ever looked at.
    """

    message: str
    files: Mapping[str, str]
    cut: bool


def changed(caller: Caller, repository: int, commit: str) -> Changed:
    """Compare a commit with its first parent.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    tree, parent, message = lists.tree_of(caller, repository, commit)
    former = None if parent is None else _tree_of(caller, repository, parent)
    after, cut = lists.tree(caller, repository, tree, whole=True)
    before, cut_before = lists.tree(caller, repository, former, whole=True) if former else ({}, False)
    if cut or cut_before:
        files, cut = _walk(caller, repository, tree, former)
    else:
        known = {entry.sha for entry in before.values()}
        files = {e.sha: path for path, e in after.items() if e.kind == "blob" and e.sha not in known}
    kept = dict(list(files.items())[:_MOST_FILES])
    return Changed(message, kept, cut or len(kept) < len(files))


def _tree_of(caller: Caller, repository: int, parent: str) -> str | None:
    """The tree of a parent; one that is not to be had is as if there were none: everything is new then."""
    try:
        return lists.tree_of(caller, repository, parent)[0]
    except Refused as error:
        if error.status in (401, 403):
            raise
        return None


def _walk(caller: Caller, repository: int, tree: str, former: str | None) -> tuple[dict[str, str], bool]:
    """Go down only where the two differ, folder by folder; whether that was too much."""
    files: dict[str, str] = {}
    waiting: list[tuple[str, str, str | None]] = [("", tree, former)]
    for _ in range(_MOST_TREES):
        if not waiting:
            return files, False
        prefix, new, old = waiting.pop(0)
        after, cut = lists.tree(caller, repository, new, whole=False)
        before: Mapping[str, Entry] = {}
        if old is not None:
            before, _cut = lists.tree(caller, repository, old, whole=False)
        if cut:
            return files, True
        for name, entry in after.items():
            twin = before.get(name)
            if twin == entry:
                continue
            if entry.kind == "blob":
                files.setdefault(entry.sha, prefix + name)
            elif entry.kind == "tree":
                below = twin.sha if twin is not None and twin.kind == "tree" else None
                waiting.append((f"{prefix}{name}/", entry.sha, below))
    return files, bool(waiting)
