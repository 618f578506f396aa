"""A receiver over real HTTP, and somebody who signs what they send to it."""

import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import sqlalchemy as sa

from responder.store.tables import deliveries
from tests.running import Group

SECRET = "made-up-webhook-secret"
SHA = "0123456789abcdef0123456789abcdef01234567"


def sign(body: bytes, secret: str | bytes = SECRET) -> str:
    """The header GitHub would send."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def push(**changes: Any) -> dict[str, Any]:
    """The least that is a push, with *changes*; None takes a member away."""
    whole = {"ref": "refs/heads/main", "after": SHA, "commits": [{"id": SHA}], "repository": {"id": 7}} | changes
    return {name: value for name, value in whole.items() if value is not None}


def alert(**changes: Any) -> dict[str, Any]:
    """The least that is an alert."""
    whole = {"action": "created", "alert": {"number": 3}, "repository": {"id": 7}} | changes
    return {name: value for name, value in whole.items() if value is not None}


def somebody() -> dict[str, str]:
    """A header that makes whoever sends it, where one proxy is trusted, a caller with a quota of their own."""
    return {"X-Forwarded-For": str(ipaddress.IPv4Address(secrets.randbits(32)))}


def dump(value: object) -> bytes:
    """As JSON."""
    return json.dumps(value).encode()


class Sender:
    """Posts to a group's receiver.

    Args:
        group: whose receiver listens.
    """

    def __init__(self, group: Group) -> None:
        self.group = group

    def post(
        self,
        body: bytes,
        event: str = "push",
        *,
        guid: str | None = None,
        signature: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> httpx.Response:
        """One webhook, signed unless a signature is given; *headers* replace, and b"" leaves one out."""
        sent: dict[str, str | bytes] = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid or str(uuid.uuid4()),
            "X-Hub-Signature-256": sign(body) if signature is None else signature,
            "Content-Type": "application/json",
            **(headers or {}),
        }
        kept = [(name.encode(), _bytes(value)) for name, value in sent.items() if value != b""]
        return self.group.client.post("/hooks/github", content=body, headers=kept)

    def stored(self) -> list[str]:
        """Ids of every delivery on disk."""
        with self.group.store.read() as tx:
            return list(tx.execute(sa.select(deliveries.c.id).order_by(deliveries.c.received_at)).scalars())

    def raw(self, request: bytes) -> bytes:
        """Send exactly these bytes, and return what comes back until the other side is done."""
        host, port = self.group.origin.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer or not _is_whole(answer):
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
            return answer


def status(answer: bytes) -> int:
    """The status of a raw answer."""
    return int(answer.split(b" ", 2)[1])


def assert_problem(answer: httpx.Response, expected: int) -> None:
    """An error, in the one form errors have."""
    assert answer.status_code == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == expected
    assert content["title"]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), b":-1")
    return 0 <= int(length.partition(b":")[2]) <= len(body)
