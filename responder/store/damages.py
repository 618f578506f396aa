"""What leaked keys were used for: one report an incident, the last that is worth keeping."""

import sqlalchemy as sa

from responder.core.damage import Damage, from_json, newer, to_json
from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import damages as t


def put(tx: Transaction, incident_id: str, damage: Damage) -> None:
    """Keep *damage*, unless what is kept is later or knows more."""
    kept = newer(damage, get(tx, incident_id))
    row = {"incident_id": incident_id, "asked_at": kept.asked_at, "report": to_json(kept)}
    tx.execute(insert(tx, t).values(row).on_conflict_do_update(index_elements=["incident_id"], set_=row))


def get(tx: Transaction, incident_id: str) -> Damage | None:
    """The report on an incident, or None while the provider has not been asked."""
    report = tx.execute(sa.select(t.c.report).where(t.c.incident_id == incident_id)).scalar_one_or_none()
    return None if report is None else from_json(report)
