"""What OpenAI tells the bearer of a key, and the report of a leaked one.

``GET /me`` is described by the help centre only
(https://help.openai.com/en/articles/9132009); the report at
``/external/compromised_secret`` is known from third parties and asynchronous.
"""

import threading

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import openai_errors as errors
from responder.simulator.openai_objects import Json, Key, User
from responder.simulator.organization import Organization
from responder.simulator.server import reply

_MODELS = ("gpt-5-mini", "gpt-5", "text-embedding-3-small")


class Probe:
    """The endpoints that take the leaked key itself.

    Attributes:
        me_names_project: whether ``/me`` too answers with ``openai-project``.
        reports: the keys reported by possession, in order of arrival.
    """

    def __init__(self, organization: Organization) -> None:
        self.org = organization
        self.me_names_project = True
        self.reports: list[str] = []
        self._timers: list[threading.Timer] = []

    def rules(self) -> list[Rule]:
        """The routes."""
        return [
            Rule("/v1/models", methods=["GET"], endpoint=self.models),
            Rule("/v1/me", methods=["GET"], endpoint=self.me),
            Rule("/v1/chat/completions", methods=["POST"], endpoint=self.complete),
            Rule("/external/compromised_secret", methods=["POST"], endpoint=self.compromised),
        ]

    def stop(self) -> None:
        """Forget reports that have not worked yet."""
        for timer in self._timers:
            timer.cancel()
        for timer in self._timers:
            timer.join()

    def models(self, request: Request) -> Response:
        """The models, for any live key but an admin key."""
        key, refusal = self._admit(request, "api.model.read")
        if key is None or refusal is not None:
            return refusal or errors.no_key()
        data = [{"id": name, "object": "model", "created": 1_754_500_000, "owned_by": "system"} for name in _MODELS]
        return self._named(reply({"object": "list", "data": data}), key)

    def me(self, request: Request) -> Response:
        """The person behind a key and their organizations; no project and no key id."""
        key, refusal = self._admit(request, "api.me.read")
        if key is None or refusal is not None:
            return refusal or errors.no_key()
        response = reply(self._person(key))
        return self._named(response, key) if self.me_names_project else response

    def complete(self, request: Request) -> Response:
        """A model request, so that usage and costs move as under a thief's hands."""
        key, refusal = self._admit(request, "model.request")
        if key is None or refusal is not None:
            return refusal or errors.no_key()
        self.org.use(key)
        choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": key.last_used_at, "model": _MODELS[0]}
        return self._named(reply({**answer, "choices": [choice]}), key)

    def compromised(self, request: Request) -> Response:
        """Accept a report; the key dies later, whosever it is."""
        body = request.get_json(silent=True)
        secret = body.get("secret") if isinstance(body, dict) else None
        value = secret.get("api_key") if isinstance(secret, dict) else None
        if not isinstance(value, str):
            return errors.failure(400, "Missing 'secret.api_key'.")
        self.reports.append(value)
        key = self.org.find(value)
        if key is not None:
            timer = threading.Timer(self.org.compromised_after_seconds, self.org.disable, (key,))
            self._timers.append(timer)
            timer.start()
        return reply({})

    def _admit(self, request: Request, scope: str) -> tuple[Key | None, Response | None]:
        authorization = request.authorization
        value = authorization.token if authorization is not None and authorization.type == "bearer" else None
        if not value:
            return None, errors.no_key()
        key, verdict = self.org.judge(value)
        if key is not None and verdict == "live" and key.project_id is None:
            verdict = "missing_scopes"
        refusal = errors.of_verdict(verdict, value, scope)
        if key is not None and refusal is None:
            refusal = self._mismatch(request, key)
        elif key is not None and refusal is not None and verdict in errors.NAMED:
            self._named(refusal, key)
        return key, refusal

    def _mismatch(self, request: Request, key: Key) -> Response | None:
        """The 401 of a key that is not of the organization or project the caller named."""
        organization = request.headers.get("OpenAI-Organization")
        ours = key.organization_id == self.org.id
        if organization and organization not in (key.organization_id, self.org.slug if ours else ""):
            message = "OpenAI-Organization header should match organization for API key"
            return errors.failure(401, message, code="mismatched_organization")
        project = request.headers.get("OpenAI-Project")
        if project and project != key.project_id:
            message = "OpenAI-Project header should match project for API key"
            return errors.failure(401, message, code="mismatched_project")
        return None

    def _named(self, response: Response, key: Key) -> Response:
        ours = key.organization_id == self.org.id
        response.headers["openai-organization"] = self.org.slug if ours else "elsewhere-inc"
        if key.project_id is not None:
            response.headers["openai-project"] = key.project_id
        return response

    def _person(self, key: Key) -> Json:
        ours = key.organization_id == self.org.id
        organization: Json = {
            "object": "organization",
            "id": key.organization_id,
            "title": "Acme" if ours else "Elsewhere",
            "name": self.org.slug if ours else "elsewhere-inc",
            "description": None,
            "personal": False,
            "is_default": True,
            "role": "reader",
        }
        person = key.owner if isinstance(key.owner, User) else None
        return {
            "object": "user",
            "id": key.owner.id,
            "email": person.email if person else None,
            "name": key.owner.name,
            "phone_number": "+15555550100",
            "created": key.owner.created_at,
            "mfa_flag_enabled": True,
            "orgs": {"object": "list", "data": [organization]},
        }
