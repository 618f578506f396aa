"""Somebody closed an alert whose key is not known to be dead: closing revokes nothing.

They may have revoked the key by hand, so the list is read before anybody is told; a key
that is still there, or cannot be looked up, is the security team's to hear of, once.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from responder import gather
from responder.alerts import CLOSED_BY_OTHERS, is_over
from responder.core.decision import SECOND_LOOK_SECONDS
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.notice import Topic
from responder.core.token import fingerprint
from responder.engine import Task
from responder.house import House
from responder.respond import deal_with, still_due
from responder.ruling import tell_soon
from responder.store import incidents
from responder.store.incidents import Record

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 5.0
_MOST_TRIES = 24


def challenge(house: House, id_: str, attempt: int) -> Sequence[Task]:
    """Tell the security team that an alert was closed, unless its key is dead, or being watched until it is."""
    with house.store.read() as tx:
        record = incidents.get(tx, id_)
    again = Task("challenge", f"challenge:{id_}:{attempt + 1}", (id_, attempt + 1), _PAUSE_SECONDS)
    following: list[Task] = []
    if record.state is State.HELD and record.revoked_at is None and attempt < _MOST_TRIES:
        try:
            following += _look(house, record)
        except Unavailable as error:
            log.warning("closed_alert_not_looked_at", incident=id_, why=str(error))
            return [again]
    with house.store.begin("challenge") as tx:
        record = incidents.get(tx, id_)
        if record.state is not State.HELD:  # decided by the look above, or by one that was cut off
            following += still_due(house, record, f"challenge{attempt}")
        if is_over(record) or record.state in (State.CONTAINED, State.CLOSED):
            return following
        if record.state is State.OPEN and record.looked_dead_at is not None and attempt < _MOST_TRIES:
            # They may well have revoked it: the second look, which is on its way, will tell.
            wait = SECOND_LOOK_SECONDS + _PAUSE_SECONDS
            return [*following, Task("challenge", f"challenge:{id_}:last", (id_, _MOST_TRIES), wait)]
        house.outbox.owe_security(tx, id_, Topic.CLOSED_ALIVE)
    log.info("alert_closed_before_its_key_was_dead", incident=id_)
    return [*following, tell_soon(id_, "challenge")]


def _look(house: House, record: Record) -> Sequence[Task]:
    """Look at a held token once more, unless the key that it was proved to be is still listed.

    Raises:
        Unavailable: it cannot be looked at just now.
    """
    accounts = house.accounts.get(record.provider, ())
    for account in accounts:
        key = account.inventory.key(record.key_id) if record.key_id is not None else None
        try:
            if key is not None and account.inventory.is_listed(key):
                return []
        except Refused:
            return []
        if not account.inventory.refresh(_closed_at(house, record)):
            raise Unavailable(record.provider, "challenge", "no fresh list")
    token, asker = gather.recall(house, record), gather.asker_of(house, record)
    if token is None:
        return []
    with house.locks.alone(record.fingerprint.digest):
        with house.store.read() as tx:
            record = incidents.get(tx, record.id)
        if record.state is not State.HELD:
            return []
        seen = fingerprint(token, *house.peppers())
        return deal_with(house, record, token, seen, accounts, record.opened_at, asker)


def _closed_at(house: House, record: Record) -> datetime:
    """When we heard that the alert was closed: a list begun since then shows what was done before."""
    with house.store.read() as tx:
        lines = incidents.timeline(tx, record.id)
    return next((line.at for line in lines if line.event == CLOSED_BY_OTHERS), house.clock())
