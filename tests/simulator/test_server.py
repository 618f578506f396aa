"""The misbehaviour itself: every kind of fault, seen from the other end of the socket."""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import World
from responder.simulator.server import Server, reply

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the trust store would take longer than the tests


class Counter(Server):
    """Counts what took effect."""

    applied = 0

    def routes(self) -> Sequence[Rule]:
        return [Rule("/thing", endpoint=self.thing)]

    def thing(self, request: Request) -> Response:
        self.applied += 1
        return reply({"name": "thing", "more": "x" * 200})


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as running:
        yield running


def get(server: Server, timeout: float = 5) -> httpx.Response:
    return httpx.get(f"{server.origin}/thing", timeout=timeout, trust_env=False, verify=PLAIN)


def test_one_connection_serves_many_requests(server: Counter) -> None:
    """A responder's pool is measured too; a server that always hangs up would hide its worth."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/thing")
    connection.getresponse().read()
    first = connection.sock
    connection.request("POST", "/thing", body=b"0" * 100_000)
    assert connection.getresponse().read()
    assert connection.sock is first
    connection.close()


def test_a_chunked_body_is_read_to_its_end(server: Counter) -> None:
    """What is left of it would be taken for the next request."""
    with httpx.Client(trust_env=False, verify=PLAIN) as client:
        for _ in range(2):
            answer = client.post(f"{server.origin}/thing", content=iter([b"a" * 10, b"b" * 10]))
            assert answer.status_code == 200


def test_the_journal_has_times_and_routes_but_no_credential(server: Counter) -> None:
    """It ends up in test output, and a real token might be sent by mistake."""
    before = time.monotonic()
    headers = {"Authorization": "Bearer hidden-one", "Accept": "application/json", "OpenAI-Project": "proj_1"}
    httpx.post(f"{server.origin}/thing?page=2", headers=headers, content="hidden-two", trust_env=False, verify=PLAIN)
    seen = server.journal[0]
    assert (seen.line, seen.query, seen.status) == ("POST /thing", "page=2", 200)
    assert before <= seen.monotonic_seconds <= time.monotonic()
    assert seen.headers["OpenAI-Project"] == "proj_1"
    assert seen.headers["Accept"] == "application/json"
    assert "hidden" not in repr(server.journal)
    assert server.count("POST /thing") == 1


def test_latency_is_added_to_every_answer(server: Counter) -> None:
    server.latency_seconds = 0.05
    before = time.monotonic()
    get(server)
    assert time.monotonic() - before >= 0.05


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429, 451, 500, 502, 503, 504])
def test_any_status_can_be_answered_instead(server: Counter, status: int) -> None:
    server.faults.add("GET /thing", "status", status=status, headers={"Retry-After": "7"})
    answer = get(server)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.json() == {"error": status}
    assert server.applied == 0
    assert get(server).status_code == 200


@pytest.mark.parametrize("after", ["0", "-5", "99999999999", "soon", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_retry_after_may_be_absurd(server: Counter, after: str) -> None:
    server.faults.add("/thing", "status", status=429, headers={"Retry-After": after}, body={"slow": "down"})
    answer = get(server)
    assert (answer.headers["Retry-After"], answer.json()) == (after, {"slow": "down"})


def test_the_body_of_a_status_may_be_text(server: Counter) -> None:
    server.faults.add("/thing", "status", status=502, body="Bad Gateway")
    assert get(server).text == "Bad Gateway"


def test_a_reset_gives_no_answer(server: Counter) -> None:
    server.faults.add("/thing", "reset")
    with pytest.raises(httpx.ReadError):
        get(server)
    assert server.applied == 0
    assert server.journal[0].status is None


def test_a_reset_after_the_request_took_effect(server: Counter) -> None:
    server.faults.add("/thing", "reset", applied=True)
    with pytest.raises(httpx.ReadError):
        get(server)
    assert server.applied == 1


def test_a_reset_in_the_middle_of_the_body(server: Counter) -> None:
    server.faults.add("/thing", "reset_mid_body")
    with httpx.stream("GET", f"{server.origin}/thing", trust_env=False, verify=PLAIN) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.ReadError):
            answer.read()


def test_a_body_that_ends_too_early(server: Counter) -> None:
    server.faults.add("/thing", "cut_body")
    with pytest.raises(httpx.RemoteProtocolError):
        get(server)


def test_json_that_ends_too_early_over_sound_http(server: Counter) -> None:
    server.faults.add("/thing", "cut_json")
    answer = get(server)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="line 1"):
        answer.json()


@pytest.mark.parametrize("applied", [False, True])
def test_silence_may_hide_that_the_request_took_effect(server: Counter, applied: bool) -> None:
    """The worst of all: a delete that worked though nobody heard of it."""
    server.faults.add("/thing", "timeout", applied=applied, seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        get(server, timeout=0.1)
    assert server.applied == int(applied)


def test_silence_ends_without_an_answer(server: Counter) -> None:
    server.faults.add("/thing", "timeout", seconds=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        get(server)


def test_a_drip_is_slow_but_whole(server: Counter) -> None:
    server.faults.add("/thing", "drip", seconds=0.4)
    before = time.monotonic()
    assert get(server, timeout=2).json()["name"] == "thing"
    assert time.monotonic() - before >= 0.3


def test_another_schema_a_page_and_a_flood(server: Counter) -> None:
    server.faults.add("/thing", "wrong_schema")
    server.faults.add("/thing", "wrong_schema", body=[1, "two", None])
    server.faults.add("/thing", "html")
    server.faults.add("/thing", "huge", size_bytes=10_000_000)
    assert "name" not in get(server).json()
    assert get(server).json() == [1, "two", None]
    page = get(server)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert len(get(server).content) >= 10_000_000


@pytest.mark.parametrize(("status", "expected"), [(302, 302), (308, 308), (500, 307)])
def test_a_redirect_leads_to_the_decoy_which_remembers(server: Counter, status: int, expected: int) -> None:
    """Following one with an admin key in hand gives it away."""
    with Server() as decoy:
        server.decoy_url = decoy.origin
        server.faults.add("/thing", "redirect", status=status)
        answer = httpx.get(f"{server.origin}/thing", follow_redirects=False, trust_env=False, verify=PLAIN)
        assert (answer.status_code, answer.headers["location"]) == (expected, f"{decoy.origin}/decoy")
        assert decoy.journal == []
        server.faults.add("/thing", "redirect")
        httpx.get(f"{server.origin}/thing", follow_redirects=True, trust_env=False, verify=PLAIN)
        assert [seen.line for seen in decoy.journal] == ["GET /decoy"]


def test_connections_are_refused_while_it_is_down_and_the_port_comes_back(server: Counter) -> None:
    port = server.port
    with server.down(), pytest.raises(httpx.ConnectError):
        get(server)
    assert server.port == port
    assert get(server).status_code == 200


def test_a_fault_strikes_its_route_its_number_of_times_and_counts() -> None:
    with Counter() as server:
        skipped = server.faults.add("GET /thing$", "status", 2, skip=1, status=503)
        server.faults.add("POST /thing", "status", None, status=500)
        assert [get(server).status_code for _ in range(4)] == [200, 503, 503, 200]
        assert skipped.hits == 2
        server.faults.clear()
        assert httpx.post(f"{server.origin}/thing", trust_env=False, verify=PLAIN).status_code == 200


def test_an_unknown_kind_is_refused() -> None:
    """A misspelt fault that never strikes makes a test that cannot fail."""
    with pytest.raises(ValueError, match="no fault 'time-out' here"):
        Counter().faults.add("/", "time-out")


def test_stopping_lets_hanging_requests_go_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    server = Counter()
    server.start()
    server.faults.add("/thing", "timeout", None, seconds=60)
    lost = []

    def call() -> None:
        with pytest.raises(httpx.HTTPError) as caught:
            get(server, timeout=30)
        lost.append(caught.value)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    while len(server.journal) < 3:
        time.sleep(0.005)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    for caller in callers:
        caller.join()
    assert len(lost) == 3
    assert set(threading.enumerate()) == before


def ask_for_a_bug(world: World) -> None:
    world.github.repository = lambda parts: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    headers = {"Authorization": f"Bearer {world.github.token}"}
    with world:
        url = f"{world.github.origin}/repos/a/b"
        assert httpx.get(url, headers=headers, trust_env=False, verify=PLAIN).status_code == 500


def test_a_bug_of_the_simulator_fails_the_test_that_met_it() -> None:
    """Otherwise it would pass for a fault of the vendor."""
    with pytest.raises(ExceptionGroup) as caught:
        ask_for_a_bug(World())
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
