"""Whether the process is up, and whether the whole of it is good."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify

from responder.web.problem import problem

if TYPE_CHECKING:
    from responder.web import Receiver


def blueprint(receiver: "Receiver") -> Blueprint:
    """``/healthz`` and ``/readyz``."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="up")

    @routes.get("/readyz")
    def readyz() -> Response:
        reason = receiver.is_ready()
        return jsonify(status="ready") if reason is None else problem(503, "Not Ready", reason)

    return routes
