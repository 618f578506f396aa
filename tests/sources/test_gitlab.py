"""GitLab: every commit of a push with all that it added, and nothing called clean that was not seen."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import Source
from responder.outbound import Door
from responder.simulator.git import NOBODY, Commit
from responder.simulator.gitlab import GitLab as Vendor
from responder.simulator.gitlab import Project
from responder.sources import Material, Reach, doors
from responder.sources.gitlab_api import GitLab
from tests.grown import NOON, token
from tests.sources.conftest import Clock

_DOOR = doors()["gitlab"]
_A, _B = "a" * 40, "b" * 40


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        yield server
    assert not server.bugs


@pytest.fixture
def project(vendor: Vendor) -> Project:
    return vendor.add_project()


@pytest.fixture
def gitlab(vendor: Vendor, clock: Clock) -> Iterator[GitLab]:
    door = Door("gitlab", f"{vendor.origin}/api/v4", deadline_seconds=2.0)
    yield GitLab(door, vendor.token, clock)
    door.close()


def fetched(gitlab: GitLab, payload: Mapping[str, Any]) -> list[Material]:
    """What a push leads to."""
    told = _DOOR.told(payload)
    assert told is not None
    return list(_DOOR.material(Reach(None, gitlab), told.refs, None, NOON))


def commits_of(pieces: list[Material]) -> set[str]:
    """The commits whose messages were seen."""
    return {piece.place.split("/")[1] for piece in pieces if piece.place.count("/") == 1 and piece.gap is None}


def gaps(pieces: list[Material]) -> list[str]:
    """What is said to be missing."""
    return [piece.gap for piece in pieces if piece.gap is not None]


def many(project: Project, count: int, branch: str = "main") -> list[Commit]:
    """Commits on a branch, oldest first."""
    return [project.objects.commit({f"f{n:04}": f"{n}\n"}, f"{branch} {n}", branch=branch) for n in range(count)]


# --- what is kept of a payload -------------------------------------------------------------------


def push(**changes: Any) -> dict[str, Any]:
    """The least that is a push, with changes."""
    commits = [{"id": _A, "message": token().reveal(), "url": "https://evil.example"}]
    whole = {"object_kind": "push", "project_id": 7, "before": _B, "after": _A, "commits": commits}
    return {**whole, "project": {"id": 7, "name": "x", "web_url": "https://evil.example"}, **changes}


@pytest.mark.parametrize(
    ("total", "kept"), [({}, 0), ({"total_commits_count": 1}, 0), ({"total_commits_count": 45}, 45)]
)
def test_of_a_push_only_ids_and_a_count_are_kept(total: dict[str, int], kept: int) -> None:
    """No secret, no address and no name reaches the database in the open."""
    told = _DOOR.told(push(**total))
    assert told is not None
    assert told.lane == "gitlab:7"
    assert told.refs == {"project": 7, "before": _B, "after": _A, "commits": [_A], "total": kept}


def test_a_branch_on_an_existing_commit_leads_to_it_and_a_deleted_one_nowhere() -> None:
    """A private branch may be what makes an old commit visible."""
    made, deleted = (_DOOR.told(push(commits=[], after=after, before=NOBODY)) for after in (_A, NOBODY))
    assert made is not None
    assert made.refs["commits"] == [_A]
    assert deleted is None or deleted.refs["commits"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"object_kind": "tag_push"}, {"object_kind": None}, {"project_id": None}, {"project_id": "7"},
        {"project_id": 0}, {"commits": None}, {"commits": {}}, {"commits": [7]}, {"commits": [{}]},
        {"commits": [{"id": "../.."}]}, {"before": None}, {"before": "main"}, {"after": 7}, {"after": "--output=x"},
        {"total_commits_count": -1}, {"total_commits_count": True}, {"total_commits_count": "45"},
        {"total_commits_count": 2**40},
    ],
)  # fmt: skip
def test_what_is_no_push_is_malformed(changes: dict[str, Any]) -> None:
    """Told at the door, where the sender still hears it."""
    with pytest.raises(Malformed):
        _DOOR.told(push(**changes))


# --- which commits -------------------------------------------------------------------------------


def test_commits_that_the_webhook_does_not_list_are_fetched_too(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """The key is in the thirty-third of forty-five."""
    first, *pushed = many(project, 46)
    pieces = fetched(gitlab, vendor.payload(project, pushed, "main", first.sha))
    assert commits_of(pieces) == {commit.sha for commit in pushed}
    assert gaps(pieces) == []


@pytest.mark.parametrize("branch", ["topic", "main"])
def test_all_commits_of_a_new_branch_are_fetched(
    gitlab: GitLab, vendor: Vendor, project: Project, branch: str
) -> None:
    """There is no former tip to compare with, and of a new project not even a default branch."""
    if branch == "topic":
        project.objects.branches["topic"] = many(project, 3)[-1].sha
    pushed = many(project, 25, branch)
    pieces = fetched(gitlab, vendor.payload(project, pushed, branch, NOBODY))
    assert commits_of(pieces) >= {commit.sha for commit in pushed}
    assert gaps(pieces) == []


def test_a_new_branch_that_was_merged_meanwhile_is_fetched_all_the_same(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """By the time we ask, the default branch has all of it, and a comparison would show nothing."""
    project.objects.branches["topic"] = many(project, 3)[-1].sha
    pushed = many(project, 25, "topic")
    payload = vendor.payload(project, pushed, "topic", NOBODY)
    project.objects.branches["main"] = pushed[-1].sha
    assert commits_of(fetched(gitlab, payload)) >= {commit.sha for commit in pushed}


def test_a_new_branch_that_took_in_newer_work_is_fetched_to_its_beginning(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """The newest commits are then those of somebody else, and the key is in the branch's first."""
    objects = project.objects
    objects.branches["topic"] = many(project, 1)[-1].sha
    days = [NOON + timedelta(days=day) for day in range(60)]
    own = [objects.commit({f"t{n}": f"{n}\n"}, branch="topic", at=days[n]) for n in range(25)]
    newer = [objects.commit({f"m{n}": f"{n}\n"}, at=days[25 + n]) for n in range(30)]
    merge = objects.commit({}, branch="topic", parents=(own[-1].sha, newer[-1].sha), at=days[59])
    pieces = fetched(gitlab, vendor.payload(project, [*own, merge], "topic", NOBODY))
    assert commits_of(pieces) == {commit.sha for commit in (*own, merge)}


def test_a_former_tip_that_is_gone_hides_nothing(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """After a forced push GitLab may have forgotten it."""
    pushed = many(project, 30)
    assert commits_of(fetched(gitlab, vendor.payload(project, pushed, "main", _A))) == {one.sha for one in pushed}


def test_commits_that_cannot_be_listed_are_missed_aloud(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """A push is not clean because most of it was."""
    first, *pushed = many(project, 31)
    payload = vendor.payload(project, pushed, "main", first.sha)
    vendor.faults.add("GET .*/commits$", "status", times=None, status=404)
    pieces = fetched(gitlab, payload)
    assert commits_of(pieces) == {commit.sha for commit in pushed[-20:]}
    assert gaps(pieces) == ["a push of 30 commits: only 20 of them can be listed"]


def test_a_large_push_comes_in_parts_that_hold_every_commit(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """A rate limit halfway must not make us begin anew for ever."""
    first, *pushed = many(project, 251)
    pieces = fetched(gitlab, vendor.payload(project, pushed, "main", first.sha))
    parts = [piece.part for piece in pieces if piece.part is not None]
    assert [part.door for part in parts] == ["gitlab"] * 3
    ids = [id_ for part in parts for id_ in part.refs["commits"]]  # type: ignore[attr-defined]
    assert sorted(ids) == sorted(commit.sha for commit in pushed)
    again = list(_DOOR.material(Reach(None, gitlab), parts[-1].refs, None, NOON))
    assert commits_of(again) == set(parts[-1].refs["commits"])  # type: ignore[call-overload]


def test_one_commit_is_asked_for_again_to_see_one_sighting_again(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """Proving a key later must not fetch a whole push."""
    first, *pushed = many(project, 31)
    told = _DOOR.told(vendor.payload(project, pushed, "main", first.sha))
    assert told is not None
    refs = _DOOR.narrow(told.refs, f"{project.id}/{pushed[3].sha}/0123456789abcdef")
    assert commits_of(list(_DOOR.material(Reach(None, gitlab), refs, None, NOON))) == {pushed[3].sha}
    assert {seen.path.split("/")[7] for seen in vendor.journal} == {pushed[3].sha}


# --- what is in them -----------------------------------------------------------------------------


def one(gitlab: GitLab, vendor: Vendor, project: Project, made: Commit) -> list[Material]:
    """What a push of one commit leads to."""
    return fetched(gitlab, vendor.payload(project, [made], "main", NOBODY))


@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_every_file_of_a_commit_is_fetched_over_all_pages(
    gitlab: GitLab, vendor: Vendor, project: Project, count: int
) -> None:
    """File number 101 is where the key is."""
    made = project.objects.commit({f"f{n:04}": f"{n}\n" for n in range(count)})
    pieces = one(gitlab, vendor, project, made)
    assert [piece.path for piece in pieces[1:]] == [f"f{n:04}" for n in range(count)]
    assert all(piece.kind == "diff" and piece.gap is None for piece in pieces[1:])
    assert vendor.count("/diff") == -(-count // 100)


def test_a_place_has_no_name_in_it_and_an_address_for_people(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """A file may be named after its secret; a person wants to see where."""
    made = project.objects.commit({"deep/.env": "KEY=1\n"}, "Add the key")
    message, diff = one(gitlab, vendor, project, made)
    assert (message.content, diff.content) == ("Add the key", "@@ -0,0 +1 @@\n+KEY=1\n")
    assert {piece.source for piece in (message, diff)} == {Source.GITLAB}
    assert message.place == f"{project.id}/{made.sha}"
    assert diff.place.startswith(f"{project.id}/{made.sha}/")
    assert ".env" not in diff.place
    assert message.where == diff.where == f"https://gitlab.example/acme/service/-/commit/{made.sha}"


def test_what_gitlab_leaves_out_of_a_diff_is_fetched_whole(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """Large and binary files leak keys too, whatever is in their names."""
    vendor.diff_limit_bytes = 1000
    files: dict[str, str | bytes | None] = {"a dir/ü?#%.json": "y" * 5000, "bin": b"\0\xff" * 700, "small": "z\n"}
    pieces = {piece.path: piece for piece in one(gitlab, vendor, project, project.objects.commit(files))}
    assert pieces["small"].kind == "diff"
    for name in ("a dir/ü?#%.json", "bin"):
        content = files[name]
        assert pieces[name].kind == "text"
        assert pieces[name].content == (content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("hidden", [{"collapsed": True}, {"too_large": True}, {"diff": ""}, {"diff": None}])
def test_a_diff_is_taken_for_one_only_if_it_is_there(
    gitlab: GitLab, vendor: Vendor, project: Project, hidden: dict[str, Any]
) -> None:
    """Older GitLabs leave a diff empty and say nothing."""
    made = project.objects.commit({"a": "KEY=1\n"})
    entry = {"new_path": "a", "old_path": "a", "diff": "@@ -0,0 +1 @@\n+KEY=", "new_file": True, **hidden}
    vendor.faults.add("/diff", "status", status=200, body=[entry])
    assert [piece.content for piece in one(gitlab, vendor, project, made)[1:]] == [b"KEY=1\n"]


def test_what_was_only_moved_or_removed_is_not_fetched(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """Moving a folder must not cost a call for each file in it."""
    project.objects.commit({"old": "x\n" * 50, "gone": "y\n"})
    made = project.objects.commit({"old": None, "new": "x\n" * 50, "gone": None})
    assert len(one(gitlab, vendor, project, made)) == 1
    assert vendor.count("/raw") == 0


@pytest.mark.parametrize(("status", "said"), [(404, "status 404"), (413, "status 413")])
def test_a_file_that_cannot_be_had_is_a_gap(
    gitlab: GitLab, vendor: Vendor, project: Project, status: int, said: str
) -> None:
    """It is never called clean, and does not keep us from the others."""
    made = project.objects.commit({"a.bin": b"\0", "b": "1\n"})
    vendor.faults.add("/raw", "status", status=status)
    pieces = one(gitlab, vendor, project, made)
    assert gaps(pieces) == [f"a file of commit {made.sha[:12]}: {said}"]
    assert pieces[-1].content == "@@ -0,0 +1 @@\n+1\n"


def test_a_file_named_like_a_token_is_never_asked_for_by_name(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """Addresses end up in logs."""
    name = token().reveal()
    made = project.objects.commit({name: b"\0"})
    assert len(gaps(one(gitlab, vendor, project, made))) == 1
    assert all(name not in seen.path for seen in vendor.journal)


def test_files_left_out_without_a_word_are_noticed(gitlab: GitLab, vendor: Vendor, project: Project) -> None:
    """GitLab stops after a thousand files; the commit's own count of lines gives it away."""
    vendor.diff_limit_files = 3
    made = project.objects.commit({f"f{n}": f"{n}\n" for n in range(4)})
    assert gaps(one(gitlab, vendor, project, made)) == [f"commit {made.sha[:12]}: GitLab does not show all of it"]


def test_a_commit_that_is_refused_is_a_gap_and_the_others_are_read(
    gitlab: GitLab, vendor: Vendor, project: Project
) -> None:
    """One commit that was garbage-collected must not hide the rest."""
    pushed = many(project, 2)
    vendor.faults.add(f"commits/{pushed[0].sha}$", "status", status=404)
    pieces = fetched(gitlab, vendor.payload(project, pushed, "main", NOBODY))
    assert gaps(pieces) == [f"commit {pushed[0].sha[:12]}: status 404"]
    assert commits_of(pieces) == {pushed[1].sha}


# --- a bad day -----------------------------------------------------------------------------------


@pytest.mark.parametrize("route", [r"commits/\w+$", "/diff", "/raw"])
@pytest.mark.parametrize("status", [401, 403])
def test_our_own_credential_refused_is_no_gap(
    gitlab: GitLab, vendor: Vendor, project: Project, route: str, status: int
) -> None:
    """A person can mend it, and then everything is fetched."""
    made = project.objects.commit({"a": b"\0"})
    vendor.faults.add(route, "status", status=status)
    with pytest.raises(Refused) as caught:
        one(gitlab, vendor, project, made)
    assert caught.value.status == status
    assert vendor.token not in str(caught.value)


def test_without_a_credential_nothing_is_fetched() -> None:
    """It says so, rather than find nothing."""
    told = _DOOR.told(push())
    assert told is not None
    with pytest.raises(Refused):
        list(_DOOR.material(Reach(None), told.refs, None, NOON))


@pytest.mark.parametrize("route", [r"commits/\w+$", "/diff"])
@pytest.mark.parametrize("kind", ["html", "wrong_schema", "cut_json", "redirect", "reset"])
def test_an_answer_that_cannot_be_understood_concludes_nothing(
    gitlab: GitLab, vendor: Vendor, project: Project, route: str, kind: str
) -> None:
    """Not "clean", not "refused": asked again later."""
    made = project.objects.commit({"a": "1\n"})
    vendor.faults.add(route, kind)
    with pytest.raises(Unavailable):
        one(gitlab, vendor, project, made)


@pytest.mark.parametrize(
    ("headers", "least", "most"), [({"Retry-After": "7"}, 7, 7), ({}, 25, 31), ({"RateLimit-Reset": "soon"}, 60, 60)]
)
def test_the_rate_limit_says_when_to_come_back_and_is_kept(
    gitlab: GitLab, vendor: Vendor, project: Project, clock: Clock, headers: dict[str, str], least: int, most: int
) -> None:
    """Asking on regardless gets a credential blocked."""
    made = project.objects.commit({"a": "1\n"})
    vendor.faults.add("", "rate_limit", headers=headers)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            gitlab.commit(project.id, made.sha)
        assert caught.value.retry_after_seconds is not None
        assert least <= caught.value.retry_after_seconds <= most
    assert len(vendor.journal) == 1
    clock.now += most
    assert gitlab.commit(project.id, made.sha).whole


@pytest.mark.parametrize("said", ["1", "0", "-2", "x", "99999999999", ""])
def test_pages_only_go_forward_and_come_to_an_end(
    gitlab: GitLab, vendor: Vendor, project: Project, said: str
) -> None:
    """Or one commit would keep a worker for ever."""
    made = project.objects.commit({"a": "1\n"})
    vendor.faults.add("/diff", "status", times=None, status=200, body=[], headers={"X-Next-Page": said})
    gitlab.commit(project.id, made.sha)
    assert vendor.count("/diff") == 1
