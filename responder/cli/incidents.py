"""``responder incidents``: look at them, approve, dismiss."""

import getpass
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from responder.cli import Mistake, config_option, json_option, load, reading

if TYPE_CHECKING:
    from responder.core.incident import Incident


@click.group()
def incidents() -> None:
    """Look at incidents, and decide those that wait for you."""


@incidents.command("list")
@config_option
@json_option
@click.option("--state", type=click.Choice(["open", "held", "contained", "closed"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
def list_(config: Path | None, as_json: bool, state: str | None, limit: int) -> None:
    """List incidents, newest first."""
    from responder.core.incident import to_json
    from responder.store import incidents as table

    with reading(config) as store, store.read() as tx:
        found = [table.load(tx, id_) for id_ in table.recent(tx, limit, state)]
    if as_json:
        click.echo(json.dumps([to_json(incident) for incident in found], indent=2))
    elif not found:
        click.echo("No incidents.")
    else:
        _print_table(found)


@incidents.command()
@config_option
@json_option
@click.argument("id_", metavar="ID")
def show(config: Path | None, as_json: bool, id_: str) -> None:
    """Show one incident."""
    from responder import summary

    incident = _load(config, id_)
    click.echo(summary.json_text(incident) if as_json else summary.markdown(incident))


@incidents.command("summary")
@config_option
@click.option("--format", "format_", type=click.Choice(["md", "json"]), default="md", show_default=True)
@click.argument("id_", metavar="ID")
def summary_(config: Path | None, format_: str, id_: str) -> None:
    """Write the post-incident summary of one incident."""
    from responder import summary

    incident = _load(config, id_)
    click.echo(summary.json_text(incident) if format_ == "json" else summary.markdown(incident))


@incidents.command()
@config_option
@click.option("--key", help="The key to delete, where the evidence names none.")
@click.argument("id_", metavar="ID")
def approve(config: Path | None, id_: str, key: str | None) -> None:
    """Approve the deletion of a held incident's key: programs that use it fail at once."""
    from responder import approval

    def say(store: Any) -> Any:
        try:
            return approval.approve(store, id_, getpass.getuser(), datetime.now(UTC), key)
        except approval.WhichKey as error:
            names = ", ".join(error.fitting) or "none that is known"
            raise Mistake(f"say which key with --key; those that look like the token: {names}") from None

    _say(config, say)
    click.echo(f"Approved. The worker deletes the key now: responder incidents show {id_}")


@incidents.command()
@config_option
@click.option("--reason", required=True, help="Why the key is left alone.")
@click.argument("id_", metavar="ID")
def dismiss(config: Path | None, id_: str, reason: str) -> None:
    """Leave a held incident's key alone, and say why."""
    from responder import approval

    _say(config, lambda store: approval.dismiss(store, id_, getpass.getuser(), reason, datetime.now(UTC)))
    click.echo("Dismissed.")


def _say(config: Path | None, say: Callable[[Any], Any]) -> None:
    """Put a person's word into the inbox; exit 1 if the incident does not wait for one."""
    from responder.approval import NotWaiting
    from responder.inbox import Inbox

    with reading(config) as store:
        try:
            Inbox(store, load(config).data_dir).accept(say(store))
        except LookupError:
            raise Mistake("there is no such incident") from None
        except NotWaiting as error:
            click.echo(f"It does not wait for a person: {error.state}.", err=True)
            sys.exit(1)


def _load(config: Path | None, id_: str) -> "Incident":
    from responder.store import incidents as table

    try:
        with reading(config) as store, store.read() as tx:
            return table.load(tx, id_)
    except LookupError:
        raise Mistake("there is no such incident") from None


def _print_table(found: list["Incident"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("incident", "opened", "state", "severity", "key", "owner", "evidence"):
        table.add_column(column, no_wrap=True)
    for incident in found:
        owner = incident.key.owner
        table.add_row(
            incident.id,
            f"{incident.opened_at:%Y-%m-%d %H:%M:%S}",
            incident.disposition or incident.state.value,
            incident.severity,
            incident.key.redacted,
            (owner.email or owner.name) if owner else "",
            incident.evidence,
        )
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 110) if not console.is_terminal else console.width
    console.print(table)
