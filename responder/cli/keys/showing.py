"""``responder keys list``."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from responder.cli import config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import Desk, desk

if TYPE_CHECKING:
    from responder.core.key import KnownKey
    from rich.text import Text

_NEVER = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which keys to show; None shows them all."""

    provider: str | None
    project: str | None
    owner: str | None
    unused_for_days: int | None
    gone: bool

    def fits(self, key: "KnownKey", now: datetime) -> bool:
        """Whether *key* is one of them."""
        from fnmatch import fnmatch

        owner = (key.owner.email or "", key.owner.name or "", key.owner.id)
        return (
            (key.gone_at is not None) == self.gone
            and (self.provider is None or key.provider == self.provider)
            and (self.project is None or self.project in (key.project, key.project_name))
            and (self.owner is None or any(fnmatch(one.casefold(), self.owner.casefold()) for one in owner))
            and (self.unused_for_days is None or is_unused(key, self.unused_for_days, now))
        )


def is_unused(key: "KnownKey", days: int, now: datetime) -> bool:
    """Whether a key has not been used for so many days; one never used counts from its creation."""
    last = key.last_used_at or key.created_at
    return last is not None and now - last >= timedelta(days=days)


_ORDERS: dict[str, Callable[["KnownKey"], str]] = {
    "name": lambda key: key.name.casefold(),
    "created": lambda key: key.created_at.isoformat() if key.created_at else _NEVER,
    "used": lambda key: key.last_used_at.isoformat() if key.last_used_at else _NEVER,
    "owner": lambda key: (key.owner.email or key.owner.name or key.owner.id).casefold(),
    "project": lambda key: (key.project_name or key.project or "").casefold(),
}


@click.command("list")
@config_option
@json_option
@click.option("--provider", help="Only of this provider.")
@click.option("--project", help="Only of this project, by id or name.")
@click.option("--owner", metavar="GLOB", help="Only of owners whose address, name or id fits.")
@click.option("--unused-for", type=click.IntRange(1), metavar="DAYS", help="Only keys not used for so long.")
@click.option("--state", type=click.Choice(["listed", "gone"]), default="listed", show_default=True)
@click.option("--sort", type=click.Choice(sorted(_ORDERS)), default="name", show_default=True, help="Oldest first.")
def list_(
    config: Path | None,
    as_json: bool,
    provider: str | None,
    project: str | None,
    owner: str | None,
    unused_for: int | None,
    state: str,
    sort: str,
) -> None:
    """List the known keys: whose they are, when they were used, and whether a leak of them could be proved at once.

    "fingerprint" says whether the whole token is known by its fingerprint: a leak of such a key is recognised
    without asking anybody. "alike" counts the other listed keys that show the same first and last characters.
    """
    from responder.app import now

    wanted = Wanted(provider, project, owner, unused_for, state == "gone")
    with desk(config, as_json=as_json) as at:
        found = [key for one in at.accounts for key in one.inventory.every() if wanted.fits(key, now())]
        found.sort(key=_ORDERS[sort])
        alike = _alike(at, found)
        if as_json:
            shown = [{**words.to_json(key), "same_mask": alike(key)} for key in found]
            click.echo(json.dumps({"keys": shown, "lists": [at.coverage(one) for one in at.accounts]}, indent=2))
            return
        _print(found, alike)
        click.echo()
        for one in at.accounts:
            click.echo(footer(at.coverage(one), len(found)))


def _alike(at: Desk, found: Sequence["KnownKey"]) -> Callable[["KnownKey"], int]:
    """How many other listed keys share the mask of a key."""
    masks = {(key.provider, key.account, key.mask) for key in found}
    every = (key for one in at.accounts for key in one.inventory.every() if key.gone_at is None)
    count = Counter(look for key in every if (look := (key.provider, key.account, key.mask)) in masks)
    return lambda key: max(count[key.provider, key.account, key.mask] - (key.gone_at is None), 0)


def footer(of: dict[str, Any], shown: int) -> str:
    """``3 of 250 keys of openai (default) shown; 12 fingerprinted (5 %). Listed 4 minutes ago.``"""
    from responder.app import now

    listed, known = of["listed"], of["fingerprinted"]
    share = f" ({100 * known // listed} %)" if listed else ""
    told = f"{of['provider']} ({of['account']}): {shown:,} shown, {words.number(listed, 'key')} listed, "
    told += f"{known:,} fingerprinted{share}. "
    if of["complete_at"] is None:
        told += "Never listed completely; run: responder keys sync."
    else:
        told += f"Listed {words.ago(datetime.fromisoformat(of['complete_at']), now())}."
    if of["problem"]:
        told += f" The last attempt failed: {of['problem']}."
    return told


def _print(found: Sequence["KnownKey"], alike: Callable[["KnownKey"], int]) -> None:
    """One line a key in a pipe, two on a terminal; an id is whole on both."""
    from rich.console import Console
    from rich.table import Table

    from responder.app import now

    if not found:
        click.echo("No such keys.")
        return
    terminal = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in _ON_TERMINAL if terminal else _IN_PIPE:
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=12 if column == _GIVES_WAY else None)
    cells = _two_lines if terminal else _one_line
    for key in found:
        table.add_row(*cells(key, alike(key), now()))
    Console(width=None if terminal else 100_000, highlight=False, markup=False, emoji=False).print(table)


_GIVES_WAY = "project, owner"
_ON_TERMINAL = ("name, id", "token, fingerprint", _GIVES_WAY, "used, made")
_IN_PIPE = ("id", "name", "token", "project", "owner", "made", "used", "tier", "fingerprint", "alike")


def _one_line(key: "KnownKey", alike: int, now: datetime) -> Iterator[str]:
    del now
    yield visible(key.id)
    yield visible(key.name) or "-"
    yield words.redacted(key)
    yield visible(key.project_name or key.project or "-")
    yield words.briefly(key.owner)
    yield words.day(key.created_at)
    yield words.day(key.last_used_at) if key.last_used_at else "never"
    yield f"gone {words.day(key.gone_at)}" if key.gone_at else key.tier.value
    yield "yes" if key.fingerprint else "no"
    yield str(alike)


def _two_lines(key: "KnownKey", alike: int, now: datetime) -> Iterator["Text"]:
    from rich.text import Text

    from responder.core.key import KeyKind, Tier

    tags = [kind.value for kind in (KeyKind.ADMIN,) if key.kind is kind]
    tags += ["protected"] if key.tier is Tier.PROTECTED else []
    tags += [f"gone {words.day(key.gone_at)}"] if key.gone_at else []
    tag = "  " + ", ".join(tags) if tags else ""
    name = shorten(visible(key.name) or "(no name)", 28 - len(tag))
    yield Text.assemble((name, "bold"), (tag, "yellow"), "\n", (visible(key.id), "dim"))
    proof = ("yes" if key.fingerprint else "no") + (f", {alike} alike" if alike else "")
    yield Text.assemble(words.redacted(key), "\n", (proof, "dim"))
    bot = "bot " if key.owner.kind == "service_account" else ""
    place = visible(key.project_name or key.project or "organization")
    yield Text.assemble(place, "\n", (bot + words.briefly(key.owner), "dim"))
    yield Text.assemble(words.ago(key.last_used_at, now), "\n", (words.day(key.created_at), "dim"))
