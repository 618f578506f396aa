"""What the house does by the clock, whether or not anybody told of a leak.

`sync` lists the keys, `sweep` sends what should have been sent, `take_up` goes on
with what should have been gone on with, `tidy` forgets what is over, `attest`
logs the end of the audit record. Each runs once per slot of time, in whichever
process comes first.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from responder.core.incident import State
from responder.engine import Task
from responder.house import House
from responder.respond import still_due
from responder.ruling import tell_soon
from responder.store import Transaction, audit, deliveries, incidents, keys, retention
from responder.trouble import report_lockout, report_stuck

log = structlog.get_logger(__name__)

_SEALED_AT_MOST = timedelta(hours=72)
_SETTLED = timedelta(hours=1)
_TAKEN_UP = 500
_BREATH_SECONDS = 0.005
_LISTED_LATE = timedelta(days=3)
"""For so long a key that a list failed to show is waited for."""
_LONGER = timedelta(minutes=11)
"""A delivery is kept longer than its tasks, which are forgotten right before each round of tidying: while it is
there, it is not taken in again, and while they are, it would not be started."""


def sync(house: House, provider: str, account: str) -> Sequence[Task]:
    """Bring an account's known keys up to date, and see to what that shows."""
    for one in house.accounts.get(provider, ()):
        if one.provider.account == account:
            with house.locks.alone_or_not(f"sync {provider} {account}") as free:
                if not free:  # listing takes longer than the pause between two: they must not queue up
                    return []
                one.inventory.sync()
            return [*report_lockout(house, one), *_look_again(house, provider)]
    return []


def _look_again(house: House, provider: str) -> Sequence[Task]:
    """Look again at tokens that looked like no key of ours when a list was behind, and look like one now."""
    now = house.clock()
    with house.store.read() as tx:
        late = keys.listed_late(tx, provider, now - _LISTED_LATE)
    if not late:
        return []
    with house.store.begin("listed_late") as tx:
        for id_ in late:
            incidents.change(tx, id_, state=State.OPEN.value, disposition=None, closed_at=None)
            incidents.note(tx, id_, "listed_late", now)
        looks = {id_: incidents.get(tx, id_).looks for id_ in late}
    return [Task("look", f"look:{id_}:{number}", (id_, number)) for id_, number in looks.items()]


def sweep(house: House) -> Sequence[Task]:
    """Send what is pending although its own tasks should have sent it: nothing ends silently."""
    slot = int(house.clock().timestamp()) // 60
    following = [*_look_for_room(house)]
    for account in (one for accounts in house.accounts.values() for one in accounts):
        if account.control is not None and (problem := account.control.problem()):
            about = f"control_{account.provider.provider}_{account.provider.account}_{house.clock():%Y%m%d}"
            with house.store.begin("control") as tx:
                why = f"Tokens cannot be checked, so leaks are held instead of revoked: {problem}."
                report_stuck(house, tx, about, why, always=True)
    return [*following, *(tell_soon(about, f"sweep{slot}") for about in house.outbox.overdue())]


def take_up(house: House) -> Sequence[Task]:
    """What incidents that are not over still need: a process may have died before it handed that on.

    Named after the day: what is under way and takes long is not begun beside itself every hour. What was
    written on within the hour is going on, or waits as long as it was asked to.
    """
    now = house.clock()
    with house.store.read() as tx:
        records = [incidents.get(tx, id_) for id_ in incidents.under_way(tx, now - _SETTLED, _TAKEN_UP)]
    return [task for record in records for task in still_due(house, record, f"taken-up{now:%Y%m%d}")]


def _look_for_room(house: House) -> Sequence[Task]:
    """Tell the security team, once a day, that the disk is nearly full; what is on it is worked through."""
    if house.store.has_room():
        return []
    about = f"disk_{house.clock():%Y%m%d}"
    with house.store.begin("nearly_full") as tx:
        why = "The disk is nearly full: until there is room, deliveries are refused with 503."
        report_stuck(house, tx, about, why, always=True)
    return [tell_soon(about, "nearly_full")]


def tidy(house: House) -> Sequence[Task]:
    """Forget sealed bodies that outlived their purpose, and what ended long enough ago."""
    now, policy = house.clock(), house.policy
    with house.store.begin("tidy") as tx:
        unopened = deliveries.unopened_before(tx, now - _SEALED_AT_MOST)
        for id_ in unopened:
            why = "What it holds was not looked at for 72 hours, and is forgotten by now: ask for it again."
            deliveries.end(tx, id_, f"failed: {why}", now, failed=True)
            report_stuck(house, tx, id_, why, always=True)
        deliveries.shred_before(tx, now - _SEALED_AT_MOST)
        deliveries.shred(tx, incidents.idle_deliveries(tx))
    forgotten = _forget(house, retention.forget_deliveries, now - policy.keep_work - _LONGER)
    if policy.keep_incidents is not None:
        forgotten += _forget(house, retention.forget_incidents, now - policy.keep_incidents)
    if forgotten:
        log.info("rows_forgotten", count=forgotten)
    return [tell_soon(id_, "unopened") for id_ in unopened]


def _forget(house: House, forget: Callable[[Transaction, datetime], int], before: datetime) -> int:
    """All that is old enough, in transactions that keep no delivery waiting; how many."""
    forgotten = 0
    while True:
        with house.store.begin("forget") as tx:
            count = forget(tx, before)
        forgotten += count
        if count < retention.BATCH:
            return forgotten
        time.sleep(_BREATH_SECONDS)


def attest(house: House) -> Sequence[Task]:
    """Log the end of the audit record: what was logged elsewhere cannot be written anew here."""
    with house.store.read() as tx:
        head = audit.head(tx)
    log.info("audit_head", entries=head.entries, digest=head.digest)
    return []


TASKS = (sync, sweep, take_up, tidy, attest)
SCHEDULE = {"sweep": 60, "take_up": 3600, "tidy": 600, "attest": 86_400}
"""Every how many seconds there is a slot for each; `sync` has that of its settings."""
