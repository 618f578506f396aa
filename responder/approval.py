"""A person's word on a held incident: approve the deletion of its key, or dismiss it.

The word travels through the inbox like any delivery, so it is durable and done
once. It is bound to the incident, the key and the evidence that the person saw,
and it expires: what has changed since is not what was approved.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from responder.core.decision import STOPPED_LOOK_SECONDS, Action, Disposition
from responder.core.incident import State
from responder.core.key import KnownKey
from responder.core.match import find
from responder.core.notice import Topic
from responder.engine import Task
from responder.house import House
from responder.proof import Account
from responder.respond import ask_to_revoke, record_answer
from responder.ruling import tell_soon
from responder.store import Store, deliveries, incidents, keys, revocations
from responder.store.deliveries import Delivery
from responder.store.incidents import Record

log = structlog.get_logger(__name__)

VALID_FOR = timedelta(hours=1)


class NotWaiting(Exception):
    """The incident is not waiting for a person.

    Args:
        state: where it stands instead.
    """

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class WhichKey(Exception):
    """The incident is not tied to one key: the person has to name one.

    Args:
        fitting: ids of the keys that look like the token.
    """

    def __init__(self, fitting: Sequence[str]) -> None:
        super().__init__(fitting)
        self.fitting = fitting


def approve(store: Store, id_: str, by: str, now: datetime, key_id: str | None = None) -> Delivery:
    """The delivery that carries a person's approval.

    Args:
        store: to look at the incident.
        id_: the incident.
        by: who approves.
        now: UTC.
        key_id: the key to delete, where the evidence names none.

    Raises:
        LookupError: no such incident.
        NotWaiting: it is not held.
        WhichKey: no key is named, or one that does not look like the token.
    """
    record = _held(store, id_)
    with store.read() as tx:
        fitting = [
            key.id for key in find(record.fingerprint, keys.candidates(tx, record.provider, record.fingerprint)).keys
        ]
    chosen = key_id or record.key_id
    if chosen is None or (chosen != record.key_id and chosen not in fitting):
        raise WhichKey(fitting)
    return _delivery({"act": "approve", "key": chosen}, record, by, now)


def dismiss(store: Store, id_: str, by: str, reason: str, now: datetime) -> Delivery:
    """The delivery that carries a person's dismissal.

    Raises:
        LookupError, NotWaiting: as `approve`.
    """
    return _delivery({"act": "dismiss", "reason": reason[:500]}, _held(store, id_), by, now)


def act(house: House, delivery_id: str) -> Sequence[Task]:
    """Do what a person said, if it still means the same."""
    with house.store.read() as tx:
        delivery = deliveries.get(tx, delivery_id)
    if delivery is None:
        return []
    refs = delivery.refs
    with house.store.read() as tx:
        record = incidents.get(tx, str(refs["incident"]))
    try:
        with house.locks.alone(record.fingerprint.digest):
            with house.store.read() as tx:
                record = incidents.get(tx, record.id)
            return _act(house, delivery, record, refs)
    finally:
        house.ended(delivery_id)


def _act(house: House, delivery: Delivery, record: Record, refs: Mapping[str, Any]) -> Sequence[Task]:
    now = house.clock()
    expired = now - delivery.received_at > VALID_FOR
    if expired or record.state is not State.HELD or record.evidence != refs["evidence"]:
        if _is_done(record, refs):
            return _end(house, delivery, "done before")
        return _void(house, delivery, record, "it had expired" if expired else "the incident had changed")
    if refs["act"] == "dismiss":
        return _dismiss(house, delivery, record, str(refs["by"]), str(refs["reason"]))
    key, account = _key(house, record, str(refs["key"]))
    if key is None or account is None:
        return _void(house, delivery, record, "its key is not known any more")
    seen = record.fingerprint  # the word came from a table that a receiver can write to: it may choose no other key
    if key.id != record.key_id and not key.mask.fits(seen.head, seen.tail, seen.length):
        return _void(house, delivery, record, "its key does not look like the token")
    if not house.policy.enforce:
        return _void(house, delivery, record, "observe mode deletes nothing")
    if house.stopped():
        key_later = f"act:{delivery.id}:{int(now.timestamp())}"
        return [Task("act", key_later, (delivery.id,), STOPPED_LOOK_SECONDS)]
    return _approve(house, delivery, record, key, account)


def _is_done(record: Record, refs: Mapping[str, Any]) -> bool:
    """Whether what was asked for has happened: the task ran before, and died before it could say so."""
    if refs["act"] == "dismiss":
        return record.disposition == Disposition.DISMISSED
    return record.decision == Action.REVOKE and record.key_id == refs["key"]


def _approve(house: House, delivery: Delivery, record: Record, key: KnownKey, account: Account) -> Sequence[Task]:
    now, by = house.clock(), str(delivery.refs["by"])
    with house.store.begin("approve") as tx:
        incidents.name_key(tx, record.id, key)
        reason = f"Approved by {by}."
        incidents.change(tx, record.id, state=State.OPEN.value, decision=Action.REVOKE.value, reason=reason)
        incidents.note(tx, record.id, "approved", now, {"by": by, "key": key.id, "evidence": record.evidence})
        new = revocations.intend(tx, key.provider, key.account, key.id, record.id, house.holder, now)
        if not new:
            revocations.reopen(tx, key.provider, key.account, key.id, house.holder)
        incidents.note(tx, record.id, "revoke_requested", now, {"key": key.id})
        deliveries.end(tx, delivery.id, "approved", now)
    log.warning("approved", incident=record.id, key=key.id, by=by)
    return record_answer(house, record.id, key, ask_to_revoke(account, key), delivery.id)


def _dismiss(house: House, delivery: Delivery, record: Record, by: str, reason: str) -> Sequence[Task]:
    now = house.clock()
    with house.store.begin("dismiss") as tx:
        incidents.change(
            tx,
            record.id,
            state=State.CLOSED.value,
            disposition=Disposition.DISMISSED.value,
            decision=Action.IGNORE.value,
            reason=f"Dismissed by {by}: {reason}",
            closed_at=now,
        )
        incidents.note(tx, record.id, "dismissed", now, {"by": by, "reason": reason})
        incidents.note(tx, record.id, "closed", now, {"disposition": Disposition.DISMISSED.value})
        deliveries.end(tx, delivery.id, "dismissed", now)
        deliveries.shred(tx, incidents.idle_deliveries(tx))
    log.warning("dismissed", incident=record.id, by=by)
    return []


def _void(house: House, delivery: Delivery, record: Record, why: str) -> Sequence[Task]:
    """What was said does not fit any more; whoever waits is told."""
    with house.store.begin("void") as tx:
        deliveries.end(tx, delivery.id, f"void: {why}", house.clock())
        said = f"What {delivery.refs['by']} decided was not done: {why}."
        incidents.note(tx, record.id, "stuck", house.clock(), {"why": said})
        house.outbox.owe_security(tx, record.id, Topic.STUCK, again=True)
    return [tell_soon(record.id, f"void-{delivery.id}")]


def _end(house: House, delivery: Delivery, outcome: str) -> Sequence[Task]:
    with house.store.begin("acted") as tx:
        deliveries.end(tx, delivery.id, outcome, house.clock())
    record_id = str(delivery.refs["incident"])
    return [Task("revoke", f"revoke:{record_id}:{delivery.id}", (record_id, 0, delivery.id))]


def _held(store: Store, id_: str) -> Record:
    with store.read() as tx:
        record = incidents.get(tx, id_)
    if record.state is not State.HELD or record.dead_at is not None:
        raise NotWaiting(record.disposition or record.state.value)
    return record


def _key(house: House, record: Record, key_id: str) -> tuple[KnownKey | None, Account | None]:
    for account in house.accounts.get(record.provider, ()):
        key = account.inventory.key(key_id)
        if key is not None:
            return key, account
    return None, None


def _delivery(said: Mapping[str, object], record: Record, by: str, now: datetime) -> Delivery:
    refs = {**said, "incident": record.id, "evidence": record.evidence, "by": by[:100]}
    return Delivery(f"act_{secrets.token_hex(12)}", "person", "person", refs, now)
