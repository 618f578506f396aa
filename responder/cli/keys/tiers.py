"""``responder keys protect`` and ``release``: whether a person must agree before a leaked key is deleted."""

from pathlib import Path

import click

from responder.cli import config_option
from responder.cli.keys import words
from responder.cli.keys.desk import desk


@click.command(short_help="Have a person asked before a key is deleted.")
@config_option
@click.argument("id_", metavar="ID")
def protect(config: Path | None, id_: str) -> None:
    """Protect a key: if it leaks, a person is asked before it is deleted."""
    from responder.assembly import now
    from responder.cli.keys.deletion import journalled_as
    from responder.core.key import Tier
    from responder.store import audit, keys

    with desk(config) as at:
        key, _ = at.find(id_)
        with at.store.begin("protect") as tx:
            keys.set_tier(tx, key.provider, key.account, key.id, Tier.PROTECTED)
            audit.record(tx, now(), "protected", key.id, {"by": journalled_as()})
    click.echo(f"{words.line(key.name) or key.id} is protected: if it leaks, a person is asked before it is deleted.")


@click.command()
@config_option
@click.argument("id_", metavar="ID")
def release(config: Path | None, id_: str) -> None:
    """Undo `protect`: what the policy says counts again."""
    from responder.assembly import now
    from responder.cli.keys.deletion import journalled_as
    from responder.core.key import Tier
    from responder.store import audit, keys

    with desk(config) as at:
        key, account = at.find(id_)
        with at.store.begin("release") as tx:
            keys.set_tier(tx, key.provider, key.account, key.id, None)
            audit.record(tx, now(), "released", key.id, {"by": journalled_as()})
        left = account.inventory.key(key.id)
    name = words.line(key.name) or key.id
    if left is not None and left.tier is Tier.PROTECTED:
        click.echo(
            f"{name} is not protected by hand any more, but the policy (RESPONDER_POLICY__PROTECTED) still does."
        )
    else:
        click.echo(f"{name} is not protected: if a leak of it is proved, it is deleted at once.")
