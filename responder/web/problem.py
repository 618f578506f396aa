"""Answers to what cannot be served: ``application/problem+json``, never repeating input.

Source: RFC 9457.
"""

import structlog
from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from responder.core.errors import Malformed
from responder.store import StoreUnavailable
from responder.store.deliveries import Crowded

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5
"""How long to wait for a database that cannot be used."""

PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status"],
    "additionalProperties": False,
}
"""What `problem` answers, as JSON Schema."""


def problem(status: int, title: str, detail: str | None = None) -> Response:
    """One answer; *detail* is ours, never the sender's words."""
    content = {"type": "about:blank", "title": title, "status": status}
    if detail is not None:
        content["detail"] = detail
    response = Response(json.dumps(content), status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def handle(app: Flask) -> None:
    """Turn every error of *app* into a problem."""
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Malformed, _of_input)
    app.register_error_handler(StoreUnavailable, _of_store)
    app.register_error_handler(Crowded, _of_crowd)
    app.register_error_handler(Exception, _of_bug)


def check_framing() -> Response | None:
    """A body has a declared length and no encoding: anything else could be cut or grow behind our back."""
    if request.method in ("POST", "PUT", "PATCH"):
        headers = request.headers
        if request.content_length is None or headers.get("Transfer-Encoding"):
            return problem(411, "Length Required", "Send a Content-Length.")
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            return problem(415, "Unsupported Media Type", "Send the body without a Content-Encoding.")
    return None


def _of_http(error: HTTPException) -> Response:
    answer = problem(error.code or 500, error.name)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


def _of_input(error: Malformed) -> Response:
    return problem(400, "Bad Request", error.reason)


def _of_store(error: StoreUnavailable) -> Response:
    log.error("store_unavailable", why=error.why)
    return problem(503, "Service Unavailable", "Not stored; try again.")


def _of_crowd(error: Crowded) -> Response:
    answer = problem(429, "Too Many Requests", "As much as is taken from one caller was taken; try again later.")
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _of_bug(error: Exception) -> Response:
    log.error("request_failed", error=type(error).__name__, route=str(request.url_rule), exc_info=error)
    return problem(500, "Internal Server Error")
