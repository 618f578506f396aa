"""What this API takes and answers, as OpenAPI 3.1: one table of routes, and the types and patterns that validate.

Nothing of the configuration is in it: a route that is switched off is described too, and its 404. Pages for people
are not. A test compares the table with the routes there are, both ways.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify

from responder.sources import github_partner, gitlab_revocation, report
from responder.web import gitlab, hooks, intake
from responder.web.problem import PROBLEM

if TYPE_CHECKING:
    from responder.web import Receiver

_Json = dict[str, Any]


def blueprint(_receiver: "Receiver") -> Blueprint:
    """``/openapi.json``."""
    routes = Blueprint("openapi", __name__)
    whole = document()

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(whole)

    return routes


def document() -> _Json:
    """The whole description."""
    paths: dict[str, _Json] = {}
    for route in _ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "secret-leak-responder",
            "version": version("secret-leak-responder"),
            "summary": "Takes reports of leaked keys.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM, **{name: _schema(model) for name, model in _MODELS.items()}},
            "responses": {str(status): _problem(status, text) for status, text in _PROBLEMS.items()},
            "securitySchemes": _SCHEMES,
        },
    }


@dataclass(frozen=True, slots=True)
class _Route:
    """One row of the table.

    Attributes:
        method: in lower case.
        path: as Flask has it; none has a parameter.
        summary: one sentence.
        good: the answers that are no problem, by status; a media type and a schema, or neither.
        problems: statuses of those that are.
        security: any one of these; an empty one is nobody.
        headers: schemas of request headers; those in *needed* must be there.
        body: schemas by media type.
        largest: bytes of the body.
    """

    method: str
    path: str
    summary: str
    good: Mapping[int, tuple[str, _Json] | None]
    problems: Sequence[int] = ()
    security: Sequence[_Json] = ()
    headers: Mapping[str, _Json] = field(default_factory=dict)
    needed: Sequence[str] = ()
    body: Mapping[str, _Json] = field(default_factory=dict)
    largest: int = 0


def _operation(route: _Route) -> _Json:
    answers: _Json = {str(status): {"$ref": f"#/components/responses/{status}"} for status in route.problems}
    for status, said in route.good.items():
        content = {} if said is None else {"content": {said[0]: {"schema": said[1]}}}
        answers[str(status)] = {"description": _GOOD[status], **content}
    operation: _Json = {"summary": route.summary, "security": list(route.security), "responses": answers}
    if route.headers:
        operation["parameters"] = [
            {"in": "header", "name": name, "required": name in route.needed, "schema": schema}
            for name, schema in route.headers.items()
        ]
    if route.body:
        content = {kind: {"schema": schema} for kind, schema in route.body.items()}
        limits = f"Of a declared length, without a Content-Encoding, at most {route.largest:,} bytes."
        operation["requestBody"] = {"description": limits, "required": True, "content": content}
    return operation


def _problem(status: int, text: str) -> _Json:
    answer = {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503):
        seconds = {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": seconds}
    return answer


def _schema(model: Any) -> _Json:  # noqa: ANN401 -- a pydantic model, and pydantic is not the web's
    schema: _Json = model.model_json_schema(
        mode="serialization" if model is github_partner.Feedback else "validation"
    )
    return schema


def _like(pattern: re.Pattern[str], said: str = "") -> _Json:
    """A header that must match *pattern*, spelled as JSON Schema has it."""
    inner = pattern.pattern.removesuffix(r"\Z")
    return {"type": "string", "pattern": f"^{inner}$", "description": said}


def _object(**members: _Json) -> _Json:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _key(header: str, said: str) -> _Json:
    return {"type": "apiKey", "in": "header", "name": header, "description": said}


def _list(name: str) -> _Json:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_MODELS = {
    "Report": report.Report,
    "PartnerRecord": github_partner.Record,
    "PartnerFeedback": github_partner.Feedback,
    "RevocationRecord": gitlab_revocation.Record,
}
_GOOD = {200: "Good.", 202: "It is on disk, or said to be ignored.", 204: "It is on disk."}
_PROBLEMS = {
    400: "It has not the shape it must have.",
    401: "Whoever it must be from did not prove it.",
    404: "Not configured here.",
    408: "The body was not here in time.",
    411: "The body has no declared length.",
    413: "The body is too large.",
    415: "The body is encoded, or of another type.",
    429: "As much as is taken from one caller was taken.",
    503: "Not now; nothing was kept.",
}
_SCHEMES = {
    "github": _key("X-Hub-Signature-256", "sha256= and the HMAC-SHA-256 of the raw body in hexadecimal."),
    "partnerKey": _key("Github-Public-Key-Identifier", "Of a public key that the partner publishes."),
    "partnerSignature": _key("Github-Public-Key-Signature", "ECDSA over the raw body, DER in base64."),
    "gitlabToken": _key("X-Gitlab-Token", "The shared token."),
    "webhookId": _key("webhook-id", "As of Standard Webhooks."),
    "webhookTimestamp": _key("webhook-timestamp", "As of Standard Webhooks."),
    "webhookSignature": _key("webhook-signature", "As of Standard Webhooks."),
    "revocation": _key("Authorization", "The token that GitLab was given, with Bearer before it or not."),
    "reporter": {"type": "http", "scheme": "bearer", "description": "May send more."},
    "metrics": {"type": "http", "scheme": "bearer"},
}
_JSON = "application/json"
_TEXT: _Json = {"type": "string"}
_EVENT: _Json = {"type": "object", "description": "As the sender documents it; numbers and commit ids are read."}
_DELIVERY = _object(delivery=_like(hooks.GUID))
_TAKEN = {"oneOf": [_DELIVERY, _object(ignored=_like(hooks.EVENT))]}
_GITLAB_TAKEN = {"oneOf": [_object(delivery=_like(gitlab.ID)), _object(ignored=_like(gitlab.EVENT))]}
_OF_A_BODY = (400, 408, 411, 413, 415, 503)
_ROUTES = (
    _Route(
        "post",
        "/hooks/github",
        "A webhook of GitHub.",
        {200: (_JSON, _DELIVERY), 202: (_JSON, _TAKEN)},
        problems=(401, 404, *_OF_A_BODY),
        security=[{"github": []}],
        headers={
            "X-GitHub-Event": _like(hooks.EVENT),
            "X-GitHub-Delivery": _like(hooks.GUID, "Nothing like a key."),
            "X-GitHub-Hook-ID": _TEXT,
            "X-GitHub-Hook-Installation-Target-ID": _TEXT,
            "X-GitHub-Hook-Installation-Target-Type": _TEXT,
        },
        needed=("X-GitHub-Event", "X-GitHub-Delivery"),
        body={
            _JSON: _EVENT,
            hooks.FORM: _object(payload={"type": "string", "contentMediaType": _JSON, "contentSchema": _EVENT}),
        },
        largest=hooks.LARGEST_BODY,
    ),
    _Route(
        "post",
        "/hooks/github/partner",
        "Leaked tokens found by GitHub's secret-scanning partner programme, or by deps.dev with headers of its own.",
        {200: (_JSON, _list("PartnerFeedback"))},
        problems=(401, *_OF_A_BODY),
        security=[{"partnerKey": [], "partnerSignature": []}],
        body={_JSON: _list("PartnerRecord")},
        largest=hooks.LARGEST_BODY,
    ),
    _Route(
        "post",
        "/hooks/gitlab",
        "A webhook of GitLab.",
        {202: (_JSON, _GITLAB_TAKEN)},
        problems=(401, 404, *_OF_A_BODY),
        security=[{"gitlabToken": []}, {"webhookId": [], "webhookTimestamp": [], "webhookSignature": []}],
        headers={
            "X-Gitlab-Event": _like(gitlab.EVENT),
            "Idempotency-Key": _like(gitlab.ID, "This, or X-Gitlab-Event-UUID, or webhook-id."),
            "X-Gitlab-Event-UUID": _like(gitlab.ID),
        },
        needed=("X-Gitlab-Event",),
        body={_JSON: _EVENT},
        largest=hooks.LARGEST_BODY,
    ),
    _Route(
        "get",
        "/v1/revocable_token_types",
        "What GitLab's token revocation may send.",
        {200: (_JSON, _object(types={"type": "array", "items": {"enum": list(gitlab_revocation.TYPES)}}))},
        problems=(401, 404),
        security=[{"revocation": []}],
    ),
    _Route(
        "post",
        "/v1/revoke_tokens",
        "Leaked tokens found by GitLab; a record that cannot be read harms no other.",
        {204: None},
        problems=(401, 404, 429, *_OF_A_BODY),
        security=[{"revocation": []}],
        body={_JSON: _list("RevocationRecord")},
        largest=gitlab_revocation.LARGEST_BODY,
    ),
    _Route(
        "post",
        "/v1/reports",
        "A report by hand; the answer is the same for known, unknown and forged tokens.",
        {202: (_JSON, _object(receipt={"type": "string", "pattern": "^[0-9a-f]{24}$"}))},
        problems=(401, 429, *_OF_A_BODY),
        security=[{}, {"reporter": []}],
        headers={"Idempotency-Key": _like(intake.KEY, "Makes a report sent again the same report.")},
        body={_JSON: {"$ref": "#/components/schemas/Report"}},
        largest=report.LARGEST_REPORT,
    ),
    _Route("get", "/healthz", "The process is up.", {200: (_JSON, _object(status={"const": "up"}))}),
    _Route(
        "get",
        "/readyz",
        "Database and migrations are good, and a worker works.",
        {200: (_JSON, _object(status={"const": "ready"}))},
        problems=(503,),
    ),
    _Route(
        "get",
        "/metrics",
        "For Prometheus.",
        {200: ("text/plain", _TEXT)},
        problems=(401, 404),
        security=[{"metrics": []}],
    ),
    _Route("get", "/openapi.json", "This.", {200: (_JSON, {"type": "object", "required": ["openapi", "paths"]})}),
)
