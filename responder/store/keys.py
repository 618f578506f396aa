"""Known keys: who a token might be, and what the lists showed of each.

A list that shows a key as it is on disk writes nothing, so that a million keys
can be listed all day. A key's projects and owners are rows of their own, shared
and never changed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from responder.core.decision import Disposition
from responder.core.key import KnownKey, Tier
from responder.core.token import Fingerprint
from responder.store import Transaction, key_rows
from responder.store import accounts as who
from responder.store.accounts import Listing as Listing  # noqa: PLC0414 -- a listing is one of keys
from responder.store.accounts import listed as listed  # noqa: PLC0414 -- as above
from responder.store.accounts import listing as listing  # noqa: PLC0414 -- as above
from responder.store.key_rows import KNOWN
from responder.store.rows import Rows
from responder.store.tables import accounts, incidents, projects
from responder.store.tables import known_keys as t

_SHORTEST_TAIL = 2
_A_DAY = 86_400_000_000  # microseconds
_AT_ONCE = 500  # rows in a statement: databases count parameters
_BY_FINGERPRINT, _BY_TAIL = (
    KNOWN.where(column.in_(sa.bindparam("values", expanding=True)))  # one index each, and nothing to choose between
    for column in (t.c.fingerprint, t.c.mask_tail)
)


def candidates(tx: Transaction, provider: str, seen: Fingerprint) -> Sequence[KnownKey]:
    """Keys that may be the token: those with its fingerprint; if none has it, those with its tail. Gone ones too."""
    tails = [seen.tail[-n:] for n in range(_SHORTEST_TAIL, len(seen.tail) + 1)]
    found: list[key_rows.Known] = []
    for wanted, values in ((_BY_FINGERPRINT, seen.digests), (_BY_TAIL, tails)):
        found = [row for row in tx.execute(wanted, {"values": values}) if row.provider == provider]
        if found:
            break
    return [key_rows.read(row, seen.peppers) for row in found]


def get(tx: Transaction, provider: str, account: str, key_id: str) -> KnownKey | None:
    """One key, or None."""
    row = tx.execute(KNOWN.where(*_is(provider, account, key_id))).one_or_none()
    return None if row is None else key_rows.read(row)


def every(tx: Transaction, provider: str, account: str, after: str = "", limit: int = 1000) -> Sequence[KnownKey]:
    """A page of an account's keys, gone ones too, in order of id, beginning behind the id *after*."""
    mine = (t.c.account == who.number_of(provider, account), t.c.key_id > after)
    return [key_rows.read(row) for row in tx.execute(KNOWN.where(*mine).order_by(t.c.key_id).limit(limit))]


def fingerprints(
    tx: Transaction, provider: str, account: str, project: str | None, peppers: Sequence[int] = ()
) -> Mapping[str, str]:
    """Proved fingerprints of a project's keys, or of those above projects, by key id; with *peppers* if given."""
    rows = sa.select(projects.c.id).where(projects.c.project == project)
    there = t.c.project.is_(None) if project is None else t.c.project.in_(list(tx.execute(rows).scalars()))
    mine = (t.c.account == who.number_of(provider, account), there, t.c.fingerprint.is_not(None))
    bound = sa.select(t.c.key_id, t.c.fingerprint).where(*mine, *_made_with(peppers))
    return {row.key_id: row.fingerprint for row in tx.execute(bound)}


def compare(tx: Transaction, keys: Iterable[KnownKey]) -> tuple[Sequence[int], Sequence[KnownKey]]:
    """The rows of those *keys* that are on disk exactly as listed, and the keys that are not."""
    rows, rest = [], []
    for chunk in _chunks(keys):
        known = key_rows.on_disk(tx, chunk)
        for key in chunk:
            row = known.get(key_rows.place(key))
            if row is not None and row.gone_at is None and key_rows.lies(row) == key_rows.shows(key):
                rows.append(row.id)
            else:
                rest.append(key)
    return rows, rest


def write(tx: Transaction, keys: Iterable[KnownKey], now: datetime) -> Sequence[int]:
    """Write down what is new of keys as just listed; return their rows. A proved fingerprint stays with its key.

    Args:
        tx: a writing transaction.
        keys: as listed.
        now: when they were asked for: a key that was buried later than that stays buried.
    """
    rows: list[int] = []
    writer = key_rows.Writer(tx, now)
    for chunk in _chunks({key_rows.place(key): key for key in keys}.values()):
        known = key_rows.on_disk(tx, chunk)
        rows += [row.id for row in known.values()]
        rows += writer.add([key for key in chunk if key_rows.place(key) not in known])
        used = {}
        for key in chunk:
            row = known.get(key_rows.place(key))
            if row is None or (row.gone_at is not None and row.gone_at > now):
                continue
            before, after = key_rows.lies(row), key_rows.shows(key)
            if row.gone_at is not None or before[1:] != after[1:]:
                writer.change(row.id, key)
            elif before != after:
                used[row.id] = key.last_used_at
        writer.use(used)
    return rows


def listed_late(tx: Transaction, provider: str, since: datetime) -> Sequence[str]:
    """Incidents closed after *since* as nobody's, whose token looks like a key that was listed only later.

    Lists are behind with keys made a short while ago. One that was proved to be another token is no candidate.
    """
    fits = sa.and_(
        t.c.mask_tail == incidents.c.tail,
        t.c.mask_head == incidents.c.head,
        sa.or_(t.c.mask_length.is_(None), t.c.mask_length == incidents.c.length),
        t.c.fingerprint.is_(None),
        t.c.gone_at.is_(None),
        t.c.written_at > incidents.c.closed_at,
        sa.type_coerce(t.c.created_at, sa.BigInteger) > sa.type_coerce(incidents.c.opened_at, sa.BigInteger) - _A_DAY,
    )
    nobodys = (
        incidents.c.disposition == Disposition.NOT_OURS.value,
        incidents.c.closed_at > since,
        incidents.c.provider == provider,
        accounts.c.provider == provider,
    )
    found = sa.select(incidents.c.id).join(t, fits).join(accounts, accounts.c.id == t.c.account).where(*nobodys)
    return tx.execute(found.distinct().limit(_AT_ONCE)).scalars().all()


def missing(
    tx: Transaction, provider: str, account: str, started: datetime, shown: Rows | None = None
) -> tuple[Rows, int]:
    """The listed keys that a list begun at *started* did not show, and how many are listed.

    What was written since *started* was shown by somebody. Keys above projects are left alone
    unless one of them was shown: the credential that lists is one itself, so a list without any
    was withheld, and they are unknown, not gone.

    Args:
        tx: a transaction.
        provider: whose account.
        account: its name.
        started: when the list began.
        shown: rows that the list showed as they were.
    """
    mine = (t.c.account == who.number_of(provider, account), t.c.gone_at.is_(None))
    every_one = sa.select(t.c.id, t.c.project.is_(None).label("above"), t.c.written_at).where(*mine)
    below, above, listed_now, above_shown = Rows(), Rows(), 0, False
    for row in tx.execute(every_one, execution_options={"yield_per": 10_000}):
        listed_now += 1
        if row.written_at >= started or (shown is not None and row.id in shown):
            above_shown = above_shown or bool(row.above)
        else:
            (above if row.above else below).add([row.id])
    if above_shown:
        below.add(above)
    return below, listed_now


def bury(tx: Transaction, provider: str, account: str, started: datetime, lost: Iterable[int] | None = None) -> int:
    """Turn every key that no list begun at *started* or later showed into a tombstone; return how many.

    Args:
        tx: a writing transaction.
        provider: whose account.
        account: its name.
        started: when the list began.
        lost: what `missing` found; None: find it now.
    """
    buried = 0
    for chunk in _chunks(missing(tx, provider, account, started)[0] if lost is None else lost):
        still = (t.c.id.in_(chunk), t.c.gone_at.is_(None), t.c.written_at < started)
        buried += tx.execute(sa.update(t).where(*still).values(gone_at=started)).rowcount
    return buried


def bury_one(tx: Transaction, provider: str, account: str, key_id: str, now: datetime) -> None:
    """Turn one key into a tombstone: it was deleted."""
    alive = (*_is(provider, account, key_id), t.c.gone_at.is_(None))
    tx.execute(sa.update(t).where(*alive).values(gone_at=now))


def bind(tx: Transaction, key: KnownKey, digest: str, pepper: int | None = None) -> None:
    """Remember that the token with this fingerprint was proved to be *key*.

    Args:
        tx: a writing transaction.
        key: the key.
        digest: the token's, under the newest pepper.
        pepper: the mark of that pepper.
    """
    bound = {"fingerprint": digest, "pepper": pepper}
    tx.execute(sa.update(t).where(*_is(key.provider, key.account, key.id)).values(bound))


def set_tier(tx: Transaction, provider: str, account: str, key_id: str, tier: Tier | None) -> bool:
    """Protect a key by hand, or leave it to the policy again; whether there is such a key."""
    change = sa.update(t).where(*_is(provider, account, key_id)).values(tier=tier and tier.value)
    return tx.execute(change).rowcount == 1


def count(tx: Transaction) -> int:
    """How many keys are listed, tombstones apart."""
    return tx.execute(sa.select(sa.func.count()).select_from(t).where(t.c.gone_at.is_(None))).scalar_one()


def coverage(tx: Transaction, provider: str, account: str, peppers: Sequence[int] = ()) -> tuple[int, int]:
    """How many keys of an account are listed, and how many of those are fingerprinted, with *peppers* if given.

    Reads every row: a fraction of a second for a million.
    """
    mine = (t.c.account == who.number_of(provider, account), t.c.gone_at.is_(None))
    listed_now = sa.select(sa.func.count()).select_from(t).where(*mine)
    bound = listed_now.where(t.c.fingerprint.is_not(None), *_made_with(peppers))
    return tx.execute(listed_now).scalar_one(), tx.execute(bound).scalar_one()


def shared_masks(tx: Transaction, provider: str, account: str) -> int:
    """How many listed keys of an account look like another one; reads every row."""
    mine = (t.c.account == who.number_of(provider, account), t.c.gone_at.is_(None))
    mask = (t.c.mask_tail, t.c.mask_head, t.c.mask_length)
    alike = sa.select(sa.func.count().label("size")).where(*mine).group_by(*mask).having(sa.func.count() > 1)
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.sum(alike.subquery().c.size), 0))).scalar_one())


def _is(provider: str, account: str, key_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.c.account == who.number_of(provider, account), t.c.key_id == key_id


def _made_with(peppers: Sequence[int]) -> Sequence[sa.ColumnElement[bool]]:
    return (sa.or_(t.c.pepper.is_(None), t.c.pepper.in_(peppers)),) if peppers else ()


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk
