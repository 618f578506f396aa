"""The description that is served is true: of every route, and of what hundreds of generated requests are answered."""

import base64
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from requests import PreparedRequest
from schemathesis.checks import CheckContext, CheckFunction, not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from responder.app import receiver
from responder.settings import load
from responder.simulator import World
from responder.simulator.gitlab import GitLab, signature
from responder.simulator.partner import Partner
from responder.web.openapi import document
from responder.web.tally import Tally
from tests.hook import SECRET, sign, somebody
from tests.running import PATIENCE_SECONDS, Group

KEY, PRESHARED, SCRAPER = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), "made-up-token", "m" * 20
AS_DESCRIBED: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXACT = {
    "/v1/reports": (positive_data_acceptance, negative_data_rejection),
    "/v1/revoke_tokens": (positive_data_acceptance,),
    "/hooks/github/partner": (positive_data_acceptance,),
}
"""Where the body is described in full; a record that is none is passed over, so that it harms no other."""

OPERATIONS = [(path, method) for path, item in document()["paths"].items() for method in item]


def _takes_something(path: str, method: str) -> bool:
    return bool({"parameters", "requestBody"} & set(document()["paths"][path][method]))


def _needs_proof(path: str) -> bool:
    (operation,) = document()["paths"][path].values()
    return bool(operation["security"]) and {} not in operation["security"]


CASES = [
    (path, method, mode)
    for path, method in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or _takes_something(path, method)
]
PAGES = ("form.",)
"""Blueprints whose routes answer people, in HTML."""

OUR_WORDS = json.dumps(document())


Case = schemathesis.Case[Any]


class Signer(requests.Session):
    """Whoever may use each route: signs what was generated as it is sent, and is a new caller every time.

    Args:
        origin: of the receiver.
        partner: whose records are believed.
    """

    def __init__(self, origin: str, partner: Partner) -> None:
        super().__init__()
        self.trust_env = False
        self._origin, self._partner = origin, partner
        self.auth = self._prove

    def _prove(self, request: PreparedRequest) -> PreparedRequest:
        body: Any = request.body or b""
        raw: bytes = body.encode() if isinstance(body, str) else body
        path = str(request.url).removeprefix(self._origin)
        request.headers.pop("Authorization", None)
        request.headers.update(somebody())
        if path == "/hooks/github":
            request.headers["X-Hub-Signature-256"] = sign(raw)
        elif path == "/hooks/github/partner":
            request.headers.update(self._partner.sign(raw))
        elif path == "/hooks/gitlab":
            request.headers.update(signature(KEY, secrets.token_hex(8), int(time.time()), raw))
        elif path in ("/v1/revoke_tokens", "/v1/revocable_token_types"):
            request.headers["Authorization"] = PRESHARED
        elif path == "/metrics":
            request.headers["Authorization"] = f"Bearer {SCRAPER}"
        return request


class Api:
    """A running responder, and those who may use it.

    Attributes:
        schema: its description, as served.
        session: signs.
    """

    def __init__(self, group: Group, partner: Partner) -> None:
        self.group = group
        self.session = Signer(group.origin, partner)
        self.schema = schemathesis.openapi.from_dict(group.client.get("/openapi.json").json())
        self.schema.config.update(base_url=group.origin)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with ExitStack() as open_:
        world, gitlab = open_.enter_context(World()), open_.enter_context(GitLab())
        settings = world.environment() | {
            "RESPONDER_GITHUB__WEBHOOK_SECRET": SECRET,
            "RESPONDER_GITHUB__PARTNER_FEEDBACK": "true",
            "RESPONDER_GITLAB__URL": gitlab.origin,
            "RESPONDER_GITLAB__TOKEN": gitlab.token,
            "RESPONDER_GITLAB__WEBHOOK_SECRET": KEY,
            "RESPONDER_GITLAB__REVOCATION_TOKEN": PRESHARED,
            "RESPONDER_METRICS__TOKEN": SCRAPER,
            "RESPONDER_TRUSTED_PROXIES": "1",
        }
        partner = Partner(world.github.partner_keys)
        group = open_.enter_context(Group(tmp_path_factory.mktemp("api"), settings))
        group.prepare().start("serve").wait_until_ready()
        yield Api(group, partner)


def test_it_is_openapi_3_1(api: Api) -> None:
    """Clients are generated from it, by tools that take it at its word."""
    served = api.group.client.get("/openapi.json")
    assert served.headers["content-type"] == "application/json"
    assert served.json() == document()
    validate(served.json(), cls=OpenAPIV31SpecValidator)


def test_every_route_is_described_and_no_other_is(api: Api) -> None:
    """A route that nobody described is one that nobody reviewed. Pages for people are no part of an API."""
    app = receiver(load(None, api.group.environment), Tally())
    routes = [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith(PAGES)]
    there_are = {(rule.rule, method.lower()) for rule in routes for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert there_are == set(OPERATIONS)


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_it_is_true_and_no_answer_repeats_what_was_sent(
    api: Api, path: str, method: str, mode: GenerationMode
) -> None:
    """Whatever is sent, well-formed or not: an answer that is described, and nothing of a secret in it."""
    send(api, path, method, mode, api.session, *EXACT.get(path, ()), examples=40)


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, method in OPERATIONS if _needs_proof(path)])
def test_a_stranger_is_refused_in_the_same_form(api: Api, path: str, method: str) -> None:
    """Those are the answers that anybody can provoke, and read."""
    with requests.Session() as stranger:
        stranger.trust_env = False
        send(api, path, method, GenerationMode.POSITIVE, stranger, is_refused, examples=8)


def test_the_limits_are_those_that_hold(api: Api) -> None:
    """A client that keeps to the description never loses a report, and one that does not is told."""
    members = document()["components"]["schemas"]["Report"]["properties"]
    most = {name: member["anyOf"][0] for name, member in members.items()}
    for name, limit in most.items():
        for more, status in ((0, 202), (1, 400)):
            long = "x" * (limit.get("maxLength", 0) + more)
            body = {name: long or ["x"] * (limit["maxItems"] + more)} | ({} if _is_content(name) else {"token": "x"})
            answer = api.group.client.post("/v1/reports", json=body, headers=somebody())
            assert answer.status_code == status, (name, more)


def send(
    api: Api,
    path: str,
    method: str,
    mode: GenerationMode,
    session: requests.Session,
    *more: CheckFunction,
    examples: int,
) -> None:
    """Send generated requests, always the same ones, and compare each answer with the description."""

    @settings(
        max_examples=examples if _takes_something(path, method) else 1,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api.schema[path][method].as_strategy(generation_mode=mode))
    def once(case: Case) -> None:
        answer = case.call(session=session, timeout=PATIENCE_SECONDS)
        case.validate_response(answer, checks=[is_no_bug, *AS_DESCRIBED, repeats_nothing, *more])

    once()


def is_no_bug(ctx: CheckContext, response: Response, case: Case) -> None:
    """No error of ours; a disk that is busy for too long is none, and is said as described."""
    if response.status_code != 503:
        not_a_server_error(ctx, response, case)


def is_refused(ctx: CheckContext, response: Response, case: Case) -> None:
    """Whoever proved nothing."""
    assert response.status_code == 401


def repeats_nothing(ctx: CheckContext, response: Response, case: Case) -> None:
    """Eight letters in a row of anything sent; but the ids and words that the description says are given back."""
    if case.path.startswith("/hooks/") and response.status_code < 300:
        return
    sent = "\n".join(_strings([case.headers, case.query, case.body]))
    answer = "\n".join([_plain(response.content), *(value for row in response.headers.items() for value in row[1])])
    windows = {answer[at : at + 8] for at in range(len(answer) - 7)}
    assert not [window for window in windows if window in sent and window not in OUR_WORDS]


def _plain(content: bytes) -> str:
    try:
        return json.dumps(json.loads(content), ensure_ascii=False)
    except ValueError:
        return content.decode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name)
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, str | int | float):
        yield str(value)


def _is_content(name: str) -> bool:
    return name in ("token", "tokens", "text")
