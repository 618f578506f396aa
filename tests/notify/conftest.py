"""A leaked key in every state it can be in, and a mail server that can be told to misbehave."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from responder.core.incident import Event, Incident, LeakedKey, State
from responder.core.key import Owner
from responder.core.notice import Audience, Channel, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify import Mailer

START = datetime(2026, 11, 23, 6, 12, 7, 120_000, tzinfo=UTC)
ADA = Owner("user", "user_1", "Ada Lovelace", "ada@example.com")

Timeline = tuple[tuple[int, str], ...]

_TOLD: Timeline = ((0, "received"), (310, "matched"), (312, "decided"))
_ASKED: Timeline = (*_TOLD, (340, "revoke_requested"))
_DELETED: Timeline = (*_ASKED, (910, "revoked"))
_DEAD: Timeline = (*_DELETED, (42_400, "confirmed_dead"))

STORIES: dict[str, tuple[Timeline, State, str | None, str, str, str]] = {
    "dead": (_DEAD, State.CONTAINED, "revoked", "probe", "revoke", "Proved by probe to be key key_7Qd."),
    "deleted": (_DELETED, State.OPEN, None, "fingerprint", "revoke", "Proved by fingerprint to be key key_7Qd."),
    "unanswered": (
        (*_ASKED, (42_400, "confirmed_dead")),
        State.CONTAINED,
        "revoked",
        "probe",
        "revoke",
        "Proved by probe to be key key_7Qd.",
    ),
    "requested": (_ASKED, State.OPEN, None, "probe", "revoke", "Proved by probe to be key key_7Qd."),
    "observed": (
        (*_TOLD, (340, "would_revoke")),
        State.OPEN,
        None,
        "probe",
        "revoke",
        "Proved by probe to be key key_7Qd.",
    ),
    "gone": (
        _TOLD,
        State.CLOSED,
        "already_dead",
        "fingerprint",
        "ignore",
        "Proved by fingerprint to be key key_7Qd, which is already gone.",
    ),
    "refused": (
        (*_TOLD, (1_900_000, "confirmed_dead")),
        State.CLOSED,
        "already_dead",
        "fingerprint",
        "ignore",
        "Proved by fingerprint to be key key_7Qd, which is already gone.",
    ),
    "held": (
        (*_TOLD, (320, "held")),
        State.HELD,
        None,
        "probe",
        "hold",
        "Proved by probe to be key key_7Qd, which is protected: a person has to approve.",
    ),
    "unknown": (
        _TOLD,
        State.OPEN,
        None,
        "hint",
        "hold",
        "Key key_7Qd looks like it, and the provider could not be asked whether the token is alive.",
    ),
}


def story(name: str, **changes: object) -> Incident:
    """Build an incident in the state called *name*."""
    timeline, state, disposition, evidence, decision, reason = STORIES[name]
    values: dict[str, object] = {
        "id": "inc_4mT9",
        "state": state,
        "disposition": disposition,
        "provider": "openai",
        "account": "default",
        "family": "openai-project",
        "key": leaked_key(),
        "evidence": evidence,
        "decision": decision,
        "reason": reason,
        "confirmed_dead": name in ("dead", "refused", "unanswered"),
        "opened_at": START,
        "sightings": (
            Sighting(
                Source.GITHUB_PUSH,
                "commit:1",
                "https://github.com/example/billing/blob/3f1c2ab/deploy/settings.py#L14",
                START - timedelta(seconds=3),
                "d1",
            ),
            Sighting(Source.REPORT, "report:1", "https://paste.example/raw/x1", START + timedelta(seconds=1), "d2"),
        ),
        "timeline": tuple(Event(START + timedelta(milliseconds=ms), what) for ms, what in timeline),
    }
    return Incident(**{**values, **changes})  # type: ignore[arg-type]


def leaked_key(**changes: object) -> LeakedKey:
    """Build what people may know of the key."""
    values: dict[str, object] = {
        "redacted": "sk-proj-…x3Qd",
        "id": "key_7Qd",
        "name": "nightly billing run",
        "project": "proj_9",
        "project_name": "payments",
        "owner": ADA,
        "last_used_at": START - timedelta(hours=6, minutes=2),
        "created_at": START - timedelta(days=211),
    }
    return LeakedKey(**{**values, **changes})  # type: ignore[arg-type]


def a_notice(audience: Audience, topic: Topic, channel: Channel = Channel.MAIL) -> Notice:
    """Build a notice that was not sent yet."""
    to = "ada@example.com" if audience is Audience.OWNER else "security@example.com"
    return Notice("ntc_81", audience, topic, channel, to)


class Postbox:
    """What an SMTP server received, and what it is told to answer."""

    def __init__(self) -> None:
        self.received: list[tuple[str, list[str], bytes]] = []
        self.recipient_answer: str | None = None
        self.data_answer: str | None = None

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer is not None:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        if self.data_answer is not None:
            return self.data_answer
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.received.append((envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return "250 2.0.0 ok"


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def serve(postbox: Postbox) -> Iterator[Callable[..., int]]:
    """Start a real SMTP server on loopback for *postbox*; say its port."""
    running: list[Controller] = []

    def start(**options: Any) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        controller = Controller(postbox, hostname="127.0.0.1", port=port, **options)
        controller.start()
        running.append(controller)
        return port

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def incident() -> Callable[..., Incident]:
    return story


@pytest.fixture
def key() -> Callable[..., LeakedKey]:
    return leaked_key


@pytest.fixture
def notice() -> Callable[..., Notice]:
    return a_notice


class Scripted:
    """A server that answers each verb from a table; ``reset``, ``close`` and ``hang`` are what they say."""

    def __init__(self, **answers: str) -> None:
        self._answers = {"greeting": "220 here", "data_end": "250 2.0.0 ok", "DATA": "354 go", **answers}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.verbs: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _talk(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            try:
                goes_on = self._answer(connection, "greeting")
                while goes_on:
                    line = lines.readline()
                    if not line:
                        return
                    verb = line[:4].decode("ascii", "replace").strip().upper()
                    self.verbs.append(verb)
                    goes_on = self._answer(connection, verb)
                    if verb == "DATA" and goes_on:
                        while lines.readline() not in (b".\r\n", b""):
                            pass
                        goes_on = self._answer(connection, "data_end")
            except OSError:
                return

    def _answer(self, connection: socket.socket, verb: str) -> bool:
        answer = self._answers.get(verb, "250 ok")
        if answer == "hang":
            self._done.wait(10)
            return False
        if answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if answer == "close":
            return False
        connection.sendall(answer.encode() + b"\r\n")
        return True


@pytest.fixture
def script() -> Iterator[Callable[..., Scripted]]:
    running: list[Scripted] = []

    def start(**answers: str) -> Scripted:
        running.append(Scripted(**answers))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def send(incident: Callable[..., Incident], notice: Callable[..., Notice]) -> Callable[..., None]:
    """Send one mail through *url*."""

    def send_one(url: str, *, to: str = "ada@example.com") -> None:
        message = notice(Audience.OWNER, Topic.REVOKED)
        message = Notice(message.id, message.audience, message.topic, Channel.MAIL, to)
        Mailer(url, "leaks@example.com", timeout_seconds=0.4).send(message, incident("dead"), public_url=None)

    return send_one
