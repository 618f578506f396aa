"""``responder incidents``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.cli import Mistake, config_option, json_option, reading

if TYPE_CHECKING:
    from responder.core.incident import Incident


@click.group()
def incidents() -> None:
    """Look at incidents."""


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

    from responder.core.incident import timestamp

    table = Table(box=None, pad_edge=False)
    for column in ("incident", "opened", "state", "key", "owner", "decision", "evidence"):
        table.add_column(column, no_wrap=True)
    for incident in found:
        owner = incident.key.owner
        table.add_row(
            incident.id,
            timestamp(incident.opened_at),
            incident.disposition or incident.state.value,
            incident.key.redacted,
            (owner.email or owner.name) if owner else "",
            incident.decision,
            incident.evidence,
        )
    Console().print(table)
