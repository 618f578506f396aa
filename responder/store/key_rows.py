"""How a known key lies in the tables: a narrow row, with its project and owner in rows that keys share.

Rows of projects and owners never change; what is called or addressed anew is
another row. So no list can lend one person's address to another's key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from responder.core.key import KeyKind, KnownKey, Mask, Owner, Tier
from responder.store import Transaction
from responder.store import accounts as who
from responder.store.dialect import insert
from responder.store.tables import accounts, owners, projects
from responder.store.tables import known_keys as t

_KINDS = {KeyKind.PROJECT: 1, KeyKind.SERVICE_ACCOUNT: 2, KeyKind.ADMIN: 3}
_KIND_OF = {number: kind for kind, number in _KINDS.items()}
Known = sa.Row[*tuple[Any, ...]]
"""A row of `KNOWN`."""
Place = tuple[str, str, str]
"""Provider, account and id of a key."""

_COLUMNS: Sequence[sa.ColumnElement[Any]] = (
    *(column for column in t.c if column.name not in ("account", "project", "owner")),
    accounts.c.provider,
    accounts.c.account,
    projects.c.project,
    projects.c.name.label("project_name"),
    owners.c.kind.label("owner_kind"),
    owners.c.owner.label("owner_id"),
    owners.c.name.label("owner_name"),
    owners.c.email.label("owner_email"),
)
KNOWN = (
    sa.select(*_COLUMNS)
    .join(accounts, accounts.c.id == t.c.account)
    .join(owners, owners.c.id == t.c.owner)
    .outerjoin(projects, projects.c.id == t.c.project)
)
"""Whole keys, for `read`."""
_BY_ID = KNOWN.where(
    t.c.account == who.number_of(sa.bindparam("whose"), sa.bindparam("which")),
    t.c.key_id.in_(sa.bindparam("ids", expanding=True)),
)


def place(key: KnownKey) -> Place:
    """What tells it from every other key."""
    return key.provider, key.account, key.id


def read(row: Known, peppers: Sequence[int] = ()) -> KnownKey:
    """The key in a row of `KNOWN`; a fingerprint made with none of *peppers* says nothing, if any are given."""
    lost = peppers and row.pepper is not None and row.pepper not in peppers
    return KnownKey(
        provider=row.provider,
        account=row.account,
        id=row.key_id,
        kind=_KIND_OF[row.kind],
        name=row.name,
        mask=Mask(row.mask_head, row.mask_tail, row.mask_length),
        owner=Owner(row.owner_kind, row.owner_id, row.owner_name, row.owner_email),
        project=row.project,
        project_name=row.project_name,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        fingerprint=None if lost else row.fingerprint,
        tier=Tier(row.tier or Tier.STANDARD),
        gone_at=row.gone_at,
    )


def shows(key: KnownKey) -> tuple[object, ...]:
    """What lists show of a key, to be compared with `lies`."""
    mask, owner = key.mask, key.owner
    return (
        *(key.last_used_at, key.name, key.kind, key.project, key.project_name, key.created_at),
        *(mask.head, mask.tail, mask.length, owner.kind, owner.id, owner.name, owner.email),
    )


def lies(row: Known) -> tuple[object, ...]:
    """What a row of `KNOWN` has of that; when the key was last used comes first."""
    return (
        *(row.last_used_at, row.name, _KIND_OF[row.kind], row.project, row.project_name, row.created_at),
        *(row.mask_head, row.mask_tail, row.mask_length),
        *(row.owner_kind, row.owner_id, row.owner_name, row.owner_email),
    )


def on_disk(tx: Transaction, keys: Sequence[KnownKey]) -> Mapping[Place, Known]:
    """The rows of those of *keys* that are known."""
    found: dict[Place, Known] = {}
    for account in {(key.provider, key.account) for key in keys}:
        ids = [key.id for key in keys if (key.provider, key.account) == account]
        rows = tx.execute(_BY_ID, {"whose": account[0], "which": account[1], "ids": ids})
        found |= {(*account, row.key_id): row for row in rows}
    return found


class Writer:
    """Writes keys as listed, in one transaction.

    Args:
        tx: a writing transaction.
        now: when they were asked for.
    """

    def __init__(self, tx: Transaction, now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._numbers: dict[object, int] = {}

    def add(self, keys: Sequence[KnownKey]) -> Sequence[int]:
        """Write keys that are not on disk; what another process wrote meanwhile is overwritten."""
        if not keys:
            return []
        new = insert(self._tx, t)
        anew = {name: new.excluded[name] for name in self._row(keys[0]) if name not in ("account", "key_id")}
        statement = new.on_conflict_do_update(index_elements=["account", "key_id"], set_=anew).returning(t.c.id)
        return list(self._tx.execute(statement, [self._row(key) for key in keys]).scalars())

    def change(self, number: int, key: KnownKey) -> None:
        """Write everything that a list shows of the key in row *number*."""
        self._tx.execute(sa.update(t).where(t.c.id == number).values(self._row(key)))

    def use(self, used: Mapping[int, datetime | None]) -> None:
        """Write when keys were last used, by row, and nothing else."""
        rows = [{"number": number, "used": at, "now": self._now} for number, at in used.items()]
        same = sa.update(t).where(t.c.id == sa.bindparam("number"))
        if rows:
            change = same.values(last_used_at=sa.bindparam("used"), written_at=sa.bindparam("now"))
            self._tx.execute(change, rows)

    def _row(self, key: KnownKey) -> dict[str, object]:
        owner = key.owner
        named = {"kind": owner.kind, "owner": owner.id, "name": owner.name, "email": owner.email}
        project = {"project": key.project, "name": key.project_name}
        return {
            "account": self._account(key.provider, key.account),
            "key_id": key.id,
            "kind": _KINDS[key.kind],
            "name": key.name,
            "mask_head": key.mask.head,
            "mask_tail": key.mask.tail,
            "mask_length": key.mask.length,
            "project": None if key.project is None else self._shared(projects, project),
            "owner": self._shared(owners, named),
            "created_at": key.created_at,
            "last_used_at": key.last_used_at,
            "gone_at": None,
            "written_at": self._now,
        }

    def _account(self, provider: str, account: str) -> int:
        known = (provider, account)
        if known not in self._numbers:
            self._numbers[known] = who.number(self._tx, provider, account)
        return self._numbers[known]

    def _shared(self, table: sa.Table, values: Mapping[str, str | None]) -> int:
        """The number of the one row with these values; twice the same row would do no harm."""
        known = (table.name, *values.values())
        if known not in self._numbers:
            same = [table.c[name].is_not_distinct_from(value) for name, value in values.items() if value is None]
            same += [table.c[name] == value for name, value in values.items() if value is not None]
            found = self._tx.execute(sa.select(table.c.id).where(*same).limit(1)).scalar_one_or_none()
            if found is None:
                found = self._tx.execute(sa.insert(table).values(values).returning(table.c.id)).scalar_one()
            self._numbers[known] = int(found)
        return self._numbers[known]
