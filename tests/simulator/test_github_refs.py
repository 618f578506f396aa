"""Branches, tags, commits as git keeps them, cut trees, and a repository that turns public."""

from typing import Any

import httpx
import pytest

from responder.simulator.github import GitHub
from responder.simulator.github_shapes import Repository, number_of


@pytest.fixture
def repository(github: GitHub) -> Repository:
    return github.add_repository()


def test_branches_and_tags_lead_to_commits(repository: Repository, api: httpx.Client) -> None:
    """By name and by number, in pages."""
    objects = repository.objects
    first = objects.commit({"a": "1\n"}).sha
    objects.tags["v1"] = first
    objects.branches["other"] = objects.commit({"a": "2\n"}).sha
    for home in ("/repos/acme/service", f"/repositories/{repository.id}"):
        branches = api.get(f"{home}/branches", params={"per_page": 1})
        assert [(b["name"], b["commit"]["sha"]) for b in branches.json()] == [("main", objects.branches["main"])]
        assert 'page=2>; rel="next"' in branches.headers["link"]
        assert [(t["name"], t["commit"]["sha"]) for t in api.get(f"{home}/tags").json()] == [("v1", first)]
        made = api.get(f"{home}/git/commits/{objects.branches['main']}").json()
        assert made["tree"]["sha"] == objects.commits[made["sha"]].tree
        assert [parent["sha"] for parent in made["parents"]] == [first]
        assert api.get(f"{home}/git/commits/{'0' * 40}").status_code == 404


def test_a_tree_too_large_is_cut_and_says_so(
    github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any
) -> None:
    """Whoever does not look at ``truncated`` misses files; folder by folder nothing is cut."""
    made = repository.objects.commit({f"d{n}/f{m}": f"{n}{m}\n" for n in range(3) for m in range(3)})
    path = f"/repos/acme/service/git/trees/{made.tree}"
    assert len(api.get(path, params={"recursive": 1}).json()["tree"]) == 12
    github.tree_limit_entries = 5
    cut = api.get(path, params={"recursive": 1})
    github_contract.check("GET /repos/{owner}/{repo}/git/trees/{tree_sha}", cut)
    assert (len(cut.json()["tree"]), cut.json()["truncated"]) == (5, True)
    assert (len(api.get(path).json()["tree"]), api.get(path).json()["truncated"]) == (3, False)


def test_an_organizations_repositories_come_last_pushed_first(github: GitHub, api: httpx.Client) -> None:
    """As GitHub sorts them on demand, by the organization's number too."""
    quiet, busy = github.add_repository("quiet"), github.add_repository("busy")
    busy.objects.commit({"a": "1\n"})
    assert busy.objects.pushed is not None
    busy.objects.pushed = busy.objects.pushed.replace(year=2030)
    path = f"/organizations/{number_of('acme')}/repos"
    shown = api.get(path, params={"sort": "pushed", "direction": "desc"}).json()
    assert [one["id"] for one in shown] == [busy.id, quiet.id]
    assert shown[0]["pushed_at"].startswith("2030-")


def test_turning_public_is_announced_twice_in_the_vendors_shape(
    github: GitHub, repository: Repository, events: Any
) -> None:
    """As ``public``, and as something that happened to the repository."""
    github.publicize(repository)
    sent = [(one.event, one.action) for one in github.deliveries]
    assert sent == [("public", None), ("repository", "publicized")]
    for one in github.deliveries:
        events.check(one.event, one.payload)


def test_failed_deliveries_are_shown_where_the_webhook_is(github: GitHub, api: httpx.Client) -> None:
    """By the organization's number too; and an attempt more keeps the GUID."""
    github.push(github.add_repository(), branch="main")
    path = f"/organizations/{number_of('acme')}/hooks/{github.hooks.hook_id}/deliveries"
    [failed] = api.get(path, params={"status": "failure"}).json()
    assert failed["guid"] == github.deliveries[0].guid
    assert api.get(path.replace(str(number_of("acme")), "1")).status_code == 404
    assert api.post(f"{path}/{failed['id']}/attempts").status_code == 202
