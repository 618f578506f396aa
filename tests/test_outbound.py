"""The one HTTP door: what comes through it, what does not, and what never leaves with an exception."""

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from responder.core.errors import Refused, Unavailable
from responder.outbound import TOO_LARGE, Answer, Door, error_code, segment
from responder.pace import Budget, Circuit
from responder.simulator.openai import OpenAI
from tests.grown import token

_ROUTE = "GET /v1/models"
_Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAI]:
    """A service on loopback that can have every bad day there is."""
    with OpenAI() as server:
        yield server


@pytest.fixture
def server(running: OpenAI) -> OpenAI:
    """The same, on a good day."""
    running.faults.clear()
    running.journal.clear()
    return running


@pytest.fixture
def door(server: OpenAI) -> Iterator[Door]:
    """A door to it, impatient enough for tests."""
    made = Door("openai", server.base_url, deadline_seconds=0.6)
    yield made
    made.close()


def _fake(handler: _Handler) -> Door:
    return Door("fake", "http://fake.example/v1", transport=httpx.MockTransport(handler))


def _ask(door: Door, cap: int = 1024 * 1024) -> Answer:
    headers = {"authorization": f"Bearer {token().reveal()}"}
    return door.exchange("openai.probe", "GET", "/models", headers=headers, cap=cap)


def _whole(error: BaseException) -> str:
    """Everything an exception drags along: texts, arguments, causes, contexts and their attributes."""
    texts, waiting = [], [error]
    while waiting:
        one = waiting.pop()
        texts += [str(one), repr(one), repr(one.args), repr(vars(one)), "".join(traceback.format_exception(one))]
        waiting += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "timeout", "seconds": 5}, "timeout"),
        ({"kind": "reset"}, "ReadError"),
        ({"kind": "cut_body"}, "RemoteProtocolError"),
        ({"kind": "reset_mid_body"}, "ReadError"),
        ({"kind": "huge"}, TOO_LARGE),
        ({"kind": "redirect"}, "redirect"),
        ({"kind": "redirect", "status": 301}, "redirect"),
        ({"kind": "status", "status": 300}, "redirect"),
    ],
)
def test_an_exchange_that_breaks_is_unavailable_and_says_nothing_else(
    server: OpenAI, door: Door, fault: dict[str, object], why: str
) -> None:
    """The exceptions of httpx hold the request, and the request holds the credential."""
    server.faults.add(_ROUTE, **fault)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        _ask(door)
    assert time.monotonic() - began < 2
    assert caught.value.args == ("openai", "openai.probe", caught.value.why, None)
    assert (
        caught.value.why in (why, "RemoteProtocolError", "ReadError") if "Error" in why else caught.value.why == why
    )
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    for secret in (token().reveal(), "authorization", "Bearer", server.origin, str(server.port), "padding"):
        assert secret not in _whole(caught.value)


def test_a_body_that_drips_ends_with_the_deadline(server: OpenAI, door: Door) -> None:
    """Every byte resets a read timeout; the deadline is for the whole of it."""
    for number in range(60 - len(server.projects)):
        server.add_project(f"project {number}")
    server.faults.add("GET .*/projects", "drip", seconds=20)
    began = time.monotonic()
    headers = {"authorization": f"Bearer {server.admin_key.value}"}
    with pytest.raises(Unavailable) as caught:
        door.exchange("openai.list_projects", "GET", "/organization/projects?limit=100", headers=headers)
    assert time.monotonic() - began < 2
    assert (caught.value.why, caught.value.__context__) == ("timeout", None)


def test_no_connection_is_unavailable(server: OpenAI, door: Door) -> None:
    """And the address is nobody's business but the settings'."""
    with server.down(), pytest.raises(Unavailable) as caught:
        _ask(door)
    assert caught.value.why == "ConnectError"
    assert str(server.port) not in _whole(caught.value)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX: 1", "é", "\ud800", "a\x00b"])
def test_a_credential_that_cannot_stand_in_a_header_does_not_stand_in_the_error_either(value: str) -> None:
    """A secret file with a stray character must not end in a traceback that prints it."""
    door = Door("github", "http://127.0.0.1:9")
    secret = token().reveal()
    with pytest.raises(Unavailable) as caught:
        door.exchange("github.get", "GET", "/", headers={"authorization": f"Bearer {secret}{value}"})
    assert secret not in _whole(caught.value)
    door.close()


def test_a_redirect_is_not_followed(server: OpenAI, door: Door) -> None:
    """It would carry the credential to wherever somebody points."""
    server.faults.add(_ROUTE, "redirect", location=f"{server.base_url}/organization/projects")
    with pytest.raises(Unavailable, match="redirect"):
        _ask(door)
    assert server.count("projects") == 0


def test_a_proxy_in_the_environment_is_ignored(server: OpenAI, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens go to the configured host and nowhere else."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    fresh = Door("openai", server.base_url, deadline_seconds=0.6)
    assert _ask(fresh).status == 401
    fresh.close()


def test_an_answer_just_below_its_cap_comes_through(server: OpenAI, door: Door) -> None:
    """The cap protects memory; it must not eat true answers."""
    server.faults.add(_ROUTE, "huge", times=2, size_bytes=1000)
    assert len(_ask(door, cap=2000).body) > 1000
    with pytest.raises(Unavailable, match=TOO_LARGE):
        _ask(door, cap=1000)


def test_a_compressed_bomb_counts_as_what_it_unpacks_to() -> None:
    """Ten megabytes travel as ten kilobytes."""
    import gzip

    packed = gzip.compress(b"x" * 10_000_000)
    door = _fake(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed))
    with pytest.raises(Unavailable, match=TOO_LARGE):
        _ask(door)


def test_an_answer_is_read_whole_with_its_headers_in_lower_case() -> None:
    """Callers look headers up by one spelling."""
    door = _fake(lambda _: httpx.Response(200, headers={"OpenAI-Project": "proj"}, content=b'{"a": 1}'))
    answer = _ask(door)
    assert (answer.status, answer.headers["openai-project"], answer.json()) == (200, "proj", {"a": 1})


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"a":', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5000, b"\x00", b"nul"],
)  # fmt: skip
def test_a_body_that_is_not_json_is_none(body: bytes) -> None:
    """Broken is one case, whatever broke it."""
    assert Answer(200, {}, body).json() is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), ("120", 120.0), ("3600", 3600.0), ("999999999", 3600.0), ("9" * 400, None),
        ("", None), ("-1", None), ("1.5", None), ("1e9", None),
        ("nan", None), ("inf", None), ("soon", None), (" 5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("²", None), ("5²", None), ("0x10", None), ("5, 5", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_plain_number_of_seconds_within_an_hour(value: str, seconds: float | None) -> None:
    """An absurd wish must neither stop us for a year nor stop us with a traceback."""
    assert Answer(429, {"retry-after": value}, b"").retry_after_seconds == seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
def test_a_refusal_carries_status_and_code_and_never_the_message(status: int) -> None:
    """The message of a 401 repeats part of the key."""
    body = {"error": {"code": "some_code", "message": f"Incorrect API key provided: {token().reveal()}"}}
    door = _fake(lambda _: httpx.Response(status, json=body))
    with pytest.raises(Refused) as caught:
        door.read("openai.list", "GET", "/x", headers={})
    assert caught.value.args == ("fake", "openai.list", status, "some_code")
    assert token().reveal() not in _whole(caught.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_not_now_is_unavailable_and_carries_the_wish_to_wait(status: int) -> None:
    """Only what nobody knows is worth trying again."""
    door = _fake(lambda _: httpx.Response(status, headers={"retry-after": "9"}, json={}))
    with pytest.raises(Unavailable) as caught:
        door.read("openai.list", "GET", "/x", headers={})
    assert (caught.value.why, caught.value.retry_after_seconds) == (f"status {status}", 9.0)


@pytest.mark.parametrize(("status", "content"), [(200, b"<html>"), (200, b""), (201, b"{"), (200, b"null")])
def test_a_success_that_is_not_json_is_unavailable(status: int, content: bytes) -> None:
    """A captive portal is not an empty list."""
    with pytest.raises(Unavailable, match="not JSON"):
        _fake(lambda _: httpx.Response(status, content=content)).read("x", "GET", "/x", headers={})


def test_no_content_is_a_success_without_content() -> None:
    """204 says all it has to say."""
    content, answer = _fake(lambda _: httpx.Response(204)).read("x", "DELETE", "/x", headers={})
    assert (content, answer.status) == (None, 204)


def test_a_body_is_sent_as_json_and_a_query_as_a_query() -> None:
    """What the vendor is told is what we meant."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    _fake(handler).read("x", "PATCH", "/a", headers={"h": "v"}, params={"page": 2}, body={"state": "resolved"})
    assert (seen[0].method, str(seen[0].url)) == ("PATCH", "http://fake.example/v1/a?page=2")
    assert (json.loads(seen[0].content), seen[0].headers["content-type"], seen[0].headers["h"]) == (
        {"state": "resolved"},
        "application/json",
        "v",
    )


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("key_1", "key_1"), (7, "7"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), ("../../users", "%2E%2E%2F%2E%2E%2Fusers"),
        ("a?b#c", "a%3Fb%23c"), ("a b", "a%20b"), ("%2e", "%252e"), ("é", "%C3%A9"), ("a\\b", "a%5Cb"),
        ("a;b", "a%3Bb"),
    ],
)  # fmt: skip
def test_a_segment_never_leads_out_of_its_place(value: str | int, quoted: str) -> None:
    """An id with dots and slashes would choose another endpoint, perhaps of another key."""
    assert segment(value) == quoted


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"error": {"code": "invalid_api_key"}}, "invalid_api_key"), ({"error": {"code": None}}, ""), ({}, ""),
        (None, ""), ([], ""), ("x", ""), ({"error": "text"}, ""), ({"error": {"code": 7}}, ""),
        ({"error": {"code": "with space"}}, ""), ({"error": {"code": "sk-abc"}}, ""), ({"error": {"code": ""}}, ""),
        ({"error": {"code": "a" * 100}}, "a" * 64), ({"error": {"code": "a\nb"}}, ""), ({"error": []}, ""),
    ],
)  # fmt: skip
def test_an_error_code_is_a_word_or_nothing(content: object, code: str) -> None:
    """It stands in logs and reasons, so it may not be a text of somebody's choosing."""
    assert error_code(content) == code


# --- the budget ----------------------------------------------------------------------------------


class _Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_budget_spends_a_seconds_worth_at_once_and_then_evenly() -> None:
    """A burst is answered now, a flood at the vendor's pace."""
    clock = _Clock()
    budget = Budget(5, clock.read, clock.sleep)
    for _ in range(5):
        budget.wait()
    assert sum(clock.slept) == pytest.approx(0)
    clock.slept.clear()
    for _ in range(10):
        budget.wait()
    assert clock.slept == pytest.approx([0.2] * 10)


def test_an_idle_hour_does_not_save_up_an_hours_calls() -> None:
    """The vendor's limit does not care how quiet it was."""
    clock = _Clock()
    budget = Budget(5, clock.read, clock.sleep)
    clock.now += 3600
    for _ in range(20):
        budget.wait()
    assert sum(clock.slept) == pytest.approx(3.0)


def test_an_urgent_call_does_not_wait_for_the_budget() -> None:
    """A DELETE goes out ahead of every list."""
    clock = _Clock()
    budget = Budget(1, clock.read, clock.sleep)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    door = Door("fake", "http://fake.example", budget=budget, transport=transport)
    for _ in range(5):
        door.exchange("x", "DELETE", "/", headers={}, urgent=True)
    assert clock.slept == []
    for _ in range(3):
        door.exchange("x", "GET", "/", headers={})
    assert len(clock.slept) == 2


def test_threads_share_one_budget() -> None:
    """Ten threads are one caller to the vendor."""
    clock = _Clock()
    budget = Budget(10, lambda: 0.0, clock.slept.append)
    threads = [threading.Thread(target=budget.wait) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clock.slept) == 20
    assert max(clock.slept) == pytest.approx(2.0)


# --- the circuit ---------------------------------------------------------------------------------


def test_a_service_that_gives_no_answer_five_times_is_left_alone_and_then_asked_by_one() -> None:
    """A broken service costs a thread its patience once, and not every caller every time."""
    clock, asked, well = _Clock(), [], {"now": False}

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(clock.now)
        if not well["now"]:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={})

    circuit = Circuit(clock=clock.read)
    door = Door("fake", "http://fake.example", circuit=circuit, transport=httpx.MockTransport(handler))
    whys = []
    for _ in range(7):
        with pytest.raises(Unavailable) as caught:
            door.exchange("x", "GET", "/", headers={})
        whys.append((caught.value.why, caught.value.retry_after_seconds))
    assert whys == [*[("ConnectError", None)] * 5, *[("resting", 10.0)] * 2]
    clock.now += 10
    assert circuit.rest_seconds() == 0, "one may try"
    assert circuit.rest_seconds() == 10, "and nobody else meanwhile"
    circuit.answered(well=False)
    with pytest.raises(Unavailable, match="resting"):
        door.exchange("x", "GET", "/", headers={})
    clock.now += 10
    well["now"] = True
    door.exchange("x", "GET", "/", headers={})
    for _ in range(3):
        door.exchange("x", "GET", "/", headers={})
    assert len(asked) == 5 + 4


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(401), httpx.Response(200, content=b"x" * 99)])
def test_an_answer_is_an_answer_however_bad(answer: httpx.Response) -> None:
    """It cost nobody a wait: only silence opens the circuit, and any answer closes it."""
    clock = _Clock()
    said: list[httpx.Response | None] = [None, None, None, None, answer, None, None, None, None, answer]

    def handler(request: httpx.Request) -> httpx.Response:
        now = said.pop(0)
        if now is None:
            raise httpx.ReadTimeout("silence", request=request)
        return httpx.Response(now.status_code, content=now.content)

    door = Door(
        "fake", "http://fake.example", circuit=Circuit(clock=clock.read), transport=httpx.MockTransport(handler)
    )
    whys = set()
    while said:
        with suppress(Unavailable):
            door.exchange("x", "GET", "/", headers={}, cap=50)
            continue
        whys.add(len(said))
    assert len(whys) >= 8, "every silence was a call, none a rest"


def test_one_broken_account_never_delays_another() -> None:
    """Each has a door of its own, and a circuit with it."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "broken.example":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(handler)
    broken = Door("fake", "http://broken.example", transport=transport)
    good = Door("fake", "http://good.example", transport=transport)
    for _ in range(20):
        with pytest.raises(Unavailable):
            broken.exchange("x", "GET", "/", headers={})
        assert good.exchange("x", "GET", "/", headers={}).status == 200


def test_one_operation_is_left_alone_for_as_long_as_the_service_asks() -> None:
    """A list that was asked to wait keeps nobody from deleting, nor another list from being read."""
    clock, asked = _Clock(), []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(429 if request.url.path == "/slow" else 200, headers={"retry-after": "30"}, json={})

    door = Door(
        "fake", "http://fake.example", circuit=Circuit(clock=clock.read), transport=httpx.MockTransport(handler)
    )
    for urgent, wait in ((True, 30.0), (True, 30.0), (False, 30.0), (False, 30.0)):
        with pytest.raises(Unavailable) as caught:
            door.read("slow", "GET", "/slow", headers={}, urgent=urgent)
        assert caught.value.retry_after_seconds == wait
    assert asked == ["/slow"] * 3, "an urgent call's own task waits"
    door.read("other", "GET", "/other", headers={})
    clock.now += 30
    with pytest.raises(Unavailable, match="status 429"):
        door.read("slow", "GET", "/slow", headers={})


def test_headers_that_drip_end_with_the_deadline(server: OpenAI, door: Door) -> None:
    """A timeout of httpx starts anew with every byte, and headers have no end."""
    server.faults.add(_ROUTE, "drip", times=3, seconds=60)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(Unavailable, match="timeout"):
            _ask(door)
    assert time.monotonic() - began < 6
