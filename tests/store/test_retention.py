"""What is over is forgotten; what somebody may still need is not."""

from datetime import timedelta

import sqlalchemy as sa

from responder.core.incident import State
from responder.core.sighting import Sighting, Source
from responder.store import Store, audit, deliveries, incidents, retention
from responder.store.deliveries import Delivery
from responder.store.tables import metadata
from tests.grown import NOON, seen

LATER = NOON + timedelta(days=40)


def _deliver(store: Store, id_: str, *, ended: bool = True) -> None:
    with store.begin("deliver") as tx:
        deliveries.accept(tx, Delivery(id_, "report", "report", {}, NOON))
        if ended:
            deliveries.end(tx, id_, "done", NOON)


def _incident(store: Store, delivery: str, state: State) -> str:
    with store.begin("join") as tx:
        place = Sighting(Source.REPORT, delivery, None, NOON, delivery)
        id_ = incidents.join(tx, seen(), "openai", "default", place, NOON).incident_id
        incidents.change(tx, id_, state=state.value, closed_at=NOON if state is State.CLOSED else None)
    return id_


def _rows(store: Store, *, but: frozenset[str] = frozenset()) -> dict[str, int]:
    with store.read() as tx:
        counts = {
            table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
    return {name: count for name, count in counts.items() if count and name not in but}


def test_a_delivery_is_forgotten_once_it_has_ended_long_enough_ago(store: Store) -> None:
    """With what was noted about it."""
    _deliver(store, "over")
    _deliver(store, "under way", ended=False)
    with store.begin("note") as tx:
        incidents.note(tx, "over", "stuck", NOON, {})
    with store.begin("forget") as tx:
        assert retention.forget_deliveries(tx, NOON) == 0
        assert retention.forget_deliveries(tx, LATER) == 1
    assert _rows(store) == {"deliveries": 1}


def test_a_delivery_stays_while_its_incident_is_not_closed(store: Store) -> None:
    """The token of a held incident is fetched again through it."""
    _deliver(store, "needed")
    id_ = _incident(store, "needed", State.HELD)
    with store.begin("forget") as tx:
        assert retention.forget_deliveries(tx, LATER) == 0
        incidents.change(tx, id_, state=State.CLOSED.value)
        assert retention.forget_deliveries(tx, LATER) == 1


def test_a_closed_incident_goes_whole_and_an_open_one_stays(store: Store) -> None:
    """Nothing is left of it but the audit record."""
    _incident(store, "closed", State.CLOSED)
    with store.begin("forget") as tx:
        assert retention.forget_incidents(tx, LATER) == 1
    assert _rows(store) == {}
    id_ = _incident(store, "held", State.HELD)
    with store.begin("forget") as tx:
        incidents.note(tx, id_, "decided", NOON, {})
        assert retention.forget_incidents(tx, LATER) == 0
    with store.read() as tx:
        assert incidents.load(tx, id_).state is State.HELD
        assert audit.verify(tx).entries == 1
