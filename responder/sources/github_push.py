"""A push: every commit of it, since a key added in one and removed in the next has leaked.

The payload is a doorbell: the repository's number and the commits' ids are taken
from it, and everything else is fetched.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads#push
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import Source
from responder.outbound import TOO_LARGE
from responder.sources import Material, Reach, Told
from responder.sources.github_api import Commit, File, GitHub
from responder.sources.payload import number, sha

_NOTHING = "0" * 40
_AT_ONCE = 8
_MOST_FILES = 3000  # GitHub lists no more of a commit, and does not say so
_NOT_OUR_CREDENTIAL = (401, 403)


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the repository's number and the ids of the commits.

    Raises:
        Malformed: this is no push.
    """
    repository = number(payload, "repository", "id")
    commits = payload.get("commits")
    if not isinstance(commits, list) or "ref" not in payload:
        raise Malformed("commits and ref must be there.")
    ids = [sha(commit.get("id") if isinstance(commit, dict) else None, "commits.id") for commit in commits]
    after = sha(payload.get("after"), "after")
    if after != _NOTHING and after not in ids:
        ids.append(after)  # a branch on an existing commit, or a list that was cut
    return Told(f"github:{repository}", {"repository": repository, "commits": list(dict.fromkeys(ids))})


def material(reach: Reach, refs: Mapping[str, Any], _opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Fetch every commit: its message, its patches, and the content of files without a patch.

    A commit or file that GitHub refuses comes as a gap.

    Raises:
        Refused: our credential is not good, or there is none.
        Unavailable: not now.
    """
    if reach.github is None:
        raise Refused("github", "github.get_commit", 401, "no_credential")
    github, repository = reach.github, int(refs["repository"])
    ids: list[str] = list(refs["commits"])
    if len(ids) == 1:
        yield from _commit(github, repository, ids[0], at)
        return
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="fetch") as pool:
        for found in pool.map(lambda id_: list(_commit(github, repository, id_, at)), ids):
            yield from found


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one commit in which a sighting was made."""
    return {**refs, "commits": [place.split("/")[1]]}


def _commit(github: GitHub, repository: int, id_: str, at: datetime) -> Iterator[Material]:
    place = f"{repository}/{id_}"
    try:
        commit = github.commit(repository, id_)
    except Refused as error:
        if error.status in _NOT_OUR_CREDENTIAL:
            raise
        yield Material(
            "text", "", Source.GITHUB_PUSH, place, None, at, gap=f"commit {id_[:12]}: status {error.status}"
        )
        return
    yield Material("text", commit.message, Source.GITHUB_PUSH, place, commit.where, at)
    for file in commit.files:
        yield from _file(github, repository, commit, file, at)
    if len(commit.files) >= _MOST_FILES:
        gap = f"commit {id_[:12]}: more than {_MOST_FILES} files"
        yield Material("text", "", Source.GITHUB_PUSH, place, commit.where, at, gap=gap)


def _file(github: GitHub, repository: int, commit: Commit, file: File, at: datetime) -> Iterator[Material]:
    # A file may be named after its secret.
    name = hashlib.sha256(file.path.encode("utf-8", "replace")).hexdigest()[:16]
    place = f"{repository}/{commit.sha}/{name}"
    if file.patch is not None:
        yield Material("diff", file.patch, Source.GITHUB_PUSH, place, commit.where, at, file.path)
    elif file.blob is not None:
        try:
            content = github.blob(repository, file.blob)
        except Refused as error:
            if error.status in _NOT_OUR_CREDENTIAL:
                raise
            gap = f"a file of commit {commit.sha[:12]}: status {error.status}"
        except Unavailable as error:
            if error.why != TOO_LARGE:
                raise
            gap = f"a file of commit {commit.sha[:12]}: {error.why}"
        else:
            yield Material("text", content, Source.GITHUB_PUSH, place, commit.where, at, file.path)
            return
        yield Material("text", "", Source.GITHUB_PUSH, place, commit.where, at, file.path, gap=gap)
