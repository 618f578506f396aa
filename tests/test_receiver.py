"""The receiver over real HTTP: what is answered with what, and that a 2xx means "on disk"."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from responder.core.token import scrub
from responder.seal import Keys
from responder.simulator import World
from responder.store import heartbeats
from tests.hook import SECRET, Sender, alert, assert_problem, dump, push, sign, status
from tests.running import CONTRACTS, Group

HANDLED = ("push", "secret_scanning_alert", "secret_scanning_alert_location")
SAMPLES = sorted((CONTRACTS / "github-webhooks").glob("*.*.json"))
LARGEST = 25 * 1024 * 1024
LARGEST_REPORT = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    settings = {"RESPONDER_GITHUB__WEBHOOK_SECRET": SECRET}
    with Group(tmp_path_factory.mktemp("receiver"), settings) as group:
        group.prepare().start("web").wait_until_listening()
        yield Sender(group)


def test_a_ping_is_answered_with_200(sender: Sender) -> None:
    """GitHub shows it green on the webhook's page."""
    before = sender.stored()
    answer = sender.post(dump({"zen": "Keep it logically awesome.", "hook_id": 1}), "ping", guid="a-ping")
    assert (answer.status_code, answer.json()) == (200, {"delivery": "a-ping"})
    assert sender.stored() == before


@pytest.mark.parametrize(("event", "body"), [(HANDLED[0], push()), (HANDLED[1], alert()), (HANDLED[2], alert())])
def test_a_handled_event_is_on_disk_when_its_202_arrives(sender: Sender, event: str, body: object) -> None:
    """GitHub never sends it again by itself: what we acknowledge we own."""
    guid = f"handled-{event.replace('_', '-')}"
    answer = sender.post(dump(body), event, guid=guid)
    assert (answer.status_code, answer.json()) == (202, {"delivery": guid})
    assert len([id_ for id_ in sender.stored() if guid in id_]) == 1


@pytest.mark.parametrize(
    "event", ["star", "repository", "installation", "secret_scanning_scan", "some_event_of_2031"]
)
def test_any_other_event_is_said_to_be_ignored(sender: Sender, event: str) -> None:
    """Whoever ticked too many boxes sees it, and GitHub does not count failures."""
    before = sender.stored()
    answer = sender.post(dump({"action": "created"}), event)
    assert (answer.status_code, answer.json()) == (202, {"ignored": event})
    assert sender.stored() == before


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
@pytest.mark.parametrize("sample", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_every_published_sample_is_answered_as_documented(sender: Sender, sample: Path, form: bool) -> None:
    """Real payloads are larger and odder than anybody remembers."""
    manifest = json.loads((sample.parent / "manifest.json").read_text())
    event = next(one["x_github_event"] for one in manifest["files"] if one["file"] == sample.name)
    body = b"payload=" + quote(sample.read_bytes()).encode() if form else sample.read_bytes()
    kind = "application/x-www-form-urlencoded" if form else "application/json; charset=utf-8"
    answer = sender.post(body, event, guid="a-sample", headers={"Content-Type": kind})
    handled = event in (*HANDLED, "ping", "public") or sample.name.startswith("repository.publicized")
    expected = {"delivery": "a-sample"} if handled else {"ignored": event}
    assert (answer.status_code, answer.json()) == (200 if event == "ping" else 202, expected)


def test_the_samples_are_here() -> None:
    """Said aloud where they are missing, so that nobody takes an empty table for a green one."""
    if not SAMPLES:
        pytest.skip("the shared contracts are not here")
    assert len(SAMPLES) > 30


def test_a_redelivery_is_harmless(sender: Sender) -> None:
    """It has the same GUID; eight at once are still one."""
    body = dump(push(repository={"id": 71}))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sender.post(body, guid="again-and-again"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len([id_ for id_ in sender.stored() if "again-and-again" in id_]) == 1


def test_a_known_guid_does_not_shadow_another_body(sender: Sender) -> None:
    """The GUID is not signed: who replays one must not be able to make us drop somebody else's delivery."""
    for number in (72, 73):
        sender.post(dump(push(repository={"id": number})), guid="a-shared-guid")
    assert len([id_ for id_ in sender.stored() if "a-shared-guid" in id_]) == 2


def test_what_could_not_be_stored_is_refused_with_503_and_accepted_later(sender: Sender) -> None:
    """Acknowledging what is not on disk loses it; GitHub shows the 503 and can deliver again."""
    body = dump(push(repository={"id": 74}))
    with closing(sqlite3.connect(sender.group.data / "responder.sqlite", isolation_level=None)) as file:
        file.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        answer = sender.post(body, guid="while-locked")
        assert time.monotonic() - began < 10, "GitHub waits ten seconds"
        assert_problem(answer, 503)
        assert answer.headers["retry-after"].isdigit()
        file.execute("ROLLBACK")
    assert not [id_ for id_ in sender.stored() if "while-locked" in id_]
    assert sender.post(body, guid="while-locked").status_code == 202
    assert len([id_ for id_ in sender.stored() if "while-locked" in id_]) == 1


def test_many_deliveries_to_a_locked_store_all_get_their_answer_in_time(sender: Sender) -> None:
    """One that waits for the disk must not make the others wait behind it."""
    with (
        ThreadPoolExecutor(16) as pool,
        closing(sqlite3.connect(sender.group.data / "responder.sqlite", isolation_level=None)) as file,
    ):
        file.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        waiting = [pool.submit(sender.post, dump(push()), guid=f"crowd-{n}") for n in range(16)]
        time.sleep(0.5)
        assert sender.group.client.get("/healthz").status_code == 200
        assert time.monotonic() - began < 4, "a locked store must not silence the health check"
        assert {delivery.result().status_code for delivery in waiting} == {503}
        assert time.monotonic() - began < 10, "GitHub waits ten seconds"
        file.execute("ROLLBACK")


@pytest.mark.parametrize("path", ["/hooks/github", "/v1/reports"])
def test_a_body_without_a_declared_length_is_refused(sender: Sender, path: str) -> None:
    """A chunked body over the cap would be cut silently, and its end never read."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert status(sender.raw(chunked)) == 411
    assert status(sender.raw(head + b"\r\n")) == 411


@pytest.mark.parametrize("length", ["-1", "x", "1, 2", "+2", "1e3", "0x2", ""])
def test_a_senseless_length_is_refused(sender: Sender, length: str) -> None:
    """Guessing where a body ends is how requests are smuggled."""
    head = f"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{{}}"
    assert 400 <= status(sender.raw(head.encode())) < 500


def test_two_ways_of_saying_the_length_are_refused(sender: Sender) -> None:
    """As above, with two that contradict each other."""
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n"
    both = head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert 400 <= status(sender.raw(both)) < 500
    assert 400 <= status(sender.raw(head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")) < 500


def test_a_body_over_25_mib_is_refused_before_it_is_read(sender: Sender) -> None:
    """GitHub sends no more than that."""
    head = f"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGEST + 1}\r\n\r\n"
    assert status(sender.raw(head.encode())) == 413
    kind = "Content-Type: application/json"
    head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {LARGEST_REPORT + 1}\r\n\r\n"
    assert status(sender.raw(head.encode())) == 413


def test_a_body_of_25_mib_is_accepted(sender: Sender) -> None:
    """The limit is what GitHub documents, not a little less."""
    short = dump(push(more=""))
    body = dump(push(more="x" * (LARGEST - len(short))))
    assert len(body) == LARGEST
    assert sender.post(body).status_code == 202


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity", "zstd", "nonsense"])
def test_an_encoded_body_is_refused(sender: Sender, coding: str) -> None:
    """Nothing is unpacked here: a few bytes could become gigabytes."""
    assert_problem(sender.post(dump(push()), headers={"Content-Encoding": coding}), 415)
    assert sender.post(dump(push()), headers={"Content-Encoding": "identity"}).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/hooks/github", 405),
        ("PUT", "/hooks/github", 405),
        ("POST", "/hooks/github/", 404),
        ("POST", "/hooks/gitlab/x", 404),
        ("GET", "/no/such/page", 404),
        ("GET", "/%00", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/healthz", 405),
    ],
)
def test_wrong_addresses_and_methods_are_problems_too(sender: Sender, method: str, path: str, expected: int) -> None:
    """Errors have one form, whoever made the mistake."""
    assert_problem(sender.group.client.request(method, path, content=b"{}" if method != "GET" else None), expected)


def test_health_says_up_and_readiness_says_why_not(sender: Sender) -> None:
    """A receiver without a worker takes deliveries that nobody acts on: that has to show."""
    healthy = sender.group.client.get("/healthz")
    assert (healthy.status_code, healthy.json()) == (200, {"status": "up"})
    assert_problem(sender.group.client.get("/readyz"), 503)
    assert "worker" in sender.group.client.get("/readyz").json()["detail"]

    beat(sender.group, datetime.now(UTC))
    assert sender.group.client.get("/readyz").json() == {"status": "ready"}
    beat(sender.group, datetime.now(UTC) - timedelta(minutes=1))
    assert_problem(sender.group.client.get("/readyz"), 503)


def test_without_a_secret_the_route_is_off(make_group: Callable[..., Group]) -> None:
    """An open door is worse than none; without tables the readiness says so, and a report gets a 503."""
    group = make_group(RESPONDER_DATABASE_URL="sqlite:////proc/nowhere/responder.sqlite")
    Keys(group.data).create()
    group.start("web").wait_until_listening()
    sender = Sender(group)
    assert_problem(sender.post(dump(push()), signature=sign(dump(push()), "")), 404)
    assert_problem(group.client.get("/readyz"), 503)
    answer = group.client.post("/v1/reports", json={"token": "x"})
    assert_problem(answer, 503)
    assert answer.headers["retry-after"].isdigit()
    group.kill("web")


def test_the_receiver_holds_no_credential_to_revoke_or_fetch_with(
    make_group: Callable[..., Group], world: World
) -> None:
    """Whoever takes over the process that strangers talk to must find nothing of worth in it."""
    group = make_group(world).prepare().start("serve").wait_until_ready()
    secrets = [group.environment[f"RESPONDER_{name}"] for name in ("OPENAI__ADMIN_KEY", "GITHUB__TOKEN")]
    receivers = [pid for pid in group.pids() if "web" in _read(pid, "cmdline").split("\0")]
    assert len(receivers) >= 2, "a master and its workers"
    for pid in receivers:
        environment = _read(pid, "environ")
        assert scrub(environment) == environment
        assert not any(secret in environment for secret in secrets)


def test_a_crowd_is_answered_quickly(sender: Sender) -> None:
    """A push to a thousand branches is a thousand deliveries within seconds."""
    bodies = [dump(push(repository={"id": 1000 + n})) for n in range(200)]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers: list[httpx.Response] = list(pool.map(sender.post, bodies))
    assert {answer.status_code for answer in answers} == {202}
    assert time.monotonic() - began < 20


def beat(group: Group, at: datetime) -> None:
    """What a worker writes as long as it lives."""
    with group.store.begin("beat") as tx:
        heartbeats.beat(tx, "worker", at)


def _read(pid: int, name: str) -> str:
    return (Path("/proc") / str(pid) / name).read_text(errors="replace")
