"""`responder scan`: files, standard input or a whole Git history, with the rules the responder works by.

Prints redacted tokens only. Exit 0: nothing found; 1: something found; 2: an error. What could not be
scanned is listed and counted, never passed over. With `--report` what is found goes to the responder, too.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import click

from responder.cli import Mistake, config_option, json_option, load

if TYPE_CHECKING:
    from responder.scan import Finding, Scan, Skipped

_PIECE = 64 << 20
_OVERLAP = 1 << 16
_READ = 4 << 20
_MARK = b"\n\x1ecommit "


class _Part(NamedTuple):
    """What one step scanned, and the commit it belongs to."""

    scan: "Scan"
    commit: str | None


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option(
    "--git",
    "repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Scan this repository's whole history.",
)
@click.option("--diff", "as_diff", is_flag=True, help="Read PATHS as diffs: only what they add counts.")
@click.option(
    "--rules",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of further rule files, beside the configured one. Repeatable.",
)
@click.option("--report", "as_report", is_flag=True, help="Hand what is found to the configured responder.")
@click.option("--web-url", help="Of the repository, so that people can be shown the commit (with --git --report).")
@config_option
@json_option
def scan(
    paths: tuple[Path, ...],
    repository: Path | None,
    folders: tuple[Path, ...],
    web_url: str | None,
    config: Path | None,
    *,
    as_diff: bool,
    as_report: bool,
    as_json: bool,
) -> None:
    """Find leaked sk- tokens in PATHS (files, folders, or - for standard input) or in a Git history."""
    from responder.cli.handover import handover
    from responder.scan import RuleError, Scanner

    if bool(paths) == bool(repository):
        raise click.UsageError("give either paths, - or --git REPOSITORY")
    if web_url is not None and not (as_report and repository):
        raise click.UsageError("--web-url goes with --git and --report")
    try:
        configured = load(config).rules_dir
        scanner = Scanner.load([*folders, *([configured] if configured else [])])
    except RuleError as error:
        raise Mistake(str(error)) from None
    one: Callable[[bytes, str | None], Scan] = scanner.diff if as_diff else scanner.text
    with handover(config, web_url) if as_report else nullcontext() as responder:
        with _progress("commits" if repository else "files") as step:
            parts = _history(repository, scanner.diff, step) if repository else _files(paths, one, step)
            found, skipped = _gather(parts)
        _print(found, skipped, as_json=as_json)
        if responder is not None:
            handed, new = responder.give(found)
            click.echo(f"{handed} handed over, {new} of them for the first time today", err=True)
    sys.exit(1 if found else 0)


_Step = Callable[[int | None], None]
"""Told the total once it is known, then nothing for each step done."""


@contextmanager
def _progress(unit: str) -> Iterator[_Step]:
    if not sys.stderr.isatty():
        yield lambda _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda total: bar.advance(task) if total is None else bar.update(task, total=total)


def _gather(parts: Iterator[_Part]) -> tuple[list[tuple["Finding", str | None]], list["Skipped"]]:
    found: dict[tuple[object, ...], tuple[Finding, str | None]] = {}
    skipped: dict[Skipped, None] = {}
    for part in parts:
        for finding in part.scan.findings:
            found.setdefault((finding.token, part.commit, finding.path, finding.line), (finding, part.commit))
        skipped.update(dict.fromkeys(part.scan.skipped))
    return list(found.values()), list(skipped)


def _files(paths: tuple[Path, ...], one: "Callable[[bytes, str | None], Scan]", step: _Step) -> Iterator[_Part]:
    names = [name for path in paths for name in _below(path)]
    step(len(names))
    for name in names:
        try:
            with click.open_file(str(name), "rb") as file:
                yield from _pieces(file, None if str(name) == "-" else str(name), one)
        except OSError as error:
            raise Mistake(f"{name}: {error.strerror}") from None
        step(None)


def _below(path: Path) -> Iterator[Path]:
    """*path* itself, or every regular file below it outside of Git's own folders."""
    if str(path) == "-" or not path.is_dir():
        yield path
        return
    for inner in sorted(path.iterdir()):
        if inner.is_symlink() or inner.name == ".git":
            continue
        if inner.is_dir():
            yield from _below(inner)
        elif inner.is_file():
            yield inner


def _pieces(file: IO[bytes], name: str | None, one: "Callable[[bytes, str | None], Scan]") -> Iterator[_Part]:
    """Scan *file* a piece at a time, so that memory does not grow with it."""
    from dataclasses import replace

    from responder.scan import Scan

    lines, tail = 0, b""
    while content := file.read(_PIECE):
        whole = tail + content
        result = one(whole, name)
        if lines:
            moved = tuple(replace(each, line=each.line and each.line + lines) for each in result.findings)
            result = Scan(moved, result.skipped)
        yield _Part(result, None)
        tail = whole[-_OVERLAP:]
        lines += whole.count(b"\n", 0, len(whole) - len(tail))


def _history(repository: Path, diff: "Callable[[bytes, str | None], Scan]", step: _Step) -> Iterator[_Part]:
    """Scan every commit's message and what it adds, as `git log` streams them."""
    import subprocess

    git = ["git", "--no-pager", "-C", str(repository), "-c", "core.fsmonitor=false", "-c", "core.quotePath=true"]
    # Attributes in the repository could declare a file binary to hide it, settings could call programs.
    shown = ["--patch", "--cc", "--text", "--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature"]
    prefixes = ["--src-prefix=a/", "--dst-prefix=b/", "--format=%x1ecommit %H%n%B"]
    counted = subprocess.run([*git, "rev-list", "--all", "--count"], capture_output=True, check=False)  # noqa: S603
    if counted.returncode:
        raise Mistake(counted.stderr.decode("utf-8", "replace").strip() or "git failed")
    step(int(counted.stdout))
    log = [*git, "log", "--all", "--full-history", *shown, *prefixes]
    with subprocess.Popen(log, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        if process.stdout is None:
            raise Mistake("git has no output")
        for commit, text, ended in _commits(process.stdout):
            yield _Part(diff(text, None), commit)
            if ended:
                step(None)
    if process.returncode:
        raise Mistake(f"git log ended with status {process.returncode}")


def _commits(stream: IO[bytes]) -> Iterator[tuple[str, bytes, bool]]:
    """Commits, what `git log` shows of each, and whether that is all; a very large one comes in several parts."""
    pending, commit, named = b"\n", "", False
    while content := stream.read(_READ):
        *ended, pending = (pending + content).split(_MARK)
        for text in ended:
            if named:
                commit, shown = _named(text)
                yield commit, shown, True
            elif commit:
                yield commit, text, True
            named = True
        if len(pending) > _PIECE and (cut := pending.rfind(b"\ndiff --")) > 0:
            commit, shown = _named(pending[:cut]) if named else (commit, pending[:cut])
            yield commit, shown, False
            pending, named = pending[cut + 1 :], False
    if named or commit:
        commit, shown = _named(pending) if named else (commit, pending)
        yield commit, shown, True


def _named(text: bytes) -> tuple[str, bytes]:
    name, _, shown = text.partition(b"\n")
    return name.decode("ascii", "replace"), shown


def _print(found: list[tuple["Finding", str | None]], skipped: list["Skipped"], *, as_json: bool) -> None:
    if as_json:
        findings = [_row(finding, commit) for finding, commit in found]
        unread = [{"path": each.path, "reason": each.reason} for each in skipped]
        click.echo(json.dumps({"findings": findings, "skipped": unread}, indent=2))
        return
    for finding, commit in found:
        path = finding.path or ("message" if commit else "-")
        place = ":".join(str(part) for part in (commit and commit[:12], path, finding.line) if part)
        token, about = finding.token, f"{finding.confidence}, {finding.layer}"
        click.echo(f"{_printable(place)}  {token.family}  {token.redacted}  ({about})")
    for each in skipped:
        click.echo(f"not scanned: {_printable(each.path or '-')}: {each.reason}", err=True)
    click.echo(f"{len(found)} found, {len(skipped)} not scanned", err=True)


def _row(finding: "Finding", commit: str | None) -> dict[str, object]:
    return {
        "family": finding.token.family,
        "token": finding.token.redacted,
        "provider": finding.provider,
        "confidence": finding.confidence,
        "layer": finding.layer,
        "commit": commit,
        "path": finding.path,
        "line": finding.line,
    }


def _printable(text: str) -> str:
    """*text* without what could steer a terminal: file names come from strangers."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
