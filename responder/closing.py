"""The end of an incident: its people told, the alerts of its dead key closed, and then itself."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from responder import assess
from responder.core.decision import Disposition
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.match import Evidence
from responder.core.notice import Topic
from responder.core.sighting import Alert
from responder.engine import Task
from responder.house import House
from responder.ruling import tell_soon
from responder.store import deliveries, incidents, notices
from responder.store.incidents import Record
from responder.trouble import pause

log = structlog.get_logger(__name__)

_PROOFS = frozenset(evidence.word for evidence in Evidence if evidence.proof)


def tell(house: House, about: str, cause: str, attempt: int) -> Sequence[Task]:
    """Send the notices that are pending about an incident, or about a delivery that got stuck."""
    pause = house.outbox.send(about, f"{cause}:{attempt}")
    if pause is None:
        return _close_if_done(house, about)
    return [Task("tell", f"tell:{about}:{cause}:{attempt + 1}", (about, cause, attempt + 1), pause)]


def close(house: House, id_: str, cause: str, attempt: int) -> Sequence[Task]:
    """Close the alerts of a key that is dead, then the incident."""
    with house.store.read() as tx:
        record = incidents.get(tx, id_)
    gone = record.disposition == Disposition.ALREADY_DEAD and record.evidence in _PROOFS
    if record.dead_at is None and not gone:
        return []  # a token that was merely called invalid closes no alert as revoked
    again = Task("close", f"close:{id_}:{cause}:{attempt + 1}", (id_, cause, attempt + 1), pause(attempt + 2))
    # Or two sightings would close the same alert at once, here or in another worker.
    with house.locks.alone(record.fingerprint.digest), house.store.alone(f"close {id_}"):
        with house.store.read() as tx:
            alerts = incidents.open_alerts(tx, id_)
        if alerts and house.stopped():
            return [again]
        wait = _close_alerts(house, id_, alerts)
    if wait is not None:
        return [replace(again, delay_seconds=max(again.delay_seconds, wait)), *_told_of_alert(house, record)]
    return [*_close_if_done(house, id_), tell_soon(id_, f"close-{cause}"), assess.first(id_)]


def _close_alerts(house: House, id_: str, alerts: Sequence[Alert]) -> float | None:
    """Close alerts on GitHub, one after the other; after how many seconds to ask for the rest, or None for none."""
    github = house.reach.github
    if github is None or not house.policy.close_alerts:
        return None
    with house.store.read() as tx:
        ours = incidents.noted(tx, id_, "revoked")
    comment = f"Revoked by the secret-leak responder, incident {id_}; the key was seen dead."
    if not ours:
        comment = f"Checked by the secret-leak responder, incident {id_}: the key was already gone."
    for alert in alerts:
        where = {"alert": alert.number, "repository": alert.repository}
        try:
            github.close_alert(alert, comment)
        except Unavailable as error:
            log.warning("alert_not_closed", incident=id_, why=str(error), **where)
            return error.retry_after_seconds or 0.0
        except Refused as error:
            with house.store.begin("alert_refused") as tx:
                incidents.close_alert(tx, id_, alert, house.clock())
                incidents.note(tx, id_, "alert_not_resolved", house.clock(), {**where, "why": str(error)})
                house.outbox.owe_security(tx, id_, Topic.STUCK)
            continue
        with house.store.begin("alert_closed") as tx:
            incidents.close_alert(tx, id_, alert, house.clock())
            incidents.note(tx, id_, "alert_resolved", house.clock(), where)
    return None


def _told_of_alert(house: House, record: Record) -> Sequence[Task]:
    """The security team hears of a dead key whose alert cannot be closed for long."""
    if record.dead_at is None or house.clock() - record.dead_at < house.policy.page_after:
        return []
    with house.store.begin("alert_overdue") as tx:
        owed = house.outbox.owe_security(tx, record.id, Topic.STUCK)
    return [tell_soon(record.id, "alert_overdue")] if owed else []


def _close_if_done(house: House, id_: str) -> Sequence[Task]:
    """Close an incident whose key is dead, whose people know, and whose alerts are closed."""
    if not id_.startswith("inc_"):
        return []
    with house.store.begin("close") as tx:
        record = incidents.get(tx, id_)
        alerts = incidents.open_alerts(tx, id_) if house.policy.close_alerts and house.reach.github else ()
        if record.dead_at is None or record.state is State.CLOSED or alerts or notices.pending(tx, id_):
            return []
        ours = incidents.noted(tx, id_, "revoked")
        disposition = Disposition.REVOKED if ours else Disposition.ALREADY_DEAD
        incidents.change(tx, id_, state=State.CLOSED.value, disposition=disposition.value, closed_at=house.clock())
        incidents.note(tx, id_, "closed", house.clock(), {"disposition": disposition.value})
        deliveries.shred(tx, incidents.idle_deliveries(tx))
    log.info("incident_closed", incident=id_, disposition=disposition.value)
    return []
