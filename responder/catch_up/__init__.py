"""What webhooks missed: GitHub tells nobody twice, and of some things nobody at all.

A sweep has deliveries that failed delivered again, hands on open alerts that have
no incident and branches that moved unheard, and has alerts closed whose key is
dead. It finds and hands on; what is found goes through the same doors as what a
webhook brings, and is done once, whoever was first.
"""

import json
from collections.abc import Sequence

import structlog

from responder.catch_up import homes, webhooks
from responder.catch_up.sweep import Sweep
from responder.core.errors import Refused, Unavailable
from responder.engine import Task
from responder.house import House
from responder.store import deliveries

log = structlog.get_logger(__name__)

_OCCUPIED_SECONDS = 2.0


def catch_up(house: House, request: str = "") -> Sequence[Task]:
    """Sweep once; never two at a time, in whatever process.

    Args:
        house: to fetch with, and to hand on to.
        request: the delivery with which a person asked for it, which ends with what was found; or empty.
    """
    with house.locks.alone_or_not("catch_up") as here, house.store.alone_or_not("catch_up") as anywhere:
        if not (here and anywhere):
            return [_later(house, request)] if request else []
        sweep = Sweep(house)
        complete = _sweep(sweep)
    found = {name: count for name, count in sorted(sweep.found.items()) if count}
    if request:
        with house.store.begin("caught_up") as tx:
            outcome = json.dumps({"complete": complete, **found})
            deliveries.end(tx, request, outcome, house.clock())
    house.ended(request)  # rings, too: what was handed on may start at once
    log.info("caught_up", complete=complete, **found)
    return sweep.following


def _sweep(sweep: Sweep) -> bool:
    """Everything in turn; False if it had to end early, and goes on next time."""
    sweep.close_alerts()
    try:
        webhooks.catch_up(sweep)
        homes.catch_up(sweep)
    except Unavailable as error:
        log.warning("catch_up_ended_early", why=str(error))
    except Refused as error:
        sweep.tell("refused", f"What webhooks missed cannot be caught up with: {error}.")
    else:
        return True
    return False


def _later(house: House, request: str) -> Task:
    return Task("catch_up", f"catch_up:{request}:{house.clock():%Y%m%d%H%M%S}", (request,), _OCCUPIED_SECONDS)
