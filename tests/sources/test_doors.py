"""The doors: what is kept of a payload, and what is fetched for it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from responder.core.errors import Malformed, Refused, Unavailable
from responder.core.sighting import Alert, Source
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_shapes import Repository
from responder.sources import GITHUB_EVENTS, Material, Reach, doors
from responder.sources.github_api import GitHub
from tests.grown import NOON, token

_SAMPLES = Path(__file__).parents[3] / "shared" / "contracts" / "github-webhooks"
_SHA, _OTHER, _NOTHING = "a" * 40, "b" * 40, "0" * 40
samples = pytest.mark.skipif(not _SAMPLES.is_dir(), reason="the vendors' own samples are not part of this repository")


def _told(event: str, payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    told = doors()[GITHUB_EVENTS.get(event, event)].told(payload)
    return told.lane, told.refs


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _is_id(value: object) -> bool:
    if isinstance(value, int):
        return True
    return isinstance(value, str) and (
        value.replace("_", "").isalpha() or (len(value) in (40, 64) and value.isalnum())
    )


@samples
@pytest.mark.parametrize("event", sorted(GITHUB_EVENTS))
def test_of_the_vendors_own_samples_only_ids_are_kept(event: str) -> None:
    """No secret, no address, no name of a person or a branch ever reaches the database in the open."""
    files = sorted(_SAMPLES.glob(f"{event}.*.json"))
    assert files
    for file in files:
        lane, refs = _told(event, json.loads(file.read_text()))
        assert all(_is_id(leaf) for leaf in _leaves(refs)), file.name
        assert set(refs) <= {"repository", "commits", "before", "after", "alert", "action"}
        own = ":history" if GITHUB_EVENTS[event] == "github_history" else ""  # a long history delays no push
        assert lane == f"github:{refs['repository']}{own}"


def _push(**changes: object) -> dict[str, object]:
    commits = [{"id": _SHA, "message": token().reveal(), "url": "https://evil.example"}]
    payload = {"ref": "refs/heads/main", "after": _SHA, "repository": {"id": 7, "name": "x"}, "commits": commits}
    return payload | changes


def test_a_push_keeps_every_commit_and_the_tip() -> None:
    """A key added in one commit and removed in the next has leaked; a cut list still has its ends."""
    both = [{"id": _SHA}, {"id": _OTHER}, {"id": _SHA}]
    assert _told("push", _push(commits=both, after=_OTHER)) == (
        "github:7",
        {"repository": 7, "commits": [_SHA, _OTHER], "after": _OTHER},
    )
    cut = _told("push", _push(before=_SHA, after=_OTHER))[1]
    assert cut == {"repository": 7, "commits": [_SHA], "before": _SHA, "after": _OTHER}


def test_a_deleted_branch_leads_nowhere(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """There is nothing to fetch, and that is no error."""
    _, refs = _told("push", _push(commits=[], before=_SHA, after=_NOTHING, repository={"id": repository.id}))
    assert _material("github_push", github, refs) == []
    assert vendor.journal == []


@pytest.mark.parametrize(
    "payload",
    [
        _push(before="main"),
        {}, _push(repository=None), _push(repository={"id": "7"}), _push(repository={"id": 0}), _push(commits=None),
        _push(commits={}), _push(commits=[7]), _push(commits=[{}]), _push(commits=[{"id": "../.."}]),
        _push(after=None), _push(after="main"), _push(after=7), {k: v for k, v in _push().items() if k != "ref"},
    ],
)  # fmt: skip
def test_what_is_no_push_is_malformed(payload: dict[str, object]) -> None:
    """Told at the door, where the sender still hears it."""
    with pytest.raises(Malformed):
        _told("push", payload)


def test_an_alert_keeps_its_two_numbers_and_what_happened() -> None:
    """Its secret is never read from a payload, even where one stands."""
    payload = {
        "action": "publicly_leaked",
        "repository": {"id": 7},
        "alert": {"number": 3, "secret": token().reveal()},
    }
    assert _told("secret_scanning_alert", payload) == (
        "github:7",
        {"repository": 7, "alert": 3, "action": "publicly_leaked"},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"action": None}, {"action": ""}, {"action": "a b"}, {"action": "x" * 41}, {"action": 7}, {"alert": None},
        {"alert": {"number": "3"}}, {"alert": {"number": -3}}, {"repository": {}}, {"action": "../x"},
    ],
)  # fmt: skip
def test_what_is_no_alert_is_malformed(changes: dict[str, object]) -> None:
    """As with a push."""
    payload = {"action": "created", "repository": {"id": 7}, "alert": {"number": 3}} | changes
    with pytest.raises(Malformed):
        _told("secret_scanning_alert", payload)


def test_of_a_report_nothing_is_kept_in_the_open() -> None:
    """All of it may be the secret."""
    for payload in ({"token": token().reveal()}, {"tokens": [token().reveal()] * 3}, {"text": token().reveal()}):
        assert _told("report", {**payload, "url": "https://x.example", "comment": "c", "reporter": "r"}) == (
            "report",
            {},
        )


@pytest.mark.parametrize(
    "payload",
    [
        {}, {"url": "https://x.example"}, {"token": "a", "text": "b"}, {"token": "a", "tokens": ["b"]}, {"token": ""},
        {"token": None}, {"token": 7}, {"token": "a" * 1001}, {"tokens": []}, {"tokens": "a"}, {"tokens": [7]},
        {"tokens": [""]}, {"tokens": ["a"] * 1001}, {"tokens": ["a" * 1001]}, {"tokens": None}, {"text": ""},
        {"text": "a" * (1024 * 1024 + 1)}, {"token": "a", "url": "a" * 2001}, {"token": "a", "comment": "a" * 4001},
        {"token": "a", "reporter": "a" * 321}, {"token": "a", "extra": 1}, {"token": "a", "url": 7},
    ],
)  # fmt: skip
def test_what_is_no_report_is_malformed_and_not_repeated(payload: dict[str, object]) -> None:
    """A person made a mistake, and must be told which one."""
    with pytest.raises(Malformed) as caught:
        _told("report", payload)
    assert len(caught.value.reason) < 100


# --- material ------------------------------------------------------------------------------------


def _material(
    door: str, github: GitHub | None, refs: Mapping[str, Any], opened: bytes | None = None
) -> list[Material]:
    return list(doors()[door].material(Reach(github), refs, opened, NOON))


def _commits(repository: Repository, *ids: str) -> dict[str, object]:
    return {"repository": repository.id, "commits": list(ids)}


def test_a_push_yields_every_message_patch_and_file(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """Wherever in a commit a key can stand."""
    first = repository.objects.commit({"a.env": "A=1\n"}, "First")
    second = repository.objects.commit({"b.bin": b"\0binary"}, "Second")
    found = _material("github_push", github, _commits(repository, first.sha, second.sha))
    assert [(m.kind, m.content, m.path) for m in found] == [
        ("text", "First", None),
        ("diff", "@@ -0,0 +1 @@\n+A=1", "a.env"),
        ("text", "Second", None),
        ("text", b"\0binary", "b.bin"),
    ]
    assert len({m.place for m in found}) == 4
    assert all(m.source is Source.GITHUB_PUSH and m.at == NOON and m.gap is None for m in found)


def test_a_place_is_stable_and_does_not_repeat_the_path(github: GitHub, repository: Repository) -> None:
    """A file may be named after its secret, and places are stored."""
    made = repository.objects.commit({f"keys/{token().reveal()}": "x\n"})
    refs = _commits(repository, made.sha)
    places = [m.place for m in _material("github_push", github, refs)]
    assert places == [m.place for m in _material("github_push", github, refs)]
    assert not any(token().reveal() in place for place in places)
    for place in places:
        assert doors()["github_push"].narrow(_commits(repository, _OTHER, made.sha), place) == refs


@pytest.mark.parametrize("status", [404, 409, 410, 422, 451])
def test_a_commit_that_cannot_be_had_is_a_gap_and_never_clean(
    github: GitHub, repository: Repository, vendor: Vendor, status: int
) -> None:
    """And it does not keep the other commits from being looked through."""
    bad, good = repository.objects.commit({"a": "1\n"}), repository.objects.commit({"b": "2\n"})
    vendor.faults.add(bad.sha, "status", status=status)
    found = _material("github_push", github, _commits(repository, bad.sha, good.sha))
    assert [m.gap for m in found] == [f"commit {bad.sha[:12]}: status {status}", None, None]


def test_a_file_that_cannot_be_had_is_a_gap(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """Too large, or gone since: a person is told, the rest is looked through."""
    made = repository.objects.commit({"a.bin": b"\0", "b.txt": "x\n"})
    vendor.faults.add("/git/blobs/", "status", status=404)
    found = _material("github_push", github, _commits(repository, made.sha))
    assert [m.gap for m in found] == [None, f"a file of commit {made.sha[:12]}: status 404", None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_is_not_good_stops_everything(
    github: GitHub, repository: Repository, vendor: Vendor, status: int
) -> None:
    """It is not this commit's fault: a person has to mend it, and then all of it is fetched."""
    made = repository.objects.commit({"a": "1\n"})
    vendor.faults.add("/commits/", "status", times=None, status=status)
    with pytest.raises(Refused):
        _material("github_push", github, _commits(repository, made.sha))


def test_a_github_that_is_away_is_unavailable_and_not_a_gap(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """Later it is there again."""
    one, two = repository.objects.commit({"a": "1\n"}), repository.objects.commit({"b": b"\0"})
    for route in (one.sha, "/git/blobs/"):
        vendor.faults.add(route, "status", times=None, status=503)
        with pytest.raises(Unavailable):
            _material("github_push", github, _commits(repository, one.sha, two.sha))
        vendor.faults.clear()


def test_an_alert_yields_its_secret_and_what_it_decodes_to(
    github: GitHub, repository: Repository, vendor: Vendor
) -> None:
    """GitHub shows what stood there; in base64, the token is inside."""
    vendor.alert(repository, token(1).reveal(), announce=False)
    vendor.alert(repository, token(2).reveal(), base64_encoded=True, announce=False)
    plain = _material("github_alert", github, {"repository": repository.id, "alert": 1, "action": "created"})
    assert [(m.kind, m.content, m.alert) for m in plain] == [("secret", token(1).reveal(), Alert(repository.id, 1))]
    encoded = _material("github_alert", github, {"repository": repository.id, "alert": 2, "action": "created"})
    assert encoded[-1].content == token(2).reveal().encode()
    assert all(m.place == f"{repository.id}/alert/2" for m in encoded)


def test_an_alert_whose_secret_is_hidden_is_a_gap(github: GitHub, repository: Repository, vendor: Vendor) -> None:
    """A person with the right to see it must look."""
    vendor.alert(repository, token().reveal(), announce=False).hidden = True
    [found] = _material("github_alert", github, {"repository": repository.id, "alert": 1, "action": "created"})
    assert (found.gap, found.content) == ("alert 1: GitHub hides its secret", "")


@pytest.mark.parametrize("door", ["github_push", "github_alert"])
def test_without_a_credential_it_is_refused(door: str) -> None:
    """Silence would look like an empty push."""
    with pytest.raises(Refused) as caught:
        _material(door, None, {"repository": 1, "commits": [_SHA], "alert": 1})
    assert (caught.value.status, caught.value.code) == (401, "no_credential")


@pytest.mark.parametrize(
    ("payload", "contents"),
    [
        ({"token": "one"}, ["one"]),
        ({"tokens": ["one", "two"]}, ["one", "two"]),
        ({"text": "a text"}, ["a text"]),
        ({"tokens": ["one"], "comment": "and two"}, ["one", "and two"]),
    ],
)
def test_a_report_yields_what_was_reported(payload: dict[str, object], contents: list[str]) -> None:
    """And an address only if a person may be shown it."""
    for url, where in (("https://x.example/1", "https://x.example/1"), ("javascript:alert(1)", None)):
        opened = json.dumps({**payload, "url": url}).encode()
        found = _material("report", None, {"receipt": "rcp_1"}, opened)
        assert [(m.kind, m.content) for m in found] == [("text", content) for content in contents]
        assert [(m.place, m.where) for m in found] == [(f"report/rcp_1/{n}", where) for n in range(len(contents))]


def test_of_a_report_of_many_only_the_token_that_was_sighted_is_looked_for_again() -> None:
    """A thousand tokens in a report must not be scanned a thousand times each."""
    opened = json.dumps({"tokens": ["one", "two", "three"]}).encode()
    narrow = doors()["report"].narrow({"receipt": "rcp_1"}, "report/rcp_1/1")
    assert [m.content for m in _material("report", None, narrow, opened)] == ["two"]


def test_what_is_in_hand_does_not_print() -> None:
    """Material is handed around, and logs are near."""
    piece = Material("text", token().reveal(), Source.REPORT, "report/1", None, NOON)
    assert token().reveal() not in repr(piece)
