"""A private history that turns public: all of it is handed on, commit by commit, to the door of pushes.

Branches and tags are compared with the default branch, whose own history is
listed whole; what only a pull request once held is on none of them, and is not
looked at.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads#public and #repository
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from responder.core.errors import Refused
from responder.core.sighting import Source
from responder.sources import Material, Part, Reach, Told
from responder.sources import github_lists as lists
from responder.sources.github_call import Caller
from responder.sources.payload import number

DOOR = "github_history"
_HEADS_AT_ONCE = 50
_PAGES_AT_ONCE = 20
_NOT_OUR_CREDENTIAL = (401, 403)


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the repository's number.

    Raises:
        Malformed: this is about no repository.
    """
    repository = number(payload, "repository", "id")
    return Told(f"github:{repository}:history", {"repository": repository})


def material(reach: Reach, refs: Mapping[str, Any], _opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Parts only: the commits, a page at a time, and what is still to be listed.

    Raises:
        Refused: our credential is not good, or there is none, or the repository is not to be had.
        Unavailable: not now.
    """
    if reach.github is None:
        raise Refused("github", "github.get_repository", 401, "no_credential")
    caller, repository = reach.github.caller, int(refs["repository"])
    if "walk" in refs:
        found = _walk(caller, repository, str(refs["walk"]), int(refs["page"]), at)
    elif "heads" in refs:
        found = _compare(caller, repository, str(refs["base"]), refs["heads"], at)
    else:
        found = _start(caller, repository, at)
    yield from found


def walk(repository: int, head: str, at: datetime, page: int = 1) -> Material:
    """The part that is *head* and everything below it, from a page of that list on."""
    return _part(repository, at, DOOR, {"walk": head, "page": page})


def _start(caller: Caller, repository: int, at: datetime) -> Iterator[Material]:
    home = lists.repository(caller, repository)
    named = [*lists.heads(caller, repository, "branches"), *lists.heads(caller, repository, "tags")]
    if not named:
        return
    base = dict(named).get(home.default_branch, named[0][1])
    yield walk(repository, base, at)
    others = sorted({sha for _, sha in named} - {base})
    for first in range(0, len(others), _HEADS_AT_ONCE):
        part = others[first : first + _HEADS_AT_ONCE]
        yield _part(repository, at, DOOR, {"base": base, "heads": part})


def _walk(caller: Caller, repository: int, head: str, first: int, at: datetime) -> Iterator[Material]:
    for page, commits in lists.history(caller, repository, head, first):
        if page >= first + _PAGES_AT_ONCE:
            yield walk(repository, head, at, page)
            return
        if commits:
            yield _part(repository, at, "github_push", {"commits": commits})


def _compare(caller: Caller, repository: int, base: str, heads: Sequence[str], at: datetime) -> Iterator[Material]:
    """What each head has and the default branch has not; a head that shares nothing with it is walked whole."""
    seen: set[str] = set()
    for head in heads:
        if head in seen:
            continue
        try:
            for commits in lists.between(caller, repository, base, head):
                if fresh := [sha for sha in commits if sha not in seen]:
                    yield _part(repository, at, "github_push", {"commits": fresh})
                seen.update(fresh)
        except Refused as error:
            if error.status in _NOT_OUR_CREDENTIAL:
                raise
            yield walk(repository, head, at)


def _part(repository: int, at: datetime, door: str, refs: Mapping[str, object]) -> Material:
    part = Part(door, {"repository": repository, **refs})
    return Material("text", "", Source.GITHUB_PUSH, str(repository), None, at, part=part)
