"""A receiver with every door open, and somebody who watches what gets in while it is tried.

Worker and simulator are left out, so that what is stored stays as it was stored.
"""

import base64
import json
import secrets
import socket
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa

from responder.simulator.partner import Partner
from responder.store import public_keys
from responder.store.tables import deliveries
from tests.hook import SECRET, SHA, dump, push, sign, somebody, status
from tests.hostile import MARK, MIB, Door
from tests.running import Group

SHARED, PRESHARED, REPORTER, SCRAPER = (
    "made-up-shared-token",
    "made-up-preshared",
    "made-up-reporter",
    "made-up-scrapers-token",
)
KEY = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
SETTINGS = {
    "RESPONDER_GITHUB__WEBHOOK_SECRET": SECRET,
    "RESPONDER_GITLAB__WEBHOOK_SECRET": f"{SHARED},{KEY}",
    "RESPONDER_GITLAB__REVOCATION_TOKEN": PRESHARED,
    "RESPONDER_REPORTS__TOKENS": REPORTER,
    "RESPONDER_METRICS__TOKEN": SCRAPER,
    "RESPONDER_TRUSTED_PROXIES": "1",
}
GITLAB_PUSH: dict[str, Any] = {
    "object_kind": "push",
    "project_id": 7,
    "before": "f" * 40,
    "after": SHA,
    "commits": [{"id": SHA}],
    "total_commits_count": 1,
    "more": "@",
}


class House:
    """A receiver with every door open, and no worker: what is stored stays as it was stored.

    Attributes:
        group: its processes.
        doors: by what comes through.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        partner = Partner([])
        with group.store.begin("keys") as tx:
            public_keys.replace(tx, "github", {partner.identifier: partner.pem}, None, datetime.now(UTC))
        record = dump([{"token": "nothing like a key", "more": "@"}])
        report = dump({"token": "nothing like a key", "comment": "@"})
        self.doors = {
            "github": Door("/hooks/github", dump(push(more="@")), _github),
            "partner": Door("/hooks/github/partner", record, partner.sign),
            "gitlab": Door("/hooks/gitlab", dump(GITLAB_PUSH), _gitlab),
            "revocation": Door("/v1/revoke_tokens", record, lambda _: {"Authorization": PRESHARED}, 4 * MIB),
            "report": Door("/v1/reports", report, lambda _: somebody(), 4 * MIB),
        }

    def post(self, door: Door, body: bytes, headers: Mapping[str, str | bytes]) -> bytes:
        """Exactly these headers, and that it is JSON, and its length; what is answered."""
        return self.ask(f"POST {door.path}", {"Content-Type": "application/json", **headers}, body)

    def ask(self, line: str, headers: Mapping[str, str | bytes], body: bytes = b"") -> bytes:
        """Any request that clients would rather not send; what is answered."""
        sent = {"Host": "x", "Content-Length": str(len(body)), "Connection": "close", **headers}
        head = [f"{line} HTTP/1.1".encode()]
        head += [
            name.encode() + b": " + (one if isinstance(one, bytes) else one.encode()) for name, one in sent.items()
        ]
        return self.raw(b"\r\n".join([*head, b"", body]))

    def raw(self, request: bytes) -> bytes:
        """Exactly these bytes, and no more after them; what is answered."""
        host, port = self.group.origin.removeprefix("http://").split(":")
        answer = b""
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            with suppress(OSError):  # refused before it was all sent
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    answer += part
        return answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")

    def stored(self) -> int:
        """How many deliveries are on disk."""
        with self.group.store.read() as tx:
            return tx.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one()

    def lines(self) -> list[str]:
        """Of the log so far."""
        return self.group.log.splitlines()


def _github(body: bytes) -> dict[str, str]:
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": "a-guid", "X-Hub-Signature-256": sign(body)}


def _gitlab(body: bytes) -> dict[str, str]:
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SHARED, "Idempotency-Key": "an-id"}


class Watch:
    """Nothing is stored while it is open, and a request leaves one line in the log at most, and no word of itself.

    Attributes:
        requests: how many answers were looked at.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.requests = 0
        self._wrong: list[str] = []

    def __enter__(self) -> Self:
        self._stored, self._lines = self._house.stored(), len(self._house.lines())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        assert not self._wrong, "\n".join(self._wrong)
        assert self.requests > 0
        assert self._house.group.client.get("/healthz").status_code == 200
        assert self._house.stored() == self._stored
        lines = self._house.lines()[self._lines :]
        assert len(lines) <= self.requests
        for line in lines:
            assert isinstance(json.loads(line), dict)
            assert MARK not in line
            assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in line), line

    def expect(self, answer: bytes, allowed: tuple[int, ...], name: str) -> None:
        """Note an answer that has another status, is no problem document, or repeats what was sent."""
        self.requests += 1
        text = answer.decode("utf-8", "replace")
        good = answer.startswith(b"HTTP/1.") and status(answer) in allowed
        if not good or "application/problem+json" not in text or MARK in text:
            self._wrong.append(f"{name}: {allowed} expected, not {text[:300]!r}")
