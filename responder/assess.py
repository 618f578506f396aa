"""What a leaked key was used for: asked once it is dead, and again later, because providers count late.

Nobody waits for this: it runs beside telling and closing, one question at a time
for each account. What may not be read becomes a line of the report; what cannot
be read right now is asked again, and becomes a line only in the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog

from responder import gather
from responder.core.damage import Damage, Window, exposure, unread, week_before
from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.engine import Task
from responder.house import House
from responder.providers import Ledger
from responder.store import damages, incidents
from responder.store.incidents import Record
from responder.trouble import pause

log = structlog.get_logger(__name__)

ROUNDS_SECONDS = (0.0, 3600.0, 86_400.0)
"""How long after the key was seen dead the provider is asked."""
_MOST_ATTEMPTS = 9
"""With pauses of 1, 2, 4 … seconds, eight minutes for each round."""
_BUSY_SECONDS = 15.0
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

Part = TypeVar("Part")


def first(id_: str) -> Task:
    """The task that asks for the first time; however often it is enqueued, it runs once."""
    return _task(id_, 0)


def assess(house: House, id_: str, number: int, attempt: int) -> Sequence[Task]:
    """Ask what the key of an incident was used for, keep the answer, and come back for a later one.

    Args:
        house: everything that is needed.
        id_: the incident.
        number: the round, from 0.
        attempt: how often this round found the provider away.
    """
    record, key, account = gather.key_of(house, id_)
    if key is None or account is None or account.ledger is None:
        return []
    with house.locks.alone_or_not(f"assess {record.provider} {record.account}") as alone:
        if not alone:
            key_now = f"assess:{id_}:{number}:{attempt}:{house.clock():%H%M%S%f}"
            return [Task("assess", key_now, (id_, number, attempt), _BUSY_SECONDS)]
        try:
            damage = _ask(house, record, key, account.ledger, number, final=attempt + 1 >= _MOST_ATTEMPTS)
        except Unavailable as error:
            log.warning("damage_unknown", incident=id_, why=str(error), attempt=attempt)
            return [_task(id_, number, attempt + 1, max(pause(attempt), error.retry_after_seconds or 0.0))]
    with house.store.begin("assessed") as tx:
        damages.put(tx, id_, damage)
    log.info("damage_assessed", incident=id_, round=number, unread=len(damage.unread))
    wait = _next_seconds(number)
    return [] if wait is None else [_task(id_, number + 1, 0, wait)]


def _ask(house: House, record: Record, key: KnownKey, ledger: Ledger, number: int, *, final: bool) -> Damage:
    """One round of questions.

    Raises:
        Unavailable: something cannot be read right now, and this is not the *final* attempt.
    """
    now = house.clock()
    with house.store.read() as tx:
        sighted_at = [sighting.at for sighting in incidents.sightings_of(tx, record.id)]
    window = exposure(sighted_at, record.opened_at, key.created_at, record.dead_at or now)
    questions = _Questions(final=final)
    usage = questions.put("usage", lambda: ledger.usage(key, window))
    cost = questions.put("costs", lambda: ledger.costs(key, window))
    records = questions.put("the audit log", lambda: tuple(ledger.records(key)))
    usage_before = cost_before = None
    before = None if usage is None else week_before(usage.window.start, key.created_at, _HOUR)
    if before is not None:
        usage_before = questions.put("usage of the week before", _of_window(ledger.usage, key, before))
    before = None if cost is None else week_before(cost.window.start, key.created_at, _DAY)
    if before is not None:
        cost_before = questions.put("costs of the week before", _of_window(ledger.costs, key, before))
    wait = _next_seconds(number)
    return Damage(
        asked_at=now,
        window=window,
        usage=usage,
        usage_before=usage_before,
        cost=cost,
        cost_before=cost_before,
        records=records,
        unread=tuple(questions.unread),
        asked_again_at=None if wait is None else now + timedelta(seconds=wait),
    )


@dataclass(frozen=True, slots=True)
class _Questions:
    """Questions put to a ledger, and a line for each that got no answer.

    Attributes:
        final: nobody will ask again soon, so "not now" becomes a line as well.
        unread: the lines.
    """

    final: bool
    unread: list[str] = field(default_factory=list)

    def put(self, what: str, ask: Callable[[], Part]) -> Part | None:
        """What *ask* returns, or None and a line.

        Raises:
            Unavailable: not now, and this is not the final attempt.
        """
        try:
            return ask()
        except Refused as error:
            self.unread.append(unread(what, f"refused with status {error.status} {error.code}".rstrip()))
        except Unavailable as error:
            if not self.final:
                raise
            self.unread.append(unread(what, f"no usable answer: {error.why}"))
        return None


def _of_window(ask: Callable[[KnownKey, Window], Part], key: KnownKey, window: Window) -> Callable[[], Part]:
    return lambda: ask(key, window)


def _next_seconds(number: int) -> float | None:
    later = ROUNDS_SECONDS[number + 1 :]
    return later[0] - ROUNDS_SECONDS[number] if later else None


def _task(id_: str, number: int, attempt: int = 0, wait: float = 0.0) -> Task:
    return Task("assess", f"assess:{id_}:{number}:{attempt}", (id_, number, attempt), wait)
