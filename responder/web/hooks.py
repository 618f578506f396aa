"""Webhooks: the signature over the raw body first, then the body, then the disk, then the answer.

Source: https://docs.github.com/webhooks
"""

import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog
from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import Headers

from responder.core.errors import Malformed
from responder.core.token import scrub
from responder.sources import GITHUB_EVENTS, Told, doors
from responder.sources.payload import decode
from responder.sources.signature import is_signed
from responder.store.deliveries import Delivery
from responder.store.origins import HOOK_KINDS, Came, Hook
from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

LARGEST_BODY = 25 * 1024 * 1024
"""Bytes: GitHub sends no more."""

GUID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
EVENT = re.compile(r"(?=_*[A-Za-z0-9])[A-Za-z0-9_]{1,64}\Z")
FORM = "application/x-www-form-urlencoded"


def blueprint(receiver: "Receiver") -> Blueprint:
    """The routes below ``/hooks``."""
    routes = Blueprint("hooks", __name__)
    table = doors()

    @routes.post("/hooks/github")
    def github() -> tuple[Response, int] | Response:
        if not receiver.github_secrets:
            return problem(404, "Not Found", "No webhook secret is configured.")
        body, headers = receiver.bodies.read(LARGEST_BODY), request.headers
        if not is_signed(headers.get("X-Hub-Signature-256"), body, receiver.github_secrets):
            log.warning("signature_refused", route="/hooks/github")
            return problem(401, "Unauthorized", "The signature is missing or wrong.")
        guid, event = headers.get("X-GitHub-Delivery", ""), headers.get("X-GitHub-Event", "")
        if not GUID.match(guid) or scrub(guid) != guid:  # it is not signed, and names a row
            raise Malformed("X-GitHub-Delivery must be there.")
        if not EVENT.match(event):
            raise Malformed("X-GitHub-Event must be there.")
        payload = _payload(body)
        if event == "ping":
            return jsonify(delivery=guid), 200
        door = GITHUB_EVENTS.get(event) or GITHUB_EVENTS.get(f"{event}.{payload.get('action')}")
        if door is None:
            return jsonify(ignored=event), 202
        told = table[door].told(payload)
        digest = hashlib.sha256(body).hexdigest()[:16]  # the id is not signed: it may not shadow another body
        delivery = Delivery(f"gh_{guid}_{digest}", door, told.lane, told.refs, receiver.clock())
        new = receiver.inbox.accept(delivery, came=_came(told, headers))
        log.info("delivery_accepted", delivery=delivery.id, github_event=event, new=new)
        return jsonify(delivery=guid), 202

    return routes


def _came(told: Told, headers: Headers) -> Came:
    """Where it came from: the repository is signed, the webhook's numbers are not, and lead to questions only."""
    kind = headers.get("X-GitHub-Hook-Installation-Target-Type", "")
    numbers = [headers.get(f"X-GitHub-Hook-{name}", "") for name in ("ID", "Installation-Target-ID")]
    repository = told.refs["repository"]
    whole = all(one.isascii() and one.isdigit() and len(one) < 19 and int(one) > 0 for one in numbers)
    hook = Hook(kind, int(numbers[1]), int(numbers[0])) if whole and kind in HOOK_KINDS else None
    return Came(hook, repository if isinstance(repository, int) else None)


def _payload(body: bytes) -> dict[str, Any]:
    """The payload, sent as JSON or as a form: GitHub offers both, and signs the raw body either way."""
    if request.mimetype != FORM:
        return decode(body)
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=2)
    except ValueError:
        raise Malformed("The form cannot be read.") from None
    return decode(form.get("payload", [""])[0].encode("utf-8", "surrogatepass"))
