"""Logs: whatever is logged, by whomever, however broken up, no secret stands in a line."""

import json
import logging
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from responder import log
from responder.simulator import growth
from tests.canary import Canary
from tests.running import ROOT

chance = random.Random(41)
TOKENS = [growth.grow(family, chance) for family in growth.SHAPES for _ in range(2)]
TOKEN = TOKENS[0]
CONFIGURED = "a configured secret of no particular shape"
SEARCH = Canary([*TOKENS, CONFIGURED])

WRITTEN: dict[str, Callable[[str], str]] = {
    "alone": lambda token: token,
    "quoted": lambda token: f"'{token}'",
    "in a sentence": lambda token: f"could not use {token}, sorry",
    "glued to words": lambda token: f"key{token}end",
    "assigned": lambda token: f"OPENAI_API_KEY={token};",
    "as a bearer": lambda token: f"Authorization: Bearer {token}",
    "as a bearer in lower case": lambda token: f"authorization: bearer {token}",
    "in a URL": lambda token: f"https://api.example/v1/{token}/x?key={token}#{token}",
    "URL-escaped": lambda token: quote(token, safe="").replace("-", "%2D").replace("_", "%5F"),
    "URL-escaped in lower case": lambda token: token.replace("-", "%2d"),
    "JSON-escaped": lambda token: token.replace("-", "\\u002d").replace("_", "\\u005f"),
    "twice escaped": lambda token: json.dumps(json.dumps({"a": token})),
    "HTML-escaped": lambda token: token.replace("-", "&#45;"),
    "bytes": lambda token: repr(token.encode()),
    "a repr of a dict": lambda token: repr({"key": [token, {token: 1}]}),
    "in upper case": lambda token: token.upper(),
    "after a newline": lambda token: f"first\n{token}\nlast",
    "twice": lambda token: f"{token}{token}",
}


class Lines:
    """What was written to standard error."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def start(self) -> None:
        """Set up logging; within the test, since pytest changes standard error between its phases."""
        log.configure([CONFIGURED])

    def take(self) -> list[dict[str, object]]:
        """The lines so far, each searched and parsed."""
        text = self._capture.readouterr().err
        assert SEARCH.in_text(text, "the log") == []
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    root = logging.getLogger()
    before = (root.handlers, root.level, logging.raiseExceptions)
    yield Lines(capsys)
    root.handlers, root.level, logging.raiseExceptions = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize("how", WRITTEN.values(), ids=WRITTEN.keys())
@pytest.mark.parametrize("token", TOKENS, ids=[growth.family_of(token) for token in TOKENS])
def test_a_token_is_taken_out_however_it_is_written(lines: Lines, how: Callable[[str], str], token: str) -> None:
    """The last thing that happens to a line is that secrets are taken out of it."""
    lines.start()
    structlog.get_logger("responder.x").error("something_happened", detail=how(token), more={"a": [how(token)]})
    logging.getLogger("gunicorn.error").warning("Invalid request: %s", how(token))
    logging.getLogger("foreign").error(how(token))
    assert len(lines.take()) == 3


@settings(max_examples=200, deadline=None)
@given(before=st.text(max_size=40), after=st.text(max_size=40), which=st.sampled_from(TOKENS))
def test_nothing_around_a_token_hides_it(before: str, after: str, which: str) -> None:
    """Whatever characters come before and after it."""
    assert SEARCH.in_text(log.redact(json.dumps({"event": before + which + after})), "a line") == []


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_arguments_in_pieces_are_joined_before_they_are_searched(cuts: list[int]) -> None:
    """A message put together from parts is one line in the end."""
    ends = sorted({0, len(TOKEN), *(cut for cut in cuts if cut < len(TOKEN))})
    parts = [TOKEN[start:end] for start, end in pairwise(ends)]
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%s" * len(parts), tuple(parts), None)
    assert SEARCH.in_text(log.redact(record.getMessage()), "a line") == []


def test_a_traceback_is_searched_too(lines: Lines) -> None:
    """Exceptions carry what they choked on, and so do those behind them."""
    lines.start()
    try:
        try:
            _choke(TOKEN)
        except ValueError as error:
            raise RuntimeError(f"Bearer {TOKEN}") from error
    except RuntimeError:
        structlog.get_logger("responder.x").exception("it_failed", key=TOKEN)
        logging.getLogger("foreign").exception("it failed with %s", TOKEN)
    assert len(lines.take()) == 2


def _choke(token: str) -> None:
    raise ValueError(f"no such key: {token}")


def test_configured_secrets_go_by_value(lines: Lines) -> None:
    """Not everything secret looks like it."""
    lines.start()
    structlog.get_logger("responder.x").info("connected", url=f"smtp://{CONFIGURED}@mail.example", to=CONFIGURED)
    lines.take()


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1" * 18,
        "github_pat_" + "b2" * 30,
        "glpat-" + "c3" * 10,
        "Basic " + "ZDQ6" * 6,
        "https://user:passw0rd@host/x",
        "postgresql://responder:passw0rd@db/x",
    ],
)
def test_other_peoples_credentials_go_too(secret: str) -> None:
    """Ours are not the only ones that pass through here."""
    kept = log.redact(f"before {secret} after")
    assert "[redacted]" in kept
    assert secret.rpartition(" ")[2] not in kept
    assert "passw0rd" not in kept
    assert kept.startswith("before ")
    assert kept.endswith(" after")


@pytest.mark.parametrize("noise", ["httpx", "httpcore.http11", "sqlalchemy.engine", "urllib3", "asyncio", "dbos"])
def test_chatty_libraries_are_heard_from_warnings_on(lines: Lines, noise: str) -> None:
    """At INFO they print whole URLs, headers and parameters."""
    lines.start()
    logging.getLogger(noise).info("GET https://api.example/%s", TOKEN)
    logging.getLogger(noise).debug("headers %s", TOKEN)
    assert lines.take() == []
    logging.getLogger(noise).warning("trouble with %s", TOKEN)
    assert len(lines.take()) == 1


def test_one_event_is_one_line_whatever_is_in_it(lines: Lines) -> None:
    """Lines that a stranger can break are lines a stranger can write."""
    lines.start()
    hostile = 'a\r\n{"event": "forged"}\x1b[31m\u2028\u2029\u202e\x00\x7f\ud800'
    structlog.get_logger("responder.x").warning("odd", value=hostile)
    logging.getLogger("foreign").warning("odd %s", hostile)
    taken = lines.take()
    assert [line["level"] for line in taken] == ["warning", "warning"]


def test_warnings_are_lines_too(lines: Lines) -> None:
    """They would go to standard error as they are."""
    lines.start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated: {TOKEN}", stacklevel=1)
    (line,) = lines.take()
    assert line["logger"] == "py.warnings"


def test_a_line_that_cannot_be_written_shows_nothing(lines: Lines) -> None:
    """Python would print it beside a traceback, with its arguments as they were given."""
    lines.start()
    logging.getLogger("foreign").error("%d of %d", TOKEN, TOKEN)
    logging.getLogger("foreign").error("%d", TOKEN)
    lines.take()


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError(TOKEN)


@pytest.mark.parametrize("what", [_Unspeakable(), {1: TOKEN, "a": TOKEN}], ids=["no repr", "mixed keys"])
def test_a_line_of_ours_that_cannot_be_made_shows_nothing_either(lines: Lines, what: object) -> None:
    """And whoever logs has work to do, which goes on."""
    lines.start()
    structlog.get_logger("responder.x").error("something_happened", what=what)
    (line,) = lines.take()
    assert line == {"event": "line_not_rendered", "level": "error", "logger": "responder.x"}


def test_work_goes_on_where_there_is_nowhere_to_write(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may be started without standard error, or lose it."""
    monkeypatch.setattr("sys.stderr", None)
    lines.start()
    structlog.get_logger("responder.x").error("something_happened")


def test_lines_of_several_threads_stay_whole() -> None:
    """Ours and everybody else's, though longer than a pipe takes at once, and read slowly."""
    code = (
        "import logging, threading, structlog\n"
        "from responder import log\n"
        "log.configure()\n"
        "def write():\n"
        "    for _ in range(50):\n"
        "        structlog.get_logger('responder.x').error('ours', more='a' * 9000)\n"
        "        logging.getLogger('foreign').error('b' * 9000)\n"
        "for thread in [threading.Thread(target=write) for _ in range(8)]:\n"
        "    thread.start()\n"
    )
    written = []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment, cwd=ROOT) as process:
        assert process.stderr is not None
        while piece := os.read(process.stderr.fileno(), 3000):
            written.append(piece)
            time.sleep(0.0005)
    events = [json.loads(line)["event"] for line in b"".join(written).splitlines()]
    assert len(events) == 800
    assert events.count("ours") == 400


def test_ordinary_words_stay(lines: Lines) -> None:
    """A log in which everything is redacted helps nobody."""
    lines.start()
    structlog.get_logger("responder.x").info(
        "key_revoked", incident="inc_2bfe6745fc3f10e5b318", key="key_Vwwj6oSu6Ci3K"
    )
    (line,) = lines.take()
    assert (line["incident"], line["key"]) == ("inc_2bfe6745fc3f10e5b318", "key_Vwwj6oSu6Ci3K")
    assert line["event"] == "key_revoked"
    assert str(line["timestamp"]).endswith("Z")
