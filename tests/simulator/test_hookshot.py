"""Webhooks: signed, sent once, listed, and sent again under the same GUID."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import hookshot
from responder.simulator.git import NOBODY
from responder.simulator.github import GitHub
from responder.simulator.server import Server, reply

_DELIVERIES = "/orgs/{org}/hooks/{hook_id}/deliveries"


class Receiver(Server):
    """Keeps headers and bodies of what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[dict[str, str], bytes]] = []

    def routes(self) -> Sequence[Rule]:
        return [Rule("/hooks/github", methods=["POST"], endpoint=self.take)]

    def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), request.get_data()))
        return reply({"delivery": request.headers["X-GitHub-Delivery"]}, 202)


@pytest.fixture
def receiver(github: GitHub) -> Iterator[Receiver]:
    with Receiver() as server:
        github.hook_url = f"{server.origin}/hooks/github"
        yield server


def test_a_push_is_signed_over_its_raw_body(github: GitHub, receiver: Receiver) -> None:
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries."""
    delivery = github.commit_and_push(github.add_repository(), {"a": "ünïcödé\n"}, "ünïcödé ✓")
    assert delivery is not None
    assert (delivery.status, delivery.status_code) == ("OK", 202)
    assert json.loads(delivery.answer) == {"delivery": delivery.guid}
    headers, body = receiver.got[0]
    for name, algorithm in (("X-Hub-Signature-256", "sha256"), ("X-Hub-Signature", "sha1")):
        digest = hmac.new(github.hooks.secret.encode(), body, algorithm).hexdigest()
        assert headers[name] == f"{algorithm}={digest}"
    assert headers["X-Github-Event"] == "push"
    assert headers["X-Github-Hook-Installation-Target-Type"] == "organization"
    assert headers["X-Github-Hook-Id"] == str(github.hooks.hook_id)
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["Content-Type"] == "application/json"


def test_the_documented_signature_vector(github: GitHub, receiver: Receiver) -> None:
    """Signing must agree with GitHub's page, not only with itself."""
    sent = hookshot.signatures("It's a Secret to Everybody", b"Hello, World!")
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sent["X-Hub-Signature-256"] == f"sha256={digest}"
    github.deliver("star", {}, secret="")
    assert not [name for name in receiver.got[0][0] if "Signature" in name]


def test_every_payload_fits_githubs_schema_and_holds_no_secret(
    github: GitHub, receiver: Receiver, events: Any
) -> None:
    repository = github.add_repository()
    secret = "made-up-" + hashlib.sha256(b"x").hexdigest()
    first = repository.objects.commit({"a.txt": "x\n"}, "first")
    second = repository.objects.commit({".env": f"KEY={secret}\n", "a.txt": None}, "second")
    github.push(repository, first, second)
    github.push(repository, branch="main", before=NOBODY)
    github.push(repository, second, before=first.sha, forced=True)
    github.alert(repository, secret, commit=second)
    alert = github.alert(repository, secret, place="pull_request_comment")
    for action in ("resolved", "reopened", "publicly_leaked", "validated"):
        github.announce(action, alert, wait=True)
    github.ping()
    kinds = []
    for headers, body in receiver.got:
        payload = json.loads(body)
        events.check(headers["X-Github-Event"], payload)
        kinds.append((headers["X-Github-Event"], payload.get("action")))
        assert secret.encode() not in body
        assert "state" not in payload.get("alert", {})
    created = [("secret_scanning_alert", "created"), ("secret_scanning_alert_location", "created")]
    actions = ("resolved", "reopened", "publicly_leaked", "validated")
    others = [("secret_scanning_alert", action) for action in actions]
    assert kinds == [("push", None)] * 3 + created * 2 + others + [("ping", None)]


def test_the_payload_check_can_fail(github: GitHub, receiver: Receiver, events: Any) -> None:
    """A check that takes anything checks nothing."""
    github.commit_and_push(github.add_repository(), {"a": "x"})
    payload = json.loads(receiver.got[0][1])
    del payload["repository"]["clone_url"]
    with pytest.raises(AssertionError, match="clone_url"):
        events.check("push", payload)


def test_a_push_names_files_and_ends(github: GitHub, receiver: Receiver) -> None:
    repository = github.add_repository()
    first = repository.objects.commit({"a": "x", "b": "y"}, "first")
    second = repository.objects.commit({"a": None, "b": "z", "c/d": "w"}, "second")
    github.push(repository, first, second)
    payload = json.loads(receiver.got[0][1])
    assert (payload["before"], payload["after"], payload["created"]) == (NOBODY, second.sha, True)
    assert payload["repository"]["id"] == repository.id
    assert isinstance(payload["repository"]["created_at"], int)
    last = payload["commits"][1]
    assert (last["added"], last["removed"], last["modified"]) == (["c/d"], ["a"], ["b"])
    assert last["author"]["email"] == "alice@acme.example"


def test_failures_are_recorded_and_never_repeated(github: GitHub, receiver: Receiver) -> None:
    receiver.faults.add("POST", "status", status=503)
    receiver.faults.add("POST", "reset")
    repository = github.add_repository()
    for _ in range(2):
        github.commit_and_push(repository, {"a": str(_)})
    with receiver.down():
        github.commit_and_push(repository, {"a": "down"})
    github.hooks.timeout_seconds = 0.1
    receiver.faults.add("POST", "timeout", seconds=5)
    github.commit_and_push(repository, {"a": "slow"})
    said = [(d.status, d.status_code, d.ok) for d in github.deliveries]
    assert said == [
        ("Invalid HTTP Response: 503", 503, False),
        ("failed to connect", 502, False),
        ("failed to connect", 502, False),
        ("timed out", 504, False),
    ]
    assert len(receiver.journal) == 3
    assert receiver.got == []


def test_github_gives_up_after_ten_seconds(github: GitHub) -> None:
    assert github.hooks.timeout_seconds == 10


def test_a_webhook_may_be_a_form(github: GitHub, receiver: Receiver) -> None:
    """The signature covers the form as sent, not the JSON in it."""
    github.hooks.form = True
    github.commit_and_push(github.add_repository(), {"a": "x"})
    headers, body = receiver.got[0]
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["X-Hub-Signature-256"] == hookshot.signatures(github.hooks.secret, body)["X-Hub-Signature-256"]
    assert json.loads(parse_qs(body.decode())["payload"][0])["ref"] == "refs/heads/main"


def test_a_payload_over_25_mb_is_silently_not_sent(github: GitHub, receiver: Receiver) -> None:
    delivery = github.deliver("push", {"padding": "x" * hookshot.MAX_BYTES})
    assert not delivery.ok
    assert receiver.got == []


def test_any_payload_may_be_sent_with_any_signature(github: GitHub, receiver: Receiver) -> None:
    github.deliver("star", {"action": "created"}, guid="11111111-2222", secret="wrong")
    headers, body = receiver.got[0]
    assert headers["X-Github-Delivery"] == "11111111-2222"
    good = hmac.new(github.hooks.secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] != f"sha256={good}"


def test_deliveries_are_listed_and_redelivered_under_the_same_guid(
    github: GitHub, receiver: Receiver, api: httpx.Client, github_contract: Any
) -> None:
    receiver.faults.add("POST", "status", status=500)
    failed = github.commit_and_push(github.add_repository(), {"a": "x"})
    assert failed is not None
    hook = api.get("/orgs/acme/hooks")
    github_contract.check("GET /orgs/{org}/hooks", hook)
    home = f"/orgs/acme/hooks/{hook.json()[0]['id']}/deliveries"
    listed = api.get(home, params={"status": "failure"})
    github_contract.check(f"GET {_DELIVERIES}", listed)
    item = listed.json()[0]
    assert (item["guid"], item["status_code"], item["redelivery"]) == (failed.guid, 500, False)
    github_contract.check(f"GET {_DELIVERIES}/{{delivery_id}}", api.get(f"{home}/{item['id']}"))
    assert api.post(f"{home}/{item['id']}/attempts").status_code == 202
    until = time.monotonic() + 5
    while not receiver.got and time.monotonic() < until:
        time.sleep(0.01)
    headers, body = receiver.got[0]
    assert (headers["X-Github-Delivery"], body) == (failed.guid, failed.body)
    assert github.redeliver(failed.guid).redelivery is True
    assert len(api.get(home, params={"status": "success"}).json()) == 2
    assert api.get(f"{home}/1").status_code == 404
    with pytest.raises(KeyError):
        github.redeliver("unknown")


def test_deliveries_come_in_pages_by_cursor(github: GitHub, receiver: Receiver, api: httpx.Client) -> None:
    for n in range(5):
        github.deliver("star", {"n": n})
    path: str | None = f"/orgs/acme/hooks/{github.hooks.hook_id}/deliveries?per_page=2"
    seen = []
    while path:
        answer = api.get(path)
        seen.append([item["id"] for item in answer.json()])
        path = answer.links.get("next", {}).get("url")
    ids = [d.id for d in reversed(github.deliveries)]
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    home = f"/orgs/acme/hooks/{github.hooks.hook_id}/deliveries"
    assert api.get(home, params={"cursor": "nonsense"}).status_code == 400
    assert api.get(home, params={"status": "odd"}).status_code == 422


@pytest.mark.parametrize("target", ["organization", "repository", "integration"])
def test_deliveries_are_found_where_the_webhook_is_installed(
    github: GitHub, receiver: Receiver, api: httpx.Client, github_contract: Any, target: str
) -> None:
    github.hooks.target = target
    repository, other = github.add_repository("one"), github.add_repository("two")
    github.commit_and_push(repository, {"a": "x"})
    github.commit_and_push(other, {"a": "x"})
    hook = github.hooks.hook_id
    homes = {
        "organization": f"/orgs/acme/hooks/{hook}/deliveries",
        "repository": f"/repos/acme/one/hooks/{hook}/deliveries",
        "integration": "/app/hook/deliveries",
    }
    counts = {name: api.get(path) for name, path in homes.items()}
    assert {name for name, answer in counts.items() if answer.status_code == 200} == {target}
    assert len(counts[target].json()) == (1 if target == "repository" else 2)
    if target == "repository":
        listed = api.get(f"/repositories/{repository.id}/hooks")
        github_contract.check("GET /repos/{owner}/{repo}/hooks", listed)
        assert listed.json()[0]["type"] == "Repository"


def test_closing_an_alert_sends_resolved_back_at_the_one_who_did(
    github: GitHub, receiver: Receiver, api: httpx.Client, events: Any
) -> None:
    """The responder must not answer its own echo."""
    github.alert(github.add_repository(), "made-up-secret", announce=False)
    body = {"state": "resolved", "resolution": "revoked"}
    assert api.patch("/repos/acme/service/secret-scanning/alerts/1", json=body).status_code == 200
    until = time.monotonic() + 5
    while not receiver.got and time.monotonic() < until:
        time.sleep(0.01)
    payload = json.loads(receiver.got[0][1])
    events.check("secret_scanning_alert", payload)
    assert (payload["action"], payload["sender"]["login"]) == ("resolved", github.login)
    assert payload["sender"]["type"] == "Bot"


def test_the_webhook_may_be_sent_behind_the_callers_back(github: GitHub, receiver: Receiver) -> None:
    receiver.latency_seconds = 0.2
    began = time.monotonic()
    assert github.commit_and_push(github.add_repository(), {"a": "x"}, wait=False) is None
    assert time.monotonic() - began < 0.15
    github.close()
    assert len(receiver.got) == 1
