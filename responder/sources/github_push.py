"""A push: every commit of it, since a key added in one and removed in the next has leaked.

The payload is a doorbell: the repository's number and the commits' ids are taken
from it, and everything else is fetched. What is large comes in parts, each a
delivery of its own, so that a rate limit halfway costs a part and not the whole.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads#push
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import Source
from responder.outbound import TOO_LARGE
from responder.sources import Material, Part, Reach, Told, github_history, github_trees
from responder.sources import github_lists as lists
from responder.sources.github_api import Commit, File, GitHub
from responder.sources.payload import number, sha

_NOTHING = "0" * 40
_AT_ONCE = 8
_LONGEST_LIST = 2048  # GitHub names no more commits of a push, and does not say so
_MOST_FILES = 3000  # nor more files of a commit
_COMMITS_A_PART = 100
_FILES_A_PART = 100
_WALKED_BACK, _WALKED_FAR = 5, 200  # pages of a hundred, without a former tip, and with one
_NOT_OUR_CREDENTIAL = (401, 403)
_TOO_LARGE_TO_SHOW = 406
_BLOB = re.compile(r"[0-9a-f]{40,64}\Z")


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the repository's number, the ids of the commits, and where the branch stood before and stands now.

    Raises:
        Malformed: this is no push.
    """
    repository = number(payload, "repository", "id")
    commits = payload.get("commits")
    if not isinstance(commits, list) or "ref" not in payload:
        raise Malformed("commits and ref must be there.")
    ids = [sha(commit.get("id") if isinstance(commit, dict) else None, "commits.id") for commit in commits]
    after, before = sha(payload.get("after"), "after"), payload.get("before")
    refs: dict[str, object] = {"repository": repository, "commits": list(dict.fromkeys(ids)), "after": after}
    if before is not None:
        refs["before"] = sha(before, "before")
    return Told(f"github:{repository}", refs)


def material(reach: Reach, refs: Mapping[str, Any], _opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Fetch every commit: its message, its patches, and the content of files without a patch.

    A commit or file that GitHub refuses comes as a gap; commits and files beyond a hundred come as parts.

    Raises:
        Refused: our credential is not good, or there is none.
        Unavailable: not now.
    """
    if reach.github is None:
        raise Refused("github", "github.get_commit", 401, "no_credential")
    github, repository = reach.github, int(refs["repository"])
    if "blobs" in refs:
        commit = Commit(str(refs["commits"][0]), "", None, ())
        yield from _at_once(lambda blob: _blob(github, repository, commit, "", blob, at), refs["blobs"])
        return
    waiting: list[str] = []
    large = False
    for one in _commits(github, repository, refs, at):
        if isinstance(one, Material):
            yield one
            continue
        if len(waiting) == _COMMITS_A_PART:
            yield _part(repository, at, {"commits": waiting})
            waiting, large = [], True
        waiting.append(one)
    if large:
        yield _part(repository, at, {"commits": waiting})
    else:
        yield from _at_once(lambda id_: _commit(github, repository, id_, at), waiting)


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one commit in which a sighting was made, or the one file of it that was looked at by itself."""
    _, commit, *file = place.split("/")
    one: dict[str, object] = {"repository": refs["repository"], "commits": [commit]}
    return one | {"blobs": file} if file and _BLOB.match(file[0]) else one


def _at_once(fetch: Callable[[str], Iterator[Material]], ids: Sequence[str]) -> Iterator[Material]:
    if len(ids) <= 1:
        yield from (found for id_ in ids for found in fetch(id_))
        return
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="fetch") as pool:
        for several in pool.map(lambda id_: list(fetch(id_)), ids):
            yield from several


def _part(repository: int, at: datetime, refs: Mapping[str, object]) -> Material:
    part = Part("github_push", {"repository": repository, **refs})
    return Material("text", "", Source.GITHUB_PUSH, str(repository), None, at, part=part)


def _commits(github: GitHub, repository: int, refs: Mapping[str, Any], at: datetime) -> Iterator[str | Material]:
    """Ids of every commit of the push; a part or a gap where there is no list of them."""
    known: list[str] = list(refs["commits"])
    yield from known
    before, after = refs.get("before"), refs.get("after", _NOTHING)
    cut = len(known) >= _LONGEST_LIST
    if after == _NOTHING or (after in known and not cut):
        return
    if before == _NOTHING and cut:
        yield github_history.walk(repository, after, at)
        return
    seen = set(known)
    if before not in (None, _NOTHING):
        for one in _since(github, repository, before, after, at):
            if isinstance(one, Material) or one not in seen:
                yield one
            seen.add(one if isinstance(one, str) else "")
    if after not in seen:
        yield after  # a branch on an existing commit


def _since(github: GitHub, repository: int, before: str, after: str, at: datetime) -> Iterator[str | Material]:
    """Compare; where that is refused, as after a forced push or of too large a diff, go back a bounded way."""
    most = _WALKED_BACK
    try:
        for page in lists.between(github.caller, repository, before, after):
            yield from page
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        most = _WALKED_FAR if error.status == _TOO_LARGE_TO_SHOW else most
    except Unavailable as error:
        if not _gives_up_on_it(error):
            raise
        most = _WALKED_FAR
    else:
        return
    yield from _back(github, repository, before, after, at, most)


def _back(
    github: GitHub, repository: int, before: str, after: str, at: datetime, most: int
) -> Iterator[str | Material]:
    """From the tip back, as far as one page beyond the former tip: what was merged may be older than it."""
    place, gap = (
        f"{repository}/{after}",
        f"push to {after[:12]}: more than {most} pages of commits, and no comparison",
    )
    try:
        for number_, page in lists.history(github.caller, repository, after):
            if number_ > most:
                break
            yield from page
            if before in page:
                most, gap = min(most, number_ + 1), ""
        else:
            gap = ""
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        gap = f"push to {after[:12]}: status {error.status}"
    if gap:
        yield Material("text", "", Source.GITHUB_PUSH, place, None, at, gap=gap)


def _commit(github: GitHub, repository: int, id_: str, at: datetime) -> Iterator[Material]:
    place = f"{repository}/{id_}"
    commit: Commit | None = None
    try:
        commit = github.commit(repository, id_)
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        if error.status != _TOO_LARGE_TO_SHOW:
            gap = f"commit {id_[:12]}: status {error.status}"
            yield Material("text", "", Source.GITHUB_PUSH, place, None, at, gap=gap)
            return
    except Unavailable as error:
        if not _gives_up_on_it(error):
            raise
    if commit is not None:
        yield Material("text", commit.message, Source.GITHUB_PUSH, place, commit.where, at)
        for file in commit.files:
            yield from _file(github, repository, commit, file, at)
    if commit is None or len(commit.files) >= _MOST_FILES:
        yield from _by_tree(github, repository, id_, commit, at)


def _gives_up_on_it(error: Unavailable) -> bool:
    """Whether it may be this commit that is too much for GitHub; if not, what is asked next fails like this did."""
    return error.why in (TOO_LARGE, "timeout") or error.why.startswith("status 5")


def _by_tree(github: GitHub, repository: int, id_: str, shown: Commit | None, at: datetime) -> Iterator[Material]:
    """What GitHub does not show of a commit, by the difference of the trees."""
    place = f"{repository}/{id_}"
    try:
        changed = github_trees.changed(github.caller, repository, id_)
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        gap = f"commit {id_[:12]}: too large to be shown, and its tree: status {error.status}"
        yield Material("text", "", Source.GITHUB_PUSH, place, None, at, gap=gap)
        return
    if shown is None:
        yield Material("text", changed.message, Source.GITHUB_PUSH, place, None, at)
    seen = {file.blob for file in shown.files} if shown is not None else set()
    blobs = [blob for blob in changed.files if blob not in seen]
    if len(blobs) > _FILES_A_PART:
        for first in range(0, len(blobs), _FILES_A_PART):
            yield _part(repository, at, {"commits": [id_], "blobs": blobs[first : first + _FILES_A_PART]})
    else:
        commit = shown or Commit(id_, "", None, ())
        for blob in blobs:
            yield from _blob(github, repository, commit, changed.files[blob], blob, at)
    if changed.cut:
        gap = f"commit {id_[:12]}: more files than are ever looked at"
        yield Material("text", "", Source.GITHUB_PUSH, place, None, at, gap=gap)


def _file(github: GitHub, repository: int, commit: Commit, file: File, at: datetime) -> Iterator[Material]:
    if file.patch is not None:
        # A file may be named after its secret.
        name = hashlib.sha256(file.path.encode("utf-8", "replace")).hexdigest()[:16]
        place = f"{repository}/{commit.sha}/{name}"
        yield Material("diff", file.patch, Source.GITHUB_PUSH, place, commit.where, at, file.path)
    elif file.blob is not None:
        yield from _blob(github, repository, commit, file.path, file.blob, at)


def _blob(github: GitHub, repository: int, commit: Commit, path: str, blob: str, at: datetime) -> Iterator[Material]:
    """The content of one file, whole."""
    place = f"{repository}/{commit.sha}/{blob}"
    try:
        content = github.blob(repository, blob)
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        gap = f"a file of commit {commit.sha[:12]}: status {error.status}"
    except Unavailable as error:
        if error.why != TOO_LARGE:
            raise
        gap = f"a file of commit {commit.sha[:12]}: {error.why}"
    else:
        yield Material("text", content, Source.GITHUB_PUSH, place, commit.where, at, path or None)
        return
    yield Material("text", "", Source.GITHUB_PUSH, place, commit.where, at, path or None, gap=gap)
