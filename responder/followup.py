"""What comes after a leak was first dealt with, a task each; `table` names them all.

`revoke` finds out what became of a request, `look` asks again about a token that
could not be decided, `remind` asks a person once more; `verification` watches
until the token is seen dead, `closing` tells people and closes the incident.
Beside them `assess.assess` asks what the dead key was used for; nothing waits for it.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog

from responder import assess, closing, gather, renewal, upkeep, verification
from responder.alerts import locate
from responder.approval import act
from responder.catch_up import catch_up
from responder.challenge import challenge
from responder.core.decision import Action
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.key import KnownKey, Tier
from responder.core.notice import Topic
from responder.core.revocation import Outcome, Revocation
from responder.core.token import fingerprint
from responder.engine import Plain, Task
from responder.house import House
from responder.proof import Account
from responder.respond import ask_to_revoke, contain, deal_with, record_answer, remind_of, still_due
from responder.ruling import GIVE_UP_AFTER, tell_soon
from responder.store import Transaction, incidents, revocations
from responder.store.incidents import Record
from responder.trouble import pause, report_lockout, report_stuck

log = structlog.get_logger(__name__)

URGENT = frozenset({"contain", "act", "revoke"})
"""What a proved key lives on for as long as it waits; looks are not among them, of which a flood makes thousands."""


def table(house: House) -> Mapping[str, Callable[..., Sequence[Task]]]:
    """Every task by name, for the engine."""
    beginnings = (contain, act)
    follow_ups = (
        look,
        revoke,
        verification.verify,
        closing.tell,
        closing.close,
        remind,
        locate,
        challenge,
        assess.assess,
        catch_up,
        *upkeep.TASKS,
        *renewal.TASKS,
    )
    return {task.__name__: _bind(task, house) for task in beginnings} | {
        task.__name__: _unless_forgotten(_bind(task, house), task.__name__) for task in follow_ups
    }


def _bind(task: Callable[..., Sequence[Task]], house: House) -> Callable[..., Sequence[Task]]:
    return lambda *args: task(house, *args)


def _unless_forgotten(task: Callable[..., Sequence[Task]], name: str) -> Callable[..., Sequence[Task]]:
    """Of an incident that was closed so long ago that it is forgotten, nothing is left to do."""

    def run(*args: Plain) -> Sequence[Task]:
        try:
            return task(*args)
        except incidents.Forgotten as error:
            log.warning("incident_forgotten", task=name, incident=str(error))
            return []

    return run


def revoke(house: House, id_: str, attempt: int, cause: str = "") -> Sequence[Task]:
    """Find out what became of an intent, by reading first; ask again only if the key is still there."""
    record, key, account = gather.key_of(house, id_)
    if key is None or account is None:
        return []
    if record.revoked_at is not None or record.decision != Action.REVOKE:
        return still_due(house, record, "late")
    again = Task("revoke", f"revoke:{id_}:{cause}:{attempt + 1}", (id_, attempt + 1, cause), pause(attempt))
    if house.stopped():
        return [again]
    with house.locks.alone(record.fingerprint.digest):
        with house.store.begin("take_up") as tx:
            record = incidents.get(tx, id_)
            intent = revocations.get(tx, key.provider, key.account, key.id)
            if intent is None:
                return []
            if record.revoked_at is not None or record.decision != Action.REVOKE:
                return still_due(house, record, "late")
            settled = intent.outcome in (Outcome.REVOKED, Outcome.ALREADY_GONE)
            overdue = house.clock() - intent.requested_at >= house.policy.page_after
            told = [tell_soon(id_, f"revoke-{cause}-{attempt}")] if overdue and _owe_stuck(house, tx, id_) else []
            asked_by_another = intent.outcome is None and intent.holder not in ("", house.holder)
            if asked_by_another and house.is_alive(intent.holder):
                return [again, *told]
            revocations.take_up(tx, key.provider, key.account, key.id, house.holder)
        if settled and intent.outcome is not None:  # by hand, or for another incident
            return [*record_answer(house, id_, key, Revocation(intent.outcome, "revoked meanwhile"), cause), *told]
        return [*_ask_again(house, record, key, account, again), *told]


def _ask_again(house: House, record: Record, key: KnownKey, account: Account, again: Task) -> Sequence[Task]:
    """Read the list; ask once more only if the key is still on it, and may still be revoked."""
    _, attempt, cause = again.args
    try:
        listed = account.inventory.is_listed(key)
    except (Refused, Unavailable) as error:
        log.warning("revocation_unknown", incident=record.id, why=str(error))
        return [again, *report_lockout(house, account)]
    if not listed:
        gone = Revocation(Outcome.REVOKED, "seen gone from the list after our request")
        return record_answer(house, record.id, key, gone, str(cause), int(attempt))
    if house.stopped():
        return [again]
    with house.store.read() as tx:
        forbidden = _why_not(house, tx, record, key)
    if forbidden is None:
        return record_answer(house, record.id, key, ask_to_revoke(account, key), str(cause), int(attempt))
    with house.store.begin("forbid") as tx:
        _hold(house, tx, record, forbidden)
    return [tell_soon(record.id, f"forbidden-{cause}-{attempt}"), *remind_of(house, record.id)]


def _why_not(house: House, tx: Transaction, record: Record, key: KnownKey) -> str | None:
    """Why what was decided may not be done any more, if so: people may have changed their minds meanwhile."""
    if not house.policy.enforce:
        return "In observe mode nothing is deleted; approve it once that is over."
    if key.tier is Tier.PROTECTED and not incidents.noted(tx, record.id, "approved"):
        return f"Key {key.id} has been protected meanwhile, so a person must approve."
    return None


def _hold(house: House, tx: Transaction, record: Record, reason: str) -> None:
    incidents.change(tx, record.id, state=State.HELD.value, decision=Action.HOLD.value, reason=reason)
    incidents.note(tx, record.id, "held", house.clock(), {"reason": reason})
    house.outbox.owe_security(tx, record.id, Topic.HELD, again=True)


def _owe_stuck(house: House, tx: Transaction, id_: str) -> bool:
    return house.outbox.owe_security(tx, id_, Topic.STUCK)


def look(house: House, id_: str, number: int) -> Sequence[Task]:
    """Ask again about a token that could not be decided."""
    with house.store.read() as tx:
        record = incidents.get(tx, id_)
    if record.state is not State.OPEN or record.looks != number or record.decision == Action.REVOKE:
        return still_due(house, record, f"look{number}")
    try:
        token, lane = gather.recall(house, record), gather.asker_of(house, record)
    except Unavailable as error:
        return _look_later(house, record, error)
    with house.locks.alone(record.fingerprint.digest):
        with house.store.read() as tx:
            record = incidents.get(tx, id_)
        if record.state is not State.OPEN or record.looks != number:
            return []
        if token is None:
            return _give_up_looking(house, record)
        accounts = house.accounts.get(record.provider, ())
        seen = fingerprint(token, *house.peppers())
        return deal_with(house, record, token, seen, accounts, record.opened_at, lane)


def _look_later(house: House, record: Record, error: Unavailable) -> Sequence[Task]:
    """The token cannot be had again just now; a person is told once that lasts."""
    now, following = house.clock(), list[Task]()
    age = now - record.opened_at
    if age >= GIVE_UP_AFTER:
        return _give_up_looking(house, record)
    if age >= house.policy.page_after:
        with house.store.begin("overdue") as tx:
            report_stuck(house, tx, record.id, f"Cannot be looked at again yet, still trying: {error}.")
        following.append(tell_soon(record.id, f"look-overdue-{record.looks}"))
    key = f"look:{record.id}:{record.looks}:{now:%Y%m%d%H%M%S}"
    return [*following, Task("look", key, (record.id, record.looks), 60.0)]


def _give_up_looking(house: House, record: Record) -> Sequence[Task]:
    reason = "The place where the token was seen no longer shows it, so it cannot be checked any more."
    with house.store.begin("lost_token") as tx:
        now = house.clock()
        incidents.change(tx, record.id, state=State.HELD.value, decision=Action.HOLD.value, reason=reason)
        incidents.note(tx, record.id, "held", now, {"reason": reason})
        house.outbox.owe_security(tx, record.id, Topic.HELD)
    return [tell_soon(record.id, "lost"), *remind_of(house, record.id)]


def remind(house: House, id_: str, number: int) -> Sequence[Task]:
    """Ask once more about an incident that has waited for a person; nothing is ever deleted by waiting."""
    with house.store.begin("remind") as tx:
        record = incidents.get(tx, id_)
        if record.state is not State.HELD or record.looks != number or record.dead_at is not None:
            return []
        owed = house.outbox.owe_security(tx, id_, Topic.WAITING)
    return [tell_soon(id_, "waiting")] if owed else []
