"""``responder keys register``: tokens from standard input or files, never from the command line."""

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from responder.cli import Mistake, config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import NO_PEPPER, Desk, desk, progress

if TYPE_CHECKING:
    from responder.core.token import Token
    from responder.register import Registration
    from responder.scan import Scanner

_LARGEST_FILE = 8 << 20
_LARGEST_INPUT = 64 << 20
MOST_FILES = 100_000
_AT_ONCE = 4
_AS_FOUND = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""How a file is opened that nobody named: no link, no pipe that never ends."""


@dataclass(slots=True)
class _Held:
    """A token that was handed to us, and where it stood first."""

    token: "Token"
    provider: str | None
    place: str
    places: int = 1


@dataclass(slots=True)
class _Gathered:
    """What was found to register, and what could not be read."""

    held: "dict[Token, _Held]" = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    files: int = 0

    def scan(self, scanner: "Scanner", content: bytes, path: str | None) -> None:
        """Take every token out of *content*."""
        self.files += 1
        scan = scanner.text(content, path)
        for found in scan.findings:
            place = words.line(f"{path or 'standard input'}:{found.line or 1}", 400)
            if found.token in self.held:
                self.held[found.token].places += 1
            else:
                self.held[found.token] = _Held(found.token, found.provider, place)
        for one in scan.skipped:
            self.skip(path or "standard input", one.reason)

    def skip(self, path: str, reason: str) -> None:
        """Remember something that could not be looked through."""
        self.skipped.append((words.line(path, 400), reason))


@click.command(short_help="Prove tokens to be known keys, and keep fingerprints.")
@config_option
@json_option
@click.argument("source", metavar="[FILE | DIR | -]", default="-", type=click.Path(path_type=Path))
def register(config: Path | None, as_json: bool, source: Path) -> None:
    """Prove tokens to be known keys, and keep their fingerprints, so that a leak of them is recognised at once.

    Reads standard input, a file, or a folder of secret files; a token on the command line would stay in the
    shell's history. Each is sent to its provider alone, with requests that change nothing but may count as a use;
    the answers must name exactly one listed key. The token itself is never kept. Exit 0: all are known now; 1: some
    could not be proved, or nothing was found.
    """
    with desk(config, as_json=as_json) as at:
        gathered = _gather(source)
        if not gathered.files and not gathered.skipped:
            raise Mistake("there is nothing to read")
        results = _register(at, list(gathered.held.values()))
    _print_json(results, gathered) if as_json else _print(at, results, gathered)
    good = bool(results) and all(one.outcome.good for _, one in results) and not gathered.skipped
    sys.exit(0 if good else 1)


def _register(at: Desk, held: Sequence[_Held]) -> "list[tuple[_Held, Registration]]":
    """Several at once: most of the time is spent waiting for the provider."""
    from concurrent.futures import ThreadPoolExecutor

    from responder.assembly import now
    from responder.register import register as prove
    from responder.seal import Keys

    accounts: dict[str, list[Any]] = {}
    for account in at.accounts:
        accounts.setdefault(account.provider.provider, []).append(account)
    try:
        peppers = Keys(at.config.data_dir).peppers
    except (OSError, ValueError):
        raise Mistake(NO_PEPPER) from None
    started = now()
    results = []
    with ThreadPoolExecutor(_AT_ONCE) as pool, progress("tokens", len(held)) as advance:
        proved = pool.map(lambda one: prove(one.token, accounts, one.provider, peppers, started), held)
        for one, result in zip(held, proved, strict=True):
            results.append((one, result))
            advance(1)
    return results


# --- where tokens come from ----------------------------------------------------------------------


def _gather(source: Path) -> _Gathered:
    from responder.scan import Scanner

    gathered = _Gathered()
    if str(source) == "-":
        content = _from_stdin()
        if content.strip():
            gathered.scan(Scanner.load(), content, None)
        return gathered
    name = _named(source)
    if not source.exists():
        raise Mistake(f"{name}: there is no such file or folder")
    scanner = Scanner.load()
    if not source.is_dir():
        _scan_file(gathered, scanner, source, name, os.O_RDONLY)
        return gathered
    root = os.path.realpath(source)
    paths = list(_below(root, gathered))
    with progress("files", len(paths)) as advance:
        for path in paths:
            _scan_file(gathered, scanner, path, os.path.relpath(path, root), _AS_FOUND)
            advance(1)
    return gathered


def _named(source: Path) -> str:
    """How the argument may be shown.

    Raises:
        Mistake: it is a token.
    """
    from responder.core.token import scrub

    if scrub(str(source)) != str(source) and not source.exists():
        raise Mistake("a token on the command line stays in the shell's history; hand it over on standard input")
    return words.line(source, 400)


def _from_stdin() -> bytes:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Token (not shown): ").encode("utf-8", "replace")
    content: bytes = sys.stdin.buffer.read(_LARGEST_INPUT + 1)
    if len(content) > _LARGEST_INPUT:
        raise Mistake(f"standard input is larger than {_LARGEST_INPUT >> 20} MiB; hand the files over instead")
    return content


def _below(root: str, gathered: _Gathered) -> Iterator[str]:
    """Every file below *root*. A link is not followed: what it means inside is found anyway."""
    count = 0

    def failed(error: OSError) -> None:
        gathered.skip(os.path.relpath(error.filename, root), "the folder cannot be read")

    for folder, folders, files in os.walk(root, onerror=failed):
        folders.sort()
        for name in sorted((*folders, *files)):
            path = os.path.join(folder, name)  # noqa: PTH118 -- a hundred thousand of them
            if os.path.islink(path):  # noqa: PTH114
                if not Path(os.path.realpath(path)).is_relative_to(root):
                    gathered.skip(os.path.relpath(path, root), "a link to somewhere else, which was not followed")
            elif name in files:
                count += 1
                if count > MOST_FILES:
                    gathered.skip(".", f"there are more than {MOST_FILES:,} files; the rest was not read")
                    return
                yield path


def _scan_file(gathered: _Gathered, scanner: "Scanner", path: Path | str, name: str, flags: int) -> None:
    try:
        descriptor = os.open(path, flags)
        with open(descriptor, "rb") as file:  # noqa: PTH123 -- a descriptor, not a path
            if flags == _AS_FOUND and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                gathered.skip(name, "not a regular file")
                return
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        gathered.skip(name, (error.strerror or "cannot be read").lower())
        return
    if len(content) > _LARGEST_FILE:
        gathered.skip(name, f"larger than {_LARGEST_FILE >> 20} MiB")
        return
    gathered.scan(scanner, content, name)


# --- the report ----------------------------------------------------------------------------------


def _print(at: Desk, results: "Sequence[tuple[_Held, Registration]]", gathered: _Gathered) -> None:
    from responder.register import Outcome

    counted = {outcome: [(held, one) for held, one in results if one.outcome is outcome] for outcome in Outcome}
    for outcome, title in ((Outcome.UNPROVED, "could not be proved"), (Outcome.NOT_OURS, "not ours")):
        for held, one in counted[outcome]:
            more = f" (and {held.places - 1} more)" if held.places > 1 else ""
            at.say(f"{title}: {held.token.redacted} in {held.place}{more}: {one.reason}.")
    for path, reason in gathered.skipped:
        at.say(f"not read: {path}: {reason}.")
    told = [f"Registered {len(counted[Outcome.REGISTERED]):,}", f"already known {len(counted[Outcome.KNOWN]):,}"]
    told += [
        f"could not be proved {len(counted[Outcome.UNPROVED]):,}",
        f"not ours {len(counted[Outcome.NOT_OURS]):,}",
    ]
    told += [f"not read {len(gathered.skipped):,}"] if gathered.skipped else []
    if not results:
        at.say(f"No token was found in {words.number(gathered.files, 'file')}.")
    else:
        at.say(f"{', '.join(told)}. No token was kept, only fingerprints.")


def _print_json(results: "Sequence[tuple[_Held, Registration]]", gathered: _Gathered) -> None:
    tokens = [
        {
            "token": held.token.redacted,
            "family": held.token.family,
            "place": held.place,
            "places": held.places,
            "outcome": one.outcome.value,
            "reason": one.reason,
            "key": None if one.key is None else one.key.id,
        }
        for held, one in results
    ]
    skipped = [{"path": path, "reason": reason} for path, reason in gathered.skipped]
    click.echo(json.dumps({"tokens": tokens, "skipped": skipped, "files": gathered.files}, indent=2))
