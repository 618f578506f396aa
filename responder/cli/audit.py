"""``responder audit``: whether the record of what was decided and done is whole."""

import json
import sys
from pathlib import Path

import click

from responder.cli import config_option, json_option, reading


@click.group()
def audit() -> None:
    """Check the record of every decision, mutating call, person's word and change of settings."""


@audit.command()
@config_option
@json_option
@click.option("--head", "known", metavar="DIGEST", help="A digest that was logged (audit_head) and must be there.")
def verify(config: Path | None, as_json: bool, known: str | None) -> None:
    """Follow the hash chain from its start. Exit 0: it is whole; 1: it is broken.

    Who can write to the database could write the whole chain anew: compare it with a head from your logs.
    """
    from responder.store import audit as record

    with reading(config) as store, store.read() as tx:
        try:
            head = record.verify(tx, known)
        except record.Broken as broken:
            if as_json:
                click.echo(json.dumps({"whole": False, "entry": broken.entry, "why": broken.why}))
            else:
                click.echo(f"Broken at entry {broken.entry}: {broken.why}.")
            sys.exit(1)
    if as_json:
        click.echo(json.dumps({"whole": True, "entries": head.entries, "head": head.digest}))
    else:
        click.echo(f"Whole: {head.entries} entries, head {head.digest}")
