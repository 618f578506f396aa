"""GitHub's REST API: commits over all pages, blobs, alerts, and everything that "forbidden" can mean."""

import time
import traceback
from collections.abc import Callable

import pytest

from responder.core.errors import Refused, Unavailable
from responder.core.sighting import Alert
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_shapes import Repository
from responder.sources.github_api import GitHub
from tests.grown import token
from tests.sources.conftest import Clock

_COMMITS, _BLOBS, _ALERTS = "GET .*/commits/", "GET .*/blobs/", "/secret-scanning/alerts/"


@pytest.mark.parametrize("count", [1, 299, 300, 301, 650])
def test_every_file_of_a_commit_is_fetched_over_all_pages(
    github: GitHub, repository: Repository, vendor: Vendor, count: int
) -> None:
    """File number 301 is where the key is."""
    made = repository.objects.commit({f"f{n:04}": f"{n}\n" for n in range(count)})
    commit = github.commit(repository.id, made.sha)
    assert [file.path for file in commit.files] == [f"f{n:04}" for n in range(count)]
    assert all(file.patch is not None for file in commit.files)
    assert vendor.count(_COMMITS) == -(-count // 300)


def test_the_next_page_is_a_number_and_never_an_address(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """A link in a header is written by somebody; the credential goes to the configured host only."""
    made = repository.objects.commit({"a": "1\n"})
    link = f'<{vendor.origin}/elsewhere?page=2>; rel="next"'
    body = {"sha": made.sha, "files": [], "commit": {"message": "m"}}
    vendor.faults.add(_COMMITS, "status", status=200, body=body, headers={"Link": link})
    github.commit(repository.id, made.sha)
    assert [seen.path for seen in vendor.journal] == [f"/repositories/{repository.id}/commits/{made.sha}"] * 2
    assert vendor.journal[1].query == "page=2"


@pytest.mark.parametrize(
    "link",
    ['<x?page=1>; rel="next"', '<x?page=0>; rel="next"', '<x?page=41>; rel="next"', '<x?page=99999>; rel="next"', "",
     "x"],
)  # fmt: skip
def test_pages_only_go_forward_and_come_to_an_end(
    github: GitHub, repository: Repository, vendor: Vendor, link: str
) -> None:
    """Or one commit would keep a worker for ever."""
    made = repository.objects.commit({"a": "1\n"})
    body = {"sha": made.sha, "files": []}
    vendor.faults.add(_COMMITS, "status", times=None, status=200, body=body, headers={"Link": link})
    github.commit(repository.id, made.sha)
    assert vendor.count(_COMMITS) == 1


def test_a_file_without_a_patch_comes_with_its_blob(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """Large and binary files leak keys too."""
    vendor.patch_limit_bytes = 1000
    made = repository.objects.commit({"big": "y" * 5000, "bin": b"\0\xff" * 700, "small": "z\n"})
    files = {file.path: file for file in github.commit(repository.id, made.sha).files}
    assert (files["small"].patch, files["big"].patch, files["bin"].patch) == ("@@ -0,0 +1 @@\n+z", None, None)
    for name, content in (("big", b"y" * 5000), ("bin", b"\0\xff" * 700)):
        blob = files[name].blob
        assert blob is not None
        assert github.blob(repository.id, blob) == content


def test_a_removed_file_has_no_content_to_fetch(github: GitHub, repository: Repository) -> None:
    """Its old content leaked with the commit that added it."""
    repository.objects.commit({"gone": "x\n", "kept": "y\n"})
    made = repository.objects.commit({"gone": None})
    [file] = github.commit(repository.id, made.sha).files
    assert (file.path, file.blob) == ("gone", None)


def test_a_commit_has_its_message_and_an_address_for_people(github: GitHub, repository: Repository) -> None:
    """Keys are pasted into messages, and people want to see where."""
    made = repository.objects.commit({"a": "1\n"}, "Add the key")
    commit = github.commit(repository.id, made.sha)
    assert (commit.sha, commit.message) == (made.sha, "Add the key")
    assert commit.where is not None
    assert commit.where.startswith("https://")


@pytest.mark.parametrize(
    "body",
    [
        [], "x", {}, {"sha": "0" * 40}, {"sha": None}, {"files": []},
    ],
)  # fmt: skip
def test_an_answer_about_another_commit_is_unavailable(
    github: GitHub, repository: Repository, vendor: Vendor, body: object
) -> None:
    """A cached or mistaken answer must not make a commit look clean."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.faults.add(_COMMITS, "wrong_schema", body=body)
    with pytest.raises(Unavailable):
        github.commit(repository.id, made.sha)


def test_strange_files_are_taken_for_what_they_are(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """One odd entry must not lose the others."""
    sha = repository.objects.commit({"a": "1\n"}).sha
    files = [7, None, {}, {"filename": 1, "patch": 2, "sha": 3}, {"filename": "x" * 5000, "sha": "../../x"},
             {"filename": "ok", "patch": "+1", "sha": "a" * 40}]  # fmt: skip
    vendor.faults.add(_COMMITS, "wrong_schema", body={"sha": sha, "files": files, "commit": 7, "html_url": 7})
    commit = github.commit(repository.id, sha)
    assert (commit.message, commit.where) == ("", None)
    assert [(len(file.path), file.patch, file.blob) for file in commit.files] == [
        (0, None, None),
        (0, None, None),
        (1000, None, None),
        (2, "+1", "a" * 40),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"content": "eA=="}, {"content": None, "encoding": "base64"}, {"content": "é", "encoding": "base64"},
             {"content": "abc", "encoding": "base64"}, {"content": "eA==", "encoding": "utf-8"}, []],
)  # fmt: skip
def test_a_blob_in_another_encoding_is_unavailable_and_never_empty(
    github: GitHub, vendor: Vendor, repository: Repository, body: object
) -> None:
    """An empty file would be called clean."""
    vendor.faults.add(_BLOBS, "wrong_schema", body=body)
    with pytest.raises(Unavailable):
        github.blob(repository.id, "a" * 40)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
def test_what_cannot_be_had_is_refused(github: GitHub, vendor: Vendor, repository: Repository, status: int) -> None:
    """Deleted, forced away, blocked, or not for us: asking again would not help."""
    sha = repository.objects.commit({"a": "1\n"}).sha
    vendor.faults.add("GET", "status", times=3, status=status)
    for ask in (
        lambda: github.commit(repository.id, sha),
        lambda: github.blob(repository.id, sha),
        lambda: github.alert(Alert(repository.id, 1)),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.status == status


@pytest.mark.parametrize("status", [304, 408, 425, 500, 502, 503])
def test_what_cannot_be_had_now_is_unavailable(
    github: GitHub, vendor: Vendor, repository: Repository, status: int
) -> None:
    """304 has no body, and no body is no commit."""
    vendor.faults.add("GET", "status", status=status)
    with pytest.raises(Unavailable) as caught:
        github.commit(repository.id, "a" * 40)
    assert caught.value.why == f"status {status}"


def test_an_unknown_commit_or_a_wrong_credential_is_refused(
    github: GitHub, repository: Repository, make: Callable[[str], GitHub]
) -> None:
    """As GitHub itself answers."""
    repository.objects.commit({"a": "1\n"})
    for api, number, status in ((github, repository.id, 422), (github, 1, 404), (make("wrong"), repository.id, 401)):
        with pytest.raises(Refused) as caught:
            api.commit(number, "a" * 40)
        assert caught.value.status == status


def test_a_renamed_repository_is_found_under_its_number(
    github: GitHub, vendor: Vendor, repository: Repository
) -> None:
    """A name can be taken by somebody else; a number cannot."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.rename(repository, "renamed")
    assert github.commit(repository.id, made.sha).sha == made.sha


# --- rate limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ({"kind": "secondary_limit", "headers": {"Retry-After": "42"}}, 42),
        ({"kind": "secondary_limit"}, 60),
        ({"kind": "status", "status": 429}, 60),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "7"}}, 7),
        ({"kind": "status", "status": 403, "headers": {"Retry-After": "7"}}, 7),
        ({"kind": "status", "status": 403, "headers": {"Retry-After": "0"}}, 1),
        ({"kind": "status", "status": 403, "headers": {"Retry-After": "99999"}}, 3600),
        ({"kind": "rate_limit", "headers": {"x-ratelimit-reset": "1"}}, 1),
        ({"kind": "rate_limit", "headers": {"x-ratelimit-reset": "99999999999"}}, 3600),
        ({"kind": "rate_limit", "headers": {"x-ratelimit-reset": "9" * 30}}, 60),
        ({"kind": "rate_limit", "headers": {"x-ratelimit-reset": "²"}}, 60),
        ({"kind": "rate_limit", "headers": {"x-ratelimit-reset": "soon"}}, 60),
    ],
)
def test_a_rate_limit_closes_the_door_for_as_long_as_it_says(
    github: GitHub, vendor: Vendor, repository: Repository, clock: Clock, fault: dict[str, object], wait: float
) -> None:
    """Calls made during a limit prolong it, and can cost the App its access."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.faults.add(_COMMITS, **fault)  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        github.commit(repository.id, made.sha)
    assert caught.value.why == "rate limit"
    assert caught.value.retry_after_seconds == pytest.approx(wait, abs=0.01)
    asked = len(vendor.journal)
    clock.now += wait / 2
    with pytest.raises(Unavailable, match="rate limit"):
        github.alert(Alert(repository.id, 1))
    assert len(vendor.journal) == asked
    clock.now += wait + 1
    assert github.commit(repository.id, made.sha).sha == made.sha


def test_a_rate_limit_that_names_its_end_is_waited_for_until_then(
    github: GitHub, vendor: Vendor, repository: Repository
) -> None:
    """The end is a time of day, so it is made when it is met: a suite takes longer than such a wait."""
    made = repository.objects.commit({"a": "1\n"})
    ends_at = int(time.time()) + 500
    vendor.faults.add(_COMMITS, "rate_limit", headers={"x-ratelimit-reset": str(ends_at)})
    with pytest.raises(Unavailable) as caught:
        github.commit(repository.id, made.sha)
    waits = caught.value.retry_after_seconds
    assert waits is not None
    assert ends_at - time.time() <= waits <= 500


def test_a_plain_refusal_closes_nothing(github: GitHub, vendor: Vendor, repository: Repository) -> None:
    """One repository we may not read must not stop all the others."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.faults.add(_COMMITS, "status", status=403)
    with pytest.raises(Refused):
        github.commit(repository.id, made.sha)
    assert github.commit(repository.id, made.sha).sha == made.sha


# --- alerts --------------------------------------------------------------------------------------


def test_an_alert_comes_with_its_secret(github: GitHub, vendor: Vendor, repository: Repository) -> None:
    """The webhook never holds it."""
    made = vendor.alert(repository, token().reveal(), announce=False)
    detail = github.alert(Alert(repository.id, made.number))
    assert (detail.secret, detail.state, detail.encoded) == (token().reveal(), "open", False)
    assert detail.where is not None
    assert detail.created_at is not None
    assert detail.created_at.tzinfo is not None
    assert token().reveal() not in repr(detail)


def test_a_hidden_secret_is_none(github: GitHub, vendor: Vendor, repository: Repository) -> None:
    """We may see the alert and not the secret; that is a gap, not an empty secret."""
    vendor.alert(repository, token().reveal(), announce=False).hidden = True
    assert github.alert(Alert(repository.id, 1)).secret is None


@pytest.mark.parametrize("body", [[], {}, {"number": 2}, {"number": "1"}])
def test_an_answer_about_another_alert_is_unavailable(
    github: GitHub, vendor: Vendor, repository: Repository, body: object
) -> None:
    """Its secret is not this one's."""
    vendor.faults.add(_ALERTS, "wrong_schema", body=body)
    with pytest.raises(Unavailable):
        github.alert(Alert(repository.id, 1))


@pytest.mark.parametrize("created", [None, "", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", 7])
def test_an_impossible_instant_is_none(
    github: GitHub, vendor: Vendor, repository: Repository, created: object
) -> None:
    """The secret counts."""
    vendor.faults.add(_ALERTS, "wrong_schema", body={"number": 1, "secret": "x", "created_at": created})
    assert github.alert(Alert(repository.id, 1)).created_at is None


def test_closing_an_alert_says_revoked_and_why(github: GitHub, vendor: Vendor, repository: Repository) -> None:
    """The next person who looks must find the incident."""
    made = vendor.alert(repository, token().reveal(), announce=False)
    github.close_alert(Alert(repository.id, 1), "Revoked, incident inc_1.")
    assert (made.state, made.resolution, made.resolution_comment, made.validity) == (
        "resolved",
        "revoked",
        "Revoked, incident inc_1.",
        "inactive",
    )


def test_an_alert_a_person_closed_stays_as_they_left_it(
    github: GitHub, vendor: Vendor, repository: Repository
) -> None:
    """They had a reason, and wrote it down."""
    made = vendor.alert(repository, token().reveal(), announce=False)
    made.change({"state": "resolved", "resolution": "used_in_tests", "resolution_comment": "ours"}, "alice")
    github.close_alert(Alert(repository.id, 1), "Revoked.")
    assert (made.resolution, made.resolution_comment, made.resolved_by) == ("used_in_tests", "ours", "alice")
    assert vendor.count("PATCH") == 0


def test_an_alert_that_somebody_closes_at_the_same_moment_is_closed(
    github: GitHub, vendor: Vendor, repository: Repository
) -> None:
    """GitHub refuses a change that changes nothing; that is no reason to get a person up."""
    made = vendor.alert(repository, token().reveal(), announce=False)
    body = {**made.rest(vendor.origin, single=True), "state": "open"}
    made.change({"state": "resolved", "resolution": "revoked"}, "alice")
    vendor.faults.add("GET .*/alerts/1", "status", status=200, body=body)
    github.close_alert(Alert(repository.id, 1), "Revoked.")
    assert (vendor.count("PATCH"), made.resolved_by) == (1, "alice")


def test_an_alert_that_takes_a_reviewer_is_refused(github: GitHub, vendor: Vendor, repository: Repository) -> None:
    """A person has to close it."""
    vendor.alert(repository, token().reveal(), announce=False)
    vendor.delegated_dismissal = True
    with pytest.raises(Refused) as caught:
        github.close_alert(Alert(repository.id, 1), "Revoked.")
    assert caught.value.status == 403


def test_no_error_carries_the_credential_an_address_or_a_body(
    github: GitHub, vendor: Vendor, repository: Repository
) -> None:
    """Each is logged."""
    faults = [{"kind": "status", "status": s} for s in (401, 403, 404, 500)]
    faults += [{"kind": k} for k in ("reset", "html", "cut_body", "redirect", "wrong_schema")]
    for fault in faults:
        vendor.faults.clear()
        vendor.faults.add("", **{"body": token().reveal(), **fault})  # type: ignore[arg-type]
        with pytest.raises((Refused, Unavailable)) as caught:
            github.commit(repository.id, "a" * 40)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
        assert not any(part in text for part in (vendor.token, token().reveal(), f":{vendor.port}", "Bearer"))
