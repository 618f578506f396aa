"""OpenAI's administration endpoints: lists, single objects and what changes them.

https://platform.openai.com/docs/api-reference/administration . Listing without
``owner_project_access=any`` hides keys whose owners have left the project.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import openai_errors as errors
from responder.simulator.openai_objects import (
    Json,
    Key,
    Mutation,
    Project,
    ServiceAccount,
    User,
    account_json,
    admin_key_json,
    key_json,
    project_user_json,
)
from responder.simulator.organization import Organization
from responder.simulator.server import reply

_P = "/v1/organization/projects/<project_id>"
_KEY = _P + "/api_keys/<key_id>"
_ACCOUNT = _P + "/service_accounts/<account_id>"


class _Identified(Protocol):
    id: str


_T = TypeVar("_T", bound=_Identified)


def mutation(request: Request) -> Mutation:
    """The record of a request that changes something, kept with it on arrival."""
    found: Mutation = request.environ["simulator.mutation"]
    return found


def caller(request: Request) -> Key:
    """The admin key that was let in."""
    found: Key = request.environ["simulator.caller"]
    return found


def page(
    items: Sequence[_T],
    request: Request,
    shown: Callable[[_T], bool],
    render: Callable[[_T], Json],
) -> Response:
    """One page of a list: ``limit`` 1 to 100, default 20, ``after`` an id, hidden ones skipped.

    https://platform.openai.com/docs/api-reference/project-api-keys/list
    """
    try:
        limit = int(request.args.get("limit", "20"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= 100:
        return errors.failure(400, "Invalid 'limit': expected an integer between 1 and 100.")
    after = request.args.get("after")
    start = 0
    if after:
        start = next((i + 1 for i, item in enumerate(items) if item.id == after), -1)
        if start < 0:
            return errors.failure(400, "Invalid 'after': no such object.")
    rest = [item for item in items[start:] if shown(item)]
    data = rest[:limit]
    return reply(
        {
            "object": "list",
            "data": [render(item) for item in data],
            "first_id": data[0].id if data else None,
            "last_id": data[-1].id if data else None,
            "has_more": len(rest) > limit,
        }
    )


class Admin:
    """The endpoints under ``/v1/organization`` about projects, keys and people."""

    def __init__(self, organization: Organization) -> None:
        self.org = organization

    def rules(self) -> list[Rule]:
        """The routes."""
        get: Mapping[str, Callable[..., Response]] = {
            "/v1/organization/projects": self.list_projects,
            _P: self.get_project,
            _P + "/api_keys": self.list_keys,
            _KEY: self.get_key,
            _P + "/service_accounts": self.list_accounts,
            _ACCOUNT: self.get_account,
            _P + "/users": self.list_project_users,
            _P + "/users/<user_id>": self.get_project_user,
            "/v1/organization/users": self.list_users,
            "/v1/organization/users/<user_id>": self.get_user,
            "/v1/organization/admin_api_keys": self.list_admin_keys,
            "/v1/organization/admin_api_keys/<key_id>": self.get_admin_key,
        }
        post: Mapping[str, Callable[..., Response]] = {
            _P + "/archive": self.archive,
            _KEY: self.update_key,
            _P + "/service_accounts": self.create_account,
            _ACCOUNT + "/api_keys": self.create_account_key,
        }
        delete: Mapping[str, Callable[..., Response]] = {
            _KEY: self.delete_key,
            _ACCOUNT: self.delete_account,
            "/v1/organization/admin_api_keys/<key_id>": self.delete_admin_key,
        }
        table = (("GET", get), ("POST", post), ("DELETE", delete))
        return [Rule(path, methods=[m], endpoint=e) for m, paths in table for path, e in paths.items()]

    def list_projects(self, request: Request) -> Response:
        archived = request.args.get("include_archived") == "true"
        projects = list(self.org.projects.values())
        return page(projects, request, lambda p: archived or p.archived_at is None, Project.json)

    def get_project(self, request: Request, project_id: str) -> Response:
        del request
        project = self.org.projects.get(project_id)
        return errors.not_found("project") if project is None else reply(project.json())

    def archive(self, request: Request, project_id: str) -> Response:
        project = self.org.projects.get(project_id)
        if project is None:
            return errors.not_found("project")
        project.archived_at = int(time.time())
        mutation(request).applied = True
        self.org.record("project.archived", {"id": project_id}, project_id, caller(request))
        return reply(project.json())

    def list_keys(self, request: Request, project_id: str) -> Response:
        if project_id not in self.org.projects:
            return errors.not_found("project")
        access = request.args.get("owner_project_access")
        if access not in (None, "active", "inactive", "any"):
            return errors.failure(400, "Invalid 'owner_project_access'.")
        wanted = {None: ("active",), "any": ("active", "inactive")}.get(access, (access,))
        keys = self.org.listed(admin=False, project_id=project_id)
        return page(keys, request, lambda k: self.org.shows(k) and k.access in wanted, key_json)

    def get_key(self, request: Request, project_id: str, key_id: str) -> Response:
        del request
        key = self._key(project_id, key_id)
        return errors.not_found("API key") if key is None else reply(key_json(key))

    def update_key(self, request: Request, project_id: str, key_id: str) -> Response:
        key = self._key(project_id, key_id)
        if key is None:
            return errors.not_found("API key")
        wish = request.get_json(silent=True)
        if not isinstance(wish, dict) or not wish or None in wish.values():
            return errors.failure(400, "Provide expires_in_seconds or scopes.")
        if key.expires_at is not None and key.expires_at <= time.time():
            return errors.failure(400, "Expired API keys cannot be updated.")
        if "expires_in_seconds" in wish:
            key.expires_at = int(time.time()) + int(wish["expires_in_seconds"])
        if "scopes" in wish:
            key.scopes = list(wish["scopes"])
        mutation(request).applied = True
        details: Json = {"id": key.id, "changes_requested": wish}
        self.org.record("api_key.updated", details, project_id, caller(request))
        return reply(key_json(key))

    def delete_key(self, request: Request, project_id: str, key_id: str) -> Response:
        key = self._key(project_id, key_id)
        if key is None or key.deleted_monotonic_seconds is not None:
            return errors.not_found("API key")
        if self.org.refuse_service_account_keys and isinstance(key.owner, ServiceAccount):
            return service_account_refused()
        self.org.delete(key, caller(request))
        mutation(request).applied = True
        return reply({"object": "organization.project.api_key.deleted", "id": key.id, "deleted": True})

    def list_accounts(self, request: Request, project_id: str) -> Response:
        project = self.org.projects.get(project_id)
        if project is None:
            return errors.not_found("project")
        if project.archived_at is not None:
            return errors.failure(400, "The project is archived.", code="project_archived")
        accounts = [a for a in self.org.service_accounts.values() if a.project_id == project_id]
        return page(accounts, request, lambda a: not a.deleted, account_json)

    def get_account(self, request: Request, project_id: str, account_id: str) -> Response:
        del request
        account = self._account(project_id, account_id)
        return errors.not_found("service account") if account is None else reply(account_json(account))

    def create_account(self, request: Request, project_id: str) -> Response:
        project = self.org.projects.get(project_id)
        wish = request.get_json(silent=True) or {}
        if project is None or not wish.get("name"):
            return errors.failure(400, "A project and a name are needed.")
        account = self.org.add_service_account(str(wish["name"]), project)
        mutation(request).applied = True
        born = None if wish.get("create_service_account_only") else self._born(account, wish)
        return reply({**account_json(account), "api_key": born})

    def create_account_key(self, request: Request, project_id: str, account_id: str) -> Response:
        account = self._account(project_id, account_id)
        if account is None:
            return errors.not_found("service account")
        mutation(request).applied = True
        return reply(self._born(account, request.get_json(silent=True) or {}))

    def delete_account(self, request: Request, project_id: str, account_id: str) -> Response:
        account = self._account(project_id, account_id)
        if account is None:
            return errors.not_found("service account")
        account.deleted = True
        for key in self.org.listed(admin=False, project_id=project_id):
            if key.owner is account and key.deleted_monotonic_seconds is None:
                self.org.delete(key, caller(request))
        mutation(request).applied = True
        self.org.record("service_account.deleted", {"id": account.id}, project_id, caller(request))
        return reply({"object": "organization.project.service_account.deleted", "id": account.id, "deleted": True})

    def list_admin_keys(self, request: Request) -> Response:
        keys = self.org.listed(admin=True)
        ordered = keys[::-1] if request.args.get("order") == "desc" else keys
        return page(ordered, request, self.org.shows, admin_key_json)

    def get_admin_key(self, request: Request, key_id: str) -> Response:
        del request
        key = self._key(None, key_id)
        return errors.not_found("admin API key") if key is None else reply(admin_key_json(key))

    def delete_admin_key(self, request: Request, key_id: str) -> Response:
        key = self._key(None, key_id)
        if key is None or key.deleted_monotonic_seconds is not None:
            return errors.not_found("admin API key")
        self.org.delete(key, caller(request))
        mutation(request).applied = True
        return reply({"id": key.id, "object": "organization.admin_api_key.deleted", "deleted": True})

    def list_users(self, request: Request) -> Response:
        wanted = request.args.getlist("emails[]") + request.args.getlist("emails")
        users = list(self.org.users.values())
        return page(users, request, lambda u: u.member and (not wanted or u.email in wanted), self._user_json)

    def get_user(self, request: Request, user_id: str) -> Response:
        del request
        user = self.org.users.get(user_id)
        if user is None or not user.member:
            return errors.not_found("user")
        return reply(self._user_json(user))

    def list_project_users(self, request: Request, project_id: str) -> Response:
        if project_id not in self.org.projects:
            return errors.not_found("project")
        users = list(self.org.users.values())
        return page(users, request, lambda u: u.member and project_id in u.projects, project_user_json)

    def get_project_user(self, request: Request, project_id: str, user_id: str) -> Response:
        del request
        user = self.org.users.get(user_id)
        if user is None or not user.member or project_id not in user.projects:
            return errors.not_found("user")
        return reply(project_user_json(user))

    def _key(self, project_id: str | None, key_id: str) -> Key | None:
        keys = self.org.listed(admin=project_id is None, project_id=project_id)
        return next((k for k in keys if k.id == key_id and self.org.shows(k)), None)

    def _account(self, project_id: str, account_id: str) -> ServiceAccount | None:
        account = self.org.service_accounts.get(account_id)
        return None if account is None or account.deleted or account.project_id != project_id else account

    def _born(self, account: ServiceAccount, wish: Mapping[str, object]) -> Json:
        """A new key with its value, shown this once."""
        key = self.org.add_key(str(wish.get("name") or "Secret Key"), owner=account)
        if isinstance(wish.get("expires_in_seconds"), int):
            key.expires_at = key.created_at + int(str(wish["expires_in_seconds"]))
        return {
            "object": "organization.project.service_account.api_key",
            "value": key.value,
            "name": key.name,
            "created_at": key.created_at,
            "id": key.id,
            "expires_at": key.expires_at,
        }

    def _user_json(self, user: User) -> Json:
        used = [k.last_used_at for k in self.org.keys.values() if k.owner is user and k.last_used_at]
        projects = [self.org.projects[p] for p in user.projects]
        return {
            "object": "organization.user",
            "id": user.id,
            "name": user.name,
            "email": user.email,
            "role": user.role,
            "added_at": user.created_at,
            "is_service_account": False,
            "api_key_last_used_at": max(used, default=None),
            "projects": {
                "object": "list",
                "data": [{"id": p.id, "name": p.name, "role": "member"} for p in projects],
            },
        }


def service_account_refused() -> Response:
    """How deleting a service account's key was answered before October 2026."""
    return errors.failure(400, "API keys of service accounts cannot be deleted; delete the service account.")
