"""``/metrics`` of the receiver: for whoever has the bearer, and not there at all where none is configured."""

import hmac
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Flask, Response, request

from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)


def blueprint(receiver: "Receiver") -> Blueprint:
    """``/metrics``."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        if receiver.metrics_token is None:
            return problem(404, "Not Found")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        good = hmac.compare_digest(given.strip().encode(), receiver.metrics_token)
        if scheme.lower() != "bearer" or not good:
            log.warning("bearer_refused", route="/metrics")
            answer = problem(401, "Unauthorized", "The bearer is missing or wrong.")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        content, content_type = receiver.expose(request.headers.get("Accept", ""))
        return Response(content, content_type=content_type)

    return routes


def count(app: Flask, receiver: "Receiver") -> None:
    """Count every answer of *app* by its route, of which there are few, and its status."""
    receiver.tally.name_routes(rule.rule for rule in app.url_map.iter_rules())

    def add(answer: Response) -> Response:
        receiver.tally.add(request.url_rule.rule if request.url_rule else None, answer.status_code)
        return answer

    app.after_request(add)
