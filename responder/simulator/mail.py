"""A mail server that keeps what it is given, and can refuse, stall and hang up.

Faults are planned for the lines ``"CONNECT"``, ``"RCPT address"`` and
``"DATA address"`` (the envelope's sender). Replies follow RFC 5321.
"""

import asyncio
import contextlib
import email
import email.policy
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from types import TracebackType
from typing import Self
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from responder.simulator.fault import Fault, Faults


@dataclass(frozen=True, slots=True)
class Letter:
    """One accepted message.

    Attributes:
        sender: of the envelope.
        recipients: of the envelope.
        message: parsed with `email.policy.default`.
        raw: as received.
        monotonic_seconds: ``time.monotonic()`` on acceptance.
        at: the same on the wall clock, UTC.
    """

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    monotonic_seconds: float
    at: datetime

    @property
    def text(self) -> str:
        """The plain text of the message, lines ended by a line feed."""
        part = self.message.get_body(("plain", "html"))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


class _Smtp(SMTP):
    """aiosmtpd's server, which shows its transport and may hang up on connecting."""

    post: "Mail"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.post.transports.add(transport)
        super().connection_made(transport)
        struck = self.post.faults.take("CONNECT")
        if struck is not None:
            hang_up(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.post.transports.discard(self.transport)
        super().connection_lost(error)


class Mail:
    """An SMTP server on 127.0.0.1.

    The kinds of faults are ``status`` (4xx for greylisting, 5xx for good),
    ``timeout`` (silence for ``seconds``, then the true reply) and ``reset``; on
    ``DATA`` a reset with ``applied=True`` is the message that was accepted
    though the sender never heard of it. Refusing connections is `down`.

    Args:
        port: 0 for any free one.

    Attributes:
        letters: what was accepted, in order.
        faults: the plan.
        login: user and password to require, or None.
        attempts: every line faults are matched against, in order.
    """

    def __init__(self, port: int = 0) -> None:
        self.letters: list[Letter] = []
        self.faults = Faults(("status", "timeout", "reset"))
        self.login: tuple[str, str] | None = None
        self.attempts: list[str] = []
        self.transports: set[asyncio.BaseTransport | None] = set()
        self._port = port
        self._arrived = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start."""
        return self._port

    @property
    def url(self) -> str:
        """What a responder is configured with."""
        who = "" if self.login is None else ":".join(quote(part, safe="") for part in self.login) + "@"
        return f"smtp://{who}127.0.0.1:{self._port}?starttls=never"

    def start(self) -> None:
        """Listen; after a stop, on the same port."""
        loop = asyncio.new_event_loop()
        self._server = loop.run_until_complete(
            loop.create_server(lambda: self._session(loop), "127.0.0.1", self._port)
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._loop, self._thread = loop, threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody and wait for the thread."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Connections are refused inside this block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def wait_for(self, count: int, timeout_seconds: float = 10.0) -> list[Letter]:
        """The letters, once there are *count*.

        Raises:
            TimeoutError: there were fewer in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.letters) >= count, timeout_seconds):
                raise TimeoutError(f"{len(self.letters)} of {count} letters arrived")
            return list(self.letters)

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        del server
        if self.login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        del session
        self.attempts.append(f"RCPT {address}")
        struck = self.faults.take(self.attempts[-1])
        if struck is not None and struck.kind != "timeout":
            return self._spoiled(struck, server)
        if struck is not None:
            await asyncio.sleep(struck.seconds)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        del session
        self.attempts.append(f"DATA {envelope.mail_from}")
        struck = self.faults.take(self.attempts[-1])
        if struck is None or struck.applied or struck.kind == "timeout":
            self._accept(envelope)
        if struck is not None and struck.kind == "timeout":
            await asyncio.sleep(struck.seconds)
        elif struck is not None:
            return self._spoiled(struck, server)
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, offered: object
    ) -> AuthResult:
        """Whether the offered user and password are the required ones."""
        del server, session, envelope, mechanism
        if self.login is None or not isinstance(offered, LoginPassword):
            return AuthResult(success=False, handled=False)
        given = (offered.login.decode(), offered.password.decode())
        return AuthResult(success=given == self.login, handled=given == self.login)

    def _session(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        session = _Smtp(
            self,
            loop=loop,
            hostname="mail.simulator.example",
            ident="simulator",
            enable_SMTPUTF8=True,
            authenticator=self.authenticate if self.login else None,
            auth_require_tls=False,
        )
        session.post = self
        return session

    def _spoiled(self, struck: Fault, server: SMTP) -> str:
        if struck.kind == "reset":
            hang_up(server.transport)
        return f"{struck.status} {struck.body or 'Not now'}"

    def _accept(self, envelope: Envelope) -> None:
        raw = envelope.original_content or b""
        message = email.message_from_bytes(raw, policy=email.policy.default)
        letter = Letter(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            message,
            raw,
            time.monotonic(),
            datetime.now(UTC),
        )
        with self._arrived:
            self.letters.append(letter)
            self._arrived.notify_all()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in list(self.transports):
            hang_up(transport)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def hang_up(transport: asyncio.BaseTransport | None) -> None:
    """Close with RST."""
    if isinstance(transport, asyncio.Transport):
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
