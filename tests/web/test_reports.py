"""Whoever holds a token may report it, and learns nothing from the answer."""

import random
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from responder.simulator import growth
from responder.store.tables import deliveries
from tests.hook import Sender, assert_problem

TOKEN = growth.grow("openai-project", random.Random(21))
LONG = "x" * 5000


def report(sender: Sender, body: Any, **headers: str) -> httpx.Response:
    """Post one, as JSON."""
    return sender.group.client.post("/v1/reports", json=body, headers=headers)


ACCEPTED: dict[str, dict[str, Any]] = {
    "token": {"token": TOKEN},
    "tokens": {"tokens": [TOKEN, growth.lookalike(TOKEN, random.Random(22))]},
    "text": {"text": f"here: {TOKEN}"},
    "everything": {"token": TOKEN, "url": "https://paste.example/1", "comment": "found", "reporter": "a@b.example"},
    "forged": {"token": growth.lookalike(TOKEN, random.Random(23))},
    "no token at all": {"token": "nothing like a key"},
    "not in ASCII": {"text": f"clé: {TOKEN} ✓"},
    "a link that is none": {"token": TOKEN, "url": "javascript:alert(1)"},
}
REFUSED: dict[str, Any] = {
    "nothing": {},
    "a list": [TOKEN],
    "a text": TOKEN,
    "token and text": {"token": TOKEN, "text": TOKEN},
    "token and tokens": {"token": TOKEN, "tokens": [TOKEN]},
    "only a comment": {"comment": TOKEN},
    "unknown member": {"token": TOKEN, "secret": TOKEN},
    "a member named after the token": {"token": TOKEN, TOKEN: 1},
    "empty token": {"token": ""},
    "token null": {"token": None},
    "token a number": {"token": 7},
    "token a list": {"token": [TOKEN]},
    "token too long": {"token": TOKEN + LONG},
    "no tokens": {"tokens": []},
    "tokens a text": {"tokens": TOKEN},
    "tokens an object": {"tokens": {TOKEN: 1}},
    "too many tokens": {"tokens": [TOKEN] * 1001},
    "an empty one among them": {"tokens": [TOKEN, ""]},
    "a number among them": {"tokens": [TOKEN, 7]},
    "empty text": {"text": ""},
    "text a list": {"text": [TOKEN]},
    "text too long": {"text": TOKEN + "x" * 1024 * 1024},
    "url a number": {"token": TOKEN, "url": 7},
    "url too long": {"token": TOKEN, "url": TOKEN + LONG},
    "comment a list": {"token": TOKEN, "comment": [TOKEN]},
    "comment too long": {"token": TOKEN, "comment": TOKEN + LONG},
    "reporter an object": {"token": TOKEN, "reporter": {"name": TOKEN}},
    "reporter too long": {"token": TOKEN, "reporter": TOKEN + LONG},
}


def test_known_unknown_and_forged_tokens_get_answers_of_one_shape(sender: Sender) -> None:
    """Otherwise the answer would tell a thief which of a thousand tokens is worth keeping."""
    answers = [report(sender, body) for body in ACCEPTED.values()]
    assert {answer.status_code for answer in answers} == {202}
    heads = [[(name, value) for name, value in answer.headers.items() if name != "date"] for answer in answers]
    assert all(head == heads[0] for head in heads)
    assert len({answer.text.replace(answer.json()["receipt"], "") for answer in answers}) == 1
    assert {tuple(answer.json()) for answer in answers} == {("receipt",)}
    assert len({answer.json()["receipt"] for answer in answers}) == len(answers), "receipts are random"


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_report_is_not_repeated_in_the_answer(sender: Sender, body: Any) -> None:
    """Answers end up in logs and tickets, and what was sent is a secret."""
    before = sender.stored()
    answer = report(sender, body)
    assert_problem(answer, 400)
    assert TOKEN[20:40] not in answer.text + str(answer.headers)
    assert sender.stored() == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"token": "a", "token": "b"}', b"\xff", b"NaN", b'{"token": "\\ud800"}']
)
def test_a_report_that_is_not_strict_json_is_refused(sender: Sender, content: bytes) -> None:
    """As for webhooks; here nobody has signed it."""
    headers = {"Content-Type": "application/json"}
    assert_problem(sender.group.client.post("/v1/reports", content=content, headers=headers), 400)


def test_hostile_json_costs_no_time(sender: Sender) -> None:
    """This door is open to everybody: megabytes of half a string may not keep a process busy."""
    for content in (b'{"text": "' + b'\\"' * 1_900_000, b'"' * 3_900_000, b"[" * 3_900_000):
        headers = {"Content-Type": "application/json"}
        answer = sender.group.client.post("/v1/reports", content=content, headers=headers, timeout=20)
        assert_problem(answer, 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_is_taken(sender: Sender, kind: str) -> None:
    """A form could be sent by any web page in the name of whoever looks at it."""
    answer = sender.group.client.post("/v1/reports", content=b'{"token": "a"}', headers={"Content-Type": kind})
    assert_problem(answer, 415)


def test_what_is_stored_of_a_report_is_sealed(sender: Sender) -> None:
    """The receiver writes what it cannot read: only the worker opens it."""
    report(sender, {"token": TOKEN, "comment": TOKEN})
    with sender.group.store.read() as tx:
        rows = tx.execute(sa.select(deliveries).where(deliveries.c.source == "report")).all()
    assert rows
    for row in rows:
        assert row.sealed
        assert TOKEN.encode() not in row.sealed
        assert TOKEN not in repr(row)


def test_the_same_report_with_the_same_idempotency_key_is_one(sender: Sender) -> None:
    """A client that lost our answer asks again, and gets the same receipt."""
    answers = [report(sender, {"token": TOKEN}, **{"Idempotency-Key": "attempt-of-today"}) for _ in range(3)]
    (receipt,) = {answer.json()["receipt"] for answer in answers}
    assert len([id_ for id_ in sender.stored() if receipt in id_]) == 1


def test_nobodys_idempotency_key_swallows_another_report(sender: Sender) -> None:
    """Keys are guessable: whoever used "attempt-1" first must not make ours vanish behind a 202."""
    before = len(sender.stored())
    receipts = {
        report(sender, {"token": f"{TOKEN[:-8]}{n:08}"}, **{"Idempotency-Key": "attempt-1"}).json()["receipt"]
        for n in range(3)
    }
    assert len(receipts) == 3
    assert len(sender.stored()) == before + 3


@pytest.mark.parametrize("key", ["", "short", "x" * 201, "tab\there-and-there"])
def test_a_useless_idempotency_key_is_refused(sender: Sender, key: str) -> None:
    """Better said than silently treated as another one."""
    assert_problem(report(sender, {"token": TOKEN}, **{"Idempotency-Key": key}), 400)


def test_no_log_line_repeats_a_report(sender: Sender) -> None:
    """Comes last: after all of the above."""
    assert TOKEN[20:40] not in sender.group.log
