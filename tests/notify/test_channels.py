"""The security team's channels: a real HTTP server behind Apprise's plainest plugin."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from apprise.plugins.custom_json import NotifyJSON

from responder.core.errors import Refused, Unavailable
from responder.core.incident import Incident
from responder.core.notice import Audience, Channel, Notice, Topic
from responder.notify import Channels


class Chat(ThreadingHTTPServer):
    """Keeps what it is sent; answers with the next status it was given, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.posts: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.posts.append(body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Keep quiet."""


@pytest.fixture
def chats() -> Iterator[Callable[[], Chat]]:
    running: list[tuple[Chat, threading.Thread]] = []

    def start() -> Chat:
        chat = Chat()
        thread = threading.Thread(target=chat.serve_forever, args=(0.01,))
        thread.start()
        running.append((chat, thread))
        return chat

    yield start
    for chat, thread in running:
        chat.shutdown()
        chat.server_close()
        thread.join(5)


@pytest.fixture
def page(notice: Callable[..., Notice]) -> Notice:
    return notice(Audience.SECURITY, Topic.HELD, Channel.APPRISE)


def test_the_team_gets_the_reason_and_the_commands(
    chats: Callable[[], Chat], page: Notice, incident: Callable[..., Incident]
) -> None:
    """Whoever is woken acts from the message itself."""
    chat = chats()
    Channels([chat.url]).send(page, incident("held"), public_url="https://leaks.example.com")
    [post] = chat.posts
    assert post["title"] == "Please decide: leaked OpenAI key sk-proj-...x3Qd is held, nothing was deleted"
    assert post["type"] == "warning"
    for command in ("show", "approve", "dismiss"):
        assert f"responder incidents {command} inc_4mT9" in post["message"]
    assert "https://leaks.example.com/incidents/inc_4mT9" in post["message"]
    assert "which is protected: a person has to approve." in post["message"]


@pytest.mark.parametrize(
    ("topic", "state", "weight"),
    [
        (Topic.REVOKED, "dead", "info"),
        (Topic.REVOKED, "observed", "warning"),
        (Topic.ALREADY_DEAD, "gone", "info"),
        (Topic.WARNED, "unknown", "warning"),
        (Topic.STILL_ALIVE, "deleted", "failure"),
        (Topic.STUCK, "requested", "failure"),
        (Topic.UNDELIVERED, "dead", "failure"),
    ],
)
def test_each_topic_comes_with_its_weight(
    topic: Topic,
    state: str,
    weight: str,
    chats: Callable[[], Chat],
    notice: Callable[..., Notice],
    incident: Callable[..., Incident],
) -> None:
    """A pager rings by it."""
    chat = chats()
    Channels([chat.url]).send(notice(Audience.SECURITY, topic, Channel.APPRISE), incident(state), public_url=None)
    assert [post["type"] for post in chat.posts] == [weight]


@pytest.mark.parametrize(("longest", "pieces"), [(1000, 2), (160, 1)])
def test_a_service_that_takes_short_texts_only_gets_pieces_or_the_beginning(
    longest: int,
    pieces: int,
    chats: Callable[[], Chat],
    page: Notice,
    incident: Callable[..., Incident],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Discord refuses what is longer than 2 000 characters, and the page would never arrive."""
    monkeypatch.setattr(NotifyJSON, "body_maxlen", longest)
    chat = chats()
    Channels([chat.url]).send(page, incident("held"), public_url=None)
    assert len(chat.posts) == pieces
    assert all(len(post["message"]) <= longest for post in chat.posts)
    assert chat.posts[0]["message"].startswith("A leaked OpenAI key waits for a person. Nothing was deleted")
    assert ("incidents dismiss" in "".join(post["message"] for post in chat.posts)) == (pieces > 1)


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_a_channel_that_does_not_accept_is_tried_again(
    status: int, chats: Callable[[], Chat], page: Notice, incident: Callable[..., Incident]
) -> None:
    """Apprise says yes or no, and no more."""
    chat = chats()
    chat.statuses = [status]
    channels = Channels([chat.url])
    with pytest.raises(Unavailable, match="1 of 1 channels did not accept"):
        channels.send(page, incident("held"), public_url=None)
    channels.send(page, incident("held"), public_url=None)
    assert len(chat.posts) == 1


def test_a_channel_that_accepted_is_not_called_again_for_the_others_sake(
    chats: Callable[[], Chat], page: Notice, incident: Callable[..., Incident]
) -> None:
    """Ten pages for one leak teach people to ignore them."""
    good, bad = chats(), chats()
    bad.statuses = [500, 500]
    channels = Channels([good.url, bad.url])
    for _ in range(2):
        with pytest.raises(Unavailable, match="1 of 2"):
            channels.send(page, incident("held"), public_url=None)
    channels.send(page, incident("held"), public_url=None)
    assert (len(good.posts), len(bad.posts)) == (1, 1)


def test_a_channel_that_is_not_there_or_hangs_is_tried_again(page: Notice, incident: Callable[..., Incident]) -> None:
    """Neither keeps the caller for long."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = Channels([f"json://127.0.0.1:{port}/?rto=0.3&cto=0.3"], timeout_seconds=0.5)
        with pytest.raises(Unavailable):
            slow.send(page, incident("held"), public_url=None)
    gone = Channels([f"json://127.0.0.1:{port}/"], timeout_seconds=2)
    with pytest.raises(Unavailable) as caught:
        gone.send(page, incident("held"), public_url=None)
    assert str(port) not in repr(caught.value)


@pytest.mark.parametrize("url", ["", "garbage", "nosuch://u:hunter2@host/", "slack://hunter2hunter2", "://hunter2"])
def test_a_url_apprise_does_not_understand_is_refused_without_being_repeated(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It holds credentials, and Apprise would log them."""
    with caplog.at_level(logging.DEBUG), pytest.raises(ValueError, match="URL 2 of 2") as caught:
        Channels(["json://127.0.0.1:9/", url])
    said = str(caught.value) + caplog.text + "".join(capfd.readouterr())
    assert "hunter2" not in said


def test_a_text_nobody_wrote_is_refused(notice: Callable[..., Notice], incident: Callable[..., Incident]) -> None:
    """To try again would not write it."""
    with pytest.raises(Refused, match="no_such_text"):
        Channels(["json://127.0.0.1:9/"]).send(
            notice(Audience.OWNER, Topic.STUCK, Channel.APPRISE), incident("held"), public_url=None
        )


def test_no_channel_at_all_is_never_taken_for_sent(page: Notice, incident: Callable[..., Incident]) -> None:
    """Nothing ends silently."""
    with pytest.raises(Refused, match="no_channels"):
        Channels([]).send(page, incident("held"), public_url=None)
