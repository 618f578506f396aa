"""``responder serve``, ``web`` and ``worker``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from responder.cli import Mistake, config_option, load


@click.command()
@config_option
def serve(config: Path | None) -> None:
    """Run receiver and worker as one group, on the configured database."""
    from responder import group

    sys.exit(_guarded(lambda settings: group.run(settings, config), config))


@click.command()
@config_option
def web(config: Path | None) -> None:
    """Run the receiver alone: any number of them on PostgreSQL."""
    from responder import app

    _guarded(app.run_receiver, config)


@click.command()
@config_option
def worker(config: Path | None) -> None:
    """Run the worker alone: any number of them on PostgreSQL."""
    from responder import app

    _guarded(app.run_worker, config)


def _guarded(run: Callable[[Any], Any], config: Path | None) -> Any:
    """Run with the settings; what is wrong with them is one line."""
    from responder.settings import SettingsError
    from responder.store import StoreUnavailable

    try:
        return run(load(config))
    except SettingsError as error:
        raise Mistake(str(error)) from None
    except StoreUnavailable as error:
        raise Mistake(f"the database cannot be used: {error.why}") from None
    except (PermissionError, FileNotFoundError) as error:
        raise Mistake(f"{error.filename or 'the data directory'} cannot be used: {error.strerror}") from None
