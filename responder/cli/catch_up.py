"""``responder catch-up``: have a worker look for what webhooks missed."""

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click

from responder.cli import Mistake, config_option, json_option, load, reading

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 1800.0
_WORDS = {
    "delivered_again": "failed deliveries that GitHub was asked for again",
    "alerts": "open alerts without an incident",
    "branches": "branches that moved unheard",
    "closings": "alerts left open though their key is dead",
    "not_read": "webhooks or repositories that could not be read",
    "without_alerts": "repositories without secret scanning, or not ours to see",
}


@click.command()
@config_option
@json_option
@click.option("--once", is_flag=True, help="One sweep now, instead of one every catch_up.seconds until stopped.")
def catch_up(config: Path | None, as_json: bool, once: bool) -> None:
    """Find what webhooks missed: failed deliveries, open alerts, branches that moved.

    The worker sweeps by itself every catch_up.seconds; this asks it to do so now, and waits. Exit 1 if
    the sweep had to end early, as at GitHub's rate limit; the next one goes on.
    """
    settings = load(config)
    if not once and not settings.catch_up.seconds:
        raise Mistake("RESPONDER_CATCH_UP__SECONDS is 0, which turns the sweeps off; use --once")
    with reading(config) as store:
        while True:
            found = _sweep(settings, store)
            _print(found, as_json=as_json)
            if once:
                sys.exit(0 if found["complete"] else 1)
            time.sleep(settings.catch_up.seconds)


def _sweep(settings: Any, store: Any) -> dict[str, Any]:
    """Ask for a sweep, as for anything that a worker does, and wait for its end."""
    from responder import assembly
    from responder.inbox import Inbox
    from responder.store import deliveries, heartbeats
    from responder.store.deliveries import Delivery

    with store.read() as tx:
        beat = heartbeats.last(tx, heartbeats.WORKER)
    if beat is None or assembly.now() - beat >= heartbeats.STALE:
        raise Mistake("no worker is alive; start responder serve, or responder worker")
    id_ = f"catch_{secrets.token_hex(8)}"
    Inbox(store, settings.data_dir).accept(Delivery(id_, "catch_up", "catch_up", {}, assembly.now()))
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        with store.read() as tx:
            outcome = deliveries.outcome(tx, id_)
        if outcome is not None:
            try:
                return dict(json.loads(outcome))
            except ValueError:
                raise Mistake(f"the sweep failed: {outcome}") from None
        time.sleep(_POLL_SECONDS)
    raise Mistake("the sweep did not end; see the worker's log")


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    counts = {name: count for name, count in found.items() if name != "complete"}
    for name, count in counts.items():
        click.echo(f"{count:6} {_WORDS.get(name, name)}")
    if not counts:
        click.echo("nothing was missed" if found["complete"] else "nothing found so far")
    if not found["complete"]:
        click.echo("ended early; the next sweep goes on", err=True)
