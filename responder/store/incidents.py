"""Incidents, their sightings and their timeline."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from responder.core.incident import Event, Incident, LeakedKey, State
from responder.core.key import KnownKey, Owner
from responder.core.sighting import Alert, Sighting, Source
from responder.core.token import Fingerprint
from responder.store import Transaction, audit, damages, notices, timings
from responder.store.dialect import add
from responder.store.tables import deliveries, events, incidents, sightings


class Forgotten(LookupError):
    """There is no such incident: its time of retention has passed, or there never was one."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the worker needs to know of an incident to go on with it.

    Attributes are those of the table; `fingerprint` stands for the token.
    """

    id: str
    fingerprint: Fingerprint
    provider: str
    account: str
    state: State
    decision: str | None
    disposition: str | None
    evidence: str
    key_id: str | None
    project: str | None
    owner_email: str | None
    opened_at: datetime
    undecided_since: datetime | None
    looked_dead_at: datetime | None
    revoked_at: datetime | None
    dead_in_a_row: int
    dead_at: datetime | None
    looks: int
    severity: str = "normal"
    hints: Mapping[str, str] = field(default_factory=dict)
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of a sighting: the incident it belongs to, and whether either is new."""

    incident_id: str
    new_incident: bool
    new_sighting: bool


def join(
    tx: Transaction,
    seen: Fingerprint,
    provider: str,
    account: str,
    sighting: Sighting,
    received_at: datetime,
    *,
    backfill: bool = False,
) -> Joined:
    """Add *sighting* to the one incident of its token, opening it if there is none.

    Args:
        tx: a writing transaction.
        seen: the token's fingerprint.
        provider: who issued it.
        account: the configured account, as far as known.
        sighting: where it was seen.
        received_at: when the delivery that told us was accepted.
        backfill: it tells of the past, from before we were listening.
    """
    row = {
        "id": f"inc_{secrets.token_hex(10)}",
        "fingerprint": seen.digest,
        "head": seen.head,
        "tail": seen.tail,
        "length": seen.length,
        "family": seen.family,
        "provider": provider,
        "account": account,
        "state": State.OPEN.value,
        "evidence": "none",
        "reason": "Not decided yet.",
        "severity": "normal",
        "backfill": backfill,
        "opened_at": received_at,
        "dead_in_a_row": 0,
        "looks": 0,
    }
    _rename(tx, seen)
    new = add(tx, incidents, row, ["fingerprint"])
    id_ = tx.execute(sa.select(incidents.c.id).where(incidents.c.fingerprint == seen.digest)).scalar_one()
    seen_new = see(tx, id_, sighting)
    if seen_new:
        note(tx, id_, "received", received_at, {"source": sighting.source.value})
    return Joined(id_, new, seen_new)


def is_backfill(tx: Transaction, id: str) -> bool:  # noqa: A002
    """Whether the incident was opened by something that told of the past."""
    found = sa.select(incidents.c.id).where(incidents.c.id == id, incidents.c.backfill.is_(True))
    return tx.execute(found).first() is not None


def see(tx: Transaction, id: str, sighting: Sighting) -> bool:  # noqa: A002 -- an id is called id
    """Add one more place to an incident; False if it was known."""
    row = {
        "incident_id": id,
        "source": sighting.source.value,
        "place": sighting.place,
        "where": sighting.where,
        "kind": sighting.kind,
        "at": sighting.at,
        "delivery_id": sighting.delivery,
        "repository": sighting.alert and sighting.alert.repository,
        "alert": sighting.alert and sighting.alert.number,
    }
    return add(tx, sightings, row, ["incident_id", "source", "place"])


def _rename(tx: Transaction, seen: Fingerprint) -> None:
    """Bring the incident of a token named under a former pepper under its newest name: one token, one incident."""
    if not seen.former:
        return
    named = sa.select(incidents.c.fingerprint).where(incidents.c.fingerprint.in_(seen.digests))
    known = set(tx.execute(named).scalars())
    if known and seen.digest not in known:
        newest = next(digest for digest in seen.former if digest in known)
        tx.execute(sa.update(incidents).where(incidents.c.fingerprint == newest).values(fingerprint=seen.digest))


def get(tx: Transaction, id: str) -> Record:  # noqa: A002 -- an id is called id
    """The incident's record.

    Raises:
        Forgotten: there is none, or none any more.
    """
    row = tx.execute(sa.select(incidents).where(incidents.c.id == id)).one_or_none()
    if row is None:
        raise Forgotten(id)
    key = row.key or {}
    return Record(
        id=row.id,
        fingerprint=Fingerprint(row.fingerprint, row.family, row.length, row.head, row.tail),
        provider=row.provider,
        account=row.account,
        state=State(row.state),
        decision=row.decision,
        disposition=row.disposition,
        evidence=row.evidence,
        key_id=row.key_id,
        project=key.get("project"),
        owner_email=(key.get("owner") or {}).get("email"),
        opened_at=row.opened_at,
        undecided_since=row.undecided_since,
        looked_dead_at=row.looked_dead_at,
        revoked_at=row.revoked_at,
        dead_in_a_row=row.dead_in_a_row,
        dead_at=row.dead_at,
        looks=row.looks,
        severity=row.severity,
        hints=row.hints or {},
        closed_at=row.closed_at,
    )


def change(tx: Transaction, id: str, **values: object) -> None:  # noqa: A002
    """Set columns of an incident."""
    tx.execute(sa.update(incidents).where(incidents.c.id == id).values(values))


def name_key(tx: Transaction, id: str, key: KnownKey) -> None:  # noqa: A002
    """Write down which key it is, as the inventory knows it at this moment."""
    snapshot = {
        "name": key.name,
        "project": key.project,
        "project_name": key.project_name,
        "last_used_at": key.last_used_at and key.last_used_at.isoformat(),
        "created_at": key.created_at and key.created_at.isoformat(),
        "owner": {
            "kind": key.owner.kind,
            "id": key.owner.id,
            "name": key.owner.name,
            "email": key.owner.email,
        },
    }
    change(tx, id, key_id=key.id, account=key.account, key=snapshot)


def note(tx: Transaction, id: str, event: str, at: datetime, detail: Mapping[str, object] | None = None) -> None:  # noqa: A002
    """Add a line to the timeline, and to the audit record where it belongs there."""
    if event in timings.CLOCKS:
        timings.measure(tx, id, event, at)
    tx.execute(sa.insert(events).values(incident_id=id, at=at, event=event, detail=dict(detail or {})))
    if event in audit.RECORDED:
        audit.record(tx, at, event, id, detail or {})


def noted(tx: Transaction, id: str, event: str) -> bool:  # noqa: A002
    """Whether the timeline has such a line."""
    found = sa.select(events.c.id).where(events.c.incident_id == id, events.c.event == event).limit(1)
    return tx.execute(found).first() is not None


def timeline(tx: Transaction, id: str) -> Sequence[Event]:  # noqa: A002
    """Every line about an incident, or about a delivery that got stuck, in order of time."""
    lines = tx.execute(sa.select(events).where(events.c.incident_id == id).order_by(events.c.at, events.c.id))
    return [Event(line.at, line.event, line.detail) for line in lines]


def sightings_of(tx: Transaction, id: str) -> Sequence[Sighting]:  # noqa: A002
    """Every place the token was seen, in the order we heard of them."""
    rows = tx.execute(sa.select(sightings).where(sightings.c.incident_id == id).order_by(sightings.c.id))
    return [_sighting(row) for row in rows]


def open_alerts(tx: Transaction, id: str) -> Sequence[Alert]:  # noqa: A002
    """Alerts of the incident that we have not closed."""
    rows = tx.execute(
        sa.select(sightings.c.repository, sightings.c.alert)
        .where(sightings.c.incident_id == id, sightings.c.alert.is_not(None), sightings.c.alert_closed_at.is_(None))
        .distinct()
    )
    return [Alert(row.repository, row.alert) for row in rows]


def close_alert(tx: Transaction, id: str, alert: Alert, now: datetime | None) -> None:  # noqa: A002
    """Remember that *alert* is closed on GitHub; with None for a time, that it is open again."""
    tx.execute(
        sa.update(sightings)
        .where(
            sightings.c.incident_id == id,
            sightings.c.repository == alert.repository,
            sightings.c.alert == alert.number,
        )
        .values(alert_closed_at=now)
    )


def idle_deliveries(tx: Transaction) -> Sequence[str]:
    """Deliveries with a sealed body that have ended, and that no incident still open needs."""
    needed = (
        sa.select(sightings.c.delivery_id)
        .join(incidents, incidents.c.id == sightings.c.incident_id)
        .where(incidents.c.state != State.CLOSED.value)
    )
    ended = sa.select(deliveries.c.id).where(deliveries.c.sealed.is_not(None), deliveries.c.ended_at.is_not(None))
    return tx.execute(ended.where(deliveries.c.id.not_in(needed))).scalars().all()


def recent(tx: Transaction, limit: int, state: str | None = None) -> Sequence[str]:
    """Ids of the newest incidents, newest first."""
    query = sa.select(incidents.c.id).order_by(incidents.c.opened_at.desc(), incidents.c.id).limit(limit)
    if state is not None:
        query = query.where(incidents.c.state == state)
    return tx.execute(query).scalars().all()


def under_way(tx: Transaction, before: datetime, limit: int) -> Sequence[str]:
    """Ids of some that are open or contained, with nothing on their timeline since *before*.

    Any of them, so that each has its turn some time.
    """
    states = (State.OPEN.value, State.CONTAINED.value)
    last = sa.select(sa.func.max(events.c.at)).where(events.c.incident_id == incidents.c.id).scalar_subquery()
    mine = sa.select(incidents.c.id).where(incidents.c.state.in_(states), last < before)
    return tx.execute(mine.order_by(sa.func.random()).limit(limit)).scalars().all()


def load(tx: Transaction, id: str) -> Incident:  # noqa: A002
    """The whole incident, for people.

    Raises:
        Forgotten: there is none, or none any more.
    """
    row = tx.execute(sa.select(incidents).where(incidents.c.id == id)).one_or_none()
    if row is None:
        raise Forgotten(id)
    return Incident(
        id=row.id,
        state=State(row.state),
        disposition=row.disposition,
        provider=row.provider,
        account=row.account,
        family=row.family,
        key=_leaked_key(row),
        evidence=row.evidence,
        decision=row.decision,
        reason=row.reason,
        confirmed_dead=row.dead_at is not None,
        opened_at=row.opened_at,
        sightings=sightings_of(tx, id),
        timeline=timeline(tx, id),
        notices=notices.of(tx, id),
        damage=damages.get(tx, id),
        severity=row.severity,
        hints=row.hints or {},
    )


def _leaked_key(row: sa.Row[tuple[object, ...]]) -> LeakedKey:
    seen = Fingerprint(row.fingerprint, row.family, row.length, row.head, row.tail)
    if row.key is None:
        return LeakedKey(seen.redacted)
    key, owner = row.key, row.key["owner"]
    return LeakedKey(
        seen.redacted,
        row.key_id,
        key["name"],
        key["project"],
        key["project_name"],
        Owner(owner["kind"], owner["id"], owner["name"], owner["email"]),
        key["last_used_at"] and datetime.fromisoformat(key["last_used_at"]),
        key["created_at"] and datetime.fromisoformat(key["created_at"]),
    )


def _sighting(row: sa.Row[tuple[object, ...]]) -> Sighting:
    alert = None if row.alert is None else Alert(row.repository, row.alert)
    return Sighting(Source(row.source), row.place, row.where, row.at, row.delivery_id, alert, row.kind)
