"""`responder report`: tell a running responder of a leaked key, from a terminal or a script.

Keys come from standard input or a file, never from the command line, which every
process of the machine can read. Nothing of them is printed. Exit 0: it is stored;
2: it is not, and why.
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from responder.cli import Mistake, config_option, json_option, load

if TYPE_CHECKING:
    from responder.outbound import Answer

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_TOO_MUCH = "too much for one report; scan it and report what is found: responder scan --report FILE"


@click.command(short_help="Tell a running responder of a leaked key.")
@click.argument("source", metavar="[FILE | -]", default="-", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--url", help="Where it was seen: an https address.")
@click.option("--to", "origin", help="The responder (default: the configured public_url, else bind).")
@click.option(
    "--bearer-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Holds a bearer, for more reports a minute.",
)
@config_option
@json_option
def report(
    source: Path, url: str | None, origin: str | None, bearer_file: Path | None, config: Path | None, *, as_json: bool
) -> None:
    """Report leaked keys, or any text they are in, to a running responder.

    Reads FILE or standard input. The answer is the same for every key, known or not; the same report sent again
    within the hour is the same report.
    """
    from responder.core.sighting import readable_address

    if url is not None and readable_address(url) is None:
        raise Mistake("--url must be an https address, and hold no credentials")
    base = _checked(origin or _configured(load(config)))
    headers = {"Authorization": f"Bearer {_line(bearer_file)}"} if bearer_file is not None else {}
    payload = {"text": _text(_read(source))} | ({"url": url} if url else {})
    receipt = _send(base, payload, headers)
    if as_json:
        click.echo(json.dumps({"receipt": receipt, "to": base}))
        return
    click.echo(f"Your report is stored. Its receipt: {receipt}")
    click.echo("A key that is ours is revoked now, and its owner is told; the answer is the same for every key.")


def _configured(settings: Any) -> str:
    """Where the responder of these settings listens."""
    if settings.public_url is not None:
        return str(settings.public_url)
    host, _, port = settings.bind.rpartition(":")
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 -- what a server may be bound to
    return f"http://{everywhere.get(host, host)}:{port}"


def _checked(origin: str) -> str:
    """*origin*, if a token may be sent there."""
    from responder.settings import is_loopback

    try:
        parts = urlsplit(origin)
        good = parts.hostname and not (parts.query or parts.fragment or parts.username) and origin.isprintable()
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(origin))
    except ValueError:
        good = safe = False
    if not good or not safe:
        raise Mistake("the responder's address must be https (http only for a loopback host); give it with --to")
    return origin.rstrip("/")


def _read(source: Path) -> bytes:
    from responder.core.token import scrub
    from responder.sources.report import LARGEST_REPORT

    if scrub(str(source)) != str(source):
        raise Mistake("give the key on standard input: every process of this machine can read a command line")
    typed = str(source) == "-" and sys.stdin.isatty()
    try:
        with _unseen() if typed else nullcontext(), click.open_file(str(source), "rb") as file:
            content: bytes = file.read(LARGEST_REPORT + 1)
    except OSError as error:
        raise Mistake(f"{source}: {error.strerror}") from None
    if len(content) > LARGEST_REPORT:
        raise Mistake(_TOO_MUCH)
    return content


@contextmanager
def _unseen() -> Iterator[None]:
    """Ask for it on the terminal, which does not show what is pasted: screens are watched, and scrolled back."""
    import termios

    click.echo("Paste the key, or the text it is in (it is not shown); then press Enter and Ctrl-D.", err=True)
    before = termios.tcgetattr(sys.stdin)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _text(content: bytes) -> str:
    """What is to be sent; in it, a key survives whatever else cannot be read."""
    from responder.sources.report import LONGEST_TEXT

    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    text = content.decode(encoding, "replace")
    if not text.strip():
        raise Mistake("there is nothing to report")
    if len(text) > LONGEST_TEXT:
        raise Mistake(_TOO_MUCH)
    return text


def _line(path: Path) -> str:
    try:
        line = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        line = ""
    if not line or not line.isprintable():
        raise Mistake(f"{path}: must hold a bearer, on one line")
    return line


def _send(base: str, payload: dict[str, str], headers: dict[str, str]) -> str:
    """Post the report; its receipt."""
    from responder.core.errors import Unavailable
    from responder.outbound import Door
    from responder.sources.report import LARGEST_REPORT

    body = json.dumps(payload)
    if len(body) > LARGEST_REPORT:
        raise Mistake(_TOO_MUCH)
    door = Door("responder", base, deadline_seconds=30.0)
    try:
        answer = door.exchange(
            "report.send", "POST", "/v1/reports", headers={**headers, "Idempotency-Key": _key(body)}, body=payload
        )
    except Unavailable as error:
        raise Mistake(f"not reported: {base} did not answer as a responder does ({error.why})") from None
    finally:
        door.close()
    content = answer.json()
    receipt = content.get("receipt") if isinstance(content, dict) else None
    if answer.status != 202 or not isinstance(receipt, str) or not receipt.isalnum():
        raise Mistake(f"not reported: {_why(answer)}")
    return receipt


def _key(body: str) -> str:
    """The same for the same report within an hour: later it may be told again, and is then looked at again."""
    from responder.assembly import now

    hour = int(now().timestamp()) // 3600
    return hashlib.sha256(f"responder-report {hour} {body}".encode()).hexdigest()


def _why(answer: "Answer") -> str:
    """What an answer that is no receipt means, in our words."""
    if answer.status == 429:
        seconds = answer.retry_after_seconds
        later = f"in {math.ceil(seconds)} seconds" if seconds else "later"
        return f"too many reports came from here; try again {later}"
    said = {
        401: "the bearer is wrong",
        413: _TOO_MUCH,
        503: "the responder cannot store it just now; try again",
    }
    return said.get(answer.status, f"status {answer.status}; is there a responder at this address?")
