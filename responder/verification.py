"""Whether a revoked key is really dead: gone from the list and its token refused, several times in a row."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from responder import assess, gather
from responder.core.errors import Refused, Unavailable
from responder.core.incident import State
from responder.core.key import KnownKey
from responder.core.liveness import Liveness
from responder.core.notice import Topic
from responder.engine import Task
from responder.house import House
from responder.proof import Account
from responder.respond import still_due
from responder.ruling import GIVE_UP_AFTER, tell_soon
from responder.store import incidents
from responder.store.incidents import Record
from responder.trouble import report_lockout

log = structlog.get_logger(__name__)

DEAD_IN_A_ROW = 3
"""So many answers one after another must say "dead" before it is believed: deletions spread slowly."""
LOOK_SECONDS = 1.0


def verify(house: House, id_: str, number: int, cause: str = "") -> Sequence[Task]:
    """See whether a revoked key is gone from the list and its token dead; often enough, it is confirmed."""
    record, key, account = gather.key_of(house, id_)
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
