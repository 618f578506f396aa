"""OpenAI on loopback: administration API, probes with a leaked key, and its bad days.

Faithful to https://platform.openai.com/docs/api-reference/administration and to
captured answers: masks keep the key's length, deletion takes effect in the list
at once and spreads slowly, and a 401 may mean a live key.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from werkzeug.http import http_date
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import fault, openai_admin
from responder.simulator import openai_errors as errors
from responder.simulator.fault import Fault, Faults
from responder.simulator.openai_admin import Admin
from responder.simulator.openai_ledger import Ledger
from responder.simulator.openai_objects import Mutation
from responder.simulator.openai_probe import Probe
from responder.simulator.organization import Organization
from responder.simulator.server import Server, reply

Listed = Mapping[str, list[dict[str, object]]]
"""A list as parsed from its answer; only ``data`` is looked into."""

_NAMES = re.compile(r"/projects/(?P<project>[^/]+)")
_KEY = re.compile(r"/(?:admin_)?api_keys/(?P<key>[^/]+)\Z")


class OpenAI(Organization, Server):
    """One organization with its API.

    Besides the faults every server has, it knows ``stale_list`` (deleted keys
    still listed), ``missing_new`` (the newest object not listed yet),
    ``repeated_cursor`` (always the first page, and more to come),
    ``has_more_lie`` (more to come after the end), ``no_more_lie`` (the end,
    though there is more), ``deleted_false``, ``wrong_id`` and
    ``service_account_refused``. A delete with one of the last three has no
    effect unless ``applied=True``; ``timeout`` with ``applied=True`` is the
    delete that worked though nobody heard of it.

    Args:
        seed: of all randomness.
        port: 0 for any free one.

    Attributes:
        scopes_status: 403 or 401, what a key without administration scopes is answered with.
    """

    def __init__(self, seed: int = 0, port: int = 0) -> None:
        Organization.__init__(self, seed)
        self.scopes_status = 403
        self.probe = Probe(self)
        Server.__init__(self, port)
        self.tampers = {
            "stale_list": self._stale_list,
            "missing_new": self._missing_new,
            "repeated_cursor": self._repeated_cursor,
            "has_more_lie": self._has_more_lie,
            "no_more_lie": self._no_more_lie,
            "deleted_false": self._deleted_false,
            "wrong_id": self._wrong_id,
            "service_account_refused": self._service_account_refused,
        }
        self.faults = Faults((*fault.REPLACING, *fault.SILENT, *fault.BREAKING, *self.tampers))

    @property
    def base_url(self) -> str:
        """What a responder is configured with."""
        return f"{self.origin}/v1"

    @property
    def reports(self) -> list[str]:
        """Keys reported as compromised by possession."""
        return self.probe.reports

    def routes(self) -> Sequence[Rule]:
        return [*Admin(self).rules(), *Ledger(self).rules(), *self.probe.rules()]

    def stop(self) -> None:
        super().stop()
        self.probe.stop()

    def error(self, status: int) -> Response:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return errors.failure(status, Response(status=status).status, kind)

    def received(self, request: Request) -> None:
        if request.method == "GET" or request.path.startswith(("/external", "/v1/chat")):
            return
        project, key = _NAMES.search(request.path), _KEY.search(request.path)
        record = Mutation(
            request.method,
            request.path,
            time.monotonic(),
            datetime.now(UTC),
            key["key"] if key else None,
            project["project"] if project else None,
        )
        request.environ["simulator.mutation"] = record
        self.mutations.append(record)

    def admit(self, request: Request) -> Response | None:
        """Let only live admin keys of this organization into its administration."""
        if not request.path.startswith("/v1/organization"):
            return None
        authorization = request.authorization
        if authorization is None or not authorization.token:
            return errors.no_key()
        key, verdict = self.judge(authorization.token)
        scope = "api.management.read" if request.method == "GET" else "api.management.write"
        if verdict == "live" and (key is None or key.project_id is not None):
            return errors.missing_scopes(self.scopes_status, scope)
        if verdict == "live" and key is not None and key.organization_id != self.id:
            return _of_another_organization(request)
        request.environ["simulator.caller"] = key
        return errors.of_verdict(verdict, authorization.token, scope)

    def finish(self, request: Request, response: Response) -> None:
        del request
        response.headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
        response.headers["openai-version"] = "2020-10-01"
        response.headers["openai-processing-ms"] = "7"
        response.headers["Date"] = http_date()

    def _stale_list(self, request: Request, struck: Fault) -> Response:
        del struck
        with self.lock:
            lag, self.list_lag_seconds = self.list_lag_seconds, float("inf")
            try:
                return self.dispatch(request)
            finally:
                self.list_lag_seconds = lag

    def _missing_new(self, request: Request, struck: Fault) -> Response:
        del struck
        return self._altered(request, _without_the_last)

    def _repeated_cursor(self, request: Request, struck: Fault) -> Response:
        request.args = request.parameter_storage_class((k, v) for k, v in request.args.items() if k != "after")
        return self._has_more_lie(request, struck)

    def _has_more_lie(self, request: Request, struck: Fault) -> Response:
        del struck
        return self._altered(request, lambda listed: {**listed, "has_more": True})

    def _no_more_lie(self, request: Request, struck: Fault) -> Response:
        del struck
        return self._altered(request, lambda listed: {**listed, "has_more": False})

    def _deleted_false(self, request: Request, struck: Fault) -> Response:
        if struck.applied:
            self.dispatch(request)
        return reply({**_deletion(request), "deleted": False})

    def _wrong_id(self, request: Request, struck: Fault) -> Response:
        if struck.applied:
            self.dispatch(request)
        return reply({**_deletion(request), "id": "key_" + "0" * 24})

    def _service_account_refused(self, request: Request, struck: Fault) -> Response:
        if struck.applied:
            self.dispatch(request)
        return openai_admin.service_account_refused()

    def _altered(self, request: Request, alter: Callable[[Listed], Mapping[str, object]]) -> Response:
        """A list changed on its way; any other answer as it is."""
        answer = self.dispatch(request)
        listed = json.loads(answer.get_data())
        return reply(alter(listed)) if isinstance(listed.get("data"), list) else answer


def _without_the_last(listed: Listed) -> Mapping[str, object]:
    data = listed["data"][:-1]
    return {**listed, "data": data, "last_id": data[-1]["id"] if data else None}


def _of_another_organization(request: Request) -> Response:
    """Somebody else's admin key works, but in their organization, of which nothing is known here."""
    if request.method == "GET" and request.path.endswith(("/projects", "/users", "/admin_api_keys")):
        return reply({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
    return errors.not_found("object")


def _deletion(request: Request) -> dict[str, object]:
    admin = "/admin_api_keys/" in request.path
    kind = "organization.admin_api_key.deleted" if admin else "organization.project.api_key.deleted"
    return {"object": kind, "id": request.path.rsplit("/", 1)[-1], "deleted": True}
