"""What the mailer makes of servers that are slow, strict, broken or gone."""

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from responder.core.errors import Refused, Unavailable
from responder.notify import Mailer

SENDER = "leaks@example.com"
Send = Callable[..., None]


def test_a_server_that_is_not_there_is_tried_again(send: Send) -> None:
    """Nobody knows is never taken for no."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        send(f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "450 4.2.0 greylisted", "451 4.7.1 later", "452 4.2.2 full"])
def test_not_now_for_the_recipient_is_tried_again(
    answer: str, send: Send, serve: Callable[..., int], postbox: Any
) -> None:
    """Greylisting servers take the mail the second time."""
    postbox.recipient_answer = answer
    port = serve()
    with pytest.raises(Unavailable, match=answer[:3]):
        send(f"smtp://127.0.0.1:{port}")
    postbox.recipient_answer = None
    send(f"smtp://127.0.0.1:{port}")
    assert len(postbox.received) == 1


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("recipient", "550 5.1.1 <ada@example.com> no such user"),
        ("recipient", "552 5.2.2 mailbox full"),
        ("data", "554 5.6.0 looks like spam to ada@example.com"),
    ],
)
def test_a_final_no_is_not_tried_again_and_repeats_nobodys_address(
    where: str, answer: str, send: Send, serve: Callable[..., int], postbox: Any
) -> None:
    """The security team has to call the owner instead; the server's words may hold anything."""
    setattr(postbox, f"{where}_answer", answer)
    with pytest.raises(Refused) as caught:
        send(f"smtp://127.0.0.1:{serve()}")
    refused = caught.value
    assert (refused.status, refused.code) == (int(answer[:3]), answer[4:9])
    assert "ada" not in repr(refused)
    assert refused.__cause__ is None
    assert refused.__suppress_context__


@pytest.mark.parametrize(
    "answers",
    [
        {"greeting": "hang"},
        {"greeting": "close"},
        {"greeting": "reset"},
        {"greeting": "421 busy"},
        {"greeting": "554 go away"},
        {"greeting": "not a mail server"},
        {"EHLO": "hang"},
        {"EHLO": "500 what", "HELO": "500 what"},
        {"MAIL": "451 later"},
        {"MAIL": "530 5.7.0 authenticate first"},
        {"RCPT": "hang"},
        {"RCPT": "reset"},
        {"DATA": "451 later"},
        {"DATA": "reset"},
        {"data_end": "hang"},
        {"data_end": "reset"},
        {"data_end": "close"},
        {"data_end": "451 4.3.0 later"},
    ],
    ids=str,
)
def test_whatever_goes_wrong_before_the_mail_is_accepted_is_tried_again(
    answers: dict[str, str], send: Send, script: Callable[..., Any]
) -> None:
    """Two mails are better than none; their Message-ID is the same."""
    with pytest.raises(Unavailable) as caught:
        send(f"smtp://127.0.0.1:{script(**answers).port}")
    assert caught.value.__cause__ is None
    assert "@" not in str(caught.value)


@pytest.mark.parametrize("ending", ["reset", "close", "hang", "500 what", "421 bye"])
def test_once_the_mail_is_accepted_nothing_makes_it_unsent(
    ending: str, send: Send, script: Callable[..., Any]
) -> None:
    """A second mail would be sent for nothing."""
    server = script(QUIT=ending)
    send(f"smtp://127.0.0.1:{server.port}")
    assert server.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("verb", ["MAIL", "DATA"])
def test_a_refused_sender_or_content_is_final(verb: str, send: Send, script: Callable[..., Any]) -> None:
    """To try again would not change it."""
    with pytest.raises(Refused, match="550"):
        send(f"smtp://127.0.0.1:{script(**{verb: '550 5.7.1 no'}).port}")


@pytest.mark.parametrize(
    "to",
    [
        "",
        "security",
        "ada",
        "ada@",
        "@example.com",
        "ada@example.com, eve@evil.example",
        "ada@example.com;eve@evil.example",
        "ada@example.com\r\nBcc: eve@evil.example",
        "ada@example.com\n",
        "ada@exam ple.com",
        "<ada@example.com>",
        "Ada <ada@example.com>",
        "ada@exämple.com",
        "аda@example.com",  # noqa: RUF001 -- a Cyrillic letter
        "ada@example.com\u202e",
        "ada@-example.com",
        "ada@example..com",
        "ada@[127.0.0.1]",
        '"ada eve"@example.com',
        "a" * 65 + "@example.com",
        "ada@" + "e" * 250 + ".com",
    ],
)
def test_anything_but_one_plain_address_is_refused_unsent(to: str, send: Send) -> None:
    """An address may come from a payload; a second recipient would be told where a key lies."""
    with pytest.raises(Refused, match="553 bad_address") as caught:
        send("smtp://127.0.0.1:9", to=to)
    assert "eve" not in str(caught.value)


def test_a_mail_says_that_a_machine_sent_it_and_keeps_its_name(
    send: Send, serve: Callable[..., int], postbox: Any
) -> None:
    """A repeated mail is recognised; out-of-office replies are not provoked (RFC 3834)."""
    url = f"smtp://127.0.0.1:{serve()}"
    send(url)
    send(url)
    first, second = (raw.decode("ascii") for _, _, raw in postbox.received)
    for mail in (first, second):
        assert "\r\nMessage-ID: <ntc_81@example.com>\r\n" in mail
        assert "\r\nAuto-Submitted: auto-generated\r\n" in mail
        head, _, body = mail.partition("\r\n\r\n")
        assert not re.search(r"(?m)^(Subject|Message-ID):\s*$", head)
        assert max(len(line) for line in body.split("\r\n")) <= 78
    assert [envelope[:2] for envelope in postbox.received] == [(SENDER, ["ada@example.com"])] * 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://hunter2@mail.example.com",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example.com:hunter2",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com:0",
        "smtp://mail.example.com/hunter2",
        "smtp://mail.example.com?hunter2",
        "smtp://mail.example.com#hunter2",
        "smtp://mail.example.com?starttls=never",
        "smtp://10.0.0.1?starttls=never",
        "smtp://user@mail.example.com",
        "smtp://user:hünter2@mail.example.com",
        "smtp://user:hunter2\n@mail.example.com",
        "smtp://user:hunter2 @mail.example.com",
        "smtp://[hunter2",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_repeated(url: str) -> None:
    """It holds a password."""
    with pytest.raises(ValueError, match=r"mail\.url") as caught:
        Mailer(url, SENDER)
    assert "nter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("sender", ["", "leaks", "a@b.example, c@d.example", "x\r\nBcc: e@f.example", "Name <>"])
def test_a_sender_that_is_no_address_is_refused_at_the_start(sender: str) -> None:
    """Better there than at the first leak."""
    with pytest.raises(ValueError, match=r"mail\.from"):
        Mailer("smtp://127.0.0.1", sender)
