"""What may be said of a key, to whom, and in which order."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from responder.core.errors import Refused
from responder.core.incident import Incident, LeakedKey
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Sighting, Source
from responder.notify import render
from responder.notify.plain import chat, link, plain
from responder.notify.words import duration

OWNER = (Topic.REVOKED, Topic.ALREADY_DEAD, Topic.HELD, Topic.WARNED, Topic.STILL_ALIVE)
STATES = ("dead", "deleted", "requested", "unanswered", "observed", "gone", "refused", "held", "unknown")
ALL = [*product((Audience.OWNER,), OWNER), *product((Audience.SECURITY,), Topic)]
AT = datetime(2026, 11, 23, 6, 12, 7, tzinfo=UTC)


def whole(text: str) -> str:
    """*text* without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize(("audience", "topic"), ALL)
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_claimed_that_was_not_seen(
    audience: Audience, topic: Topic, state: str, notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """Whoever reads "dead" stops looking; "deleted" needs the provider's word, "works no more" our own test."""
    matter = incident(state)
    for channel in Channel:
        message = render(notice(audience, topic, channel), matter, public_url=None)
        said = whole(f"{message.subject}. {message.text}").lower()
        if not matter.confirmed_dead:
            assert not re.search(
                r"no longer works|does not work|seen dead:? (after|yes)|was seen dead|key is dead", said
            )
            assert not re.search(r"(?<!not yet )seen dead: leaked", said)
        if matter.first("revoked") is None:
            assert not re.search(
                r"(?<!nothing )was deleted(?!;? nothing)|confirmed the deletion|confirmed that the", said
            )


_OF_ONE_END = [case for case in ALL if case[1] not in (Topic.STILL_ALIVE, Topic.DIGEST)]
"""A digest stands for many leaks, and says what was done about none of them."""


@pytest.mark.parametrize(("audience", "topic"), _OF_ONE_END)
def test_in_observe_mode_every_text_says_that_nothing_was_deleted(
    audience: Audience, topic: Topic, notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """Else somebody relies on a deletion that never was."""
    message = render(notice(audience, topic), incident("observed"), public_url=None)
    assert re.search(r"nothing was deleted|deleted nothing", whole(message.text), re.IGNORECASE)


def test_a_digest_says_of_none_of_its_leaks_that_it_was_deleted(
    notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """It stands for held ones and for revoked ones whose owners cannot be told."""
    message = render(notice(Audience.SECURITY, Topic.DIGEST), incident("observed"), public_url=None)
    assert not re.search("deleted|revoked", whole(message.text + message.html), re.IGNORECASE)


@pytest.mark.parametrize("topic", OWNER)
def test_the_owner_reads_first_what_happened_and_last_how_we_know(
    topic: Topic, notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """A frightened person reads from the top and stops early."""
    message = render(notice(Audience.OWNER, topic), incident("deleted"), public_url="https://leaks.example.com")
    headings = ["What happened", "What we did", "What breaks", "What to do now", "How we know"]
    for said in (message.text, message.html):
        places = [re.search(rf"(^|>){heading}($|<)", said, re.MULTILINE) for heading in headings]
        starts = [found.start() for found in places if found]
        assert len(starts) == 5
        assert starts == sorted(starts)
    text = whole(message.text)
    assert "secret store" in text
    assert "Git history does not help" in text
    assert text.index("take that computer off the network first") < text.index("secret store")
    assert "last used at 2026-11-23 00:10:07 UTC" in text or topic is Topic.ALREADY_DEAD
    assert "https://github.com/example/billing/blob/3f1c2ab/deploy/settings.py#L14" in text
    assert "2026-11-23 06:12:07.120, we were told" in text
    assert "https://leaks.example.com/incidents/inc_4mT9" in text
    numbers = [int(found) for found in re.findall(r"^(\d)\. ", message.text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(("audience", "topic"), ALL)
@pytest.mark.parametrize("state", STATES)
def test_a_page_fetches_nothing_and_runs_nothing(
    audience: Audience, topic: Topic, state: str, notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """Opening a message tells nobody that it was opened."""
    page = render(notice(audience, topic), incident(state), public_url="https://leaks.example.com").html
    assert not re.search(r"<(img|script|link|style|iframe|form|object|video)|src=|url\(|@import|[^-]background", page)
    assert "<title>" in page


@pytest.mark.parametrize("audience", list(Audience))
@pytest.mark.parametrize(
    ("topic", "state", "subject"),
    [
        (Topic.HELD, "deleted", "was deleted|deleted, not yet seen dead"),
        (Topic.WARNED, "requested", "not confirmed"),
        (Topic.WARNED, "refused", "already out of use"),
        (Topic.HELD, "gone", "already out of use"),
        (Topic.STILL_ALIVE, "dead", "no longer works|seen dead"),
    ],
)
def test_a_message_that_had_to_wait_says_what_is_true_when_it_goes(
    audience: Audience,
    topic: Topic,
    state: str,
    subject: str,
    notice: Callable[..., Notice],
    incident: Callable[..., Incident],
) -> None:
    """By then, "nothing was deleted" would be false, and "please decide" too late."""
    message = render(notice(audience, topic), incident(state), public_url=None)
    assert re.search(subject, message.subject.lower())


def test_a_stranger_s_address_is_shown_but_not_linked(
    notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """Anybody can report a leak, with any address."""
    message = render(notice(Audience.OWNER, Topic.HELD), incident("held"), public_url=None)
    assert "hxxps[:]//paste[.]example/raw/x1" in message.text
    assert "https://paste.example" not in message.text + message.html


def test_use_after_the_leak_is_said_to_the_owner(
    notice: Callable[..., Notice], incident: Callable[..., Incident], key: Callable[..., LeakedKey]
) -> None:
    """It may be the thief, and it may be our own test: neither is kept quiet."""
    late = incident("dead", key=key(last_used_at=AT + timedelta(minutes=5)))
    sentence = "The key was used after it was seen: by your own program, by our test, or by somebody else."
    notice_ = notice(Audience.OWNER, Topic.REVOKED)
    assert sentence in whole(render(notice_, late, public_url=None).text)
    assert sentence not in whole(render(notice_, incident("dead"), public_url=None).text)


def test_an_owner_nobody_knows_is_to_be_found(
    notice: Callable[..., Notice], incident: Callable[..., Incident], key: Callable[..., LeakedKey]
) -> None:
    """The security team reads where to ask."""
    for about in (
        key(owner=None),
        LeakedKey("sk-proj-…x3Qd"),
    ):
        text = whole(
            render(notice(Audience.SECURITY, Topic.UNDELIVERED), incident("held", key=about), public_url=None).text
        )
        assert "not known: find out who answers for" in text


@pytest.mark.parametrize(
    ("fates", "words"),
    [
        ((), "has not been told by us"),
        ((Delivery.FAILED,), "could not be told"),
        ((Delivery.FAILED, Delivery.PENDING), "on its way"),
        ((Delivery.FAILED, Delivery.SENT), "has a message from us"),
    ],
)
def test_the_team_reads_whether_the_owner_knows(
    fates: tuple[Delivery, ...], words: str, notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """Else they call for nothing, or do not call."""
    notices = tuple(
        Notice(f"n{n}", Audience.OWNER, Topic.REVOKED, Channel.MAIL, "ada@example.com", fate)
        for n, fate in enumerate(fates)
    )
    message = render(notice(Audience.SECURITY, Topic.REVOKED), incident("dead", notices=notices), public_url=None)
    assert words in message.text


def test_a_flood_of_places_is_counted_not_listed(
    notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """A key pushed in a thousand files still makes a mail one can read."""
    places = tuple(
        Sighting(Source.GITHUB_PUSH, str(n), f"https://github.com/x/y/blob/m/{n}", AT, "d") for n in range(1000)
    )
    message = render(notice(Audience.OWNER, Topic.REVOKED), incident("dead", sightings=places), public_url=None)
    assert "and in 990 more places." in message.text
    assert len(message.text) < 6000


def test_a_text_that_does_not_exist_is_refused(
    notice: Callable[..., Notice], incident: Callable[..., Incident]
) -> None:
    """The owner hears of their key, not of our trouble."""
    with pytest.raises(Refused):
        render(notice(Audience.OWNER, Topic.STUCK), incident("held"), public_url=None)


def test_importing_costs_neither_apprise_nor_jinja() -> None:
    """``responder --help`` answers in a third of a second."""
    code = (
        "import responder.notify, responder.summary, sys; sys.exit(bool({'apprise', 'jinja2'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (1200, "1.2 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min"),
        (185_000, "3 min 5 s"),
        (3_600_000, "1 h"),
        (7_800_000, "2 h 10 min"),
        (86_400_000, "1 day"),
        (273_600_000, "3 days 4 h"),
        (-1500, "minus 1.5 s"),
    ],
)
def test_durations_read_as_a_person_says_them(milliseconds: int, words: str) -> None:
    """Nobody at three in the morning divides by 3 600 000."""
    assert duration(milliseconds) == words


@pytest.mark.parametrize(
    ("text", "in_mail", "in_chat"),
    [
        ("ci-deploy (prod)", "ci-deploy (prod)", "ci-deploy (prod)"),
        ("Zoë Ångström, 東京", "Zoë Ångström, 東京", "Zoë Ångström, 東京"),
        ("ada@example.com", "ada@example.com", "ada@example.com"),
        ("x@here.example", "x@here.example", "x(at)here.example"),
        ("v1.2 build", "v1.2 build", "v1.2 build"),
        ("a\u202eb\u200bc\td\ne", "abc d e", "abc d e"),
        ("see https://evil.example", "see hxxps[:]//evil[.]example", "see hxxps(:)//evil(.)example"),
    ],
)
def test_ordinary_names_stay_as_they_are(text: str, in_mail: str, in_chat: str) -> None:
    """An encoder that spoils good names is soon turned off."""
    assert (plain(text), chat(text)) == (in_mail, in_chat)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://github.com/a/b/blob/c/d e", None),
        ("https://github.com/a/b/blob/c/d%20e#L1-L2", "https://github.com/a/b/blob/c/d%20e#L1-L2"),
        ("https://github.com/a/b/blob/c/straße", "https://github.com/a/b/blob/c/stra%C3%9Fe"),
        ("https://github.com/a/[x](y)", "https://github.com/a/%5Bx%5D%28y%29"),
        ("https://gіthub.com/a", None),  # noqa: RUF001 -- a Cyrillic letter
        ("https://github.com@evil.example/", None),
        ("https://user:pass@github.com/", None),
        ("http://github.com/", None),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("javascript:alert(1)", None),
        ("https://github.com/" + "sk-" + "a" * 40, None),
        ("https://github.com/" + "a" * 400, None),
        (None, None),
    ],
)
def test_only_a_plain_address_becomes_a_link(address: str | None, shown: str | None) -> None:
    """Where a link goes is where it seems to go."""
    assert link(address) == shown
