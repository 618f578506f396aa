"""``responder keys``: the known keys, and a person's hands on them.

Looks, proves and deletes with the same code as the worker. No token is printed,
taken from the command line or kept.
"""

import click

from responder.cli.keys.peppering import rotate_pepper
from responder.cli.keys.registering import register
from responder.cli.keys.revoking import revoke
from responder.cli.keys.showing import list_
from responder.cli.keys.staleness import stale
from responder.cli.keys.syncing import sync
from responder.cli.keys.tiers import protect, release

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Look at the known keys, prove tokens to be them, and delete them by hand."""


for command in (list_, sync, register, rotate_pepper, revoke, stale, protect, release):
    keys.add_command(command)
