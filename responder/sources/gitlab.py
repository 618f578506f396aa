"""A push to GitLab: every commit of it, also those that its webhook does not list.

The payload is a doorbell: the project's number and the commits' ids are taken from
it. It lists at most twenty commits, and says how many there were. A large push comes
in parts, each a delivery of its own, so that a rate limit halfway costs a part.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import Source
from responder.core.token import scrub
from responder.outbound import TOO_LARGE
from responder.sources import Material, Part, Reach, Told
from responder.sources.gitlab_api import Commit, File, GitLab
from responder.sources.payload import number, sha

_AT_ONCE = 8
_COMMITS_A_PART = 100
_MOST_COMMITS = 5000
_NOT_OUR_CREDENTIAL = (401, 403)


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the project's number, the ids of the commits, and how many there were if not all are listed.

    Raises:
        Malformed: this is no push.
    """
    project = number(payload, "project_id")
    commits = payload.get("commits")
    if not isinstance(commits, list) or payload.get("object_kind") != "push":
        raise Malformed("object_kind must be push, and commits must be there.")
    ids = [sha(commit.get("id") if isinstance(commit, dict) else None, "commits.id") for commit in commits]
    before, after = sha(payload.get("before"), "before"), sha(payload.get("after"), "after")
    total = payload.get("total_commits_count", len(ids))
    if isinstance(total, bool) or not isinstance(total, int) or not 0 <= total < 2**31:
        raise Malformed("total_commits_count must be a number.")
    refs: dict[str, object] = {"project": project, "before": before, "after": after}
    refs["total"] = total if total > len(ids) else 0
    if not _is_nothing(after) and after not in ids:
        ids.append(after)  # a branch on an existing commit
    return Told(f"gitlab:{project}", {**refs, "commits": list(dict.fromkeys(ids))})


def material(reach: Reach, refs: Mapping[str, Any], _opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Fetch every commit: its message, its diffs, and the content of files without one.

    What GitLab refuses or keeps back comes as a gap; more than a hundred commits come as parts.

    Raises:
        Refused: our credential is not good, or there is none.
        Unavailable: not now.
    """
    if reach.gitlab is None:
        raise Refused("gitlab", "gitlab.get_commit", 401, "no_credential")
    gitlab, project = reach.gitlab, int(refs["project"])
    ids: list[str] = list(refs["commits"])
    if refs["total"]:
        ids = list(dict.fromkeys([*ids, *_listed(gitlab, project, refs)]))
        if len(ids) < refs["total"]:
            gap = f"a push of {refs['total']} commits: only {len(ids)} of them can be listed"
            yield Material("text", "", Source.GITLAB, str(project), None, at, gap=gap)
    if len(ids) > _COMMITS_A_PART:
        for first in range(0, len(ids), _COMMITS_A_PART):
            part = Part("gitlab", {**refs, "commits": ids[first : first + _COMMITS_A_PART], "total": 0})
            yield Material("text", "", Source.GITLAB, str(project), None, at, part=part)
        return
    if len(ids) == 1:
        yield from _commit(gitlab, project, ids[0], at)
        return
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="fetch") as pool:
        for found in pool.map(lambda id_: list(_commit(gitlab, project, id_, at)), ids):
            yield from found


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one commit in which a sighting was made."""
    return {**refs, "commits": [place.split("/")[1]], "total": 0}


def _listed(gitlab: GitLab, project: int, refs: Mapping[str, Any]) -> list[str]:
    """The ids of the commits of a push, as far as GitLab lists them.

    A new branch is counted against the default branch, which may have moved on since,
    and a former tip may be gone: then the newest commits are taken, as many as there were.
    """
    before, after, most = refs["before"], refs["after"], min(int(refs["total"]), _MOST_COMMITS)
    found: dict[str, None] = {}
    for ranged in (True, False):
        try:
            base = (gitlab.default_branch(project) if _is_nothing(before) else before) if ranged else None
            revisions, at_most = (f"{base}..{after}", _MOST_COMMITS) if base else (after, most)
            found |= dict.fromkeys(gitlab.commits(project, revisions, at_most))
        except Refused as error:
            if error.status in _NOT_OUR_CREDENTIAL:
                raise
        if len(found) >= most:
            break
    return list(found)


def _commit(gitlab: GitLab, project: int, id_: str, at: datetime) -> Iterator[Material]:
    place = f"{project}/{id_}"
    try:
        commit = gitlab.commit(project, id_)
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        gap = f"commit {id_[:12]}: status {error.status}"
        yield Material("text", "", Source.GITLAB, place, None, at, gap=gap)
        return
    yield Material("text", commit.message, Source.GITLAB, place, commit.where, at)
    for file in commit.files:
        yield from _file(gitlab, project, commit, file, at)
    if not commit.whole:
        gap = f"commit {id_[:12]}: GitLab does not show all of it"
        yield Material("text", "", Source.GITLAB, place, commit.where, at, gap=gap)


def _file(gitlab: GitLab, project: int, commit: Commit, file: File, at: datetime) -> Iterator[Material]:
    # A file may be named after its secret.
    name = hashlib.sha256(file.path.encode("utf-8", "replace")).hexdigest()[:16]
    place = f"{project}/{commit.sha}/{name}"
    if file.diff is not None:
        if file.diff:
            yield Material("diff", file.diff, Source.GITLAB, place, commit.where, at, file.path)
        return
    try:
        if scrub(file.path) != file.path:
            why = "its name must not stand in an address"
        else:
            content = gitlab.file(project, commit.sha, file.path)
            yield Material("text", content, Source.GITLAB, place, commit.where, at, file.path)
            return
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        why = f"status {error.status}"
    except Unavailable as error:
        if error.why != TOO_LARGE:
            raise
        why = error.why
    gap = f"a file of commit {commit.sha[:12]}: {why}"
    yield Material("text", "", Source.GITLAB, place, commit.where, at, file.path, gap=gap)


def _is_nothing(id_: str) -> bool:
    """Whether it is the id that stands for "there was no commit"."""
    return not id_.strip("0")
