"""``responder doctor``: check everything that can be checked without deleting anything."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from responder.cli import config_option, json_option, load

_ENOUGH_COVERAGE = 0.95
_OLD_LISTS = 3  # times the interval at which keys are listed


@dataclass(frozen=True, slots=True)
class Check:
    """One line.

    Attributes:
        name: what was looked at.
        state: ``green``, ``yellow`` (works, but could be safer) or ``red``.
        said: what was found.
        fix: what to do about it; empty if nothing.
    """

    name: str
    state: str
    said: str
    fix: str = ""


@click.command()
@config_option
@json_option
def doctor(config: Path | None, as_json: bool) -> None:
    """Check everything that can be checked without deleting anything; exit 1 if anything is red."""
    settings = load(config)
    found = list(_all(settings))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in found], indent=2))
    else:
        _print(found)
    sys.exit(1 if any(check.state == "red" for check in found) else 0)


def _all(settings: Any) -> Iterator[Check]:
    from responder.store import Store

    yield _files(settings)
    store = Store(settings.store_url)
    try:
        database = _database(store)
        yield database
        if database.state == "green":
            yield _worker(store)
            yield from _openai(settings, store)
            yield from _webhooks(settings, store)
    finally:
        store.close()
    yield _github(settings)
    yield from _gitlab(settings)
    yield from _people(settings)
    yield _rules(settings)
    mode = Check("mode", "yellow", "observe: nothing is deleted", "unset RESPONDER_MODE to enforce")
    yield mode if settings.mode == "observe" else Check("mode", "green", "enforce")


def _files(settings: Any) -> Check:
    from responder.seal import Keys

    folder = settings.data_dir
    fix = f"run responder serve once, or: chmod 700 {folder} and chmod 600 its files"
    try:
        kept = Keys(folder)
        count = len(kept.peppers)
        whole = len(kept.private) == len(kept.public) == 32
        open_to_others = [
            path.name for path in (folder / "pepper", folder / "inbox.key") if path.stat().st_mode & 0o077
        ]
    except (OSError, ValueError) as error:
        return Check("data directory", "red", f"its keys cannot be read: {type(error).__name__}", fix)
    if open_to_others or folder.stat().st_mode & 0o077 or not whole:
        return Check("data directory", "red", "others on this machine may read it", fix)
    return Check("data directory", "green", f"private, {count} pepper{'s' if count > 1 else ''}")


def _database(store: Any) -> Check:
    from responder.store import StoreUnavailable

    try:
        if store.is_current():
            return Check("database", "green", "reachable, tables current")
    except StoreUnavailable as error:
        return Check("database", "red", f"cannot be used: {error.why}", "see that it runs and that its URL is right")
    return Check("database", "red", "its tables are not current", "run: responder db upgrade")


def _worker(store: Any) -> Check:
    from responder import assembly
    from responder.store import heartbeats

    with store.read() as tx:
        beat = heartbeats.last(tx, heartbeats.WORKER)
    if beat is not None and assembly.now() - beat < heartbeats.STALE:
        return Check("worker", "green", "alive")
    return Check(
        "worker",
        "red",
        "not alive" if beat is None else f"last alive {beat:%Y-%m-%d %H:%M:%S} UTC",
        "start responder serve, or responder worker",
    )


def _openai(settings: Any, store: Any) -> Iterator[Check]:
    from responder import assembly
    from responder.core.errors import Refused, Unavailable
    from responder.core.token import mark
    from responder.seal import Keys
    from responder.store import keys

    accounts = assembly.accounts(settings, store).get("openai", ())
    if not accounts:
        yield Check("OpenAI", "red", "no admin key", "set RESPONDER_OPENAI__ADMIN_KEY")
    for account in accounts:
        try:
            next(iter(account.provider.list_keys()), None)
            yield Check("OpenAI admin key", "green", "may list keys")
        except (Refused, Unavailable) as error:
            yield Check(
                "OpenAI admin key", "red", str(error), "make an admin key with api.management.read and .write"
            )
        peppers = [mark(pepper) for pepper in Keys(settings.data_dir).peppers]
        with store.read() as tx:
            last = keys.listing(tx, "openai", account.provider.account)
            listed, proved = keys.coverage(tx, "openai", account.provider.account, peppers)
        yield _list(settings, last)
        yield _coverage(listed, proved)
        yield _control(account)
        account.provider.close()


def _list(settings: Any, last: Any) -> Check:
    from responder import assembly

    if last is None or last.complete_at is None:
        return Check("key list", "red", "never complete", "run: responder keys sync")
    age = (assembly.now() - last.complete_at).total_seconds()
    if last.problem or age > _OLD_LISTS * settings.inventory.sync_seconds:
        said = last.problem or f"{age:.0f} s old"
        return Check("key list", "red", f"stale: {said}", "run: responder keys sync, and see that a worker runs")
    return Check("key list", "green", f"complete, {age:.0f} s old")


def _coverage(listed: int, proved: int) -> Check:
    said = f"{proved} of {listed} keys are fingerprinted"
    if listed and proved < _ENOUGH_COVERAGE * listed:
        return Check(
            "coverage", "yellow", said, "run: responder keys register (such keys are revoked without a call)"
        )
    return Check("coverage", "green", said)


def _control(account: Any) -> Check:
    if account.control is None:
        return Check(
            "control key", "yellow", "none", "set RESPONDER_OPENAI__CANARY_KEY to a live key used for nothing else"
        )
    problem = account.control.problem()
    if problem:
        return Check("control key", "red", problem, "leaks are held until OpenAI answers it as expected")
    return Check("control key", "green", "answered as expected")


def _github(settings: Any) -> Check:
    from responder import assembly
    from responder.core.errors import Refused, Unavailable
    from responder.settings import SettingsError

    name = "APP_ID, __PRIVATE_KEY and __INSTALLATION_ID" if settings.github.app_id is not None else "TOKEN"
    try:
        github, _ = assembly.github(settings)
        if github is None:
            return Check("GitHub", "yellow", "no token: only reports are taken", "set RESPONDER_GITHUB__TOKEN")
        github.check()
    except (Refused, Unavailable, SettingsError) as error:
        return Check("GitHub", "red", str(error), f"see that RESPONDER_GITHUB__{name} is valid")
    if not settings.github.webhook_secret:
        return Check("GitHub", "yellow", "token good, no webhook secret", "set RESPONDER_GITHUB__WEBHOOK_SECRET")
    return Check("GitHub", "green", "token good, webhook secret set")


def _webhooks(settings: Any, store: Any) -> Iterator[Check]:
    """Whether what the webhooks heard of fail to deliver can be had all the same."""
    from responder import assembly
    from responder.core.errors import Refused, Unavailable
    from responder.settings import SettingsError
    from responder.sources import github_lists
    from responder.store import origins

    with store.read() as tx:
        known = [hook for hook, _ in origins.webhooks(tx, assembly.now())]
    try:
        as_installed, as_app = assembly.github(settings)
        for hook in known:
            github = as_app if hook.kind == "integration" else as_installed
            if github is not None:
                next(github_lists.attempts(github.caller, hook.kind, hook.target, hook.hook), None)
    except (Refused, Unavailable, SettingsError) as error:
        yield Check("webhooks", "red", str(error), "give GitHub's token: Webhooks, read and write")
        return
    if known:
        yield Check("webhooks", "green", f"failed deliveries of {len(known)} can be listed")


def _gitlab(settings: Any) -> Iterator[Check]:
    from responder import assembly
    from responder.core.errors import Refused, Unavailable

    if settings.gitlab.webhook_secret and settings.gitlab.url is None:
        yield Check("GitLab", "red", "no token: no push can be fetched", "set RESPONDER_GITLAB__URL and __TOKEN")
    if settings.gitlab.url is not None:
        fix = "see that RESPONDER_GITLAB__TOKEN is valid and has the scope read_api"
        check = assembly.gitlab(settings).check
        yield _tried("GitLab", "token good", fix, check, (Refused, Unavailable))


def _people(settings: Any) -> Iterator[Check]:
    from responder import notify
    from responder.core.errors import Refused, Unavailable

    if settings.mail.url is None:
        yield Check("mail", "red", "none: owners cannot be told", "set RESPONDER_MAIL__URL and RESPONDER_MAIL__FROM")
    else:
        yield _tried(
            "mail",
            "accepts us",
            "see RESPONDER_MAIL__URL",
            lambda: notify.Mailer(settings.mail.url.get_secret_value(), settings.mail.sender).check(),
            (Refused, Unavailable, ValueError),
        )
    if not settings.notify.urls:
        yield Check("channels", "red", "none: the security team cannot be told", "set RESPONDER_NOTIFY__URLS")
    else:
        urls = [url.get_secret_value() for url in settings.notify.urls]
        yield _tried(
            "channels",
            f"{len(urls)} understood (none is rung for this)",
            "see RESPONDER_NOTIFY__URLS",
            lambda: notify.Channels(urls),
            (ValueError,),
        )


def _rules(settings: Any) -> Check:
    from responder.scan import RuleError, Scanner

    folders = [settings.rules_dir] if settings.rules_dir else []
    return _tried("rules", "loaded", "mend the file", lambda: Scanner.load(folders), (RuleError,))


def _tried(
    name: str, good: str, fix: str, attempt: Callable[[], object], failures: tuple[type[Exception], ...]
) -> Check:
    try:
        attempt()
    except failures as error:
        return Check(name, "red", str(error), fix)
    return Check(name, "green", good)


def _print(found: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for check in found:
        color = {"green": "green", "yellow": "yellow", "red": "bold red"}[check.state]
        table.add_row(f"[{color}]{check.state}[/]", check.name, escape(check.said))
        if check.fix:
            table.add_row("", "", escape(f"→ {check.fix}"))
    console = Console(highlight=False)
    console.print(table)
