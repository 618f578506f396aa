"""What a GitHub alert says besides its secret, and what we make of it.

Where else the secret stands, whose it is said to be, how bad it is, and that somebody
closed the alert or opened it again. None of it is evidence: it tells people more, and
has a token looked at once more, but never decides about a key.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from responder.core.decision import Action, Disposition
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.match import Evidence
from responder.core.notice import Topic
from responder.core.sighting import Alert, Sighting, Source
from responder.engine import Task
from responder.house import House
from responder.ruling import tell_soon
from responder.sources import Change, News
from responder.store import Transaction, deliveries, incidents
from responder.store.deliveries import Delivery
from responder.store.incidents import Record

log = structlog.get_logger(__name__)

HIGH = "high"
CLOSED_BY_OTHERS = "alert_closed_by_others"
_GATHERED_SECONDS = 10
"""Events about single places come in bursts, and each asks for the whole list: one task for so long."""

_MOST_TRIES = 20
_CLOCKS_DIFFER = timedelta(minutes=5)
_PROOFS = frozenset(evidence.word for evidence in Evidence if evidence.proof)


def heed(
    house: House, tx: Transaction, record: Record, alert: Alert, news: News, delivery: Delivery
) -> Sequence[Task]:
    """Write down what an alert says, with the notices owed for it; what follows once its secret was dealt with."""
    owed = _heed_severity(house, tx, record, news) | _heed_hints(house, tx, record, news)
    following = [*_locate(house, record, alert, news, delivery)]
    where = {"alert": alert.number, "repository": alert.repository}
    closed = news.change is Change.CLOSED and not news.is_open
    if closed and not is_over(record) and record.disposition != Disposition.DISMISSED:
        # Never ours: we close no alert before its key is known to be dead.
        if not incidents.noted(tx, record.id, CLOSED_BY_OTHERS):
            detail = {**where, "resolution": news.resolution, "by": news.closed_by}
            incidents.note(tx, record.id, CLOSED_BY_OTHERS, house.clock(), detail)
        following.append(Task("challenge", f"challenge:{record.id}:0", (record.id, 0)))
    if news.change is Change.REOPENED and news.is_open and is_over(record):
        owed |= _heed_reopening(house, tx, record, alert, where)
    return [*following, tell_soon(record.id, f"heed-{delivery.id}")] if owed else following


def wants_another_look(record: Record, news: News | None) -> bool:
    """Whether the token of an incident is to be looked at with what is in hand now.

    A person who opens an alert again wants it looked at. A dismissal is overruled only by
    what was done after it: an old event that is sent again overrules nobody.
    """
    if record.decision == Action.REVOKE or record.state in (State.HELD, State.CONTAINED) or is_over(record):
        return False
    if record.state is State.OPEN or record.disposition == Disposition.NOT_OURS:
        return True
    closed = news is not None and news.change is Change.CLOSED and not news.is_open
    reopened = news is not None and news.change is Change.REOPENED and news.is_open
    if record.disposition == Disposition.ALREADY_DEAD:
        return closed or reopened
    changed_at = news.updated_at if news is not None else None
    if not reopened or changed_at is None or record.closed_at is None:
        return False
    return changed_at > record.closed_at - _CLOCKS_DIFFER


def is_over(record: Record) -> bool:
    """Whether the key of an incident is known to be dead: seen so, or proved to be one that is gone."""
    gone = record.disposition == Disposition.ALREADY_DEAD and record.evidence in _PROOFS
    return record.dead_at is not None or gone


def locate(house: House, id_: str, repository: int, number: int, delivery_id: str, attempt: int) -> Sequence[Task]:
    """Fetch every place in which an alert's secret stands, for people to clean up; nothing waits for it."""
    if house.reach.github is None:
        return []
    alert = Alert(repository, number)
    try:
        found = house.reach.github.locations(alert)
    except (Refused, Unavailable) as error:
        log.warning("places_not_fetched", incident=id_, alert=number, why=str(error))
        if attempt >= _MOST_TRIES or (isinstance(error, Refused) and error.status not in (401, 403)):
            return []
        wait = max(60.0, (isinstance(error, Unavailable) and error.retry_after_seconds) or 0.0)
        args = (id_, repository, number, delivery_id, attempt + 1)
        return [Task("locate", f"locate:{id_}:{delivery_id}:{attempt + 1}", args, wait)]
    with house.store.begin("located") as tx:
        delivery = deliveries.get(tx, delivery_id)
        at = delivery.received_at if delivery is not None else house.clock()
        page = next((seen.where for seen in incidents.sightings_of(tx, id_) if seen.alert == alert), None)
        new = 0
        for place in found:
            name, where = f"{repository}/alert/{number}/{place.name}", place.address(page)
            new += incidents.see(
                tx, id_, Sighting(Source.GITHUB_ALERT, name, where, at, delivery_id, kind=place.kind)
            )
        if new:
            incidents.note(tx, id_, "located", house.clock(), {"alert": number, "places": new})
    return []


def _heed_severity(house: House, tx: Transaction, record: Record, news: News) -> bool:
    if not news.severe or record.severity == HIGH:
        return False
    incidents.change(tx, record.id, severity=HIGH)
    if record.decision is None:
        return False  # it is part of the first that anybody hears of it
    incidents.note(tx, record.id, "severity_raised", house.clock())
    return record.state is State.HELD and house.outbox.owe_security(tx, record.id, Topic.RAISED)


def _heed_hints(house: House, tx: Transaction, record: Record, news: News) -> bool:
    """Keep what is said of the owner; one whom nobody told yet is told, if their address is in a domain of ours."""
    former = {} if news.change is Change.FORGOTTEN else record.hints
    hints = {**former, **news.hints}
    if hints == record.hints:
        return False
    incidents.change(tx, record.id, hints=hints or None)
    hinted = house.outbox.hinted(tx, record.id)
    if hinted is None:
        return False
    if record.state is State.HELD or record.disposition == Disposition.NOT_OURS:
        return house.outbox.owe_owner(tx, record.id, Topic.HELD, hinted)
    if record.owner_email is None and record.revoked_at is not None:
        return house.outbox.owe_owner(tx, record.id, Topic.REVOKED, hinted)
    if record.owner_email is None and is_over(record):
        return house.outbox.owe_owner(tx, record.id, Topic.ALREADY_DEAD, hinted)
    return False


def _heed_reopening(house: House, tx: Transaction, record: Record, alert: Alert, where: dict[str, int]) -> bool:
    """The alert of a dead key is open again: it is closed once more, and then left to whoever opens it."""
    if alert in incidents.open_alerts(tx, record.id):
        return False  # it was not closed by us yet, and is about to be
    before = [line for line in incidents.timeline(tx, record.id) if line.event == "alert_reopened"]
    if all(line.detail != where for line in before):
        incidents.close_alert(tx, record.id, alert, None)
        incidents.note(tx, record.id, "alert_reopened", house.clock(), where)
        return False
    if not incidents.noted(tx, record.id, "alert_left_open"):
        incidents.note(tx, record.id, "alert_left_open", house.clock(), where)
        why = f"Alert {alert.number} was opened again although its key is dead; it is left as it is."
        incidents.note(tx, record.id, "stuck", house.clock(), {"why": why})
    return house.outbox.owe_security(tx, record.id, Topic.STUCK)


def _locate(house: House, record: Record, alert: Alert, news: News, delivery: Delivery) -> Sequence[Task]:
    """The tasks that fetch places: one at once, which is done only once, and one for events about further places."""
    name = f"locate:{record.id}:{alert.repository}-{alert.number}"
    args = (record.id, alert.repository, alert.number, delivery.id, 0)
    first = Task("locate", f"{name}:first", args)
    if news.change is not Change.LOCATED:
        return [first]
    now = house.clock().timestamp()
    slot = int(now // _GATHERED_SECONDS) + 1
    return [first, Task("locate", f"{name}:{slot}", args, slot * _GATHERED_SECONDS - now)]
