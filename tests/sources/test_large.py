"""What GitHub lists only in part: large pushes, large commits, whole histories."""

from collections.abc import Mapping
from typing import Any

import pytest

from responder.core.errors import Unavailable
from responder.simulator.git import NOBODY
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_shapes import Repository
from responder.sources import Material, Reach, doors
from responder.sources.github_api import GitHub
from tests.grown import NOON

REFUSALS: Mapping[str, dict[str, Any]] = {
    "406": {"kind": "too_large"},
    "502": {"kind": "status", "status": 502},
    "500": {"kind": "status", "status": 500},
}


def fetched(github: GitHub, door: str, refs: Mapping[str, Any]) -> list[Material]:
    """What comes out of a door, its parts followed to the end."""
    found: list[Material] = []
    for piece in doors()[door].material(Reach(github), refs, None, NOON):
        found += [piece] if piece.part is None else fetched(github, piece.part.door, piece.part.refs)
    return found


def messages(found: list[Material]) -> list[str]:
    """Every commit's message, in order of the alphabet."""
    return sorted(str(piece.content) for piece in found if piece.kind == "text" and piece.path is None)


def grow(repository: Repository, count: int, branch: str = "main", name: str = "m") -> list[str]:
    """Ids of *count* new commits, whose messages are *name* and their number."""
    objects = repository.objects
    return [objects.commit({"a": f"{name}{n}\n"}, f"{name}{n:04}", branch=branch).sha for n in range(count)]


@pytest.mark.parametrize("listed", [0, 1, 5, 119])
def test_a_list_that_lacks_the_tip_is_filled_up_by_comparing(
    github: GitHub, repository: Repository, listed: int
) -> None:
    """GitHub cuts the list of a large push and does not say so; the key may be in any commit of the rest."""
    ids = grow(repository, 120)
    refs = {"repository": repository.id, "commits": ids[1 : 1 + listed], "before": ids[0], "after": ids[-1]}
    assert messages(fetched(github, "github_push", refs)) == [f"m{n:04}" for n in range(1, 120)]


def test_a_whole_list_is_compared_with_nothing(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """A call more for every push would be one for nothing."""
    ids = grow(repository, 3)
    refs = {"repository": repository.id, "commits": ids[1:], "before": ids[0], "after": ids[-1]}
    assert messages(fetched(github, "github_push", refs)) == ["m0001", "m0002"]
    assert vendor.count("/compare/") == 0


@pytest.mark.parametrize("before", [NOBODY, None])
def test_a_branch_on_an_existing_commit_is_that_commit(
    github: GitHub, repository: Repository, before: str | None
) -> None:
    """Nothing below it is new."""
    ids = grow(repository, 3)
    refs = {"repository": repository.id, "commits": [], "after": ids[-1]} | ({"before": before} if before else {})
    assert messages(fetched(github, "github_push", refs)) == ["m0002"]


def test_a_comparison_too_large_to_be_made_is_a_walk_back_to_the_former_tip(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """Its first page holds a diff, which may be too much for GitHub; the list of commits is not."""
    ids = grow(repository, 720)
    refs = {"repository": repository.id, "commits": [], "before": ids[50], "after": ids[-1]}
    for fault in REFUSALS.values():
        vendor.faults.add("/compare/", **fault)
        found = list(doors()["github_push"].material(Reach(github), refs, None, NOON))
        handed = [id_ for piece in found if piece.part for id_ in piece.part.refs["commits"]]  # type: ignore[attr-defined]
        assert set(ids[51:]) <= set(handed)
        assert not any(piece.gap for piece in found)


@pytest.mark.parametrize(("count", "gaps"), [(20, 0), (520, 1)])
def test_where_there_is_nothing_to_compare_with_it_goes_back_a_bounded_way(
    github: GitHub, repository: Repository, vendor: Vendor, count: int, gaps: int
) -> None:
    """After a forced push the old tip may be gone; what was not reached is told to a person."""
    ids = grow(repository, count)
    vendor.faults.add("/compare/", "status", status=404)
    refs = {"repository": repository.id, "commits": [], "before": "f" * 40, "after": ids[-1]}
    found = list(doors()["github_push"].material(Reach(github), refs, None, NOON))
    assert sum(piece.gap is not None for piece in found) == gaps
    handed = [id_ for piece in found if piece.part for id_ in piece.part.refs["commits"]]  # type: ignore[attr-defined]
    assert handed == ([] if count == 20 else ids[::-1][:500])
    assert count == 520 or messages(found) == [f"m{n:04}" for n in range(20)]


def test_a_part_begins_anew_where_it_stopped(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """A rate limit halfway through a large push costs a part, and never the whole over and over."""
    ids = grow(repository, 250)
    refs = {"repository": repository.id, "commits": ids[1:], "before": ids[0], "after": ids[-1]}
    parts = [p.part for p in doors()["github_push"].material(Reach(github), refs, None, NOON) if p.part]
    assert [len(part.refs["commits"]) for part in parts] == [100, 100, 49]  # type: ignore[arg-type]
    assert vendor.journal == [], "who only hands on needs nothing"
    again = [p.part for p in doors()["github_push"].material(Reach(github), refs, None, NOON) if p.part]
    assert again == parts


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("entries", [100_000, 5], ids=["whole", "cut"])
def test_a_commit_that_github_will_not_show_is_told_by_its_trees(
    github: GitHub, repository: Repository, vendor: Vendor, refusal: str, entries: int
) -> None:
    """The content is there, file by file, even where the tree itself is too large to be listed at once."""
    vendor.tree_limit_entries = entries
    old = {f"old/{n}/{m}.txt": f"{n} {m}\n" for n in range(4) for m in range(3)}
    repository.objects.commit(old | {"same.txt": "as ever\n"}, "First")
    made = repository.objects.commit(
        {"old/2/1.txt": "new\n", "new/deep/key.env": "K=1\n", "old/3/0.txt": None}, "Second"
    )
    vendor.faults.add(f"GET /repositories/.*(?<!git)/commits/{made.sha}", times=None, **REFUSALS[refusal])
    found = fetched(github, "github_push", {"repository": repository.id, "commits": [made.sha]})
    assert len(found) == 3
    assert {(m.content, m.path, m.gap) for m in found} == {
        ("Second", None, None),
        (b"new\n", "old/2/1.txt", None),
        (b"K=1\n", "new/deep/key.env", None),
    }


def test_a_github_that_fails_at_everything_is_not_worked_around(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """Then it is not this commit; later it is there again."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.faults.add("GET ", "status", times=None, status=502)
    with pytest.raises(Unavailable):
        fetched(github, "github_push", {"repository": repository.id, "commits": [made.sha]})


def test_beyond_three_thousand_files_the_rest_is_told_by_the_trees(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """GitHub lists three thousand files of a commit and says nothing of the rest."""
    made = repository.objects.commit({f"f{n:04}": f"{n}\n" for n in range(3150)})
    found = fetched(github, "github_push", {"repository": repository.id, "commits": [made.sha]})
    shown = [str(m.content).rpartition("+")[2] if m.kind == "diff" else m.content for m in found if m is not found[0]]
    assert len(shown) == len(set(shown)) == 3150
    assert vendor.count("/git/blobs/") == 150, "what was shown is not fetched again"
    [last] = [m for m in found if m.content == b"3149\n"]
    narrow = doors()["github_push"].narrow({"repository": repository.id, "commits": []}, last.place)
    assert [m.content for m in fetched(github, "github_push", narrow)] == [b"3149\n"], "had again with one call"


def test_of_a_history_every_commit_of_every_branch_and_tag_is_handed_on_once(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """Old keys lie deep, on branches nobody remembers; a branch may share nothing with the others."""
    objects = repository.objects
    trunk = grow(repository, 210)
    objects.branches["old"] = trunk[5]
    grow(repository, 3, "old", "o")
    objects.branches["older"] = objects.branches["old"]
    grow(repository, 2, "older", "p")
    objects.commit({"x": "1\n"}, "q0000", branch="orphan", parents=())
    objects.branches["tip"] = trunk[-1]
    objects.tags |= {"v1": trunk[7], "v2": trunk[200]}
    tagged = objects.commit({"y": "2\n"}, "r0000", branch="gone").sha
    objects.tags["v3"], _ = tagged, objects.branches.pop("gone")
    found = messages(fetched(github, "github_history", {"repository": repository.id}))
    names = [f"m{n:04}" for n in range(210)]
    assert found == sorted([*names, "o0000", "o0001", "o0002", "p0000", "p0001", "q0000", "r0000"])


def test_an_empty_repository_has_no_history(github: GitHub, repository: Repository) -> None:
    """It turned public before anything was in it."""
    assert fetched(github, "github_history", {"repository": repository.id}) == []
