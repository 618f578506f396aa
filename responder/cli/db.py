"""``responder db``."""

from pathlib import Path

import click

from responder.cli import Mistake, config_option, load


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@config_option
def upgrade(config: Path | None) -> None:
    """Bring the tables to the version this program needs; `serve` does it by itself on SQLite."""
    from responder.seal import Keys
    from responder.store import Store, StoreUnavailable

    settings = load(config)
    try:
        Keys(settings.data_dir).create()
    except OSError as error:
        raise Mistake(f"the data directory cannot be used: {error.strerror}") from None
    store = Store(settings.store_url)
    try:
        store.upgrade()
    except StoreUnavailable as error:
        raise Mistake(f"the database cannot be used: {error.why}") from None
    finally:
        store.close()
    click.echo("The database is up to date.")
