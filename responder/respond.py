"""The story of a leaked key, from top to bottom.

`contain` takes a delivery: fetch, scan, join the incident, identify, decide,
write the intent down, revoke. It is one durable step, so that no token ever
crosses from one step to another; `followup` names what comes after.

Every task may run twice. A key is touched only after the intent to do so is on
disk, and a request whose outcome is unknown is never repeated before the
provider's own list has been read.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from responder import alerts, gather
from responder.core.decision import SECOND_LOOK_SECONDS, Action, Case, Disposition, decide
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.key import KeyKind, KnownKey
from responder.core.liveness import Liveness
from responder.core.notice import Topic
from responder.core.revocation import Outcome, Revocation
from responder.core.sighting import Sighting
from responder.core.token import Fingerprint, Token, fingerprint
from responder.engine import Task
from responder.house import House
from responder.proof import ASKED_TOO_OFTEN, Account, Finding, identify
from responder.ruling import GIVE_UP_AFTER, standing_after, tell_soon, write_down
from responder.scan import Finding as Found
from responder.sources import Material
from responder.sources.report import asker
from responder.store import Transaction, deliveries, incidents, revocations
from responder.store.deliveries import Delivery
from responder.store.dialect import alone
from responder.store.incidents import Record
from responder.trouble import pause, report_lockout, report_stuck

log = structlog.get_logger(__name__)

TELL_AT_THE_LATEST_SECONDS = 12.0
"""The owner hears of a revocation once it is confirmed, and after this long at the latest."""

_OUR_CREDENTIAL = (401, 403)
"""Refusals that a person can mend without touching the leaked key: worth asking again."""


_MOST_SIBLINGS = 5
_LEGACY = ("openai-legacy", "openai-none")
"""Families of user keys: in no project's list."""


def contain(house: House, delivery_id: str, attempt: int = 0) -> Sequence[Task]:
    """Find every token that a delivery tells of, and deal with each; the delivery then ends."""
    with house.store.read() as tx:
        delivery = deliveries.get(tx, delivery_id)
    if delivery is None:
        return []
    following: dict[str, Task] = {}
    gaps: list[str] = []
    unread: list[str] = []
    try:
        for piece in gather.material(house, delivery):
            if piece.gap is not None:
                gaps.append(piece.gap)
                continue
            if piece.part is not None:
                gather.hand_on(house, delivery, piece.part)
                continue
            scan = gather.look_through(house, piece)
            unread += [skipped.reason for skipped in scan.skipped]
            for found in scan.findings:
                following |= {task.key: task for task in _take_in(house, delivery, piece, found)}
    except Unavailable as error:
        return [*following.values(), *_again(house, delivery, attempt, error)]
    except Refused as error:
        return [*following.values(), *_stuck(house, delivery, attempt, error)]
    finally:
        house.ended(delivery_id)
    return [*following.values(), *_end(house, delivery, sorted(set(gaps)), sorted(set(unread)), bool(following))]


def _take_in(house: House, delivery: Delivery, piece: Material, found: Found) -> Sequence[Task]:
    """Join the incident of one token, then deal with it."""
    token = found.token
    seen = fingerprint(token, *house.peppers())
    accounts = house.accounts.get(found.provider or "", ())
    if found.confidence == "weak" and not accounts:
        return []  # a shape that means nothing unless a provider recognises it
    sighting = Sighting(piece.source, piece.place, piece.where, piece.at, delivery.id, piece.alert)
    with house.locks.alone(seen.digest):
        with house.store.begin("join") as tx:
            provider, account = found.provider or "unknown", accounts[0].provider.account if accounts else ""
            joined = incidents.join(
                tx, seen, provider, account, sighting, delivery.received_at, backfill=delivery.backfill
            )
            record = incidents.get(tx, joined.incident_id)
            besides: Sequence[Task] = []
            if piece.alert is not None and piece.news is not None:
                besides = alerts.heed(house, tx, record, piece.alert, piece.news, delivery)
        if not alerts.wants_another_look(record, piece.news):
            return [*still_due(house, record, delivery.id), *besides]
        following = deal_with(house, record, token, seen, accounts, delivery.received_at, asker(delivery.lane))
        return [*following, *besides]


def still_due(house: House, record: Record, cause: str) -> Sequence[Task]:
    """What an incident, as it stands on disk, still needs: for a further sighting, and for a step that runs again.

    A process may die between writing down what it did and handing on what follows
    from it. The keys are those first given, so nothing under way is started twice.

    Args:
        house: to know whether we may act.
        record: the incident.
        cause: names what asks, where it is to be asked afresh.
    """
    id_ = record.id
    if record.dead_at is not None:
        return [tell_soon(id_, "dead"), Task("close", f"close:{id_}:{cause}", (id_, cause, 0))]
    if record.revoked_at is not None:
        return _after_revocation(id_, record.revoked_at)
    if record.decision == Action.REVOKE and house.policy.enforce:
        return [Task("revoke", f"revoke:{id_}:{cause}", (id_, 0, cause))]
    if record.disposition == Disposition.ALREADY_DEAD:
        return [Task("close", f"close:{id_}:{cause}", (id_, cause, 0))]
    if record.state is State.OPEN and record.looks:
        return [Task("look", f"look:{id_}:{record.looks}", (id_, record.looks), pause(record.looks))]
    return []


def _after_revocation(id_: str, revoked_at: datetime) -> Sequence[Task]:
    """What follows is named after the revocation: a key that is revoked anew is watched anew."""
    cause = f"{revoked_at:%Y%m%d%H%M%S}"
    late = Task("tell", f"tell:{id_}:late-{cause}:0", (id_, f"late-{cause}", 0), TELL_AT_THE_LATEST_SECONDS)
    return [Task("verify", f"verify:{id_}:{cause}:0", (id_, 0, cause)), late]


def deal_with(
    house: House,
    record: Record,
    token: Token,
    seen: Fingerprint,
    accounts: Sequence[Account],
    since: datetime,
    lane: str,
) -> Sequence[Task]:
    """Identify, decide, write it down, and revoke if that was the decision."""
    found = identify(token, seen, accounts, since, lane)
    now = house.clock()
    looked_dead_at = record.looked_dead_at
    if found.verdict is not None and found.verdict.liveness is Liveness.DEAD:
        looked_dead_at = looked_dead_at or now
    elif found.verdict is not None and found.verdict.code != ASKED_TOO_OFTEN:
        looked_dead_at = None  # an outage in between makes both looks doubtful
    dead_before = looked_dead_at is not None and now - looked_dead_at >= timedelta(seconds=SECOND_LOOK_SECONDS)
    dead_before = dead_before and _still_answers_us(found)
    with house.store.begin("decide") as tx:
        alone(tx, f"decide {record.id}")
        newest = incidents.get(tx, record.id)
        if (newest.looks, newest.decision, newest.state) != (record.looks, record.decision, record.state):
            return still_due(house, newest, f"look{record.looks}")  # another worker was here first
        busy = found.match.evidence.proof and _breaker_is_open(house, tx, now)
        case = Case(
            found.match,
            found.verdict,
            own_key=found.own_key,
            reachable=bool(accounts),
            refreshed=found.refreshed,
            dead_before=dead_before,
            legacy=seen.family in _LEGACY,
            breaker_open=busy,
            stopped=house.stopped(),
        )
        decision = decide(case)
        standing = standing_after(house, record, decision, looked_dead_at)
        following, ours_to_revoke = write_down(house, tx, record, found, decision, standing)
    log.info("decided", incident=record.id, decision=decision.action.value, evidence=found.match.evidence.word)
    following = [*following, *(task for account in accounts for task in report_lockout(house, account))]
    key = found.match.key
    if ours_to_revoke and key is not None and found.account is not None:
        answer = ask_to_revoke(found.account, key)
        return [*following, *record_answer(house, record.id, key, answer, f"look{record.looks}")]
    if decision.action is Action.REVOKE and not standing.would:
        cause = f"look{record.looks}"
        return [*following, Task("revoke", f"revoke:{record.id}:{cause}", (record.id, 0, cause))]
    return following


def _still_answers_us(found: Finding) -> bool:
    """Whether the provider lists keys for us: an outage that calls every token invalid calls our own key so too."""
    if found.account is None or not found.match.keys:
        return True
    try:
        found.account.inventory.is_listed(found.match.keys[0])
    except (Refused, Unavailable):
        return False
    return True


def _breaker_is_open(house: House, tx: Transaction, now: datetime) -> bool:
    """Whether as many keys were revoked this hour as policy allows.

    Counted and written down by one transaction at a time, in whatever process, or a burst would slip through.
    """
    alone(tx, "breaker")
    return revocations.since(tx, now - timedelta(hours=1)) >= house.policy.max_revokes_per_hour


def ask_to_revoke(account: Account, key: KnownKey) -> Revocation:
    """Have the provider revoke *key*; that it is gone already is believed once the list says so too."""
    answer = account.provider.revoke(key)
    if answer.outcome is not Outcome.ALREADY_GONE:
        return answer
    try:
        if not account.inventory.is_listed(key):
            return answer
    except (Refused, Unavailable) as error:
        return Revocation(Outcome.UNKNOWN, f"{answer.detail}, and the list cannot be read: {type(error).__name__}")
    return Revocation(Outcome.UNKNOWN, f"{answer.detail}, but the list still shows it")


def record_answer(
    house: House, id_: str, key: KnownKey, answer: Revocation, cause: str, attempt: int = 0
) -> Sequence[Task]:
    """Write down what the provider said to a request to revoke, with the notices that follow from it.

    Args:
        house: where.
        id_: of the incident.
        key: that was to be revoked.
        answer: the provider's.
        cause: names what led to the request; further attempts are named after it, so that those of another
            cause, such as a later approval, are not taken for them.
        attempt: how many there were before.
    """
    now = house.clock()
    done = answer.outcome in (Outcome.REVOKED, Outcome.ALREADY_GONE)
    ours = answer.outcome is Outcome.REFUSED and answer.status in _OUR_CREDENTIAL
    refused = answer.outcome is Outcome.REFUSED and not ours
    siblings = _siblings(house, key) if refused and key.kind is KeyKind.SERVICE_ACCOUNT else ""
    with house.store.begin("revoked") as tx:
        known = None if ours or answer.outcome is Outcome.UNKNOWN else answer.outcome
        revocations.settle(tx, key.provider, key.account, key.id, known, now)
        event = {
            Outcome.REVOKED: "revoked",
            Outcome.ALREADY_GONE: "already_gone",
            Outcome.REFUSED: "revoke_refused",
            Outcome.UNKNOWN: "revoke_unknown",
        }[answer.outcome]
        incidents.note(tx, id_, event, now, {"key": key.id, "detail": answer.detail})
        if done:
            incidents.change(tx, id_, state=State.CONTAINED.value, revoked_at=now)
            topic = Topic.REVOKED if answer.outcome is Outcome.REVOKED else Topic.ALREADY_DEAD
            house.outbox.owe_owner(tx, id_, topic, key.owner.email)
            house.outbox.owe_security(tx, id_, topic)
        elif ours:
            house.outbox.owe_security(tx, id_, Topic.STUCK)
        elif refused:
            reason = f"The provider refused to revoke key {key.id}: {answer.detail}.{siblings}"
            incidents.change(tx, id_, state=State.HELD.value, decision=Action.HOLD.value, reason=reason)
            incidents.note(tx, id_, "held", now, {"reason": reason})
            house.outbox.owe_owner(tx, id_, Topic.HELD, key.owner.email)
            house.outbox.owe_security(tx, id_, Topic.HELD, again=True)  # they may have been told before they approved
    log.info("revocation_answered", incident=id_, provider=key.provider, key=key.id, outcome=answer.outcome.value)
    if done:
        return _after_revocation(id_, now)
    if ours or answer.outcome is Outcome.UNKNOWN:
        wait = max(60.0 if ours else pause(attempt), answer.retry_after_seconds or 0.0)
        again = Task("revoke", f"revoke:{id_}:{cause}:{attempt + 1}", (id_, attempt + 1, cause), wait)
        return [again, tell_soon(id_, f"revoke-{cause}-{attempt}")] if ours else [again]
    return [tell_soon(id_, f"refused-{cause}-{attempt}"), *remind_of(house, id_)]


def _siblings(house: House, key: KnownKey) -> str:
    """What else would die with the service account of *key*, for whoever thinks of deleting that instead."""
    account = next(one for one in house.accounts[key.provider] if one.provider.account == key.account)
    try:
        listed = account.provider.list_project(key)
    except (Refused, Unavailable):
        return " Which other keys its service account has could not be read."
    others = [one.id for one in listed if one.owner.id == key.owner.id and one.id != key.id]
    if not others:
        return " Its service account has no other key."
    more = f" and {len(others) - _MOST_SIBLINGS} more" if len(others) > _MOST_SIBLINGS else ""
    return f" Deleting its service account instead would also kill {', '.join(others[:_MOST_SIBLINGS])}{more}."


def remind_of(house: House, id_: str) -> Sequence[Task]:
    """Ask once more about an incident that is held from now on, if nobody has decided it by then."""
    with house.store.read() as tx:
        looks = incidents.get(tx, id_).looks
    return [Task("remind", f"remind:{id_}:{looks}:refused", (id_, looks), house.policy.page_after.total_seconds())]


def _end(
    house: House, delivery: Delivery, gaps: Sequence[str], unread: Sequence[str], followed: bool
) -> Sequence[Task]:
    """A delivery was looked through.

    What could not be fetched is told to a person. What cannot be read (archives, pictures) is
    written down with the delivery, and not called clean.
    """
    with house.store.begin("ended") as tx:
        outcome = "followed up" if followed else "nothing to follow up"
        missing = "; ".join([*gaps, *unread][:5])
        deliveries.end(tx, delivery.id, f"{outcome}; not read: {missing}" if missing else outcome, house.clock())
        if gaps:
            report_stuck(house, tx, delivery.whole, f"Not everything could be fetched: {'; '.join(gaps[:5])}.")
        deliveries.shred(tx, incidents.idle_deliveries(tx))
    log.info(
        "delivery_handled",
        delivery=delivery.id,
        source=delivery.source,
        followed=followed,
        gaps=len(gaps),
        unread=len(unread),
    )
    return [tell_soon(delivery.whole, "gaps")] if gaps else []


def _again(house: House, delivery: Delivery, attempt: int, error: Unavailable) -> Sequence[Task]:
    """What tells us of the leak cannot be had right now: later, with a person told once it lasts."""
    age = house.clock() - delivery.received_at
    if age >= GIVE_UP_AFTER:
        return _fail(house, delivery, f"Given up after 72 hours: {error}.")
    wait = max(pause(attempt), error.retry_after_seconds or 0.0)
    following = [_contain_later(delivery.id, attempt + 1, wait)]
    log.warning("delivery_delayed", delivery=delivery.id, why=str(error), attempt=attempt)
    if age >= house.policy.page_after:
        with house.store.begin("overdue") as tx:
            report_stuck(house, tx, delivery.whole, f"Cannot be fetched yet, still trying: {error}.")
        following.append(tell_soon(delivery.whole, f"overdue{attempt}"))
    return following


def _stuck(house: House, delivery: Delivery, attempt: int, error: Refused) -> Sequence[Task]:
    """What tells us of the leak is refused: a person is told at once."""
    expired = house.clock() - delivery.received_at >= GIVE_UP_AFTER
    if error.status not in _OUR_CREDENTIAL or expired:
        return _fail(house, delivery, f"Cannot be fetched: {error}.")
    with house.store.begin("stuck") as tx:
        report_stuck(house, tx, delivery.whole, f"Our own credential was refused: {error}.")
    return [_contain_later(delivery.id, attempt + 1, 60.0), tell_soon(delivery.whole, f"stuck{attempt}")]


def _fail(house: House, delivery: Delivery, why: str) -> Sequence[Task]:
    with house.store.begin("failed") as tx:
        deliveries.end(tx, delivery.id, why, house.clock(), failed=True)
        report_stuck(house, tx, delivery.whole, why)
    return [tell_soon(delivery.whole, "failed")]


def contain_now(delivery_id: str) -> Task:
    """The task of a delivery that has just arrived; a person's word is one too, and so is a question for keys."""
    if delivery_id.startswith("act_"):
        return Task("act", f"act:{delivery_id}", (delivery_id,))
    if delivery_id.startswith("catch_"):
        return Task("catch_up", f"catch_up:{delivery_id}", (delivery_id,))
    if delivery_id.startswith("keys_"):
        return Task("fetch_keys", f"fetch:{delivery_id}", (delivery_id,))
    return Task("contain", f"contain:{delivery_id}:0", (delivery_id, 0))


def _contain_later(delivery_id: str, attempt: int, wait: float) -> Task:
    return Task("contain", f"contain:{delivery_id}:{attempt}", (delivery_id, attempt), wait)
