"""Write a decision down: what it means for the incident, its timeline, and whom to tell.

One transaction holds the decision, the intent to revoke and the notices owed, so
that after a crash either all of it happened or none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.core.decision import Action, Decision, Disposition, Urgency
from responder.core.incident import State
from responder.core.notice import Topic
from responder.engine import Task
from responder.house import House
from responder.proof import Finding
from responder.store import Transaction, deliveries, incidents, revocations
from responder.store.incidents import Record

GIVE_UP_AFTER = timedelta(hours=72)
_LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a decision leaves the incident.

    Attributes:
        state: of the incident.
        waiting_since: since when the question is open, None if it is answered.
        looked_dead_at: since when the token itself looks dead.
        would: it would be revoked, were we not only observing.
        page: the security team has to know.
        again_seconds: until the next look, None if there is none.
    """

    state: State
    waiting_since: datetime | None
    looked_dead_at: datetime | None
    would: bool
    page: bool
    again_seconds: float | None


def standing_after(house: House, record: Record, decision: Decision, looked_dead_at: datetime | None) -> Standing:
    now = house.clock()
    would = decision.action is Action.REVOKE and not house.policy.enforce
    again = decision.look_again_seconds
    waiting_since = None if again is None else record.undecided_since or now
    waited = timedelta() if waiting_since is None else now - waiting_since
    if waited >= GIVE_UP_AFTER:
        again = None
    elif again is not None:
        again = max(again, min(waited.total_seconds() / 4, _LONGEST_PAUSE_SECONDS))
    held = would or (decision.action is Action.HOLD and again is None)
    closed = decision.disposition is not None
    overdue = waited >= house.policy.page_after and looked_dead_at is None
    return Standing(
        State.HELD if held else State.CLOSED if closed else State.OPEN,
        waiting_since,
        looked_dead_at,
        would,
        held or overdue or (decision.action is Action.HOLD and decision.urgency is Urgency.PAGE),
        again,
    )


def write_down(
    house: House, tx: Transaction, record: Record, found: Finding, decision: Decision, standing: Standing
) -> tuple[Sequence[Task], bool]:
    """Into *tx*: the decision, the intent to revoke, and whom to tell; what follows, and whether to revoke."""
    now, id_, word = house.clock(), record.id, found.match.evidence.word
    key = found.match.key if found.match.evidence.proof else None
    ours_to_revoke = False
    if key is not None:
        incidents.name_key(tx, id_, key)
    _narrate(tx, record, found, decision, standing, now)
    incidents.change(
        tx,
        id_,
        state=standing.state.value,
        evidence=word,
        decision=decision.action.value,
        reason=decision.reason,
        disposition=decision.disposition and decision.disposition.value,
        looked_dead_at=standing.looked_dead_at,
        undecided_since=standing.waiting_since,
        looks=record.looks + 1,
        closed_at=now if standing.state is State.CLOSED else None,
    )
    if standing.state is State.CLOSED:
        deliveries.shred(tx, incidents.idle_deliveries(tx))
    if decision.action is Action.REVOKE and not standing.would and key is not None:
        ours_to_revoke = revocations.intend(tx, key.provider, key.account, key.id, id_, house.holder, now)
        incidents.note(tx, id_, "revoke_requested", now, {"key": key.id})
    owed = _owe_for(house, tx, id_, found, decision, page=standing.page)
    return _following(house, record, found, decision, standing, owed), ours_to_revoke


def _narrate(
    tx: Transaction, record: Record, found: Finding, decision: Decision, standing: Standing, now: datetime
) -> None:
    """The timeline's lines for a decision; none if it only says again what was said before."""
    word = found.match.evidence.word
    if (record.decision, record.evidence, record.state) == (decision.action.value, word, standing.state):
        return
    incidents.note(tx, record.id, "matched", now, {"evidence": word, "candidates": len(found.match.keys)})
    incidents.note(tx, record.id, "decided", now, {"decision": decision.action.value, "reason": decision.reason})
    if standing.would and found.match.key is not None:
        incidents.note(tx, record.id, "would_revoke", now, {"key": found.match.key.id})
    if standing.state is State.HELD:
        incidents.note(tx, record.id, "held", now, {"reason": decision.reason})
    if decision.disposition is not None:
        incidents.note(tx, record.id, "closed", now, {"disposition": decision.disposition.value})


def _following(
    house: House, record: Record, found: Finding, decision: Decision, standing: Standing, owed: bool
) -> Sequence[Task]:
    id_, next_look = record.id, record.looks + 1
    following = [tell_soon(id_, f"look{record.looks}")] if owed else []
    if standing.again_seconds is not None:
        following.append(Task("look", f"look:{id_}:{next_look}", (id_, next_look), standing.again_seconds))
    if standing.state is State.HELD:
        patience = house.policy.page_after.total_seconds()
        following.append(Task("remind", f"remind:{id_}:{next_look}", (id_, next_look), patience))
    if decision.disposition is Disposition.ALREADY_DEAD and found.match.evidence.proof:
        following.append(Task("close", f"close:{id_}:gone", (id_, "gone", 0)))
    return following


def _owe_for(house: House, tx: Transaction, id_: str, found: Finding, decision: Decision, *, page: bool) -> bool:
    """Write down who is to hear of a decision; of a revocation they hear once it has happened."""
    owed = False
    if page:
        owed |= house.outbox.owe_security(tx, id_, Topic.HELD, always=found.own_key)
    elif decision.disposition is Disposition.ALREADY_DEAD and found.match.evidence.proof:  # a forgery is no news
        owed |= house.outbox.owe_security(tx, id_, Topic.ALREADY_DEAD)
    if decision.action is Action.REVOKE and house.policy.enforce:
        return owed
    if decision.disposition is Disposition.ALREADY_DEAD:
        topic = Topic.ALREADY_DEAD
    else:
        topic = Topic.WARNED if decision.look_again_seconds is not None else Topic.HELD
    addresses = {key.owner.email for key in found.match.keys if key.owner.email} if decision.tell_owner else set()
    nobody_else = topic is Topic.HELD or (decision.tell_owner and not addresses)  # held, or in no list of ours
    if nobody_else and (hinted := house.outbox.hinted(tx, id_)):
        addresses.add(hinted)
    for address in sorted(addresses):
        owed |= house.outbox.owe_owner(tx, id_, topic, address)
    return owed


def tell_soon(about: str, cause: str) -> Task:
    """Send what is owed about an incident or a delivery; one task per cause."""
    return Task("tell", f"tell:{about}:{cause}:0", (about, cause, 0))
