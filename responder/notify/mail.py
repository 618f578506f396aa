"""Mail over SMTP (RFC 5321, RFC 8314), one recipient at a time.

Peculiar: a server's 250 after the data is the only "accepted" there is; whatever
goes wrong before it leaves us not knowing, whatever goes wrong after it does
not matter. The Message-ID is the notice's, so a mail sent twice is seen as one.
"""

import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from responder.core.errors import Refused, Unavailable
from responder.core.incident import Incident
from responder.core.notice import Notice
from responder.notify.message import Message, render
from responder.notify.plain import visible

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)
_OURS_TO_MEND = frozenset({530, 534, 535, 538})
_SEND = "mail.send"
_UNFOLDED = SMTP.clone(max_line_length=500)  # folding would put a space before the subject; RFC 5322 allows 998


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    loopback: bool
    user: str
    password: str


class Mailer:
    """A mail server, and the name we write under.

    Args:
        url: ``smtp://user:pass@host:port`` or ``smtps://…``; port 587 or 465 if none is given.
            STARTTLS is required, except on loopback, where it is used if offered;
            ``?starttls=never`` turns it off there.
        sender: ``leaks@example.com`` or ``Name <leaks@example.com>``.
        timeout_seconds: for each step of the conversation.
        clock: for the Date header.

    Raises:
        ValueError: the url or the sender cannot be used; the message does not repeat them.
    """

    def __init__(
        self,
        url: str,
        sender: str,
        *,
        timeout_seconds: float = 20,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = _parse(url)
        named = getaddresses([sender])
        name, address = named[0] if len(named) == 1 else ("", "")
        if not _valid(address) or not sender.isprintable():
            raise ValueError("mail.from must be one mail address, or a name and one in angle brackets")
        self._sender = Address(visible(name), addr_spec=address)
        self._timeout_seconds = timeout_seconds
        self._clock = clock

    def send(self, notice: Notice, incident: Incident, *, public_url: str | None) -> None:
        """Send *notice* to the one address it names; return once the server accepted it.

        Raises:
            Unavailable: nobody knows, or not now; try again.
            Refused: the recipient, sender or content was refused for good.
        """
        if not _valid(notice.to):
            raise Refused("mail", _SEND, 553, "bad_address")
        mail = self._compose(notice, incident, render(notice, incident, public_url=public_url))
        try:
            self._converse(notice.to, mail.as_bytes(policy=_UNFOLDED))
        except OSError as error:  # smtplib's and ssl's are of that kind
            raise _translate(error) from None

    def check(self) -> None:
        """See whether the server takes us, up to but without a mail.

        Raises:
            Unavailable, Refused: as `send`.
        """
        try:
            client = self._connect()
            try:
                self._introduce(client)
                client.noop()
            finally:
                client.close()
        except OSError as error:
            raise _translate(error) from None

    def _introduce(self, client: smtplib.SMTP) -> None:
        server = self._server
        if server.starttls:
            client.ehlo_or_helo_if_needed()
            if client.has_extn("starttls"):
                client.starttls(context=ssl.create_default_context())
            elif not server.loopback:
                raise Unavailable("mail", _SEND, "starttls not offered")
        if server.user:
            client.login(server.user, server.password)

    def _converse(self, to: str, mail: bytes) -> None:
        client = self._connect()
        try:
            self._introduce(client)
            client.sendmail(self._sender.addr_spec, [to], mail)
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
        finally:
            client.close()

    def _connect(self) -> smtplib.SMTP:
        server, timeout, name = self._server, self._timeout_seconds, self._sender.domain
        if server.implicit_tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(server.host, server.port, name, timeout=timeout, context=context)
        return smtplib.SMTP(server.host, server.port, name, timeout=timeout)

    def _compose(self, notice: Notice, incident: Incident, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._sender
        mail["To"] = Address(addr_spec=notice.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock())
        mail["Message-ID"] = self._name(notice.id)
        mail["References"] = self._name(incident.id)
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail

    def _name(self, own: str) -> str:
        """A message's name (RFC 5322, section 3.6.4); mails of one incident refer to one such name."""
        return f"<{re.sub(r'[^A-Za-z0-9._-]', '-', own)[:64]}@{self._sender.domain}>"


def _valid(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return _ADDRESS.match(address) is not None and len(local) <= 64 and len(domain) <= 253


def _parse(url: str) -> _Server:
    if not url.isprintable() or " " in url:
        raise ValueError("mail.url must be one line without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("mail.url has a host or port that cannot be read") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("mail.url must start with smtp:// or smtps://")
    if not host or port == 0:
        raise ValueError("mail.url needs a host, and a port other than 0")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("mail.url must end after host and port; write / ? # @ in a password as %2F %3F %23 %40")
    if parts.query not in ("", "starttls=never"):
        raise ValueError("mail.url knows one option, starttls=never")
    loopback, never = _is_loopback(host), parts.query == "starttls=never"
    if never and not loopback:
        raise ValueError("mail.url may say starttls=never for a loopback host only")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("mail.url needs both user and password, or neither")
    implicit = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (user + password).isascii() or not (user + password).isprintable():
        raise ValueError("mail.url may have printable ASCII characters only in user and password")
    return _Server(
        host, port or (465 if implicit else 587), implicit, not (implicit or never), loopback, user, password
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _translate(error: OSError) -> Refused | Unavailable:
    """Say what a failed conversation means: only an answer to sender, recipient or content can be a refusal."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _answered(*next(iter(error.recipients.values()), (450, b"")))
        case smtplib.SMTPSenderRefused() | smtplib.SMTPDataError():
            return _answered(error.smtp_code, error.smtp_error)
        case smtplib.SMTPAuthenticationError():
            return Unavailable("mail", _SEND, f"login refused with status {error.smtp_code}")
        case smtplib.SMTPResponseException():
            return Unavailable("mail", _SEND, f"status {error.smtp_code}")
        case smtplib.SMTPServerDisconnected():
            return Unavailable("mail", _SEND, "disconnected or timed out")
        case TimeoutError():
            return Unavailable("mail", _SEND, "timeout")
        case _:
            return Unavailable("mail", _SEND, type(error).__name__)


def _answered(status: int, said: bytes | str) -> Refused | Unavailable:
    """Sort an answer by its first digit (RFC 5321, section 4.2.1); *said* gives its enhanced code only (RFC 3463)."""
    if status < 500 or status in _OURS_TO_MEND:
        return Unavailable("mail", _SEND, f"status {status}")
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    found = re.match(r"5\.\d{1,3}\.\d{1,3}\b", text)
    return Refused("mail", _SEND, status, found[0] if found else "")
