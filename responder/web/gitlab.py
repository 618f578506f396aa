"""What GitLab calls: its webhooks, and its token revocation. Who calls is asked first, then the body is read.

Source: https://docs.gitlab.com/user/project/integrations/webhooks/ and
https://docs.gitlab.com/development/sec/token_revocation_api/
"""

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, jsonify, request

from responder.core.errors import Malformed
from responder.core.token import scrub
from responder.sources import gitlab as gitlab_push
from responder.sources import gitlab_revocation
from responder.sources.gitlab_signature import equals_one, is_authentic
from responder.sources.payload import decode, decode_list
from responder.store.deliveries import Delivery, Quota
from responder.web.hooks import LARGEST_BODY
from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

_PUSHES = ("Push Hook", "System Hook")
EVENT = re.compile(r"[A-Za-z]{1,40}(?: [A-Za-z]{1,40}){0,4}\Z")
ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_QUOTAS = (Quota(60, timedelta(minutes=1)),)


def blueprint(receiver: "Receiver") -> Blueprint:
    """``/hooks/gitlab`` and the token revocation below ``/v1``."""
    routes = Blueprint("gitlab", __name__)

    @routes.post("/hooks/gitlab")
    def hook() -> tuple[Response, int] | Response:
        return _take_hook(receiver)

    @routes.get("/v1/revocable_token_types")
    def revocable_token_types() -> Response:
        return _refusal(receiver) or jsonify(types=gitlab_revocation.TYPES)

    @routes.post("/v1/revoke_tokens")
    def revoke_tokens() -> Response:
        return _refusal(receiver) or _take_revocation(receiver)

    return routes


def _take_hook(receiver: "Receiver") -> tuple[Response, int] | Response:
    if not receiver.gitlab_secrets:
        return problem(404, "Not Found", "No webhook secret is configured.")
    body = receiver.bodies.read(LARGEST_BODY)
    if not is_authentic(request.headers.get, body, receiver.gitlab_secrets, receiver.clock()):
        log.warning("signature_refused", route="/hooks/gitlab")
        return problem(401, "Unauthorized", "The token or signature is missing, wrong or too old.")
    id_, event = _id(), request.headers.get("X-Gitlab-Event", "")
    if not EVENT.match(event):
        raise Malformed("X-Gitlab-Event must be there.")
    payload = decode(body)
    if event not in _PUSHES or (event == "System Hook" and payload.get("object_kind") != "push"):
        return jsonify(ignored=event), 202
    told = gitlab_push.told(payload)
    digest = hashlib.sha256(body).hexdigest()[:16]  # the id may not be signed: it may not shadow another body
    delivery = Delivery(f"gl_{id_}_{digest}", "gitlab", told.lane, told.refs, receiver.clock())
    new = receiver.inbox.accept(delivery)
    log.info("delivery_accepted", delivery=delivery.id, gitlab_event=event, new=new)
    return jsonify(delivery=id_), 202


def _take_revocation(receiver: "Receiver") -> Response:
    if request.mimetype != "application/json":
        return problem(415, "Unsupported Media Type", "Send application/json.")
    body = receiver.bodies.read(gitlab_revocation.LARGEST_BODY)
    records = decode_list(body)
    if records:
        digest = hashlib.sha256(body).hexdigest()[:32]
        told = gitlab_revocation.told({"records": records, "digest": digest})
        id_ = f"glr_{digest}"
        sealed = receiver.seal(body, id_)
        delivery = Delivery(id_, "gitlab_revocation", told.lane, told.refs, receiver.clock(), sealed)
        new = receiver.inbox.accept(delivery, _QUOTAS)
        log.info("delivery_accepted", delivery=id_, records=len(records), new=new)
    return Response(status=204)


def _id() -> str:
    """The event's id, under the first of the names that GitLab has given it over time."""
    names = ("webhook-id", "Idempotency-Key", "X-Gitlab-Event-UUID")
    id_ = next((request.headers[name] for name in names if name in request.headers), "")
    if not ID.match(id_) or scrub(id_) != id_:  # it may not be signed, and names a row
        raise Malformed("Idempotency-Key or X-Gitlab-Event-UUID must be there.")
    return id_


def _refusal(receiver: "Receiver") -> Response | None:
    """The answer to whoever does not present the revocation token; GitLab sends it with no scheme before it."""
    if not receiver.gitlab_revocation_tokens:
        return problem(404, "Not Found", "No revocation token is configured.")
    given = request.headers.get("Authorization", "")
    if equals_one(given.removeprefix("Bearer "), receiver.gitlab_revocation_tokens):
        return None
    log.warning("signature_refused", route=str(request.url_rule))
    return problem(401, "Unauthorized", "The token is missing or wrong.")
