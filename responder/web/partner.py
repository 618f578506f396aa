"""Partners' reports of leaked tokens: the signature over the raw body first, then the body, then the disk.

Source: https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program
"""

import hashlib
import json
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, jsonify, request

from responder.core.errors import Unavailable
from responder.sources import doors
from responder.sources.github_partner import feedback
from responder.sources.partner_signature import claim, is_signed_by
from responder.sources.payload import decode_list
from responder.store.deliveries import Delivery
from responder.web.hooks import LARGEST_BODY
from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

_TOGETHER = 50
"""Records in one delivery: what follows from the first of them waits for the last."""


def blueprint(receiver: "Receiver") -> Blueprint:
    """The route of every partner."""
    routes = Blueprint("partner", __name__)
    door = doors()["github_partner"]

    @routes.post("/hooks/github/partner")
    def partner() -> tuple[Response, int] | Response:
        signed = claim(request.headers.get)
        if signed is None or signed.origin not in receiver.keyring.origins:
            return _refuse()
        body = receiver.bodies.read(LARGEST_BODY)
        try:
            key = receiver.keyring.find(signed.origin, signed.identifier)
        except Unavailable:
            log.warning("partner_keys_missing", origin=signed.origin)
            return problem(503, "Service Unavailable", "The public keys cannot be had right now.")
        if key is None or not is_signed_by(key, signed.signature, body):
            return _refuse()
        entries = decode_list(body)
        digest = hashlib.sha256(body).hexdigest()[:32]
        for first in range(0, len(entries), _TOGETHER):
            told = door.told({"origin": signed.origin, "digest": digest, "first": first})
            id_ = f"{told.refs['of']}_{first}"
            sealed = receiver.seal(json.dumps(entries[first : first + _TOGETHER]).encode(), id_)
            new = receiver.inbox.accept(
                Delivery(id_, "github_partner", told.lane, told.refs, receiver.clock(), sealed)
            )
            log.info("delivery_accepted", delivery=id_, records=len(entries), new=new)
        if receiver.holds_token is None:
            return jsonify([])
        return jsonify([feedback(entry, receiver.holds_token).model_dump() for entry in entries])

    return routes


def _refuse() -> Response:
    log.warning("signature_refused", route="/hooks/github/partner")
    return problem(401, "Unauthorized", "The signature is missing or wrong, or its key is not known.")
