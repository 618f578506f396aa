"""What `responder scan --report` found: handed over by whoever scanned, sealed like a report.

Places are digests of names, since a file may be named after its secret. What lies
in the past is told as such.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from responder.core.sighting import Source, readable_address
from responder.sources import Material, Reach, Told


def told(_payload: Mapping[str, Any]) -> Told:
    """Keep nothing in the open but that it is about the past."""
    return Told("scan", {"backfill": True})


def material(_reach: Reach, refs: Mapping[str, Any], opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Each token that was found, at its place."""
    if opened is None:
        return  # shredded: nobody needs it any more
    for one in json.loads(opened)["findings"]:
        if refs.get("place") in (None, one["place"]):
            yield Material("text", one["token"], Source.SCAN, one["place"], readable_address(one["where"]), at)


def narrow(refs: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The one place of a sighting."""
    return {**refs, "place": place}
