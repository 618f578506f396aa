"""Where deliveries come from: webhooks and repositories, and how far each is caught up with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from responder.core.decision import Disposition
from responder.core.match import Evidence
from responder.store import Transaction
from responder.store.dialect import add, insert
from responder.store.tables import deliveries, hooks, incidents, redeliveries, repositories, sightings

HOOK_KINDS = frozenset({"repository", "organization", "integration"})
_MOST_HOOKS = 200
_FORGOTTEN = timedelta(days=30)
_PROOFS = [evidence.word for evidence in Evidence if evidence.proof]


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: where it is installed, of that the number, and its own.

    Attributes:
        kind: one of `HOOK_KINDS`.
    """

    kind: str
    target: int
    hook: int


@dataclass(frozen=True, slots=True)
class Came:
    """Where a delivery came from, as far as is known."""

    hook: Hook | None
    repository: int | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository we were told of.

    Attributes:
        id: its number.
        seen_at: when we first heard of it, UTC.
        caught_up_at: when it was last looked at; None: never.
        pushed_at: as GitHub wrote it when its heads were last compared; None: compare them.
        heads: the digest of each branch's name to its commit, as last seen; None: never.
    """

    id: int
    seen_at: datetime
    caught_up_at: datetime | None
    pushed_at: str | None
    heads: Mapping[str, str] | None


def note(tx: Transaction, came: Came, now: datetime) -> None:
    """Write down where something came from; the webhooks' numbers are not signed, so there is an end to them."""
    if came.repository is not None:
        add(tx, repositories, {"id": came.repository, "seen_at": now}, ["id"])
    if came.hook is None:
        return
    mine = _is(came.hook)
    if tx.execute(sa.update(hooks).where(*mine).values(seen_at=now)).rowcount:
        return
    if tx.execute(sa.select(sa.func.count()).select_from(hooks)).scalar_one() >= _MOST_HOOKS:
        oldest = sa.select(sa.func.min(hooks.c.seen_at)).scalar_subquery()
        tx.execute(sa.delete(hooks).where(hooks.c.seen_at == oldest))
    row = {"kind": came.hook.kind, "target": came.hook.target, "hook": came.hook.hook, "seen_at": now}
    add(tx, hooks, row, ["kind", "target", "hook"])


def webhooks(tx: Transaction, now: datetime) -> Sequence[tuple[Hook, datetime | None]]:
    """Every webhook heard of in the last month, and until when its deliveries need not be looked at again."""
    known = sa.select(hooks).where(hooks.c.seen_at > now - _FORGOTTEN).order_by(hooks.c.caught_up_at, hooks.c.hook)
    return [(Hook(row.kind, row.target, row.hook), row.caught_up_at) for row in tx.execute(known)]


def hook_caught_up(tx: Transaction, hook: Hook, at: datetime) -> None:
    """What *hook* was to deliver before *at* is here, or was asked for as often as it will be."""
    tx.execute(sa.update(hooks).where(*_is(hook)).values(caught_up_at=at))


def tries(tx: Transaction, guid: str) -> tuple[int, datetime | None]:
    """How often GitHub was asked to deliver this again, and when last."""
    row = tx.execute(sa.select(redeliveries).where(redeliveries.c.guid == guid)).one_or_none()
    return (0, None) if row is None else (row.tries, row.at)


def try_again(tx: Transaction, guid: str, now: datetime) -> None:
    """Write down that GitHub is asked to deliver this again."""
    statement = insert(tx, redeliveries).values(guid=guid, tries=1, at=now)
    again = {"tries": redeliveries.c.tries + 1, "at": now}
    tx.execute(statement.on_conflict_do_update(index_elements=["guid"], set_=again))


def is_here(tx: Transaction, guid: str) -> bool:
    """Whether an event of GitHub's was accepted, whatever its body."""
    first, last = f"gh_{guid}_{'0' * 16}", f"gh_{guid}_{'f' * 16}"
    found = sa.select(deliveries.c.id).where(deliveries.c.id.between(first, last)).limit(1)
    return tx.execute(found).first() is not None


def first_seen(tx: Transaction) -> datetime | None:
    """When we first heard of any repository."""
    return tx.execute(sa.select(sa.func.min(repositories.c.seen_at))).scalar_one_or_none()


def meet(tx: Transaction, ids: Collection[int], now: datetime) -> None:
    """Write down repositories that GitHub lists."""
    for id_ in ids:
        add(tx, repositories, {"id": id_, "seen_at": now}, ["id"])


def known(tx: Transaction, ids: Collection[int]) -> Mapping[int, Repository]:
    """Those of *ids* that we know."""
    found = tx.execute(sa.select(repositories).where(repositories.c.id.in_(ids)))
    return {row.id: Repository(row.id, row.seen_at, row.caught_up_at, row.pushed_at, row.heads) for row in found}


def longest_ago(tx: Transaction, limit: int) -> Sequence[Repository]:
    """The repositories that were not caught up with for longest."""
    order = (repositories.c.caught_up_at.asc().nulls_first(), repositories.c.id)
    found = tx.execute(sa.select(repositories).order_by(*order).limit(limit))
    return [Repository(row.id, row.seen_at, row.caught_up_at, row.pushed_at, row.heads) for row in found]


def caught_up(tx: Transaction, id: int, now: datetime, **values: object) -> None:  # noqa: A002 -- an id is called id
    """Write down how far a repository is caught up with: ``pushed_at`` and ``heads``, if they were looked at."""
    tx.execute(sa.update(repositories).where(repositories.c.id == id).values(caught_up_at=now, **values))


def brought(tx: Transaction, lane: str, since: datetime) -> Sequence[tuple[str, Mapping[str, object]]]:
    """State and references of the deliveries of a lane, but for failed ones."""
    mine = (deliveries.c.lane == lane, deliveries.c.received_at >= since, deliveries.c.state != "failed")
    found = tx.execute(sa.select(deliveries.c.state, deliveries.c.refs).where(*mine))
    return [(row.state, row.refs) for row in found]


def sighted(tx: Transaction, repository: int) -> frozenset[int]:
    """Numbers of the repository's alerts that belong to an incident."""
    mine = (sightings.c.repository == repository, sightings.c.alert.is_not(None))
    return frozenset(tx.execute(sa.select(sightings.c.alert).where(*mine)).scalars())


def unclosed(tx: Transaction, before: datetime) -> Sequence[str]:
    """Incidents whose token was seen dead before *before*, and whose alerts are open all the same."""
    gone = sa.and_(incidents.c.disposition == Disposition.ALREADY_DEAD.value, incidents.c.evidence.in_(_PROOFS))
    over = sa.or_(incidents.c.dead_at < before, sa.and_(gone, incidents.c.closed_at < before))
    mine = (sightings.c.alert.is_not(None), sightings.c.alert_closed_at.is_(None), over)
    query = sa.select(incidents.c.id).join(sightings, sightings.c.incident_id == incidents.c.id).where(*mine)
    return tx.execute(query.distinct().limit(100)).scalars().all()


def _is(hook: Hook) -> tuple[sa.ColumnElement[bool], ...]:
    return hooks.c.kind == hook.kind, hooks.c.target == hook.target, hooks.c.hook == hook.hook
