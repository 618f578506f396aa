"""The JSON API: manual reports. The answer to a known, an unknown and a forged token is the same."""

import hashlib
import secrets
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, jsonify, request

from responder.core.errors import Malformed
from responder.sources import doors
from responder.sources.payload import decode
from responder.store.deliveries import Delivery
from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

_LARGEST_REPORT = 4 * 1024 * 1024


def blueprint(receiver: "Receiver") -> Blueprint:
    """The routes below ``/v1``."""
    routes = Blueprint("api", __name__)
    door = doors()["report"]

    @routes.post("/v1/reports")
    def report() -> tuple[Response, int] | Response:
        if (request.content_length or 0) > _LARGEST_REPORT:
            return problem(413, "Content Too Large")
        if request.mimetype != "application/json":
            return problem(415, "Unsupported Media Type", "Send application/json.")
        body = request.get_data(cache=False)
        told = door.told(decode(body))
        receipt = _receipt(request.headers.get("Idempotency-Key"), body)
        id_ = f"rep_{receipt}"
        sealed = receiver.seal(body, id_)
        refs = {**told.refs, "receipt": receipt}
        new = receiver.inbox.accept(Delivery(id_, "report", told.lane, refs, receiver.clock(), sealed))
        log.info("delivery_accepted", delivery=id_, new=new)
        return jsonify(receipt=receipt), 202

    return routes


def _receipt(key: str | None, body: bytes) -> str:
    """Random; the same again for the same idempotency key and body: nobody's key may swallow another's report."""
    if key is None:
        return secrets.token_hex(12)
    if not 8 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise Malformed("Idempotency-Key must be 8 to 200 printable characters.")
    return hashlib.sha256(b"responder-receipt\0" + key.encode() + b"\0" + body).hexdigest()[:24]
