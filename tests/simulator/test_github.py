"""GitHub's code and alert endpoints against the vendor's own schemas."""

import base64
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from responder.simulator.github import GitHub
from responder.simulator.github_app import App
from responder.simulator.github_shapes import Repository
from responder.sources.github_app import App as Signer

_R = "/repos/{owner}/{repo}"
_ALERTS = f"{_R}/secret-scanning/alerts"
_ONE = f"{_ALERTS}/{{alert_number}}"


@pytest.fixture
def repository(github: GitHub) -> Repository:
    made = github.add_repository("service")
    made.objects.commit({"README.md": "# hello\n", ".github/CODEOWNERS": "* @acme/platform\n"}, "first")
    made.objects.commit({"src/app.py": "key = 'x'\n", "logo.png": b"\x89PNG\0"}, "second")
    return made


def test_every_answer_about_code_has_the_vendors_shape(
    repository: Repository, api: httpx.Client, github_contract: Any
) -> None:
    """By name and by number alike: numbers survive a rename."""
    made = repository.objects.resolve("main")
    assert made is not None
    blob = made.files["src/app.py"]
    for home in ("/repos/acme/service", f"/repositories/{repository.id}"):
        reads = {
            home: _R,
            f"{home}/commits": f"{_R}/commits",
            f"{home}/commits/{made.sha}": f"{_R}/commits/{{ref}}",
            f"{home}/compare/{made.parents[0]}...main": f"{_R}/compare/{{basehead}}",
            f"{home}/git/blobs/{blob}": f"{_R}/git/blobs/{{file_sha}}",
            f"{home}/git/trees/main?recursive=1": f"{_R}/git/trees/{{tree_sha}}",
            f"{home}/contents/src/app.py?ref={made.sha}": f"{_R}/contents/{{path}}",
        }
        for path, template in reads.items():
            answer = api.get(path)
            assert answer.status_code == 200, path
            github_contract.check(f"GET {template}", answer)
    github_contract.check("GET /rate_limit", api.get("/rate_limit"))
    github_contract.check("GET /meta", api.get("/meta"))
    github_contract.check("GET /installation/repositories", api.get("/installation/repositories"))
    assert [r["name"] for r in api.get("/orgs/acme/repos").json()] == ["service"]


def test_the_schema_check_can_fail(
    repository: Repository, api: httpx.Client, github: GitHub, github_contract: Any
) -> None:
    """A check that takes anything checks nothing."""
    github.faults.add(
        "GET", "wrong_schema", body={"sha": "1", "size": 1, "url": "u", "content": None, "encoding": "b"}
    )
    with pytest.raises(AssertionError, match="node_id"):
        github_contract.check(f"GET {_R}/git/blobs/{{file_sha}}", api.get("/repos/acme/service/git/blobs/1"))


def test_a_commit_shows_patches_but_not_of_binary_or_large_files(
    github: GitHub, repository: Repository, api: httpx.Client
) -> None:
    github.patch_limit_bytes = 1000
    made = repository.objects.commit({"big.txt": "y" * 5000, "b.bin": b"\0", "small.txt": "z\n"})
    files = {f["filename"]: f for f in api.get(f"/repos/acme/service/commits/{made.sha}").json()["files"]}
    assert files["small.txt"]["patch"] == "@@ -0,0 +1 @@\n+z"
    assert "patch" not in files["big.txt"]
    assert "patch" not in files["b.bin"]
    raw = {"Accept": "application/vnd.github.raw+json"}
    assert api.get(f"/repos/acme/service/git/blobs/{files['big.txt']['sha']}", headers=raw).content == b"y" * 5000
    encoded = api.get(f"/repos/acme/service/git/blobs/{files['b.bin']['sha']}").json()
    assert base64.b64decode(encoded["content"]) == b"\0"


def test_many_files_come_in_pages_of_300_up_to_3000(repository: Repository, api: httpx.Client) -> None:
    made = repository.objects.commit({f"f{n:04}": f"{n}\n" for n in range(3100)})
    path: str | None = f"/repos/acme/service/commits/{made.sha}"
    sizes = []
    while path:
        answer = api.get(path)
        sizes.append(len(answer.json()["files"]))
        path = answer.links.get("next", {}).get("url")
    assert sizes == [300] * 10


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to apply it")
def test_the_diff_applies_with_git(repository: Repository, api: httpx.Client, tmp_path: Path) -> None:
    """The strictest reader of a diff is git."""
    made = repository.objects.commit({"a/x.txt": "one\ntwo", "README.md": "# bye\n", "src/app.py": None})
    answer = api.get(f"/repos/acme/service/commits/{made.sha}", headers={"Accept": "application/vnd.github.diff"})
    assert answer.headers["content-type"].startswith("application/vnd.github.diff")
    parent = repository.objects.commits[made.parents[0]]
    for path, blob in parent.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(repository.objects.blobs[blob])
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=answer.content, check=True)
    assert (tmp_path / "a/x.txt").read_text() == "one\ntwo"
    assert (tmp_path / "README.md").read_text() == "# bye\n"
    assert not (tmp_path / "src/app.py").exists()


def test_a_patch_carries_every_commits_message(repository: Repository, api: httpx.Client) -> None:
    base = repository.objects.branches["main"]
    repository.objects.commit({"x": "1\n"}, "add x")
    repository.objects.commit({"x": None}, "drop x")
    accept = {"Accept": "application/vnd.github.v3.patch"}
    text = api.get(f"/repos/acme/service/compare/{base}...main", headers=accept).text
    assert text.count("Subject: [PATCH]") == 2
    assert "+1\n" in text
    assert "-1\n" in text


@pytest.mark.parametrize("media", ["diff", "patch"])
def test_a_diff_too_large_is_406(github: GitHub, repository: Repository, api: httpx.Client, media: str) -> None:
    made = repository.objects.commit({f"f{n}": "x\n" for n in range(301)})
    long = repository.objects.commit({"long": "x\n" * 20_001})
    for sha, what in ((made.sha, "files (300)"), (long.sha, "lines (20000)")):
        answer = api.get(f"/repos/acme/service/commits/{sha}", headers={"Accept": f"application/vnd.github.{media}"})
        assert answer.status_code == 406
        assert answer.json()["message"] == f"Sorry, the diff exceeded the maximum number of {what}"
        assert answer.json()["errors"][0]["code"] == "too_large"


def test_a_comparison_stops_at_250_commits_and_300_files(repository: Repository, api: httpx.Client) -> None:
    base = repository.objects.branches["main"]
    for n in range(255):
        repository.objects.commit({f"f{n}a": "x", f"f{n}b": "x"})
    answer = api.get(f"/repos/acme/service/compare/{base}...main")
    body = answer.json()
    assert (len(body["commits"]), len(body["files"]), body["total_commits"]) == (250, 300, 255)
    rest = api.get(answer.links["next"]["url"]).json()
    assert (len(rest["commits"]), rest["files"]) == (5, [])
    assert body["status"] == "ahead"


def test_commits_are_listed_since_a_moment_and_in_pages(repository: Repository, api: httpx.Client) -> None:
    for n in range(40):
        repository.objects.commit({"x": str(n)}, f"n{n}")
    first = api.get("/repos/acme/service/commits")
    assert [c["commit"]["message"] for c in first.json()][:2] == ["n39", "n38"]
    assert len(first.json()) == 30
    assert len(api.get(first.links["next"]["url"]).json()) == 12
    late = api.get("/repos/acme/service/commits", params={"since": "2999-01-01T00:00:00Z"})
    assert late.json() == []
    early = api.get("/repos/acme/service/commits", params={"since": "2020-01-01T00:00:00Z", "per_page": 100})
    assert len(early.json()) == 42
    assert (
        api.get("/repos/acme/service/commits", params={"path": "README.md"}).json()[0]["commit"]["message"] == "first"
    )


def test_what_is_not_there(github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any) -> None:
    github.add_repository("empty")
    home = "/repos/acme/service"
    for path, status in (
        ("/repos/acme/nothing", 404),
        ("/repositories/1", 404),
        (f"{home}/commits/{'0' * 40}", 422),
        (f"{home}/compare/main...nothing", 404),
        (f"{home}/git/blobs/{'0' * 40}", 404),
        (f"{home}/git/trees/nothing", 404),
        (f"{home}/contents/nothing", 404),
        (f"{home}/secret-scanning/alerts/9", 404),
        ("/repos/acme/empty/commits", 409),
        ("/nowhere", 404),
    ):
        answer = api.get(path)
        assert answer.status_code == status, path
        assert answer.json()["documentation_url"]
    github_contract.check(f"GET {_R}", api.get("/repos/acme/nothing"))


def test_a_renamed_repository_redirects_to_its_number(
    github: GitHub, repository: Repository, api: httpx.Client
) -> None:
    github.rename(repository, "renamed")
    answer = api.get("/repos/acme/service/commits")
    assert (answer.status_code, answer.headers["location"]) == (301, f"{github.origin}/repositories/{repository.id}")
    assert api.get("/repos/acme/renamed/commits").status_code == 200
    assert api.get(f"/repositories/{repository.id}").json()["full_name"] == "acme/renamed"


def test_only_the_token_gets_in(github: GitHub, repository: Repository) -> None:
    url = f"{github.origin}/repos/acme/service"
    wrong = httpx.get(url, headers={"Authorization": "Bearer no"}, trust_env=False)
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
    assert httpx.get(url, trust_env=False).json()["message"] == "Requires authentication"
    old_style = {"Authorization": f"token {github.token}", "X-GitHub-Api-Version": "2022-11-28"}
    assert httpx.get(url, headers=old_style, trust_env=False).status_code == 200


def test_the_rate_limit_counts_down_and_refuses(github: GitHub, repository: Repository, api: httpx.Client) -> None:
    github.remaining = 2
    left = [api.get("/repos/acme/service").headers["x-ratelimit-remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    refused = api.get("/repos/acme/service")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert "rate limit" in refused.json()["message"]
    assert int(refused.headers["x-ratelimit-reset"]) > time.time()
    github.reset_at = int(time.time())
    assert api.get("/repos/acme/service").status_code == 200


def test_githubs_own_faults(github: GitHub, repository: Repository, api: httpx.Client) -> None:
    github.faults.add("GET", "secondary_limit", headers={"Retry-After": "60"})
    slow = api.get("/repos/acme/service")
    assert (slow.status_code, slow.headers["retry-after"]) == (403, "60")
    assert "secondary rate limit" in slow.json()["message"]
    assert slow.headers["x-ratelimit-remaining"] != "0"
    github.faults.add("GET", "rate_limit")
    assert api.get("/repos/acme/service").headers["x-ratelimit-remaining"] == "0"
    github.faults.add("GET", "too_large")
    assert api.get("/repos/acme/service").status_code == 406
    for status in (410, 451, 503):
        github.faults.add("GET", "status", status=status)
        assert api.get("/repos/acme/service").json()["status"] == str(status)


def test_an_unchanged_answer_is_304_to_who_has_its_etag(repository: Repository, api: httpx.Client) -> None:
    first = api.get("/repos/acme/service/commits")
    again = api.get("/repos/acme/service/commits", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/repos/acme/service/commits").status_code == 200


def test_alerts_have_the_vendors_shape_and_hide_the_secret_on_demand(
    github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any
) -> None:
    made = repository.objects.commit({"conf/.env": "A=1\nKEY=made-up-secret\n"})
    alert = github.alert(
        repository, "made-up-secret", commit=made, metadata={"owner_email": "z@acme.example"}, announce=False
    )
    path = "/repos/acme/service/secret-scanning/alerts"
    one = api.get(f"{path}/1")
    github_contract.check(f"GET {_ONE}", one)
    github_contract.check(f"GET {_ALERTS}", api.get(path))
    github_contract.check("GET /orgs/{org}/secret-scanning/alerts", api.get("/orgs/acme/secret-scanning/alerts"))
    located = api.get(f"{path}/1/locations")
    github_contract.check(f"GET {_ONE}/locations", located)
    details = located.json()[0]["details"]
    assert (details["path"], details["start_line"], details["start_column"]) == ("conf/.env", 2, 5)
    assert details["commit_sha"] == made.sha
    assert one.json()["secret"] == "made-up-secret"
    assert one.json()["metadata"] == [{"key": "owner_email", "value": "z@acme.example"}]
    assert "made-up-secret" not in api.get(f"{path}/1?hide_secret=true").text
    assert "made-up-secret" not in api.get("/orgs/acme/secret-scanning/alerts?hide_secret=true").text
    alert.hidden = True
    assert "secret" not in api.get(f"{path}/1").json()


@pytest.mark.parametrize(
    "place", ["issue_title", "issue_body", "issue_comment", "discussion_body", "pull_request_comment"]
)
def test_a_secret_outside_the_code_has_a_place(
    github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any, place: str
) -> None:
    github.alert(repository, "made-up-secret", place=place, announce=False)
    answer = api.get("/repos/acme/service/secret-scanning/alerts/1/locations")
    github_contract.check(f"GET {_ONE}/locations", answer)
    assert answer.json()[0]["type"] == place


def test_alerts_are_filtered_and_paged(github: GitHub, repository: Repository, api: httpx.Client) -> None:
    other = github.add_repository("other", owner="elsewhere")
    for n in range(35):
        github.alert(repository, f"secret-{n}", kind="openai_api_key" if n else "aws_key", announce=False)
    github.alert(other, "secret", announce=False)
    home = "/orgs/acme/secret-scanning/alerts"
    assert len(api.get(home).json()) == 30
    assert len(api.get(api.get(home).links["next"]["url"]).json()) == 5
    cursor = api.get(home, params={"after": "", "per_page": 20})
    assert len(api.get(cursor.links["next"]["url"]).json()) == 15
    assert len(api.get(home, params={"secret_type": "aws_key,other"}).json()) == 1
    github.alerts[3].state = "resolved"
    assert len(api.get(home, params={"state": "resolved"}).json()) == 1
    assert len(api.get(home, params={"state": "open", "per_page": 100}).json()) == 34
    assert api.get(home).json()[0]["number"] == 35


def test_an_alert_is_closed_once_and_only_with_a_reason(
    github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any
) -> None:
    alert = github.alert(repository, "made-up-secret", announce=False)
    path = "/repos/acme/service/secret-scanning/alerts/1"
    for wrong, status in (
        ({"state": "resolved"}, 422),
        ({"state": "resolved", "resolution": "gone"}, 422),
        ({"state": "shut"}, 422),
        ({"validity": "dead"}, 422),
        ({"resolution_comment": "why"}, 400),
        ([], 400),
    ):
        assert api.patch(path, json=wrong).status_code == status, wrong
    assert alert.state == "open"
    right = {"state": "resolved", "resolution": "revoked", "resolution_comment": "by us", "validity": "inactive"}
    done = api.patch(f"/repositories/{repository.id}/secret-scanning/alerts/1", json=right)
    github_contract.check(f"PATCH {_ONE}", done)
    assert (alert.state, alert.resolution, alert.validity) == ("resolved", "revoked", "inactive")
    assert done.json()["resolved_by"]["login"] == github.login
    assert api.patch(path, json=right).status_code == 400
    assert api.patch(path, json={"state": "open"}).status_code == 200
    github.delegated_dismissal = True
    assert api.patch(path, json=right).status_code == 403
    assert api.patch("/repos/acme/service/secret-scanning/alerts/2", json=right).status_code == 404


def test_every_kind_of_place_has_the_vendors_shape(
    github: GitHub, repository: Repository, api: httpx.Client, github_contract: Any
) -> None:
    """What the responder makes of a place is only as good as the place."""
    alert = github.alert(repository, "made-up", announce=False)
    kinds = ("issue", "pull_request", "discussion")
    for kind in [f"{one}_{part}" for one in kinds for part in ("title", "body", "comment")]:
        github.locate(alert, kind, 5, announce=False)
    for kind in ("pull_request_review", "pull_request_review_comment"):
        github.locate(alert, kind, 5, announce=False)
    answer = api.get("/repos/acme/service/secret-scanning/alerts/1/locations")
    assert len(answer.json()) == 12
    github_contract.check(f"GET {_ONE}/locations", answer)


def test_an_app_must_sign_and_its_tokens_end(github: GitHub, api: httpx.Client, github_contract: Any) -> None:
    """Else a responder that cannot sign would pass every test."""
    now = datetime.now(UTC)
    github.app = App()
    path = f"/app/installations/{github.app.installation}/access_tokens"

    def ask(jwt: str, where: str = path) -> httpx.Response:
        return api.post(where, headers={"Authorization": f"Bearer {jwt}"}, json={})

    good = Signer(github.app.id, github.app.private_key, lambda: now)()
    head, claims, signature = good.split(".")
    other = Signer(github.app.id, App().private_key, lambda: now)()
    late = Signer(github.app.id, github.app.private_key, lambda: now - timedelta(hours=1))()
    for bad in ("x", f"{head}.{claims}.", f"{head}.{claims}x.{signature}", other, late, github.token):
        assert ask(bad).status_code == 401
    assert ask(good, "/app/installations/1/access_tokens").status_code == 404
    answer = ask(good)
    assert answer.status_code == 201
    github_contract.check("POST /app/installations/{installation_id}/access_tokens", answer)
    mine = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert api.get("/rate_limit", headers=mine).status_code == 200
    assert api.get("/app/hook/deliveries", headers=mine).status_code == 401
    assert api.get("/rate_limit").status_code == 401, "the token of a person is worth nothing now"
    github.app.clock = (now + timedelta(hours=2)).timestamp
    assert api.get("/rate_limit", headers=mine).status_code == 401
