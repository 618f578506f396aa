"""The mail server keeps letters and has bad days."""

import smtplib
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from responder.simulator.channel import Channel
from responder.simulator.mail import Mail


@pytest.fixture
def mail() -> Iterator[Mail]:
    with Mail() as server:
        yield server


def send(mail: Mail, *to: str, timeout: float = 5) -> dict[str, tuple[int, bytes]]:
    message = EmailMessage()
    message["Subject"] = "Your key was revoked — act now"
    message["From"], message["To"] = "responder@acme.example", ", ".join(to)
    message.set_content("Zoë, your key is dead.\n.\nA line with one dot came before.\n")
    message.add_alternative("<p>dead</p>", subtype="html")
    with smtplib.SMTP("127.0.0.1", mail.port, timeout=timeout) as session:
        return session.send_message(message)


def test_a_letter_arrives_whole(mail: Mail) -> None:
    send(mail, "zoe@acme.example", "security@acme.example")
    letter = mail.wait_for(1)[0]
    assert letter.sender == "responder@acme.example"
    assert letter.recipients == ("zoe@acme.example", "security@acme.example")
    assert letter.message["Subject"] == "Your key was revoked — act now"
    assert letter.text.startswith("Zoë, your key is dead.\n.\n")


def test_greylisting_passes_after_a_while(mail: Mail) -> None:
    mail.faults.add("RCPT zoe@", "status", 2, status=451, body="4.7.1 Greylisted")
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(mail, "zoe@acme.example")
        assert refused.value.recipients == {"zoe@acme.example": (451, b"4.7.1 Greylisted")}
    send(mail, "zoe@acme.example")
    assert len(mail.letters) == 1


def test_one_recipient_may_be_refused_for_good(mail: Mail) -> None:
    mail.faults.add("RCPT gone@", "status", None, status=550, body="5.1.1 No such user")
    refused = send(mail, "gone@acme.example", "zoe@acme.example")
    assert refused == {"gone@acme.example": (550, b"5.1.1 No such user")}
    assert mail.letters[0].recipients == ("zoe@acme.example",)


def test_the_message_itself_may_be_refused(mail: Mail) -> None:
    mail.faults.add("DATA", "status", status=554, body="5.7.1 Spam")
    with pytest.raises(smtplib.SMTPDataError):
        send(mail, "zoe@acme.example")
    assert mail.letters == []


@pytest.mark.parametrize("applied", [True, False])
def test_a_reset_may_come_before_or_after_acceptance(mail: Mail, applied: bool) -> None:
    """Accepted then reset is the one that makes a second letter."""
    mail.faults.add("DATA", "reset", applied=applied)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(mail, "zoe@acme.example")
    assert len(mail.letters) == int(applied)


def test_a_reset_on_connecting(mail: Mail) -> None:
    mail.faults.add("CONNECT", "reset")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(mail, "zoe@acme.example")
    send(mail, "zoe@acme.example")


def test_a_hanging_server_does_not_hold_up_its_stop() -> None:
    before = set(threading.enumerate())
    with Mail() as mail:
        mail.faults.add("RCPT", "timeout", seconds=60)
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
            send(mail, "zoe@acme.example", timeout=0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert set(threading.enumerate()) == before


def test_refused_while_down_and_back_on_the_same_port(mail: Mail) -> None:
    with mail.down(), pytest.raises(ConnectionRefusedError):
        send(mail, "zoe@acme.example")
    send(mail, "zoe@acme.example")


def test_a_login_may_be_required(mail: Mail) -> None:
    mail.login = ("responder", "open sesame")
    with pytest.raises(smtplib.SMTPSenderRefused):
        send(mail, "zoe@acme.example")
    with smtplib.SMTP("127.0.0.1", mail.port) as session:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            session.login("responder", "wrong")
        session.login("responder", "open sesame")
        session.sendmail("responder@acme.example", ["zoe@acme.example"], b"Subject: x\r\n\r\nhello\r\n")
    assert len(mail.letters) == 1


def test_waiting_for_a_letter_that_never_comes_fails(mail: Mail) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        mail.wait_for(1, 0.01)


@pytest.mark.filterwarnings("ignore:.imghdr.:DeprecationWarning")  # Apprise imports it
def test_the_channel_records_what_apprise_posts() -> None:
    import apprise

    with Channel() as channel:
        sender = apprise.Apprise()
        assert sender.add(channel.url)
        assert sender.notify(title="held", body="look here", notify_type=apprise.NotifyType.WARNING)
        post = channel.wait_for(1)[0]
        assert (post.title, post.message, post.kind) == ("held", "look here", "warning")
        channel.faults.add("POST /notify", "status", status=429, headers={"Retry-After": "3"})
        assert not sender.notify(body="again")
        assert len(channel.posts) == 1


def test_the_channel_takes_json_only() -> None:
    with Channel() as channel:
        assert httpx.post(f"{channel.origin}/x", content="no", trust_env=False).status_code == 400
        with pytest.raises(TimeoutError, match="0 of 1"):
            channel.wait_for(1, 0.01)
