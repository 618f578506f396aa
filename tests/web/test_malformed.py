"""A signed body may still be hostile or broken: it is refused with 400, and never with a 5xx."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.hook import SHA, Sender, alert, assert_problem, dump, push
from tests.hostile import inside, texts, values

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


GOOD = dump(push(more="@"))
BROKEN: dict[str, bytes] = {
    **texts(GOOD),
    **values(GOOD),
    "list": b"[]",
    "list of pushes": b"[" + dump(push()) + b"]",
    "duplicate name of ours": dump(push())[:-1] + b', "after": "' + SHA.encode() + b'"}',
}

IDS: dict[str, Any] = {
    "missing": None,
    "zero": 0,
    "negative": -1,
    "too large": 2**63,
    "true": True,
    "text": "7",
    "fraction": 7.0,
    "list": [7],
    "object": {"id": 7},
    "path": "7/../8",
}
COMMITS: dict[str, Any] = {
    "short": SHA[:39],
    "long": SHA + "0",
    "between": SHA + SHA[:10],
    "upper case": SHA.upper(),
    "not hexadecimal": "g" * 40,
    "newline after": SHA + "\n",
    "path": "../../../../orgs/acme/members/aaaaaaaaaa",
    "escaped path": "%2e%2e%2f" * 4 + "aaaa",
    "NUL": SHA[:39] + "\0",
    "full-width": "\uff10" * 40,
    "number": 7,
    "missing": None,
    "list": [SHA],
}
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no commits": ("push", push(commits=None)),
    "commits an object": ("push", push(commits={"id": SHA})),
    "commits a text": ("push", push(commits=SHA)),
    "commit null": ("push", push(commits=[{"id": SHA}, None])),
    "commit a text": ("push", push(commits=[SHA])),
    "commit empty": ("push", push(commits=[{}])),
    "no ref": ("push", push(ref=None)),
    "no after": ("push", push(after=None)),
    "after too short": ("push", push(after="0" * 39)),
    "no repository": ("push", push(repository=None)),
    "repository a list": ("push", push(repository=[7])),
    "an alert as a push": ("push", alert()),
    "a push as an alert": ("secret_scanning_alert", push()),
    "a push as a location": ("secret_scanning_alert_location", push()),
    "no action": ("secret_scanning_alert", alert(action=None)),
    "action a number": ("secret_scanning_alert", alert(action=1)),
    "action too long": ("secret_scanning_alert", alert(action="a" * 41)),
    "action a path": ("secret_scanning_alert", alert(action="../created")),
    "action empty": ("secret_scanning_alert", alert(action="")),
    "no alert": ("secret_scanning_alert_location", alert(alert=None)),
    "alert a number": ("secret_scanning_alert", alert(alert=3)),
    **{f"repository {name}": ("push", push(repository={"id": value})) for name, value in IDS.items()},
    **{f"alert {name}": ("secret_scanning_alert", alert(alert={"number": value})) for name, value in IDS.items()},
    **{f"commit {name}": ("push", push(commits=[{"id": value}])) for name, value in COMMITS.items()},
    **{f"after {name}": ("push", push(after=value)) for name, value in COMMITS.items()},
}
HEADERS: dict[str, dict[str, str | bytes]] = {
    "no GUID": {"X-GitHub-Delivery": b""},
    "GUID too long": {"X-GitHub-Delivery": "a" * 65},
    "GUID a path": {"X-GitHub-Delivery": "../../etc"},
    "GUID with a quote": {"X-GitHub-Delivery": "a'b"},
    "GUID not ASCII": {"X-GitHub-Delivery": "é".encode()},
    "GUID like a key": {"X-GitHub-Delivery": "sk-" + "a" * 48},
    "no event": {"X-GitHub-Event": b""},
    "event too long": {"X-GitHub-Event": "a" * 65},
    "event a path": {"X-GitHub-Event": "push/.."},
    "event not ASCII": {"X-GitHub-Event": "püsh".encode()},
    "event of signs": {"X-GitHub-Event": "___"},
    "two events": {"X-GitHub-Event": "push, ping"},
}
FORMS: dict[str, bytes] = {
    "empty": b"",
    "no payload": b"load=" + quote(dump(push())).encode(),
    "empty payload": b"payload=",
    "payload a list": b"payload=%5B%5D",
    "payload cut": b"payload=" + quote(dump(push())[:-1]).encode(),
    "not a form": dump(push()),
    "not ASCII": b"payload=\xff",
    "broken escape": b"payload=%7B%22a%22%3A%22%zz%22%7D",
    "not UTF-8, escaped": b"payload=%7B%22a%22%3A%22%ff%22%7D",
    "surrogate, escaped": b"payload=%7B%22a%22%3A%22%ed%a0%80%22%7D",
    "many members": b"&".join([b"payload=" + quote(dump(push())).encode(), *[b"a=1"] * 50]),
}


def test_there_are_many_of_them() -> None:
    """A table that shrinks by accident protects nobody."""
    assert len(BROKEN) + len(WRONG) + len(HEADERS) + len(FORMS) >= 145


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_strict_json_is_refused(sender: Sender, body: bytes) -> None:
    """Two parsers that read one body differently are how checks are walked around."""
    refused(sender, sender.stored(), body)


@pytest.mark.parametrize(("event", "body"), WRONG.values(), ids=WRONG.keys())
def test_what_has_another_shape_is_refused(sender: Sender, event: str, body: dict[str, Any]) -> None:
    """Its numbers and ids become paths of requests: nothing else may pass."""
    refused(sender, sender.stored(), dump(body), event)


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_headers_that_name_nothing_are_refused(sender: Sender, headers: dict[str, str | bytes]) -> None:
    """They are not signed, and still they name the row and choose the reader."""
    refused(sender, sender.stored(), dump(push()), headers=headers)


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
def test_forms_are_read_as_strictly_as_json(sender: Sender, body: bytes) -> None:
    """GitHub offers both; the laxer door would be the one that is used."""
    refused(sender, sender.stored(), body, headers=FORM)


@pytest.mark.parametrize("event", ["ping", "star"])
def test_even_what_is_ignored_must_be_json(sender: Sender, event: str) -> None:
    """A webhook set to another format shows at once, at its ping."""
    refused(sender, sender.stored(), b"{", event)


@pytest.mark.parametrize("fragment", ["[" * 60 + "]" * 60, '"\\ud83d\\ude00 \\\\ud800"', "1e3"])
def test_what_is_unusual_but_right_is_accepted(sender: Sender, fragment: str) -> None:
    """Strict is not the same as narrow."""
    assert sender.post(inside(GOOD, fragment)).status_code == 202


def refused(sender: Sender, before: list[str], body: bytes, event: str = "push", **more: Any) -> None:
    """400, the one form of errors, and nothing kept."""
    assert_problem(sender.post(body, event, **more), 400)
    assert sender.stored() == before
