"""What a GitHub alert says besides its secret: places, hints, severity, and who closed it."""

import json
from pathlib import Path
from typing import Any

import pytest

from responder.core.errors import Refused, Unavailable
from responder.core.recipient import within
from responder.core.sighting import Alert
from responder.outbound import Door
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_alerts import Alert as Found
from responder.simulator.github_shapes import Repository
from responder.sources import Change, News, Reach, doors
from responder.sources.github_alert import ACTIONS
from responder.sources.github_alerts_api import read_alert, read_location
from responder.sources.github_api import GitHub
from responder.sources.github_call import PlainToken
from tests.grown import NOON, token

_CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
contracts = pytest.mark.skipif(
    not _CONTRACTS.is_dir(), reason="the vendors' own samples are not part of this repository"
)
_LOCATIONS = "GET .*/locations"
_SHA = "0123456789abcdef0123456789abcdef01234567"
_PAGE = "https://github.com/acme/service/security/secret-scanning/1"
_BASE = "https://github.com/acme/service"


def _news(github: GitHub, repository: Repository, action: str) -> News:
    refs = {"repository": repository.id, "alert": 1, "action": action}
    [piece] = doors()["github_alert"].material(Reach(github), refs, None, NOON)
    assert piece.news is not None
    return piece.news


@pytest.fixture
def alert(vendor: Vendor, repository: Repository) -> Found:
    return vendor.alert(repository, token().reveal(), announce=False)


def _where(kind: str, **details: object) -> str | None:
    found = read_location({"type": kind, "details": details})
    assert found is not None
    return found.address(_PAGE)


# --- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_every_place_is_fetched_over_all_pages(
    vendor: Vendor, repository: Repository, count: int, prefix: str
) -> None:
    """Place number 101 is the one nobody cleans up; on a GitHub Enterprise Server there is a prefix before all."""
    vendor.prefix = prefix
    vendor.alert(repository, token().reveal(), announce=False).locations.clear()
    for number in range(count):
        vendor.locate(vendor.alerts[0], "issue_body", number + 1, announce=False)
    door = Door("github", vendor.api_url, deadline_seconds=5.0)
    github = GitHub(door, PlainToken(vendor.token))
    found = github.locations(Alert(repository.id, 1))
    door.close()
    assert [place.address(_PAGE) for place in found] == [f"{_BASE}/issues/{n + 1}" for n in range(count)]
    assert len({place.name for place in found}) == count
    assert vendor.count(rf"GET {prefix}/repositories/.*/locations") == -(-count // 100)


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("issue_title", "issues/7"),
        ("issue_body", "issues/7"),
        ("issue_comment", "issues/1#issuecomment-7"),
        ("discussion_title", "discussions/7"),
        ("discussion_body", "discussions/1#discussion-7"),
        ("discussion_comment", "discussions/1#discussioncomment-7"),
        ("pull_request_title", "pull/7"),
        ("pull_request_body", "pull/7"),
        ("pull_request_comment", "pull/1#issuecomment-7"),
        ("pull_request_review", "pull/1#pullrequestreview-7"),
        ("pull_request_review_comment", "pull/1#discussion_r7"),
    ],
)
def test_every_kind_of_place_has_a_page_that_a_person_can_open(
    github: GitHub, vendor: Vendor, repository: Repository, alert: Found, kind: str, page: str
) -> None:
    """An address of the API shows JSON, and asks for a token."""
    alert.locations.clear()
    vendor.locate(alert, kind, 7, announce=False)
    [found] = github.locations(Alert(repository.id, 1))
    assert (found.kind, found.address(_PAGE)) == (kind, f"{_BASE}/{page}")


def test_a_commit_is_shown_at_its_line_and_quoted() -> None:
    """A file's name is whatever somebody typed."""
    assert _where("commit", commit_sha=_SHA, path="/a b/ü#?.py", start_line=12) == (
        f"{_BASE}/blob/{_SHA}/a%20b/%C3%BC%23%3F.py#L12"
    )
    assert _where("wiki_commit", commit_sha=_SHA, path="/Home.md", start_line=1) == f"{_BASE}/wiki/_compare/{_SHA}"
    assert _where("commit", commit_sha=_SHA, path="../../evil", start_line=1) == f"{_BASE}/commit/{_SHA}"


def test_no_address_of_an_answer_is_ever_shown_as_it_is() -> None:
    """Only numbers are taken out of it: what stands around them may lead anywhere."""
    evil = "https://evil.example/acme/service/issues/7#issuecomment-8?x=<script>"
    assert _where("issue_comment", issue_comment_url=evil, html_url=evil) == f"{_BASE}/issues/7#issuecomment-8"
    assert _where("issue_title", issue_title_url="javascript:alert(1)") == _PAGE
    assert _where("new_kind_of_place", html_url="https://evil.example/") == _PAGE
    assert _where("issue_comment", issue_comment_url=f"{_BASE}/issues/comments/8") == _PAGE, "of which issue?"
    [hidden] = [_where("commit", commit_sha=_SHA, path=f"keys/{token().reveal()}", start_line=1)]
    assert hidden == _PAGE, "a file may be named after its secret"


def test_a_place_keeps_its_name_when_its_repository_is_renamed() -> None:
    """Else every place would be there twice."""
    names = set()
    for home in ("acme/service", "other/renamed"):
        found = read_location(
            {"type": "issue_body", "details": {"issue_body_url": f"https://a.example/repos/{home}/issues/7"}}
        )
        assert found is not None
        names.add(found.name)
    assert len(names) == 1


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"type": "commit"}, {"type": "commit", "details": []}, {"type": "A b", "details": {}},
     {"type": 7, "details": {}}],
)  # fmt: skip
def test_what_is_no_place_is_left_out(content: object) -> None:
    """One odd line does not hide the others."""
    assert read_location(content) is None


@contracts
def test_the_vendors_own_places_all_have_a_page() -> None:
    """Each kind in the vendor's description, with the vendor's own examples."""
    schemas = json.loads((_CONTRACTS / "github-rest.openapi.json").read_text())["components"]["schemas"]
    for kind in schemas["secret-scanning-location"]["properties"]["type"]["enum"]:
        properties = schemas[f"secret-scanning-location-{kind.replace('_', '-')}"]["properties"]
        where = _where(kind, **{name: one["example"] for name, one in properties.items() if "example" in one})
        assert where is not None
        assert where.startswith(f"{_BASE}/")
        assert where != _PAGE


def test_places_that_cannot_be_had_are_not_an_empty_list(
    github: GitHub, vendor: Vendor, repository: Repository, alert: Found
) -> None:
    """To stand nowhere else is something to know."""
    for fault, error in (({"kind": "status", "status": 404}, Refused), ({"kind": "wrong_schema"}, Unavailable)):
        vendor.faults.clear()
        vendor.faults.add(_LOCATIONS, **fault)
        with pytest.raises(error):
            github.locations(Alert(repository.id, 1))


# --- what is said of the owner -------------------------------------------------------------------


def test_hints_are_bounded_plain_and_without_a_token(github: GitHub, repository: Repository, alert: Found) -> None:
    """Names are whatever somebody typed, and are shown to people."""
    alert.metadata = {
        "owner_email": "ada@acme.example",
        "owner_name": f"Ada\r\n\x1b[31m{token().reveal()}",
        "secret_name": "x" * 5000,
        "secret_id": "key_1",
        "surprise": "not documented",
    }
    hints = github.alert(Alert(repository.id, 1)).hints
    assert set(hints) == {"owner_email", "owner_name", "secret_name", "secret_id"}
    assert hints["owner_name"] == "Ada [31msk-[redacted]"
    assert len(hints["secret_name"]) == 200


@pytest.mark.parametrize(
    "metadata",
    [None, {}, "x", [None], [{}], [{"key": "owner_email"}], [{"key": 7, "value": "x"}],
     [{"key": "owner_email", "value": 7}]],
)  # fmt: skip
def test_hints_that_are_none_are_none(metadata: object) -> None:
    """A preview of the vendor's may change its shape at any time."""
    assert read_alert({"metadata": metadata}).hints == {}


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("ada@acme.example", "ada@acme.example"),
        ("Ada.L+x@ACME.example", "Ada.L+x@acme.example"),
        ("ada@eu.acme.example", "ada@eu.acme.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@evilacme.example", None),
        ("ada@acme.example.evil.example", None),
        ("ada@evil.example@acme.example", None),
        ('"ada@evil.example"@acme.example', None),
        ("ada%evil.example@acme.example", None),
        ("evil.example!ada@acme.example", None),
        ("ada@acme.example, eve@evil.example", None),
        ("ada@acme.example\r\nBcc: eve@evil.example", None),
        ("Ada <eve@evil.example> @acme.example", None),
        ("ada＠evil.example@acme.example", None),  # noqa: RUF001 -- that is the trick
        ("ada@acme。example", "ada@acme.example"),
        ("ada@acmе.example", None),  # noqa: RUF001 -- a Cyrillic letter
        ("@acme.example", None),
        ("acme.example", None),
        ("ada@", None),
        ("ada@.acme.example", None),
        ("ada@acme..example", None),
        ("", None),
    ],
)
def test_an_address_is_written_to_only_inside_our_domains(address: str, accepted: str | None) -> None:
    """The message says which key leaked, and where."""
    assert within(address, ("acme.example", "bücher.example")) == accepted
    assert within(address, ()) is None
    assert within(address, ("", ".", "not a domain")) is None


# --- actions -------------------------------------------------------------------------------------


@contracts
def test_every_action_that_the_vendor_sends_stands_in_the_table() -> None:
    """One that does not is looked at like a new alert; one that does was thought about."""
    events = json.loads((_CONTRACTS / "github-webhooks.schema.json").read_text())["x-events"]
    assert set(events["secret_scanning_alert"]) | {"location_created", "revoked"} == set(ACTIONS)
    assert set(events["secret_scanning_alert_location"]) == {"created"}


@contracts
def test_the_vendors_own_events_are_told_apart_by_what_happened() -> None:
    """An event about a place is not one about a new alert, though both say "created"."""
    seen = set()
    for file in sorted((_CONTRACTS / "github-webhooks").glob("secret_scanning_alert*.json")):
        payload: dict[str, Any] = json.loads(file.read_text())
        action = doors()["github_alert"].told(payload).refs["action"]
        assert action == ("location_created" if "alert_location" in file.name else payload["action"])
        seen.add(action)
    assert seen >= set(ACTIONS) - {"revoked"}


@pytest.mark.parametrize("action", [*ACTIONS, "something_new"])
def test_whatever_happened_to_an_alert_its_secret_is_looked_at(
    github: GitHub, repository: Repository, alert: Found, action: str
) -> None:
    """A doorbell is a doorbell: the event before it may have been lost."""
    assert _news(github, repository, action).change is ACTIONS.get(action, Change.SEEN)


@pytest.mark.parametrize(
    ("action", "validity", "public", "severe"),
    [
        ("created", "unknown", False, False),
        ("created", "active", False, True),
        ("created", "unknown", True, True),
        ("publicly_leaked", "unknown", False, True),
        ("validated", "unknown", False, True),
        ("validated", "inactive", False, False),
        ("resolved", "inactive", False, False),
    ],
)
def test_a_secret_seen_in_public_or_alive_is_severe(
    github: GitHub,
    repository: Repository,
    alert: Found,
    action: str,
    validity: str,
    public: bool,
    severe: bool,
) -> None:
    """Others have it, or it opens doors; "validated" may also mean that it was found dead."""
    alert.validity, alert.publicly_leaked = validity, public
    assert _news(github, repository, action).severe is severe


def test_whoever_closed_an_alert_is_named_only_if_it_is_a_name(
    github: GitHub, repository: Repository, alert: Found
) -> None:
    """It is shown to people who are about to act."""
    alert.change({"state": "resolved", "resolution": "wont_fix"}, "ada-l")
    news = _news(github, repository, "resolved")
    assert (news.is_open, news.resolution, news.closed_by) == (False, "wont_fix", "ada-l")
    for name in ("<b>ada</b>", token().reveal(), "a b", "x" * 80):
        alert.resolved_by = name
        assert _news(github, repository, "resolved").closed_by is None
    assert read_alert({"resolution": "<script>", "resolved_by": 7}).resolution is None
