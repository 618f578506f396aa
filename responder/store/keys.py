"""Known keys, and when they were last listed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.core.key import KeyKind, KnownKey, Mask, Owner, Tier
from responder.core.token import Fingerprint
from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import known_keys as t
from responder.store.tables import listings

_SHORTEST_TAIL = 2


@dataclass(frozen=True, slots=True)
class Listing:
    """When an account's keys were last listed.

    Attributes:
        complete_at: the last time every page arrived; None: never.
        problem: why the last attempt was not complete, or None.
    """

    tried_at: datetime
    complete_at: datetime | None
    problem: str | None


def candidates(tx: Transaction, provider: str, seen: Fingerprint) -> Sequence[KnownKey]:
    """Keys that may be the token: the same fingerprint, or a mask with its tail; gone ones too."""
    tails = [seen.tail[-n:] for n in range(_SHORTEST_TAIL, len(seen.tail) + 1)]
    rows = tx.execute(
        sa.select(t).where(t.c.provider == provider, sa.or_(t.c.fingerprint == seen.digest, t.c.mask_tail.in_(tails)))
    )
    return [_key(row) for row in rows]


def get(tx: Transaction, provider: str, account: str, key_id: str) -> KnownKey | None:
    """One key, or None."""
    row = tx.execute(sa.select(t).where(*_is(provider, account, key_id))).one_or_none()
    return None if row is None else _key(row)


def every(tx: Transaction, provider: str, account: str, after: str = "", limit: int = 1000) -> Sequence[KnownKey]:
    """A page of an account's keys, gone ones too, in order of id, beginning behind the id *after*."""
    mine = (t.c.provider == provider, t.c.account == account, t.c.key_id > after)
    return [_key(row) for row in tx.execute(sa.select(t).where(*mine).order_by(t.c.key_id).limit(limit))]


def fingerprints(tx: Transaction, provider: str, account: str, project: str | None) -> Mapping[str, str]:
    """Proved fingerprints of a project's keys, or of those above projects, by key id."""
    rows = tx.execute(
        sa.select(t.c.key_id, t.c.fingerprint).where(
            t.c.provider == provider,
            t.c.account == account,
            t.c.project == project,
            t.c.fingerprint.is_not(None),
        )
    )
    return {row.key_id: row.fingerprint for row in rows}


def write(tx: Transaction, keys: Iterable[KnownKey], now: datetime) -> None:
    """Write down keys as just listed; a proved fingerprint stays with its key."""
    for key in keys:
        row = {
            "provider": key.provider,
            "account": key.account,
            "key_id": key.id,
            "kind": key.kind.value,
            "name": key.name,
            "mask_head": key.mask.head,
            "mask_tail": key.mask.tail,
            "mask_length": key.mask.length,
            "project": key.project,
            "project_name": key.project_name,
            "owner_kind": key.owner.kind,
            "owner_id": key.owner.id,
            "owner_name": key.owner.name,
            "owner_email": key.owner.email,
            "created_at": key.created_at,
            "last_used_at": key.last_used_at,
            "gone_at": None,
            "seen_at": now,
        }
        statement = insert(tx, t).values(row)
        tx.execute(statement.on_conflict_do_update(index_elements=["provider", "account", "key_id"], set_=row))


def bury(tx: Transaction, provider: str, account: str, started: datetime) -> int:
    """Turn every key that no list begun at *started* or later showed into a tombstone; return how many.

    Keys above projects are left alone unless one of them was shown: the credential that lists
    is one itself, so a list without any was withheld, and they are unknown, not gone.
    """
    mine = sa.and_(t.c.provider == provider, t.c.account == account)
    above = sa.select(t.c.key_id).where(mine, t.c.project.is_(None), t.c.seen_at >= started).limit(1)
    shown = sa.or_(t.c.project.is_not(None), sa.literal(tx.execute(above).first() is not None))
    missing = sa.and_(mine, t.c.seen_at < started, t.c.gone_at.is_(None), shown)
    return tx.execute(sa.update(t).where(missing).values(gone_at=started)).rowcount


def bury_one(tx: Transaction, provider: str, account: str, key_id: str, now: datetime) -> None:
    """Turn one key into a tombstone: it was deleted."""
    tx.execute(sa.update(t).where(*_is(provider, account, key_id), t.c.gone_at.is_(None)).values(gone_at=now))


def bind(tx: Transaction, key: KnownKey, digest: str) -> None:
    """Remember that the token with this fingerprint was proved to be *key*."""
    tx.execute(sa.update(t).where(*_is(key.provider, key.account, key.id)).values(fingerprint=digest))


def set_tier(tx: Transaction, provider: str, account: str, key_id: str, tier: Tier | None) -> bool:
    """Protect a key by hand, or leave it to the policy again; whether there is such a key."""
    change = sa.update(t).where(*_is(provider, account, key_id)).values(tier=tier and tier.value)
    return tx.execute(change).rowcount == 1


def count(tx: Transaction) -> int:
    """How many keys are listed, tombstones apart."""
    return tx.execute(sa.select(sa.func.count()).select_from(t).where(t.c.gone_at.is_(None))).scalar_one()


def listing(tx: Transaction, provider: str, account: str) -> Listing | None:
    """When the account was last listed, or None."""
    row = tx.execute(
        sa.select(listings).where(listings.c.provider == provider, listings.c.account == account)
    ).one_or_none()
    return None if row is None else Listing(row.tried_at, row.complete_at, row.problem)


def listed(tx: Transaction, provider: str, account: str, started: datetime, problem: str | None) -> None:
    """Write down an attempt to list everything, begun at *started*."""
    row = {"provider": provider, "account": account, "tried_at": started, "problem": problem}
    if problem is None:
        row["complete_at"] = started
    statement = insert(tx, listings).values(row)
    tx.execute(statement.on_conflict_do_update(index_elements=["provider", "account"], set_=row))


def _is(provider: str, account: str, key_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.c.provider == provider, t.c.account == account, t.c.key_id == key_id


def _key(row: sa.Row[tuple[object, ...]]) -> KnownKey:
    return KnownKey(
        provider=row.provider,
        account=row.account,
        id=row.key_id,
        kind=KeyKind(row.kind),
        name=row.name,
        mask=Mask(row.mask_head, row.mask_tail, row.mask_length),
        owner=Owner(row.owner_kind, row.owner_id, row.owner_name, row.owner_email),
        project=row.project,
        project_name=row.project_name,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        fingerprint=row.fingerprint,
        tier=Tier(row.tier or Tier.STANDARD),
        gone_at=row.gone_at,
    )
