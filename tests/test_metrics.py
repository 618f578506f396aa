"""What a running responder tells Prometheus and a trace collector: right whoever is asked, and never a token."""

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from responder.simulator.openai_objects import Key
from responder.store import timings
from tests.canary import Canary
from tests.hook import Sender, assert_problem, dump, push, sign
from tests.running import ROOT, Group, eventually, free_port
from tests.town import Scene, Town, town

BEARER = "made-up-metrics-token"
Series = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
planted: list[str] = []
_NAME = re.compile(r"\bresponder_[a-z_]+\b")


class Collector:
    """Takes what a trace exporter sends, as it is."""

    def __init__(self) -> None:
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.bodies = bodies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def pushed(place: Town) -> Scene[str]:
    """With the token wherever the outside can put one."""
    key, repository = place.key("pushed"), place.repository("pushed")
    planted.append(key.value)
    yield
    place.push(repository, {f"{key.value}.py": f"KEY = '{key.value}'\n"}, f"Add {key.value}")
    place.group.closed(key.id)
    return key.id


def refused(place: Town) -> Scene[None]:
    """Requests that meet no route, and errors that echo what they were sent."""
    key = place.key("refused", owner=place.world.openai.add_service_account("robot"))
    planted.append(key.value)
    echo = {"error": {"message": f"no {key.value}", "code": key.value}}
    place.world.openai.faults.add(f"DELETE .*{key.id}", "status", times=None, status=400, body=echo)
    yield
    place.group.client.get(f"/{key.value}?k={key.value}")
    place.group.client.post("/v1/reports", json={key.value: 1})
    place.report(token=key.value)
    place.group.in_state(key.id, "held")


def kept(place: Town) -> Scene[Key]:
    """Known, and leaked by the last test only."""
    key = place.key("later")
    yield
    return key


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where traces go."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Town]:
    """A story with everything watched."""
    planted.clear()
    watched = {
        "RESPONDER_METRICS__BIND": f"127.0.0.1:{free_port()}",
        "RESPONDER_METRICS__TOKEN": BEARER,
        "RESPONDER_OTEL__ENDPOINT": collector.origin,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with town(tmp_path_factory.mktemp("metrics"), 41, pushed, refused, kept, **watched) as played:
        yield played


def scrape(group: Group, *, receiver: bool = False) -> str:
    """What the worker tells whoever can reach it; or the receiver, whoever has the bearer."""
    url = f"http://{group.environment['RESPONDER_METRICS__BIND']}/metrics"
    if receiver:
        url = f"{group.origin}/metrics"
    headers = {"Authorization": f"Bearer {BEARER}"} if receiver else {}
    answer = httpx.get(url, headers=headers, trust_env=False)  # a connection of its own: any process may answer
    assert answer.status_code == 200
    return answer.text


def series(text: str) -> Series:
    """Every series of a scrape."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(text: str, name: str, **labels: str) -> float:
    """One figure."""
    return series(text)["responder_" + name, tuple(sorted(labels.items()))]


def test_the_story_is_told_in_figures(place: Town) -> None:
    """One key seen dead, one held for a person: that is what somebody on call has to see."""
    text = scrape(place.group)
    assert of(text, "leaked_keys_live", waiting_for="person") == 1
    assert of(text, "leaked_keys_live", waiting_for="responder") == 0
    assert of(text, "incidents", state="held", severity="normal") == 1
    assert of(text, "received_to_confirmed_dead_seconds_count") == 1
    assert of(text, "received_to_revoke_requested_seconds_count") == 2
    assert (
        0 < of(text, "received_to_revoke_requested_seconds_sum") < of(text, "received_to_confirmed_dead_seconds_sum")
    )
    assert of(text, "keys_listed", provider="openai", account="default") >= 1
    assert of(text, "inventory_complete", provider="openai", account="default") == 1
    assert of(text, "calls_total", operation="openai.delete_key", result="2xx") == 1
    assert of(text, "calls_total", operation="openai.delete_key", result="4xx") == 1
    assert of(text, "tasks_total", task="contain", result="done") == 2
    assert of(text, "workers_alive") == 1


def test_the_histograms_are_those_of_the_incidents(place: Town) -> None:
    """The published figures and the summaries must not contradict each other."""
    took = [one["clocks"]["received_to_revoke_requested_ms"] for one in place.group.incidents()]
    found = series(scrape(place.group))
    for bound in timings.BOUNDS_MS:
        name = "responder_received_to_revoke_requested_seconds_bucket"
        assert found[name, (("le", str(bound / 1000)),)] == sum(one <= bound for one in took)


def test_worker_and_receiver_agree_on_what_the_database_knows(place: Town) -> None:
    """Whoever is asked gives the same answer, but for what only a worker can know, and for ages."""
    worker, receiver = (series(scrape(place.group, receiver=which)) for which in (False, True))
    shared = {which for which in receiver if not which[0].endswith(("requests_total", "_seconds"))}
    assert {which: receiver[which] for which in shared} == {which: worker.get(which) for which in shared}
    assert len(shared) > 50
    assert {name for name, _ in worker} - {name for name, _ in receiver} >= {
        "responder_keys_fingerprinted",
        "responder_keys_listed",
    }


def test_requests_are_counted_whichever_process_answered(place: Town) -> None:
    """Two processes share a port: a count that depends on which one is scraped is no count."""
    before = series(scrape(place.group, receiver=True))
    sender = Sender(place.group)
    body = dump(push(repository={"id": 4_000_000}, commits=[]))
    for _ in range(12):
        assert httpx.get(f"{place.group.origin}/healthz", trust_env=False).status_code == 200
        assert sender.post(body, signature=sign(body, "wrong")).status_code == 401
    for _ in range(4):
        after = series(scrape(place.group, receiver=True))
        for route, status in (("/healthz", "200"), ("/hooks/github", "401")):
            which = ("responder_requests_total", (("route", route), ("status", status)))
            assert after[which] - before.get(which, 0) == 12


def test_every_figure_that_is_watched_is_told(place: Town) -> None:
    """An alert on a name that does not exist is silent for ever."""
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    panels = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in panels for target in panel["targets"]]
    told = {name for which in (False, True) for name, _ in series(scrape(place.group, receiver=which))}
    names = {name for one in asked for name in _NAME.findall(one)}
    assert len(names) > 15
    assert names - told == set()


def test_no_token_and_nothing_unbounded_is_in_any_figure(place: Town) -> None:
    """Metrics are kept for years, by people who were never meant to see a secret."""
    canary = Canary(planted)
    for receiver in (False, True):
        text = scrape(place.group, receiver=receiver)
        assert canary.in_text(text, "a scrape") == []
        for name, labels in series(text):
            for value in (value for label, value in labels if label != "le"):
                assert re.fullmatch(r"[A-Za-z0-9_./<>:+{}-]{1,60}", value), (name, value)
                assert not re.search(r"inc_|key_|ntc_|@|acme|\d{5}", value), (name, value)


def test_no_token_is_in_any_trace(place: Town, collector: Collector) -> None:
    """Traces leave the house: they carry operations and ids, and the exporter's bytes are searched for more."""
    eventually(lambda: b"openai.delete_key" in b"".join(collector.bodies), "the deletion to be traced")
    eventually(lambda: b"task verify" in b"".join(collector.bodies), "the story to be traced")
    canary = Canary(planted)
    assert [find for body in collector.bodies for find in canary.in_bytes(body, "a trace")] == []
    sent = b"".join(collector.bodies)
    for part in (b"://", b"acme.example", b"/repositories/", b"Traceback"):
        assert part not in sent


def test_only_the_bearer_opens_the_receivers_metrics(place: Town) -> None:
    """They name accounts and tell how much is on fire."""
    client = place.group.client
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {BEARER}"},
        {"Authorization": BEARER},
    ):
        answer = client.get("/metrics", headers=headers)
        assert_problem(answer, 401)
        assert "responder_" not in answer.text


def test_histograms_never_fall_not_even_when_the_worker_is_killed(place: Town) -> None:
    """Prometheus takes a fall for a restart, and would miss what happened before it."""
    before = measured(place.group)
    assert before
    for pid in place.group.pids():
        if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: measured(place.group) == before, "another worker to tell the same")
    key = place.after(kept)
    place.report(token=key.value)
    place.contained(key)
    after = measured(place.group)
    assert all(after[which] >= value for which, value in before.items())
    assert of(scrape(place.group), "received_to_confirmed_dead_seconds_count") == 2


def measured(group: Group) -> Series:
    """The histograms of the whole house; empty while nobody tells them."""
    try:
        return {which: value for which, value in series(scrape(group)).items() if "_received_to_" in which[0]}
    except httpx.TransportError:
        return {}


def test_an_address_that_is_taken_is_a_users_mistake(place: Town) -> None:
    """One line, as for every setting that cannot be used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = place.group.run("worker", RESPONDER_METRICS__BIND=f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 2
    assert "RESPONDER_METRICS__BIND" in done.stderr
    assert "Traceback" not in done.stderr
