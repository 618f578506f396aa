"""What strangers can write into names, addresses and comments starts nothing in any sink.

300 strings: sixty constructs, each as it is, hidden, doubled, broken over lines and
drowned. What is made of them has the same structure as what is made of a plain word.
"""

import email
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest

from responder.core.incident import Event, Incident, LeakedKey
from responder.core.key import Owner
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify import Mailer, render
from responder.summary import json_text, markdown

AT = datetime(2026, 11, 23, 6, 12, 7, tzinfo=UTC)
A_KEY = "sk-proj-" + "aB3_" * 12
CONSTRUCTS = (
    "<!channel>",
    "<!here>",
    "<!everyone|x>",
    "<!subteam^S012AB>",
    "<@U012AB3CD>",
    "<@&123456>",
    "<#C024BE7LR>",
    "<http://evil.example|your key>",
    "<https://evil.example>",
    "<mailto:eve@evil.example|us>",
    "@here",
    "@channel",
    "@everyone",
    "@room",
    "eve@everyone.example",
    "[revoke it here](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "[x]: https://evil.example",
    "[x][y]",
    "`code`",
    "``` fence",
    "**bold** __bold__ ~~gone~~ ||spoiler||",
    "*no* _no_",
    "| a | b |",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "---",
    "\\[x\\](y)",
    "&lt;!channel&gt;",
    "&#60;b&#62;",
    "$\\href{https://evil.example}{x}$",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><a href="https://evil.example">x</a>',
    "' onmouseover='alert(1)",
    "</td></tr></table><h1>x</h1>",
    "<!-- ",
    "]]>",
    "<style>*{display:none}</style>",
    "javascript:alert(1)",
    "data:text/html,<b>x</b>",
    "https://evil.example/login",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE/",
    "www.evil.example",
    "evil.example/login",
    "mailto:eve@evil.example",
    "tel:+15550100",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{provider}",
    "${NAME}",
    "%(name)s",
    "=cmd|' /C calc'!A0",
    "\x1b]8;;https://evil.example\x07x\x1b]8;;\x07",
    "\x1b[2J",
    "x\ud800y",
    A_KEY,
)
FLOOD = "Z\u0301\u0301\u0301\u0301" * 400
STRINGS = tuple(
    form
    for text in CONSTRUCTS
    for form in (
        text,
        f"\u202e{text[:3]}\u200b{text[3:]}\u2066\ufeff\u00ad",
        f"{text} {text}",
        f"x\r\nBcc: eve@evil.example\r\n\r\n{text}\u2028\n\n\x0b\x0c\x85{text}\x00",
        text + FLOOD,
    )
)
BENIGN = "word"


def test_there_are_three_hundred() -> None:
    """A smaller number was not promised."""
    assert len(STRINGS) == len(set(STRINGS)) == 300


@pytest.fixture
def poisoned(incident: Callable[..., Incident]) -> Callable[[str], Incident]:
    """Build an incident with *text* wherever a stranger's text can stand."""

    def build(text: str) -> Incident:
        return incident(
            "held",
            account=text,
            provider=text,
            family=text,
            reason=text,
            key=LeakedKey(
                "sk-proj-…x3Qd", text, text, text, text, Owner("user", text, text, "ada@example.com"), AT, AT
            ),
            sightings=(Sighting(Source.REPORT, "r", text, AT, "d"),),
            timeline=(Event(AT, "received", {"from": text, text: 1}), Event(AT, f"x {text}")),
            notices=(
                Notice("n", Audience.OWNER, Topic.REVOKED, Channel.MAIL, text, Delivery.FAILED, 3),
                Notice("m", Audience.SECURITY, Topic.HELD, Channel.APPRISE, "security"),
            ),
        )

    return build


class Structure(HTMLParser):
    """The elements and attributes of a page, without its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def unknown_decl(self, data: str) -> None:
        self.found.append("declaration")


def seen_whole(text: str) -> bool:
    """Nothing in *text* is a control, invisible or direction-changing character."""
    return text.replace("\n", "").isprintable()


def active_links(text: str) -> list[str]:
    """What a mail program or a chat would make clickable."""
    return re.findall(r"(?i)\b(?:https?|ftp|mailto|tel|javascript|data):\S+|\bwww\.\S+|\b[\w-]+\.[a-z]{2,}/\S*", text)


@pytest.mark.parametrize(("audience", "topic"), [(Audience.OWNER, Topic.REVOKED), (Audience.SECURITY, Topic.HELD)])
def test_a_mail_keeps_its_structure_hides_nothing_and_links_nowhere(
    audience: Audience, topic: Topic, poisoned: Callable[[str], Incident], notice: Callable[..., Notice]
) -> None:
    """The page has the elements of its template, whatever a name says; mail programs make links by themselves."""
    expected = Structure(render(notice(audience, topic), poisoned(BENIGN), public_url=None).html).found
    for text in STRINGS:
        message = render(notice(audience, topic), poisoned(text), public_url=None)
        assert Structure(message.html).found == expected, ascii(text)
        for said in (message.html, message.text, message.subject):
            assert seen_whole(said), ascii(text)
            assert A_KEY not in said
        assert not active_links(message.text), ascii(text)
        assert "\n" not in message.subject
        assert message.subject.isascii()
        assert len(message.text) < 12_000


def test_a_chat_message_calls_nobody_and_formats_nothing(
    poisoned: Callable[[str], Incident], notice: Callable[..., Notice]
) -> None:
    """Its lines are as many as the template has; the owner's address is the only one with an @."""
    for topic in (Topic.HELD, Topic.UNDELIVERED):
        page = notice(Audience.SECURITY, topic, Channel.APPRISE)
        lines = render(page, poisoned(BENIGN), public_url=None).text.count("\n")
        for text in STRINGS:
            message = render(page, poisoned(text), public_url=None)
            said = (message.subject + "\n" + message.text).replace("ada@example.com", "")
            assert not set(said) & set("<>[]`*~|&\\@"), ascii(text)
            assert seen_whole(said), ascii(text)
            assert not active_links(said), ascii(text)
            assert message.text.count("\n") == lines, ascii(text)
            assert A_KEY not in said


def test_a_mail_has_no_header_and_no_recipient_more(
    poisoned: Callable[[str], Incident], notice: Callable[..., Notice], serve: Callable[..., int], postbox: Any
) -> None:
    """As received by a real server."""
    mailer = Mailer(f"smtp://127.0.0.1:{serve()}", "Leaks <leaks@example.com>")
    page = replace(notice(Audience.SECURITY, Topic.HELD), to="ada@example.com")
    for text in STRINGS:
        matter = replace(poisoned(text), id=text)
        mailer.send(replace(page, id=text), matter, public_url="https://leaks.example.com")
    assert len(postbox.received) == len(STRINGS)
    names = ["From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted"]
    names += ["X-Auto-Response-Suppress", "MIME-Version", "Content-Type", "X-Peer", "X-MailFrom", "X-RcptTo"]
    for _, recipients, raw in postbox.received:
        mail = email.message_from_bytes(raw, policy=default)
        assert isinstance(mail, EmailMessage)
        assert set(mail.keys()) <= set(names)
        assert len(mail.keys()) == len(set(mail.keys()))
        assert not mail.defects
        assert recipients == [mail["To"]] == ["ada@example.com"]
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_an_address_that_looks_like_ours_is_linked_whole_or_not_at_all(
    incident: Callable[..., Incident], notice: Callable[..., Notice]
) -> None:
    """File names are strangers' as well; a link starts and ends where it seems to."""
    for text in STRINGS:
        where = f"https://github.com/example/x/blob/main/{text}"
        matter = incident("held", sightings=(Sighting(Source.GITHUB_PUSH, "p", where, AT, "d"),))
        for channel in (Channel.MAIL, Channel.APPRISE):
            message = render(notice(Audience.SECURITY, Topic.HELD, channel), matter, public_url=None)
            for said in (message.text, markdown(matter).replace("|", "")):
                assert all(
                    re.fullmatch(r"https://github\.com/[A-Za-z0-9/?#=&%:,;+!._-]+>?", found)
                    for found in active_links(said)
                ), ascii(text)
        tags = [tag for tag in Structure(message.html).found if isinstance(tag, tuple) and tag[0] == "a"]
        assert all(attributes[0][1].startswith("https://github.com/example/x/") for _, attributes in tags)


def test_a_summary_keeps_its_structure(poisoned: Callable[[str], Incident]) -> None:
    """Outside code spans nothing is left that Markdown acts on; rows keep their cells."""
    expected = skeleton(markdown(poisoned(BENIGN)))
    for text in STRINGS:
        page = markdown(poisoned(text))
        assert skeleton(page) == expected, ascii(text)
        assert seen_whole(page), ascii(text)
        assert not active_links(page), ascii(text)
        assert A_KEY not in page


def skeleton(page: str) -> list[str]:
    """What Markdown would act on in *page*, line by line, with code spans emptied."""
    found = []
    for line in page.splitlines():
        bare = re.sub(r"`[^`\n]+`", "`", line)
        bare = re.sub(r"\\[_#$]", "", bare)
        begins = re.match(r"(#+|-|\||\*\*|\d+\.|>|=+)? ?", bare)
        found.append((begins[0] if begins else "") + "".join(c for c in bare if c in "`*_#|<>[]$~&\\@"))
    return found


def test_json_stays_json_without_keys_and_without_anything_unseen(poisoned: Callable[[str], Incident]) -> None:
    """It is printed on terminals as well."""
    for text in STRINGS:
        said = json_text(poisoned(text))
        assert seen_whole(said), ascii(text)
        assert A_KEY not in said
        assert said.encode()
        name = json.loads(said)["key"]["name"]
        assert name == text.replace(A_KEY, "(key removed)") or A_KEY[:11] in text
