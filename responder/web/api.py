"""The JSON API: manual reports. The answer to a known, an unknown and a forged token is the same."""

from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, jsonify, request

from responder.sources.payload import decode
from responder.sources.report import LARGEST_REPORT
from responder.web.intake import take_in
from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)


def blueprint(receiver: "Receiver") -> Blueprint:
    """The routes below ``/v1``."""
    routes = Blueprint("api", __name__)

    @routes.post("/v1/reports")
    def report() -> tuple[Response, int] | Response:
        authorization = request.headers.get("Authorization")
        callers = receiver.callers
        if authorization is None:
            caller = callers.by_address(request.remote_addr)
        elif (known := callers.by_bearer(authorization)) is not None:
            caller = known
        else:
            log.warning("bearer_refused", route="/v1/reports")
            answer = problem(401, "Unauthorized", "The bearer is wrong; reports are taken without one, too.")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        if request.mimetype != "application/json":
            return problem(415, "Unsupported Media Type", "Send application/json.")
        body = receiver.bodies.read(LARGEST_REPORT)
        receipt = take_in(receiver, caller, decode(body), body, request.headers.get("Idempotency-Key"))
        return jsonify(receipt=receipt), 202

    return routes
