"""Answers to what cannot be served: ``application/problem+json``, never repeating input.

Source: RFC 9457.
"""

import structlog
from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException

from responder.core.errors import Malformed
from responder.store import StoreUnavailable

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5


def problem(status: int, title: str, detail: str | None = None) -> Response:
    """One answer; *detail* is ours, never the sender's words."""
    content = {"type": "about:blank", "title": title, "status": status}
    if detail is not None:
        content["detail"] = detail
    response = Response(json.dumps(content), status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


def handle(app: Flask) -> None:
    """Turn every error of *app* into a problem."""
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Malformed, _of_input)
    app.register_error_handler(StoreUnavailable, _of_store)
    app.register_error_handler(Exception, _of_bug)


def check_framing() -> Response | None:
    """A body has a declared length and no encoding: anything else could be cut or grow behind our back."""
    if request.method in ("POST", "PUT", "PATCH"):
        if request.content_length is None or request.headers.get("Transfer-Encoding"):
            return problem(411, "Length Required", "Send a Content-Length.")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return problem(415, "Unsupported Media Type", "Send the body without a Content-Encoding.")
    return None


def _of_http(error: HTTPException) -> Response:
    return problem(error.code or 500, error.name)


def _of_input(error: Malformed) -> Response:
    return problem(400, "Bad Request", error.reason)


def _of_store(error: StoreUnavailable) -> Response:
    log.error("store_unavailable", why=error.why)
    return problem(503, "Service Unavailable", "Not stored; try again.")


def _of_bug(error: Exception) -> Response:
    log.error("request_failed", error=type(error).__name__, route=str(request.url_rule), exc_info=error)
    return problem(500, "Internal Server Error")
