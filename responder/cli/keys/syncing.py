"""``responder keys sync``."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from responder.cli import config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import Desk, desk, progress

if TYPE_CHECKING:
    from responder.core.errors import Refused
    from responder.core.key import KnownKey
    from responder.proof import Account

_MOST_SHOWN = 20


@click.command(short_help="List every key anew, and say what changed.")
@config_option
@json_option
def sync(config: Path | None, as_json: bool) -> None:
    """List every key now, and say what changed. Exit 1 if a list was not complete: then what was known stays."""
    with desk(config, as_json=as_json) as at:
        told = [_sync(at, one) for one in at.accounts]
    if as_json:
        click.echo(json.dumps({"lists": told}, indent=2))
    sys.exit(0 if all(one["problem"] is None for one in told) else 1)


def _sync(at: Desk, account: "Account") -> dict[str, Any]:
    from responder import assembly
    from responder.inventory import Inventory

    before = {key.id: (_look(key), key.gone_at is None) for key in account.inventory.every()}
    with progress("keys listed") as advance:
        watched = _Watched(account.provider, advance)
        Inventory(at.store, watched, at.config.policy.protected, assembly.now).sync()
    changes: dict[str, list[KnownKey]] = {"new": [], "gone": [], "back": [], "changed": []}
    for key in account.inventory.every():
        kind = _change(key, before.get(key.id))
        if kind is not None:
            changes[kind].append(key)
    of = at.coverage(account)
    _print(at, of, changes, first=not before)
    if watched.refused is not None:
        click.echo(at.whom_to_ask(None, account, watched.refused), err=True)
    return {**of, **{kind: [key.id for key in keys] for kind, keys in changes.items()}}


class _Watched:
    """A provider whose pages are counted as they arrive, and whose refusal is remembered."""

    def __init__(self, provider: Any, advance: Callable[[int], None]) -> None:
        self._provider = provider
        self._advance = advance
        self.refused: Refused | None = None

    def list_keys(self) -> Iterator[Sequence["KnownKey"]]:
        from responder.core.errors import Refused

        try:
            for page in self._provider.list_keys():
                yield page
                self._advance(len(page))
        except Refused as error:
            self.refused = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def _look(key: "KnownKey") -> int:
    """What of a key counts as a change; a number, because there may be a million."""
    return hash((key.name, key.project, key.project_name, key.owner))


def _change(key: "KnownKey", before: tuple[int, bool] | None) -> str | None:
    listed = key.gone_at is None
    if before is None:
        return "new" if listed else None
    if before[1] != listed:
        return "back" if listed else "gone"
    return "changed" if before[0] != _look(key) else None


def _print(at: Desk, of: dict[str, Any], changes: dict[str, list["KnownKey"]], *, first: bool) -> None:
    for kind, keys in changes.items() if not first else ():  # on the first list every key is new
        for key in keys[:_MOST_SHOWN]:
            where = words.line(key.project_name or key.project or "organization")
            at.say(f"{kind:7} {words.line(key.id)}  {words.line(key.name)}  ({where}, {words.briefly(key.owner)})")
        if len(keys) > _MOST_SHOWN:
            at.say(f"{kind:7} … and {len(keys) - _MOST_SHOWN:,} more")
    who = f"{of['provider']} ({of['account']})"
    if of["problem"] is None:
        counts = ", ".join(f"{len(keys):,} {kind}" for kind, keys in changes.items() if keys)
        at.say(f"{who}: {words.number(of['listed'], 'key')} listed; {counts or 'nothing changed'}.")
    else:
        click.echo(
            f"{who}: the list is not complete: {of['problem'].rstrip('.')}. No key was taken for gone.", err=True
        )
