"""Have the tokens themselves in hand: from a delivery, or once more for an incident.

Nothing here is kept. What came from GitHub is fetched again; what was sealed is
opened again, until nobody needs it and it is shredded.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.token import Token, fingerprint
from responder.house import House
from responder.proof import Account
from responder.scan import Scan
from responder.seal import unseal
from responder.sources import Material, Part, doors
from responder.sources.report import asker
from responder.store import deliveries, incidents
from responder.store.deliveries import Delivery
from responder.store.incidents import Record


def material(house: House, delivery: Delivery, refs: Mapping[str, Any] | None = None) -> Iterator[Material]:
    """What a delivery tells of, piece by piece.

    Args:
        house: to fetch and to open with.
        delivery: the delivery.
        refs: a part of what it refers to; None: all of it.

    Raises:
        Refused, Unavailable: as the door's own.
    """
    opened = None if delivery.sealed is None else unseal(house.private, delivery.sealed, delivery.id)
    door = doors()[delivery.source]
    return door.material(house.reach, delivery.refs if refs is None else refs, opened, delivery.received_at)


def hand_on(house: House, delivery: Delivery, part: Part) -> None:
    """Make a part of a delivery a delivery of its own; once, however often and by whomever it is handed on."""
    name = hashlib.sha256(json.dumps([part.door, part.refs], sort_keys=True).encode()).hexdigest()[:24]
    refs = {**part.refs, "of": delivery.whole} | ({"backfill": True} if delivery.backfill else {})
    with house.store.begin("hand_on") as tx:
        deliveries.accept(tx, Delivery(f"part_{name}", part.door, delivery.lane, refs, delivery.received_at))


def look_through(house: House, piece: Material) -> Scan:
    """Scan one piece."""
    if piece.kind == "diff":
        return house.scanner.diff(piece.content, piece.path)
    return house.scanner.text(piece.content, piece.path)


def recall(house: House, record: Record) -> Token | None:
    """The token of an incident, from any place that still shows it; None if none does.

    Raises:
        Unavailable: a place that may still show it cannot be asked right now.
    """
    away: Unavailable | None = None
    with house.store.read() as tx:
        sightings = incidents.sightings_of(tx, record.id)
    asked = []
    for sighting in sightings:
        with house.store.read() as tx:
            delivery = deliveries.get(tx, sighting.delivery)
        if delivery is None:
            continue
        refs = doors()[delivery.source].narrow(delivery.refs, sighting.place)
        if (delivery.id, refs) in asked:
            continue  # one answer tells of all places of an alert
        asked.append((delivery.id, refs))
        try:
            for piece in material(house, delivery, refs):
                for found in look_through(house, piece).findings:
                    if record.fingerprint.digest in fingerprint(found.token, *house.peppers()).digests:
                        return found.token
        except Refused:
            continue
        except Unavailable as error:
            away = error
    if away is not None:
        raise away
    return None


def asker_of(house: House, record: Record) -> str:
    """Under which name questions about an incident are counted: that of who told us first."""
    with house.store.read() as tx:
        sightings = incidents.sightings_of(tx, record.id)
        first = deliveries.get(tx, sightings[0].delivery) if sightings else None
    return asker(first.lane) if first is not None else ""


def key_of(house: House, id_: str) -> tuple[Record, KnownKey | None, Account | None]:
    """An incident, the key it was proved to be, and the account of that key."""
    with house.store.read() as tx:
        record = incidents.get(tx, id_)
    for account in house.accounts.get(record.provider, ()):
        if account.provider.account == record.account and record.key_id is not None:
            return record, account.inventory.key(record.key_id), account
    return record, None, None
