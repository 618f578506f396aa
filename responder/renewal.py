"""The worker's side of partners' public keys: fetches and keeps them; once an hour, and when a receiver asks.

What cannot be fetched or used changes nothing: the keys that are there go on counting, until they have not been
confirmed for two days.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from responder.core.errors import Refused, Unavailable
from responder.engine import Task
from responder.house import House
from responder.ruling import tell_soon
from responder.store import deliveries, public_keys
from responder.trouble import report_stuck

log = structlog.get_logger(__name__)

_TELL_AFTER = timedelta(hours=24)
"""Half of the time after which the keys are not believed any more (see `keyring`)."""


def fetch_keys(house: House, delivery_id: str) -> Sequence[Task]:
    """Fetch the keys of the origin that a receiver asked for; how that ended is what it waits for."""
    with house.store.read() as tx:
        delivery = deliveries.get(tx, delivery_id)
    if delivery is None:
        return []
    try:
        fetched = _fetch(house, str(delivery.refs["origin"]))
        with house.store.begin("keys_asked") as tx:
            outcome = "fetched" if fetched else "not to be had"
            deliveries.end(tx, delivery.id, outcome, house.clock(), failed=not fetched)
    finally:
        house.ended(delivery_id)
    return []


def renew_keys(house: House, origin: str) -> Sequence[Task]:
    """Have an origin confirm its keys, if a receiver ever asked for them; a person is told if that fails for long."""
    with house.store.read() as tx:
        kept = public_keys.get(tx, origin)
    if kept is None or _fetch(house, origin) or kept.fetched_at is None:
        return []
    if house.clock() - kept.fetched_at < _TELL_AFTER:
        return []
    about = f"keys_{origin}_{house.clock():%Y%m%d}"
    with house.store.begin("keys_old") as tx:
        report_stuck(house, tx, about, f"The public keys of {origin} cannot be fetched; its reports will be refused.")
    return [tell_soon(about, f"{house.clock():%H}")]


def _fetch(house: House, origin: str) -> bool:
    """Fetch and keep; whether the origin answered."""
    page = house.reach.partners.get(origin)
    if page is None:
        return False
    with house.locks.alone(f"keys:{origin}"):
        with house.store.read() as tx:
            kept = public_keys.get(tx, origin)
        now = house.clock()
        try:
            published = page.read(kept.etag if kept is not None else None)
        except (Refused, Unavailable) as error:
            log.warning("partner_keys_missed", origin=origin, why=str(error))
            with house.store.begin("keys_missed") as tx:
                public_keys.tried(tx, origin, now)
            return False
        with house.store.begin("keys_fetched") as tx:
            if published is None:
                public_keys.confirm(tx, origin, now)
            else:
                public_keys.replace(tx, origin, published.keys, published.etag, now)
    log.info("partner_keys_fetched", origin=origin, changed=published is not None)
    return True


TASKS = (fetch_keys, renew_keys)
