"""``responder keys list``."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from responder.cli import config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import Desk, desk

if TYPE_CHECKING:
    from rich.text import Text

    from responder.core.key import KnownKey

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
    last = last_sign(key)
    return last is not None and now - last >= timedelta(days=days)


def last_sign(key: "KnownKey") -> datetime | None:
    """When a key last showed that somebody needs it."""
    return key.last_used_at or key.created_at


_ORDERS: dict[str, Callable[["KnownKey"], str]] = {
    "name": lambda key: key.name.casefold(),
    "created": lambda key: key.created_at.isoformat() if key.created_at else _NEVER,
    "used": lambda key: key.last_used_at.isoformat() if key.last_used_at else _NEVER,
    "owner": lambda key: (key.owner.email or key.owner.name or key.owner.id).casefold(),
    "project": lambda key: (key.project_name or key.project or "").casefold(),
}


@click.command("list", short_help="List the known keys.")
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
    from responder.assembly import now

    wanted = Wanted(provider, project, owner, unused_for, state == "gone")
    with desk(config, as_json=as_json) as at:
        found = [key for one in at.accounts for key in one.inventory.every() if wanted.fits(key, now())]
        found = sorted(comparable(at, found), key=_ORDERS[sort])
        alike = alike_among(at, found)
        if as_json:
            shown = [{**words.to_json(key), "same_mask": alike(key)} for key in found]
            click.echo(json.dumps({"keys": shown, "lists": [at.coverage(one) for one in at.accounts]}, indent=2))
            return
        print_keys(found, alike)
        click.echo()
        for one in at.accounts:
            click.echo(footer(at.coverage(one), len(found)))


def comparable(at: Desk, found: "Sequence[KnownKey]") -> "Iterator[KnownKey]":
    """The same keys, without fingerprints that no token can be compared with any more, for want of their pepper."""
    from responder.store import keys

    marks = at.pepper_marks()
    with at.store.read() as tx:
        places = {(key.provider, key.account, key.project) for key in found if key.fingerprint is not None}
        usable = {id_ for place in places for id_ in keys.fingerprints(tx, *place, marks)}
    for key in found:
        yield key if key.id in usable else replace(key, fingerprint=None)


def alike_among(at: Desk, found: Sequence["KnownKey"]) -> Callable[["KnownKey"], int]:
    """How many other listed keys share the mask of a key."""
    masks = {(key.provider, key.account, key.mask) for key in found}
    every = (key for one in at.accounts for key in one.inventory.every() if key.gone_at is None)
    count = Counter(look for key in every if (look := (key.provider, key.account, key.mask)) in masks)
    return lambda key: max(count[key.provider, key.account, key.mask] - (key.gone_at is None), 0)


def footer(of: dict[str, Any], shown: int) -> str:
    """How much is known, and how old it is."""
    from responder.assembly import now

    listed, known = of["listed"], of["fingerprinted"]
    share = f" ({100 * known // listed} %)" if listed else ""
    told = f"{of['provider']} ({of['account']}): {shown:,} shown, {words.number(listed, 'key')} listed, "
    told += f"{known:,} fingerprinted{share}, {of['sharing_a_mask']:,} look alike.\n"
    if of["complete_at"] is None:
        told += "Never listed completely; run: responder keys sync."
    else:
        told += f"Listed {words.ago(datetime.fromisoformat(of['complete_at']), now())}."
    if of["problem"]:
        told += f" The last attempt failed: {of['problem'].rstrip('.')}."
    return told


def print_keys(found: Sequence["KnownKey"], alike: Callable[["KnownKey"], int]) -> None:
    """One line a key in a pipe, two on a terminal; an id is whole on both."""
    from responder.assembly import now

    if not found:
        click.echo("No such keys.")
    elif sys.stdout.isatty() and len(found) <= _MOST_IN_TABLE:
        _print_table([tuple(_two_lines(key, alike(key), now())) for key in found])
    else:
        rows = [_IN_PIPE, *(tuple(_one_line(key, alike(key))) for key in found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def _print_table(rows: Sequence[tuple["Text", ...]]) -> None:
    """For a terminal: where it is too narrow one column gives way, and never an id."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    widths = [max(console.measure(cell).maximum for cell in column) for column in zip(*rows, strict=True)]
    widths = [max(width, len(header)) for width, header in zip(widths, _ON_TERMINAL, strict=True)]
    others = sum(widths) - widths[_GIVES_WAY] + 2 * (len(widths) - 1)
    widths[_GIVES_WAY] = max(min(widths[_GIVES_WAY], console.width - others), 8)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header, width in zip(_ON_TERMINAL, widths, strict=True):
        table.add_column(header, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*row)
    console.print(table)


_MOST_IN_TABLE = 2000
_GIVES_WAY = 2
_ON_TERMINAL = ("name, id", "token", "project, owner", "used, made")
_IN_PIPE = ("id", "name", "token", "project", "owner", "made", "used", "tier", "fingerprint", "alike")


def _one_line(key: "KnownKey", alike: int) -> Iterator[str]:
    yield words.line(key.id)
    yield words.line(key.name) or "-"
    yield words.redacted(key)
    yield words.line(key.project_name or key.project or "-")
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
    tags += [f"{alike} alike"] if alike else []
    tag = "  " + ", ".join(tags) if tags else ""
    name = words.line(key.name or "(no name)", 28 - len(tag))
    yield Text.assemble((name, "bold"), (tag, "yellow"), "\n", (words.line(key.id), "dim"))
    proof = "fingerprint" if key.fingerprint else "no fingerprint"
    yield Text.assemble(words.redacted(key), "\n", (proof, "green" if key.fingerprint else "dim"))
    bot = "bot " if key.owner.kind == "service_account" else ""
    place = words.line(key.project_name or key.project or "organization")
    yield Text.assemble(place, "\n", (bot + words.briefly(key.owner), "dim"))
    yield Text.assemble(words.ago(key.last_used_at, now), "\n", (words.day(key.created_at), "dim"))
