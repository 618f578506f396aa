"""The public keys that partners sign with, as a worker fetched them; each origin has its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import public_keys as t


@dataclass(frozen=True, slots=True)
class Kept:
    """The keys of one origin.

    Attributes:
        keys: PEM by identifier.
        etag: the origin's name for this state of them.
        fetched_at: when it last confirmed them; None: never.
    """

    keys: Mapping[str, str]
    etag: str | None
    fetched_at: datetime | None


def get(tx: Transaction, origin: str) -> Kept | None:
    """What is kept of *origin*; None if nobody ever asked for it."""
    row = tx.execute(sa.select(t.c["keys"], t.c.etag, t.c.fetched_at).where(t.c.origin == origin)).one_or_none()
    return None if row is None else Kept(*row)


def tried(tx: Transaction, origin: str, now: datetime) -> None:
    """Remember that *origin* was asked in vain; its keys stay."""
    _write(tx, {"origin": origin, "keys": {}, "tried_at": now}, ["tried_at"])


def confirm(tx: Transaction, origin: str, now: datetime) -> None:
    """Remember that *origin* said its keys are still those."""
    _write(tx, {"origin": origin, "keys": {}, "tried_at": now, "fetched_at": now}, ["tried_at", "fetched_at"])


def replace(tx: Transaction, origin: str, keys: Mapping[str, str], etag: str | None, now: datetime) -> None:
    """Keep these keys of *origin*, and no others."""
    row = {"origin": origin, "keys": dict(keys), "etag": etag, "tried_at": now, "fetched_at": now}
    _write(tx, row, ["keys", "etag", "tried_at", "fetched_at"])


def _write(tx: Transaction, row: Mapping[str, object], changed: list[str]) -> None:
    values = {name: row[name] for name in changed}
    tx.execute(insert(tx, t).values(dict(row)).on_conflict_do_update(index_elements=["origin"], set_=values))
