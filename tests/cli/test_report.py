"""`responder report` where it does not go well: one line, exit code 2, and no key in it."""

import os
import pty
import random
import select
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.cli import main
from responder.simulator import growth
from responder.simulator.server import Server, reply
from tests.running import eventually

TOKEN = growth.grow("openai-project", random.Random(51))


class Stranger(Server):
    """Answers every report as a test says, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.says = Response(status=500)
        self.got: list[tuple[dict[str, str], bytes]] = []

    def routes(self) -> Sequence[Rule]:
        """One."""
        return [Rule("/v1/reports", methods=["POST"], endpoint=self.take)]

    def take(self, request: Request) -> Response:
        """Whatever it is."""
        self.got.append((dict(request.headers), request.get_data()))
        return self.says


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        yield server


def run(*arguments: str, stdin: str | bytes = TOKEN, **environment: str) -> Result:
    """Run ``responder report``; no key may ever be printed."""
    gone = {name: None for name in os.environ if name.startswith("RESPONDER_")}
    given = {**gone, "RESPONDER_CONFIG": os.devnull, **environment}
    result = CliRunner().invoke(main, ["report", *arguments], input=stdin, env=given, prog_name="responder")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert TOKEN[8:30] not in result.output
    return result


def assert_mistake(result: Result, said: str) -> None:
    """One line and exit code 2."""
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply({"title": TOKEN}, 429, {"Retry-After": "17"}), "too many reports came from here; try again in 17"),
        (reply({"title": TOKEN}, 429), "try again later"),
        (reply({"title": TOKEN}, 401), "the bearer is wrong"),
        (reply({"title": TOKEN}, 413), "too much for one report"),
        (reply({"title": TOKEN}, 503), "cannot store it just now"),
        (reply({"title": TOKEN}, 404), "is there a responder at this address?"),
        (reply({"receipt": "abc"}, 200), "status 200"),
        (reply({"receipt": f"\x1b[2J{TOKEN}"}, 202), "status 202"),
        (reply([TOKEN], 202), "status 202"),
        (Response(TOKEN, 202), "status 202"),
    ],
)  # fmt: skip
def test_anything_but_a_receipt_is_told_in_our_words(stranger: Stranger, answer: Response, said: str) -> None:
    """Whoever reports must know whether it was taken; and what an answer says may be hostile."""
    stranger.says = answer
    assert_mistake(run("--to", stranger.origin), said)


def test_no_redirect_is_followed(stranger: Stranger) -> None:
    """It would carry the key to wherever it points."""
    with Stranger() as other:
        stranger.says = Response(status=307, headers={"Location": f"{other.origin}/v1/reports"})
        assert_mistake(run("--to", stranger.origin), "did not answer as a responder does (redirect)")
        assert other.got == []


def test_no_proxy_of_the_environment_is_used(stranger: Stranger) -> None:
    """Whoever sets one would read the key."""
    with Stranger() as proxy:
        run("--to", stranger.origin, HTTP_PROXY=proxy.origin, http_proxy=proxy.origin, ALL_PROXY=proxy.origin)
        assert (len(stranger.got), len(proxy.journal)) == (1, 0)


def test_nobody_there_is_one_line(stranger: Stranger) -> None:
    """The usual mistake: it does not run."""
    origin = stranger.origin
    stranger.__exit__(None, None, None)
    assert_mistake(run("--to", origin), "did not answer")


@pytest.mark.parametrize(
    "origin",
    [
        "http://leaks.example", "ftp://127.0.0.1", "leaks.example", "", "https://", "https://user:pass@leaks.example",
        "https://leaks.example?a=b", "https://leaks.example#a", "http://127.0.0.1.leaks.example", "https://[", "file:///x",
    ],
)  # fmt: skip
def test_a_key_is_sent_over_tls_or_not_at_all(origin: str) -> None:
    """Plain HTTP shows it to everybody on the way."""
    assert_mistake(run("--to", origin) if origin else run(RESPONDER_BIND="leaks.example:80"), "must be https")


def test_a_key_on_the_command_line_is_not_taken(stranger: Stranger) -> None:
    """It is too late for that one, but it is not printed, and the next is given on standard input."""
    assert_mistake(run("--to", stranger.origin, TOKEN), "give the key on standard input")
    assert_mistake(run("--to", stranger.origin, "--url", f"https://paste.example/{TOKEN}"), "--url must be")
    assert stranger.got == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is nothing to report"),
        (b" \n", "there is nothing to report"),
        (b"a" * (1024 * 1024 + 1), "responder scan --report"),
        (b"a" * (4 * 1024 * 1024 + 1), "responder scan --report"),
        ("✓".encode() * 1_000_000, "responder scan --report"),
    ],
)
def test_what_cannot_be_one_report_is_said_and_nothing_is_cut(stranger: Stranger, content: bytes, said: str) -> None:
    """The key may be in the part that was left out."""
    assert_mistake(run("--to", stranger.origin, stdin=content), said)
    assert stranger.got == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_other_systems_write_is_read(stranger: Stranger, encoding: str) -> None:
    """A file saved by an editor on another system holds the same key."""
    run("--to", stranger.origin, stdin=f"K={TOKEN}\n".encode(encoding))
    assert TOKEN.encode() in stranger.got[0][1]


def test_a_terminal_is_told_how_to_end_and_does_not_show_the_key(stranger: Stranger) -> None:
    """Somebody looks over a shoulder, or scrolls back; and afterwards it shows what is typed again."""
    stranger.says = reply({"receipt": "abc"}, 202)
    screen, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "responder.cli", "report", "--to", stranger.origin]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=terminal, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        asked = process.stderr.readline()
        eventually(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "the terminal to go silent")
        os.write(screen, f"{TOKEN}\n\x04".encode())
        said, _ = process.communicate(timeout=45)
    os.set_blocking(screen, False)
    assert "Ctrl-D" in asked
    assert said.startswith("Your report is stored.")
    assert TOKEN.encode() in stranger.got[0][1]
    assert not select.select([screen], [], [], 0)[0] or TOKEN[8:30] not in os.read(screen, 65536).decode()
    assert termios.tcgetattr(terminal) == before
    os.close(screen)
    os.close(terminal)


def test_files_that_cannot_be_read_are_said(stranger: Stranger, tmp_path: Path) -> None:
    """By name, without a traceback."""
    to = ("--to", stranger.origin)
    assert_mistake(run(*to, "nowhere.txt"), "nowhere.txt: No such file")
    assert_mistake(run(*to, "--bearer-file", "nowhere"), "nowhere: No such file")
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "none").write_text("\n")
    for name in ("two", "none"):
        assert_mistake(run(*to, "--bearer-file", str(tmp_path / name)), "must hold a bearer, on one line")
    assert stranger.got == []


def test_the_configured_responder_is_told_where_none_is_named(stranger: Stranger) -> None:
    """On the machine it runs on, there is nothing to look up."""
    stranger.says = reply({"receipt": "abc"}, 202)
    port = stranger.origin.rpartition(":")[2]
    for environment in (
        {"RESPONDER_PUBLIC_URL": stranger.origin},
        {"RESPONDER_BIND": f"127.0.0.1:{port}"},
        {"RESPONDER_BIND": f"0.0.0.0:{port}"},
    ):
        result = run(**environment)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines()[0] == "Your report is stored. Its receipt: abc"
    assert len(stranger.got) == 3
