"""What the house does by the clock, whether or not anybody told of a leak.

`sync` lists the keys, `sweep` sends what should have been sent, `tidy` forgets
what is over, `attest` logs the end of the audit record. Each runs once per slot
of time, in whichever process comes first.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from responder.engine import Task
from responder.house import House
from responder.respond import report_stuck
from responder.ruling import tell_soon
from responder.store import audit, deliveries, incidents, retention

log = structlog.get_logger(__name__)

_SEALED_AT_MOST = timedelta(hours=72)
_LONGER = timedelta(days=1)
"""A delivery is kept longer than its tasks: while it is there it is not taken in, and while they are, not started."""


def sync(house: House, provider: str, account: str) -> Sequence[Task]:
    """Bring an account's known keys up to date."""
    for one in house.accounts.get(provider, ()):
        if one.provider.account == account:
            one.inventory.sync()
    return []


def sweep(house: House) -> Sequence[Task]:
    """Send what is pending although its own tasks should have sent it: nothing ends silently."""
    slot = int(house.clock().timestamp()) // 60
    for account in (one for accounts in house.accounts.values() for one in accounts):
        if account.control is not None and (problem := account.control.problem()):
            about = f"control_{account.provider.provider}_{account.provider.account}_{house.clock():%Y%m%d}"
            with house.store.begin("control") as tx:
                why = f"Tokens cannot be checked, so leaks are held instead of revoked: {problem}."
                report_stuck(house, tx, about, why)
    return [tell_soon(about, f"sweep{slot}") for about in house.outbox.overdue()]


def tidy(house: House) -> Sequence[Task]:
    """Forget sealed bodies that outlived their purpose, and what ended long enough ago."""
    now, policy = house.clock(), house.policy
    with house.store.begin("tidy") as tx:
        deliveries.shred_before(tx, now - _SEALED_AT_MOST)
        deliveries.shred(tx, incidents.idle_deliveries(tx))
        forgotten = retention.forget_deliveries(tx, now - policy.keep_work - _LONGER)
        if policy.keep_incidents is not None:
            forgotten += retention.forget_incidents(tx, now - policy.keep_incidents)
    if forgotten:
        log.info("rows_forgotten", count=forgotten)
    return []


def attest(house: House) -> Sequence[Task]:
    """Log the end of the audit record: what was logged elsewhere cannot be written anew here."""
    with house.store.read() as tx:
        head = audit.head(tx)
    log.info("audit_head", entries=head.entries, digest=head.digest)
    return []


TASKS = (sync, sweep, tidy, attest)
