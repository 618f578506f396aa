"""The same reports for people: a page to paste into. It needs no JavaScript, and nothing pasted gets into an address.

No other page can send it in a visitor's name: the browser says where a request
comes from (``Sec-Fetch-Site``, else ``Origin``), and a cookie that only our own
page is sent with must be repeated in the form. Nothing is kept here for that.
"""

import hmac
import json
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import structlog
from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import Forbidden, HTTPException, UnsupportedMediaType

from responder.core.errors import Malformed
from responder.sources.report import LARGEST_REPORT
from responder.store import StoreUnavailable
from responder.store.deliveries import Crowded
from responder.web.intake import take_in
from responder.web.problem import RETRY_SECONDS

if TYPE_CHECKING:
    from responder.web import Receiver

log = structlog.get_logger(__name__)

_FIELDS = ("proof", "attempt", "text", "url", "comment")
_RANDOM = re.compile(r"[A-Za-z0-9_-]{22}\Z")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REASONS = {
    403: "Your browser did not show that this came from our own page. Please open it again and send it from there.",
    408: "It took too long to get here. Please try again.",
    413: "That is too much for one report. Please send the part with the key in it.",
    415: "Please use the form on our page.",
    429: "Too many reports came from your network. Please try again later.",
    503: "It could not be stored just now. Please try again in a moment.",
}


def blueprint(receiver: "Receiver") -> Blueprint:
    """``/report``."""
    routes = Blueprint("form", __name__)
    secure = (receiver.public_url or "").startswith("https:")
    cookie = "__Host-report" if secure else "report"

    @routes.get("/report")
    def form() -> Response:
        kept = request.cookies.get(cookie, "")
        proof = kept if _RANDOM.match(kept) else secrets.token_urlsafe(16)
        answer = _page("report_form.html", proof=proof, attempt=secrets.token_urlsafe(16))
        answer.set_cookie(cookie, proof, path="/", secure=secure, httponly=True, samesite="Strict")
        return answer

    @routes.post("/report")
    def report() -> Response:
        if not _is_from_us(receiver.public_url):
            raise Forbidden
        if request.mimetype != "application/x-www-form-urlencoded":
            raise UnsupportedMediaType
        given = _fields(receiver.bodies.read(LARGEST_REPORT))
        proof = request.cookies.get(cookie, "")
        if not _RANDOM.match(proof) or not hmac.compare_digest(proof.encode(), given["proof"].encode()):
            raise Forbidden
        if not _RANDOM.match(given["attempt"]):
            raise Malformed("Please open the page again.")
        if not given["text"].strip():
            raise Malformed("There was no key in it, and no text.")
        payload = {name: given[name] for name in ("text", "url", "comment") if given[name]}
        caller = receiver.callers.by_address(request.remote_addr)
        receipt = take_in(receiver, caller, payload, json.dumps(payload).encode(), given["attempt"])
        return _page("report_done.html", 202, receipt=receipt)

    routes.register_error_handler(Malformed, lambda error: _refusal(400, error.reason))
    routes.register_error_handler(HTTPException, lambda error: _refusal(error.code or 500))
    routes.register_error_handler(Crowded, lambda error: _refusal(429, retry_after_seconds=error.seconds))
    routes.register_error_handler(StoreUnavailable, _unstored)
    return routes


def _is_from_us(public_url: str | None) -> bool:
    """Whether the browser says that our own page sent it, or does not say.

    Older browsers, and all of them without TLS, leave ``Sec-Fetch-Site`` out; and since our pages let no
    address through, the origin they name is ``null``. The cookie then decides, which others' pages come without.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "null")
    if site is not None:
        return site == "same-origin"
    return origin == "null" or urlsplit(origin).netloc in (request.host, urlsplit(public_url or "").netloc)


def _fields(body: bytes) -> dict[str, str]:
    """Every field of the form, once.

    Raises:
        Malformed: it is another form, or its text is not UTF-8.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=len(_FIELDS),
        )
    except ValueError:
        raise Malformed("The form cannot be read.") from None
    if sorted(name for name, _ in pairs) != sorted(_FIELDS):
        raise Malformed("The form cannot be read.")
    return dict(pairs)


def _refusal(status: int, reason: str | None = None, retry_after_seconds: int | None = None) -> Response:
    answer = _page("report_refused.html", status, reason=reason or _REASONS.get(status, "Something went wrong."))
    if retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(retry_after_seconds)
    return answer


def _unstored(error: StoreUnavailable) -> Response:
    log.error("store_unavailable", why=error.why)
    return _refusal(503, retry_after_seconds=RETRY_SECONDS)


def _page(template: str, status: int = 200, **values: str) -> Response:
    """A page that may load nothing, send its form to us alone, and be shown in no other page."""
    nonce = secrets.token_urlsafe(16)
    answer = make_response(render_template(template, nonce=nonce, **values), status)
    answer.headers.update(_HEADERS)
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return answer
