"""A report on its way in, whoever took it from whom: checked, sealed, put on disk.

The same work for every report, so that neither the answer nor the time it takes
tells a known token from a made-up one.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from responder.core.errors import Malformed
from responder.sources import doors
from responder.store.deliveries import Delivery
from responder.web.callers import Caller

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

KEY = re.compile(r"[!-~][ -~]{6,198}[!-~]\Z")
"""What an idempotency key may be."""


def take_in(receiver: "Receiver", caller: Caller, payload: Mapping[str, Any], body: bytes, key: str | None) -> str:
    """Put a report on disk; its receipt.

    Args:
        receiver: with what.
        caller: whose quota it counts for.
        payload: the report, decoded.
        body: the same as it was sent, to be sealed.
        key: makes a report that is sent again the same report.

    Raises:
        Malformed: it is no report, or *key* cannot be used.
        Crowded: the caller's quota is used up.
        StoreUnavailable: it is not on disk.
    """
    told = doors()["report"].told(payload)
    receipt = _receipt(key, body)
    id_ = f"rep_{receipt}"
    refs = {**told.refs, "receipt": receipt}
    delivery = Delivery(id_, "report", caller.lane, refs, receiver.clock(), receiver.seal(body, id_))
    new = receiver.inbox.accept(delivery, caller.quotas)
    log.info("delivery_accepted", delivery=id_, new=new)
    return receipt


def _receipt(key: str | None, body: bytes) -> str:
    """Random; the same again for the same idempotency key and body: nobody's key may swallow another's report."""
    if key is None:
        return secrets.token_hex(12)
    if not KEY.match(key):
        raise Malformed("Idempotency-Key must be 8 to 200 printable characters.")
    return hashlib.sha256(b"responder-receipt\0" + key.encode() + b"\0" + body).hexdigest()[:24]
