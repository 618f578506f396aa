"""Servers, clients and the vendors' own schemas for the simulator's tests."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from responder.simulator.github import GitHub
from responder.simulator.openai import OpenAI

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"

_formats = jsonschema.FormatChecker(())


@_formats.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("uri", raises=ValueError)  # type: ignore[untyped-decorator]
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


class Contract:
    """A vendor's OpenAPI document, able to say what is wrong with an answer."""

    def __init__(self, path: Path) -> None:
        read = json.loads if path.suffix == ".json" else yaml.safe_load
        document = read(path.read_text())
        old = document["openapi"].startswith("3.0")
        self.document: dict[str, Any] = _modern(document) if old else document

    def check(self, operation: str, answer: httpx.Response) -> None:
        """Raise unless *answer* is one the operation (``"GET /path/{template}"``) may give, in its shape."""
        method, path = operation.split(" ")
        response = self.document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        while "$ref" in response:
            response = self._at(response["$ref"])
        content = response.get("content", {})
        media = answer.headers["content-type"].partition(";")[0]
        schema = {**content[media]["schema"], "components": self.document["components"]}
        whole = answer.json() if media == "application/json" else answer.text
        problems = list(jsonschema.Draft202012Validator(schema, format_checker=_formats).iter_errors(whole))
        assert not problems, [f"{error.json_path}: {error.message[:200]}" for error in problems]

    def _at(self, ref: str) -> Any:
        found: Any = self.document
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]
        return found


def _modern(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema 2020-12: ``nullable`` becomes a type."""
    if isinstance(node, list):
        return [_modern(item) for item in node]
    if not isinstance(node, dict):
        return node
    converted = {key: _modern(value) for key, value in node.items()}
    if converted.pop("nullable", False) is not True:
        return converted
    return {"anyOf": [converted, {"type": "null"}]}


class Events:
    """The schema bundle of GitHub's webhooks."""

    def __init__(self) -> None:
        self.bundle = json.loads((CONTRACTS / "github-webhooks.schema.json").read_text())

    def check(self, event: str, payload: Any) -> None:
        """Raise unless *payload* fits the schema of *event* and its action."""
        reference = self.bundle["x-events"][event][payload.get("action", "")]
        schema = {"$defs": self.bundle["$defs"], **reference}
        problems = list(jsonschema.Draft202012Validator(schema, format_checker=_formats).iter_errors(payload))
        assert not problems, [f"{error.json_path}: {error.message[:200]}" for error in problems]


@pytest.fixture(scope="session")
def contracts() -> Path:
    """The folder of vendors' schemas."""
    if not CONTRACTS.is_dir():
        pytest.skip("the vendors' schemas are not shipped: no shared/contracts beside the project")
    return CONTRACTS


@pytest.fixture(scope="session")
def openai_contract(contracts: Path) -> Contract:
    return Contract(contracts / "openai-admin.openapi.yaml")


@pytest.fixture(scope="session")
def me_contract(contracts: Path) -> Contract:
    return Contract(contracts / "hand-derived" / "openai-extra.openapi.yaml")


@pytest.fixture(scope="session")
def github_contract(contracts: Path) -> Contract:
    return Contract(contracts / "github-rest.openapi.json")


@pytest.fixture(scope="session")
def events(contracts: Path) -> Events:
    return Events()


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    """A client with a connection pool, of no environment and no redirects."""
    with httpx.Client(trust_env=False, timeout=5) as made:
        yield made


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    with OpenAI() as server:
        yield server
    assert server.bugs == []


@pytest.fixture
def admin(openai: OpenAI) -> Iterator[httpx.Client]:
    """A client of the administration API with the responder's key."""
    headers = {"Authorization": f"Bearer {openai.admin_key.value}"}
    with httpx.Client(base_url=openai.base_url, headers=headers, trust_env=False, timeout=5) as made:
        yield made


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server
    assert server.bugs == []


@pytest.fixture
def api(github: GitHub) -> Iterator[httpx.Client]:
    """A client of GitHub with the configured token."""
    headers = {"Authorization": f"Bearer {github.token}"}
    with httpx.Client(base_url=github.origin, headers=headers, trust_env=False, timeout=5) as made:
        yield made
