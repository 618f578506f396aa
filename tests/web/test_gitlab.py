"""GitLab's two ways in: who calls is asked first, and nothing is acknowledged that is not on disk."""

import base64
import json
import random
import secrets
import sqlite3
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from responder.simulator import growth
from responder.simulator.gitlab import signature
from responder.store.tables import deliveries
from tests.hook import SHA, assert_problem, dump
from tests.running import Group

SHARED, KEY = "made-up-shared-token", "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
PRESHARED = "made-up-revocation-token"
TOKEN = growth.grow("openai-project", random.Random(31))
SHORT = growth.grow("openai-user-legacy", random.Random(31))
RECORD = {
    "type": "gitleaks_rule_id_openaiprojectkey",
    "token": TOKEN,
    "location": "https://gitlab.example/a/-/blob/b",
}
PUSH: dict[str, Any] = {
    "object_kind": "push",
    "project_id": 7,
    "before": "f" * 40,
    "after": SHA,
    "commits": [{"id": SHA}],
    "total_commits_count": 1,
}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A receiver alone, so that what is stored stays as it was stored."""
    settings = {
        "RESPONDER_GITLAB__WEBHOOK_SECRET": f"{SHARED},{KEY}",
        "RESPONDER_GITLAB__REVOCATION_TOKEN": f"retiring-token,{PRESHARED}",
    }
    with Group(tmp_path_factory.mktemp("gitlab"), settings) as running:
        yield running.prepare().start("web").wait_until_listening()


def stored(group: Group) -> list[sa.Row[Any]]:
    """Every delivery on disk."""
    with group.store.read() as tx:
        return list(tx.execute(sa.select(deliveries).order_by(deliveries.c.received_at)))


def hook(group: Group, body: bytes, event: str = "Push Hook", **headers: str) -> httpx.Response:
    """One webhook with the shared token; an empty header is left out."""
    sent = {"X-Gitlab-Event": event, "X-Gitlab-Token": SHARED, "Idempotency-Key": str(uuid.uuid4())}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return group.client.post("/hooks/gitlab", content=body, headers={n: v for n, v in sent.items() if v})


def revoke(group: Group, body: Any, authorization: str = PRESHARED) -> httpx.Response:
    """One token revocation."""
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    return group.client.post(
        "/v1/revoke_tokens", content=body if isinstance(body, bytes) else dump(body), headers=headers
    )


# --- webhooks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["Push Hook", "System Hook"])
def test_a_push_is_on_disk_before_it_is_acknowledged(group: Group, event: str) -> None:
    """With ids only, in the lane of its project."""
    id_ = str(uuid.uuid4())
    answer = hook(group, dump(PUSH), event, Idempotency_Key=id_)
    assert (answer.status_code, answer.json()) == (202, {"delivery": id_})
    row = stored(group)[-1]
    assert (row.source, row.lane, row.sealed) == ("gitlab", "gitlab:7", None)
    assert row.refs == {"project": 7, "before": "f" * 40, "after": SHA, "commits": [SHA], "total": 0}


def test_a_signed_push_is_taken_and_a_forged_one_leaves_nothing(group: Group) -> None:
    """Over HTTP as in the unit: the id is signed, and a shared token does not help a bad signature."""
    before, body = len(stored(group)), dump(PUSH)
    good = signature(KEY, str(uuid.uuid4()), int(time.time()), body)
    old = signature(KEY, str(uuid.uuid4()), int(time.time()) - 400, body)
    wrong = {**good, "webhook-id": str(uuid.uuid4())}
    stripped = {**good, "webhook-signature": good["webhook-signature"].removeprefix("v1,")}
    for headers in (old, wrong, stripped, {**good, "webhook-timestamp": ""}):
        sent = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SHARED, **headers}
        assert_problem(group.client.post("/hooks/gitlab", content=body, headers=sent), 401)
    assert_problem(hook(group, body, X_Gitlab_Token=KEY), 401)
    assert_problem(hook(group, body, X_Gitlab_Token=""), 401)
    assert_problem(hook(group, b"{", X_Gitlab_Token="wrong"), 401)
    assert len(stored(group)) == before
    assert hook(group, body, X_Gitlab_Token="", **good).status_code == 202
    assert hook(group, body, X_Gitlab_Token="", **good).status_code == 202
    assert len(stored(group)) == before + 1, "within its time a recorded webhook is the same delivery"


def test_the_same_id_does_not_swallow_another_push(group: Group) -> None:
    """With a shared token nobody signs the id."""
    before, id_ = len(stored(group)), str(uuid.uuid4())
    for _ in range(2):
        for project in (8, 9):
            assert hook(group, dump({**PUSH, "project_id": project}), Idempotency_Key=id_).status_code == 202
    assert len(stored(group)) == before + 2


@pytest.mark.parametrize(
    ("event", "kind"), [("Tag Push Hook", "tag_push"), ("Vulnerability Hook", "x"), ("System Hook", "user_create")]
)
def test_other_events_are_ignored_and_said_so(group: Group, event: str, kind: str) -> None:
    """GitLab switches a webhook off that fails too often."""
    before = len(stored(group))
    answer = hook(group, dump({"object_kind": kind}), event)
    assert (answer.status_code, answer.json()) == (202, {"ignored": event})
    assert len(stored(group)) == before


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{", {}),
        (b"[]", {}),
        (dump({**PUSH, "project_id": TOKEN}), {}),
        (dump({**PUSH, "commits": [{"id": TOKEN}]}), {}),
        (dump(PUSH), {"Idempotency_Key": ""}),
        (dump(PUSH), {"Idempotency_Key": TOKEN}),
        (dump(PUSH), {"Idempotency_Key": SHORT}),
        (dump(PUSH), {"Idempotency_Key": "../../etc"}),
        (dump(PUSH), {"event": ""}),
        (dump(PUSH), {"event": f"Push {TOKEN}"}),
    ],
)
def test_what_is_malformed_is_refused_and_not_repeated(group: Group, body: bytes, headers: dict[str, str]) -> None:
    """Errors are read by whoever reads GitLab's log of webhooks."""
    before = len(stored(group))
    answer = hook(group, body, **headers)
    assert_problem(answer, 400)
    assert not any(token in answer.text for token in (TOKEN, SHORT))
    assert len(stored(group)) == before


def test_the_framing_of_a_body_is_as_strict_as_for_github(group: Group) -> None:
    """What could be cut or grow behind our back is not read."""
    assert_problem(hook(group, dump(PUSH), Content_Encoding="gzip"), 415)
    assert_problem(group.client.post("/hooks/gitlab", content=iter([dump(PUSH)])), 411)
    assert_problem(hook(group, b"x" * (25 * 1024 * 1024 + 1)), 413)


# --- token revocation ----------------------------------------------------------------------------


def test_the_types_are_those_that_gitlab_makes_of_its_rules(group: Group) -> None:
    """GitLab sends no token of a type that is not named to it."""
    for authorization in (PRESHARED, f"Bearer {PRESHARED}", "retiring-token"):
        answer = group.client.get("/v1/revocable_token_types", headers={"Authorization": authorization})
        assert answer.status_code == 200
        assert answer.json() == {
            "types": [
                "gitleaks_rule_id_open_ai_token",
                "gitleaks_rule_id_openaiprojectkey",
                "gitleaks_rule_id_openaiserviceaccountkey",
                "gitleaks_rule_id_anthropic_key",
            ]
        }


def test_a_revocation_is_sealed_and_the_same_one_is_taken_once(group: Group) -> None:
    """Its body is nothing but tokens, and GitLab repeats itself."""
    before = len(stored(group))
    body = dump([RECORD, {"vulnerability": {"id": 1}, **RECORD}])
    for _ in range(3):
        answer = revoke(group, body)
        assert (answer.status_code, answer.content) == (204, b"")
    [row] = stored(group)[before:]
    assert (row.source, row.lane, set(row.refs)) == ("gitlab_revocation", "gitlab_revocation", {"digest"})
    assert row.sealed is not None
    with sqlite3.connect(group.data / "responder.sqlite") as database:
        assert TOKEN not in "\n".join(database.iterdump())
    assert TOKEN.encode() not in row.sealed


def test_records_that_are_none_harm_no_other(group: Group) -> None:
    """One bug at the sender must not keep fifty keys alive."""
    spoilt = b'[{"token": 7}, null, {"token": "a", "token": "b"}, "x", ' + dump({**RECORD, "more": [1e400]}) + b"]"
    before = len(stored(group))
    assert revoke(group, spoilt).status_code == 204
    assert len(stored(group)) == before + 1
    assert revoke(group, []).status_code == 204
    assert len(stored(group)) == before + 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"\xff",
        dump(RECORD),
        dump(TOKEN),
        b"null",
        dump([{}]),
        dump([{"token": ""}, {TOKEN: 1}]),
        b"[" * 999,
    ],
)
def test_a_body_that_holds_nothing_is_refused_and_not_repeated(group: Group, body: bytes) -> None:
    """400: GitLab does not send it again."""
    before = len(stored(group))
    answer = revoke(group, body)
    assert_problem(answer, 400)
    assert TOKEN not in answer.text
    assert len(stored(group)) == before


@pytest.mark.parametrize(
    "authorization",
    ["", "wrong", PRESHARED[:-1], f"Basic {PRESHARED}", f"bearer {PRESHARED}", KEY],
    ids=["none", "wrong", "cut", "Basic", "bearer", "the signing key"],
)
def test_without_the_revocation_token_nothing_is_read(group: Group, authorization: str) -> None:
    """A stranger could ask us to try keys; and the two secrets do not stand in for each other."""
    assert_problem(revoke(group, b"[", authorization), 401)
    refused = group.client.get("/v1/revocable_token_types", headers={"Authorization": authorization})
    assert_problem(refused, 401)
    assert_problem(group.client.post("/v1/revoke_tokens", json=[RECORD]), 401)


def test_other_methods_types_and_sizes_are_refused(group: Group) -> None:
    """As GitLab's own description of the service has it."""
    assert_problem(group.client.get("/v1/revoke_tokens", headers={"Authorization": PRESHARED}), 405)
    text = {"Authorization": PRESHARED, "Content-Type": "text/plain"}
    assert_problem(group.client.post("/v1/revoke_tokens", content=dump([RECORD]), headers=text), 415)
    assert_problem(revoke(group, b" " * (4 * 1024 * 1024 + 1)), 413)


def test_more_than_sixty_a_minute_are_told_when_to_come_back(group: Group) -> None:
    """The contract asks for a limit; what is refused is sent again, and what was taken is not counted twice."""
    answers = [revoke(group, [{**RECORD, "location": f"https://gitlab.example/{n}"}]) for n in range(61)]
    taken = [answer for answer in answers if answer.status_code == 204]
    assert 0 < len(taken) <= 60
    assert_problem(answers[-1], 429)
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert revoke(group, [{**RECORD, "location": "https://gitlab.example/0"}]).status_code == 204


def test_what_is_not_configured_is_not_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An open route without a secret would take anybody's word."""
    with Group(tmp_path_factory.mktemp("none"), {}) as bare:
        bare.prepare().start("web").wait_until_listening()
        assert_problem(hook(bare, dump(PUSH)), 404)
        assert_problem(hook(bare, dump(PUSH), X_Gitlab_Token=""), 404)
        assert_problem(revoke(bare, [RECORD], ""), 404)
        assert_problem(bare.client.get("/v1/revocable_token_types"), 404)
        key = "whsec_not-base64"
        said = bare.run("web", RESPONDER_GITLAB__WEBHOOK_SECRET=key)
        assert said.returncode == 2
        assert "RESPONDER_GITLAB__WEBHOOK_SECRET: what follows whsec_ must be base64" in said.stderr
        assert key not in said.stdout + said.stderr
        told = bare.run(
            "worker", RESPONDER_GITLAB__WEBHOOK_SECRET=SHARED, RESPONDER_OPENAI__ADMIN_KEY=json.dumps("x")
        )
        assert told.returncode == 2
        assert "RESPONDER_GITLAB__URL" in told.stderr
