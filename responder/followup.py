"""What comes after a key was asked to be revoked, a task each.

`revoke` finds out what became of a request, `look` asks again about a token that
could not be decided, `verify` watches until the token is seen dead, `tell` sends
notices, `close` closes the alerts and the incident.
Beside them `assess.assess` asks what the dead key was used for; nothing waits for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from responder import assess, gather, renewal, upkeep
from responder.alerts import locate
from responder.approval import act
from responder.catch_up import catch_up
from responder.challenge import challenge
from responder.core.decision import Action, Disposition
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.key import KnownKey, Tier
from responder.core.liveness import Liveness
from responder.core.match import Evidence
from responder.core.notice import Topic
from responder.core.revocation import Outcome, Revocation
from responder.core.sighting import Alert
from responder.core.token import fingerprint
from responder.engine import Plain, Task
from responder.house import House
from responder.proof import Account
from responder.respond import (
    ask_to_revoke,
    contain,
    deal_with,
    pause,
    record_answer,
    remind_of,
    report_lockout,
    report_stuck,
    still_due,
)
from responder.ruling import GIVE_UP_AFTER, tell_soon
from responder.store import Transaction, deliveries, incidents, notices, revocations
from responder.store.incidents import Record

log = structlog.get_logger(__name__)

DEAD_IN_A_ROW = 3
"""So many answers one after another must say "dead" before it is believed: deletions spread slowly."""
URGENT = frozenset({"contain", "act", "revoke"})
"""What a proved key lives on for as long as it waits; looks are not among them, of which a flood makes thousands."""

LOOK_SECONDS = 1.0
_PROOFS = frozenset(evidence.word for evidence in Evidence if evidence.proof)
_FRESH_ENOUGH = timedelta(seconds=30)


def table(house: House) -> Mapping[str, Callable[..., Sequence[Task]]]:
    """Every task by name, for the engine."""
    beginnings = (contain, act)
    follow_ups = (
        look,
        revoke,
        verify,
        tell,
        close,
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
    record, key, account = _of(house, id_)
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


def verify(house: House, id_: str, number: int, cause: str = "") -> Sequence[Task]:
    """See whether a revoked key is gone from the list and its token dead; often enough, it is confirmed."""
    record, key, account = _of(house, id_)
    if key is None or account is None or record.revoked_at is None:
        return []
    if record.dead_at is not None:
        return [*still_due(house, record, "dead"), assess.first(id_)]
    dead, row, wish = _watch(house, record, key, account)
    now = house.clock()
    late = now - record.revoked_at >= timedelta(seconds=house.policy.verify_seconds)
    with house.store.begin("verified") as tx:
        incidents.change(tx, id_, dead_in_a_row=row)
        if row >= DEAD_IN_A_ROW:
            incidents.change(tx, id_, dead_at=now)
            incidents.note(tx, id_, "confirmed_dead", now, {"looks_in_a_row": row})
        elif late and not incidents.noted(tx, id_, "still_alive" if dead is False else "not_confirmed"):
            incidents.change(tx, id_, state=State.HELD.value)
            incidents.note(tx, id_, "still_alive" if dead is False else "not_confirmed", now, {})
            house.outbox.owe_security(tx, id_, Topic.STILL_ALIVE if dead is False else Topic.STUCK)
    if row >= DEAD_IN_A_ROW:
        log.info("confirmed_dead", incident=id_, key=key.id)
        return [tell_soon(id_, "dead"), Task("close", f"close:{id_}:dead", (id_, "dead", 0)), assess.first(id_)]
    if now - record.revoked_at >= GIVE_UP_AFTER:
        return [tell_soon(id_, "unverified")]
    wait = max(min(1.0 + number / 2, 600.0 if late else 60.0), wish)
    following = [Task("verify", f"verify:{id_}:{cause}:{number + 1}", (id_, number + 1, cause), wait)]
    following += report_lockout(house, account)
    return [*following, tell_soon(id_, f"verify-{cause}-{number}")] if late else following


def _watch(house: House, record: Record, key: KnownKey, account: Account) -> tuple[bool | None, int, float]:
    """Look until it is not seen dead, or was so often enough; the last look, how many in a row, how long to wait."""
    row = record.dead_in_a_row
    while True:
        dead, wish = _is_dead(house, record, key, account)
        if not dead:
            return dead, 0 if dead is False else row, wish
        row += 1
        if row >= DEAD_IN_A_ROW:
            return True, row, wish
        house.sleep(LOOK_SECONDS)


def _is_dead(house: House, record: Record, key: KnownKey, account: Account) -> tuple[bool | None, float]:
    """Whether the key is gone from the list and its token, while it can still be had, is dead; None: unknown.

    Also for how many seconds the provider asked us to wait.
    """
    try:
        if account.inventory.is_listed(key):
            return False, 0.0
        token = gather.recall(house, record)
    except Refused as error:
        log.warning("not_verified", incident=record.id, why=str(error))
        return None, 0.0
    except Unavailable as error:
        log.warning("not_verified", incident=record.id, why=str(error))
        return None, error.retry_after_seconds or 0.0
    if token is None:
        return True, 0.0
    verdict = account.probe(token, key)
    dead = {Liveness.DEAD: True, Liveness.LIVE: False}.get(verdict.liveness)
    return dead, verdict.retry_after_seconds or 0.0


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
        owed = _owe_stuck(house, tx, record.id)
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


def remind(house: House, id_: str, number: int) -> Sequence[Task]:
    """Ask once more about an incident that has waited for a person; nothing is ever deleted by waiting."""
    with house.store.begin("remind") as tx:
        record = incidents.get(tx, id_)
        if record.state is not State.HELD or record.looks != number or record.dead_at is not None:
            return []
        owed = house.outbox.owe_security(tx, id_, Topic.WAITING)
    return [tell_soon(id_, "waiting")] if owed else []


def _of(house: House, id_: str) -> tuple[Record, KnownKey | None, Account | None]:
    """An incident, the key it was proved to be, and the account of that key."""
    with house.store.read() as tx:
        record = incidents.get(tx, id_)
    for account in house.accounts.get(record.provider, ()):
        if account.provider.account == record.account and record.key_id is not None:
            return record, account.inventory.key(record.key_id), account
    return record, None, None
