"""An OpenAI organization: its projects, people and keys, and what happened to them.

State and rules only, no HTTP. Shapes follow the administration reference:
https://platform.openai.com/docs/api-reference/administration
"""

import random
import time

from responder.simulator import growth
from responder.simulator.openai_objects import GONE, Json, Key, Mutation, Project, ServiceAccount, Use, User


class Organization:
    """One organization with a default project, an owner and an admin key.

    Args:
        seed: of all randomness: ids, keys and who still accepts a deleted one.

    Attributes:
        id: ``org-…``.
        slug: as in the ``openai-organization`` header.
        keys: every key by id, deleted ones too, strangers' not.
        admin_key: the one to configure a responder with.
        mutations: every POST and DELETE received, also those a fault kept from taking effect.
        spread_seconds: how long a deleted key may still be accepted.
        spread_acceptance: the share of authentications accepted in that time.
        list_lag_seconds: how long lists still show a deleted key.
        refuse_service_account_keys: answer 400 to deleting one, as before October 2026.
        compromised_after_seconds: how long a report by possession takes to work.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.id = self._id("org-")
        self.slug = f"acme-{self.chance.randrange(10**6):06d}"
        self.projects: dict[str, Project] = {}
        self.users: dict[str, User] = {}
        self.service_accounts: dict[str, ServiceAccount] = {}
        self.keys: dict[str, Key] = {}
        self.strangers: list[Key] = []
        self.mutations: list[Mutation] = []
        self.audit: list[Json] = []
        self.usage: list[Use] = []
        self.spread_seconds = 0.0
        self.spread_acceptance = 0.5
        self.list_lag_seconds = 0.0
        self.refuse_service_account_keys = False
        self.compromised_after_seconds = 0.0
        self._by_value: dict[str, Key] = {}
        self._ordered: list[Key] = []
        self.default_project = self.add_project("Default project")
        self.owner = self.add_user("Olivia Owner", "olivia@acme.example", role="owner")
        self.admin_key = self.add_admin_key("responder")

    def add_project(self, name: str) -> Project:
        """A new active project."""
        project = Project(self._id("proj_"), name, int(time.time()))
        self.projects[project.id] = project
        return project

    def add_user(self, name: str, email: str, role: str = "reader") -> User:
        """A new member, of every project there is."""
        user = User(self._id("user-"), name, email, role, int(time.time()), list(self.projects))
        self.users[user.id] = user
        return user

    def add_service_account(self, name: str, project: Project | None = None) -> ServiceAccount:
        """A new bot; of the default project unless one is given."""
        home = project or self.default_project
        account = ServiceAccount(self._id("user-"), name, home.id, int(time.time()))
        self.service_accounts[account.id] = account
        self.record("service_account.created", {"id": account.id, "data": {"role": account.role}}, home.id)
        return account

    def add_key(
        self,
        name: str = "key",
        *,
        owner: User | ServiceAccount | None = None,
        project: Project | None = None,
        tail: str = "",
        verdict: str = "live",
        access: str = "active",
        expires_at: int | None = None,
    ) -> Key:
        """A new project key; of a service account's family if one owns it.

        Args:
            name: shown in the list.
            owner: the organization's owner unless given.
            project: the service account's, else the default one.
            tail: the last up to four characters, to make masks collide.
            verdict: as of `Key`.
            access: as of `Key`.
            expires_at: as of `Key`.
        """
        holder = owner or self.owner
        if isinstance(holder, ServiceAccount):
            family, project_id = "openai-service-account", holder.project_id
        else:
            family, project_id = "openai-project", (project or self.default_project).id
        key = self._grown(family, name, holder, project_id, tail)
        key.verdict, key.access, key.expires_at = verdict, access, expires_at
        self._keep(key)
        self.record("api_key.created", {"id": key.id, "data": {"scopes": key.scopes}}, project_id, holder)
        return key

    def add_admin_key(self, name: str, owner: User | None = None, tail: str = "") -> Key:
        """A new key for the administration API."""
        key = self._grown("openai-admin", name, owner or self.owner, None, tail)
        self._keep(key)
        return key

    def add_legacy_key(self, owner: User | None = None, tail: str = "") -> Key:
        """A live user key of the old kind: in no list, and nothing in the administration API deletes it."""
        key = self._grown("openai-user-legacy", "", owner or self.owner, self.default_project.id, tail)
        self._keep(key)
        return key

    def forge(self, key: Key) -> str:
        """A dead token of the same family with the same mask, as anybody could write into an issue."""
        while True:
            value = growth.lookalike(key.value, self.chance)
            if value not in self._by_value:
                return value

    def stranger(self, key: Key) -> Key:
        """A live key of somebody else's organization and project with the same mask."""
        other = User(self._id("user-"), "Sam Stranger", "sam@elsewhere.example", "owner", int(time.time()))
        project_id = None if key.project_id is None else self._id("proj_")
        found = Key(self._id("key_"), self.forge(key), key.family, "theirs", other, int(time.time()), project_id)
        found.organization_id = self._id("org-")
        self.strangers.append(found)
        self._by_value[found.value] = found
        return found

    def find(self, value: str) -> Key | None:
        """The key with this secret, whoever's it is, deleted or not."""
        return self._by_value.get(value)

    def is_live(self, key_id: str) -> bool:
        """True if the key is neither deleted, disabled nor expired; a deletion's spread does not count."""
        return self.lives(self.keys[key_id])

    def lives(self, key: Key) -> bool:
        """As `is_live`, for any key."""
        expired = key.expires_at is not None and key.expires_at <= time.time()
        project = self.projects.get(key.project_id or "")
        archived = project is not None and project.archived_at is not None
        return key.deleted_monotonic_seconds is None and not expired and not archived and key.verdict not in GONE

    @property
    def deletions(self) -> list[Mutation]:
        """The requests to delete a key, in order of arrival, applied or not."""
        return [m for m in list(self.mutations) if m.method == "DELETE" and m.key_id is not None]

    def delete(self, key: Key, actor: Key | None = None) -> None:
        """Delete *key* as an administrator would on the web page, or through the API as *actor*."""
        key.deleted_monotonic_seconds = time.monotonic()
        self.record("api_key.deleted", {"id": key.id}, key.project_id, actor)

    def disable(self, key: Key) -> None:
        """Make *key* dead but leave it listed, as the vendor does with keys found in public."""
        key.verdict = "dead"

    def judge(self, value: str) -> tuple[Key | None, str]:
        """What authenticating with *value* leads to now, and whose key it is; counts as a use if accepted."""
        key = self._by_value.get(value)
        if key is None:
            return None, "dead"
        verdict = key.script.pop(0) if key.script else key.verdict
        if verdict not in GONE and not self.lives(key) and not self._spreading(key):
            verdict = "dead"
        if verdict not in GONE:
            key.uses += 1
            key.last_used_at = int(time.time())
        return key, verdict

    def use(
        self,
        key: Key,
        requests: int = 1,
        *,
        model: str = "gpt-5-mini-2025-08-07",
        input_tokens: int = 1000,
        output_tokens: int = 200,
        at: int | None = None,
    ) -> None:
        """Record model requests made with *key*, as a thief's; tokens are totals, *at* is Unix seconds."""
        when = int(time.time()) if at is None else at
        key.last_used_at = max(when, key.last_used_at or 0)
        self.usage.append(Use(when, key, model, requests, input_tokens, output_tokens))

    def listed(self, *, admin: bool, project_id: str | None = None) -> list[Key]:
        """The keys of one list in order of creation, deleted ones included: cursors may point at them."""
        family = ("openai-admin",) if admin else ("openai-project", "openai-service-account")
        return [k for k in self._ordered if k.family in family and k.project_id == project_id]

    def shows(self, key: Key) -> bool:
        """Whether lists show *key* at all now."""
        gone = key.deleted_monotonic_seconds
        return gone is None or time.monotonic() - gone < self.list_lag_seconds

    def record(
        self,
        kind: str,
        details: Json,
        project_id: str | None = None,
        actor: Key | User | ServiceAccount | None = None,
    ) -> None:
        """Write an audit record; the details stand under the event's own name."""
        entry: Json = {"id": self._id("audit_log-"), "type": kind, "effective_at": int(time.time())}
        project = self.projects.get(project_id or "")
        if project is not None:
            entry["project"] = {"id": project.id, "name": project.name}
        entry["actor"] = self._actor(actor)
        entry[kind] = details
        self.audit.append(entry)

    def _actor(self, actor: Key | User | ServiceAccount | None) -> Json:
        if isinstance(actor, Key):
            by: Json = {"id": actor.id, "type": "user"}
            if isinstance(actor.owner, User):
                by["user"] = {"id": actor.owner.id, "email": actor.owner.email}
            return {"type": "api_key", "api_key": by}
        person = actor if isinstance(actor, User) else self.users[next(iter(self.users))]
        user = {"id": person.id, "email": person.email}
        return {"type": "session", "session": {"user": user, "ip_address": "192.0.2.10"}}

    def _spreading(self, key: Key) -> bool:
        gone = key.deleted_monotonic_seconds
        if gone is None or time.monotonic() - gone >= self.spread_seconds:
            return False
        return self.chance.random() < self.spread_acceptance

    def _grown(self, family: str, name: str, owner: User | ServiceAccount, project_id: str | None, tail: str) -> Key:
        value = growth.grow(family, self.chance, tail)
        return Key(self._id("key_"), value, family, name, owner, int(time.time()), project_id, self.id)

    def _keep(self, key: Key) -> None:
        self.keys[key.id] = key
        self._ordered.append(key)
        self._by_value[key.value] = key

    def _id(self, prefix: str) -> str:
        return prefix + "".join(
            self.chance.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=24)
        )
