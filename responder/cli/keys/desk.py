"""What every ``keys`` command needs: settings, store and accounts, and one way to name a key."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from responder.cli import Mistake, load, reading

if TYPE_CHECKING:
    from responder.core.errors import Refused
    from responder.core.key import KnownKey
    from responder.proof import Account
    from responder.settings import Settings
    from responder.store import Store

Answer = TypeVar("Answer")
NO_PEPPER = "the pepper is missing or damaged; this must run where a worker's data directory is"
_PAUSES_SECONDS = (1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with.

    Attributes:
        config: the settings.
        store: the database.
        accounts: every configured account.
        as_json: standard output is for JSON alone.
        pauses_seconds: between questions to a provider that is unavailable.
    """

    config: "Settings"
    store: "Store"
    accounts: "tuple[Account, ...]"
    as_json: bool = False
    pauses_seconds: tuple[float, ...] = _PAUSES_SECONDS

    def say(self, text: str = "") -> None:
        """Print something for people; words stay whole on a narrow terminal."""
        from responder.cli.keys.words import wrapped

        click.echo(wrapped(text) if sys.stdout.isatty() else text, err=self.as_json)

    def find(self, id_: str) -> "tuple[KnownKey, Account]":
        """The key with this id, listed anew if it is not known yet.

        Raises:
            Mistake: there is no such key, or more than one.
        """
        from responder.core.token import scrub

        if scrub(id_) != id_:
            raise Mistake("that is a token, not a key's id: it is in your shell's history now, so treat it as leaked")
        found = self._lookup(id_)
        if not found:
            click.echo("Not known yet; listing the keys anew …", err=True)
            incomplete = [one for one in self.accounts if not one.inventory.sync()]
            found = self._lookup(id_)
            if not found and incomplete:
                raise Mistake(f"no key {id_!r} is known, and the list is not complete; see: responder keys sync")
        if not found:
            raise Mistake(f"there is no key {id_!r}; see: responder keys list")
        if len(found) > 1:
            raise Mistake(f"several accounts have a key {id_!r}")
        return found[0]

    def _lookup(self, id_: str) -> "list[tuple[KnownKey, Account]]":
        looked_up = [(one.inventory.key(id_), one) for one in self.accounts]
        return [(key, one) for key, one in looked_up if key is not None]

    def is_own(self, key: "KnownKey") -> bool:
        """Whether it looks like a credential that the responder itself runs on."""
        return any(key.mask.fits(own[:8], own[-4:], len(own)) for own in self.config.secrets() if len(own) > 12)

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask a provider something that changes nothing, again while it is unavailable.

        Raises:
            Refused, Unavailable: its last word.
        """
        import time

        from responder.core.errors import Unavailable

        for pause in self.pauses_seconds:
            try:
                return ask()
            except Unavailable as error:
                wait = min(max(pause, error.retry_after_seconds or 0.0), 30.0)
                self.say(f"No answer ({error.why}); asking again in {wait:.0f} s …")
                time.sleep(wait)
        return ask()

    def coverage(self, account: "Account") -> dict[str, Any]:
        """How many keys are listed and fingerprinted, and how old the list is."""
        from responder.core.incident import timestamp
        from responder.store import keys

        who = (account.provider.provider, account.provider.account)
        with self.store.read() as tx:
            listed, fingerprinted = keys.coverage(tx, *who, self.pepper_marks())
            alike = keys.shared_masks(tx, *who)
            last = keys.listing(tx, *who)
        return {
            "provider": who[0],
            "account": who[1],
            "listed": listed,
            "fingerprinted": fingerprinted,
            "sharing_a_mask": alike,
            "complete_at": None if last is None else timestamp(last.complete_at),
            "tried_at": None if last is None else timestamp(last.tried_at),
            "problem": None if last is None else last.problem,
        }

    def pepper_marks(self) -> tuple[int, ...]:
        """Marks of the peppers at hand, newest first: a fingerprint under any other is worth nothing."""
        from responder.core.token import mark
        from responder.seal import Keys

        try:
            return tuple(mark(one) for one in Keys(self.config.data_dir).peppers)
        except (OSError, ValueError):
            return ()

    def whom_to_ask(self, key: "KnownKey | None", account: "Account", refused: "Refused") -> str:
        """One line for somebody whose responder may not do what he asked of it."""
        from responder.cli.keys.words import person
        from responder.core.key import KeyKind

        listed = [one for one in account.inventory.every() if one.kind is KeyKind.ADMIN and one.gone_at is None]
        own = [one for one in listed if self.is_own(one)]
        people = list(dict.fromkeys(person(one.owner) for one in own or listed))[:5]
        said = f"{account.provider.provider} said {refused.status} {refused.code}".rstrip()
        if refused.status == 401:
            why = f"The admin key that the responder runs on is not accepted ({said}): expired, replaced or mistyped."
        else:
            why = f"The admin key that the responder runs on is not allowed to do that ({said})."
            if account.provider.provider == "openai":
                why += " It needs the scopes api.management.read and api.management.write."
        asked = f"who made it: {', '.join(people)}" if own else "an owner of the organization"
        asked += f", such as {', '.join(people)}" if people and not own else ""
        other = (
            "" if key is None else f" {person(key.owner)} can delete the key on the provider's own page meanwhile."
        )
        return f"{why} Ask {asked}.{other}"


@contextmanager
def desk(path: Path | None, *, as_json: bool = False) -> Iterator[Desk]:
    """Open everything; what is wrong with settings or database is one line and exit code 2."""
    from responder import assembly, log
    from responder.settings import SettingsError

    config = load(path)
    log.configure(config.secrets(), logging.CRITICAL)  # what a command finds out, it says itself
    with reading(path) as store:
        try:
            configured = tuple(one for some in assembly.accounts(config, store).values() for one in some)
        except SettingsError as error:
            raise Mistake(str(error)) from None
        if not configured:
            raise Mistake("no provider is configured; set RESPONDER_OPENAI__ADMIN_KEY")
        try:
            yield Desk(config, store, configured, as_json)
        finally:
            for one in configured:
                one.provider.close()


def may_delete(config: "Settings") -> None:
    """Refuse where nothing may be deleted.

    Raises:
        Mistake: mode is observe, or the stop file is up.
    """
    from responder import assembly

    if config.mode == "observe":
        raise Mistake("mode is observe, so nothing is deleted; set RESPONDER_MODE=enforce to delete keys by hand")
    stop = config.data_dir / assembly.STOP_FILE
    if stop.exists():
        raise Mistake(f"the stop file is up, so nothing is deleted; remove {stop} to delete keys by hand")


@contextmanager
def progress(unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; it is told how many more are done."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = [SpinnerColumn(), TextColumn("{task.completed} {task.description}"), TimeElapsedColumn()]
    if total is not None:
        shown = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=total)
        yield lambda more: bar.advance(task, more)


yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
