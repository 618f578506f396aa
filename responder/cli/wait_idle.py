"""``responder wait-idle``."""

import sys
import time
from pathlib import Path

import click

from responder.cli import config_option, reading

_POLL_SECONDS = 0.2


@click.command()
@config_option
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait at most.")
def wait_idle(config: Path | None, timeout: float) -> None:
    """Return when no accepted delivery is unfinished; exit 1 on timeout.

    Finished means contained and confirmed, closed, or held with a person told.
    A token that looks dead and waits for its second look is not waited for.
    """
    from responder.store import idle

    end = time.monotonic() + timeout
    with reading(config) as store:
        while True:
            with store.read() as tx:
                left = idle.unfinished(tx)
            if left == 0:
                return
            if time.monotonic() >= end:
                click.echo(f"{left} not finished", err=True)
                sys.exit(1)
            time.sleep(_POLL_SECONDS)
