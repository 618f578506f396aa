"""OpenAI: project keys, service-account keys and admin keys, through the admin API.

Peculiar: the list hides keys of people who left unless it is asked for ``any``;
a mask is eight characters, stars and four; a 401 is not "dead"; a deletion
takes seconds to minutes to spread; deleting a service account's key used to be
refused with a 400.

Source: https://platform.openai.com/docs/api-reference/administration
"""

import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from responder.core.errors import Refused, Unavailable
from responder.core.key import UNREADABLE, KeyKind, KnownKey, Owner, parse_mask
from responder.core.liveness import Liveness, Verdict, judge
from responder.core.revocation import Outcome, Revocation
from responder.core.token import Token, scrub
from responder.outbound import Answer, Door, error_code, segment

_MAGIC = "T3Blbk" + "FJ"  # base64 of the vendor's name, in every key of theirs
_PAGE = 100
_MOST_PAGES = 10_000
_AGAIN = 2
"""A list of everything is thousands of calls: one that meets a gateway without a server must not end it."""
_PROBE_CAP = 1024 * 1024


class OpenAI:
    """One OpenAI organisation.

    Args:
        account: the name it was configured under.
        door: to the API's base URL, ``/v1`` included.
        admin_key: ``sk-admin-…``; used for nothing but the organisation's endpoints.
    """

    provider = "openai"

    def __init__(self, account: str, door: Door, admin_key: str) -> None:
        self.account = account
        self._door = door
        self._admin_key = admin_key
        self._headers = {"authorization": f"Bearer {admin_key}"}
        self._emails: dict[str, str | None] = {}  # of owners of admin keys, as of the last whole list

    def runs_on(self, token: Token) -> bool:
        """Whether *token* is the admin key we run on."""
        return hmac.compare_digest(token.reveal().encode(), self._admin_key.encode())

    def stranger(self) -> Token:
        """A well-formed token that nobody was ever given, for the control of our probes."""
        return Token(f"sk-proj-{secrets.token_urlsafe(111)[:74]}{_MAGIC}{secrets.token_urlsafe(111)[:74]}", "control")

    def list_keys(self) -> Iterator[Sequence[KnownKey]]:
        """Every project's keys and the organisation's admin keys, page by page.

        Raises:
            Refused: the admin key may not list.
            Unavailable: no answer, or a list that contradicts itself.
        """
        emails: dict[str, str | None] = {}
        self._emails = emails
        projects_path, alive = "/organization/projects", {"include_archived": "false"}
        for projects in self._pages("openai.list_projects", projects_path, alive, _AGAIN):
            for project in projects:
                id_, name = _text(project, "id"), _text(project, "name") or None
                if not id_:
                    raise Unavailable(self.provider, "openai.list_projects", "unexpected body")
                for page in self._project_pages(id_, _AGAIN):
                    yield [self._project_key(item, id_, name) for item in page]
        try:
            for page in self._pages("openai.list_admin_keys", "/organization/admin_api_keys", {}, _AGAIN):
                yield [self._admin(item, emails) for item in page]
        except Refused as error:
            if error.status not in (403, 404):  # not every admin key may see the admin keys
                raise

    def list_project(self, key: KnownKey) -> Sequence[KnownKey]:
        """Every key of the project of *key*, as listed now.

        Raises:
            Refused, Unavailable: as `list_keys`.
        """
        if key.project is None:
            return [
                self._admin(item, self._emails)
                for page in self._pages("openai.list_admin_keys", "/organization/admin_api_keys", {})
                for item in page
            ]
        return [
            self._project_key(item, key.project, key.project_name)
            for page in self._project_pages(key.project)
            for item in page
        ]

    def probe(self, token: Token, key: KnownKey | None) -> Verdict:
        """``GET /models`` with the leaked token, bound to the candidate's project.

        Where that answer does not name the project, ``GET /me`` is asked as well, and then whether the
        project it was bound to matters: a project that is nobody's must be refused. An admin key
        opens no model: it is asked for the organisation's projects, which are compared with ours.
        """
        headers = {"authorization": f"Bearer {token.reveal()}"}
        if key is not None and key.kind is KeyKind.ADMIN:
            return self._probe_admin(headers)
        if key is not None and key.project is not None:
            headers["openai-project"] = key.project
        verdict = self._probe_once("openai.probe", "/models", headers, "list")
        if verdict.liveness is Liveness.LIVE and not verdict.elsewhere and verdict.project is None:
            named = self._probe_once("openai.probe_me", "/me", headers, "user")
            if named.liveness is Liveness.LIVE and named.project is not None:
                return named
            return self._probe_nowhere(verdict, headers, key)
        return verdict

    def revoke(self, key: KnownKey) -> Revocation:
        """``DELETE`` the key, ahead of every other call; never one that looks like the key we run on."""
        own = self._admin_key
        if key.kind is KeyKind.ADMIN and key.mask.fits(own[:8], own[-4:], len(own)):
            return Revocation(Outcome.REFUSED, "it looks like the key that the responder runs on")
        try:
            content, _ = self._door.read(
                "openai.delete_key", "DELETE", _path(key), headers=self._headers, urgent=True
            )
        except Refused as error:
            if error.status in (404, 410):
                return Revocation(Outcome.ALREADY_GONE, f"status {error.status}", error.status)
            return Revocation(Outcome.REFUSED, f"status {error.status} {error.code}".strip(), error.status)
        except Unavailable as error:
            return Revocation(Outcome.UNKNOWN, error.why, retry_after_seconds=error.retry_after_seconds)
        if isinstance(content, dict) and content.get("deleted") is True and content.get("id") == key.id:
            return Revocation(Outcome.REVOKED)
        return Revocation(Outcome.UNKNOWN, "an answer that does not say the key was deleted")

    def is_listed(self, key: KnownKey) -> bool:
        """Whether the key is in its project's list, every page of it.

        Raises:
            Refused, Unavailable: nobody knows.
        """
        return any(listed.id == key.id for listed in self.list_project(key))

    def close(self) -> None:
        """Close all connections."""
        self._door.close()

    def _probe_nowhere(self, verdict: Verdict, headers: Mapping[str, str], key: KnownKey | None) -> Verdict:
        """The token is in the project it was asked in, if it is refused in one that does not exist."""
        if key is None or key.project is None:
            return verdict
        nowhere = {**headers, "openai-project": f"proj_{secrets.token_hex(12)}"}
        refused = self._probe_once("openai.probe", "/models", nowhere, "list").elsewhere
        return replace(verdict, project=key.project) if refused else verdict

    def _probe_admin(self, headers: Mapping[str, str]) -> Verdict:
        path = "/organization/projects?limit=100"
        try:
            answer = self._door.exchange("openai.probe", "GET", path, headers=headers, cap=_PROBE_CAP)
            verdict = _verdict(answer, "list")
            if verdict.liveness is not Liveness.LIVE or answer.status != 200:
                return verdict
            ours, _ = self._door.read("openai.list_projects", "GET", path, headers=self._headers)
        except (Refused, Unavailable) as error:
            return Verdict(Liveness.UNKNOWN, type(error).__name__.lower())
        shared = _ids(answer.json()) & _ids(ours)
        return Verdict(Liveness.LIVE, ours=True) if shared else Verdict(Liveness.LIVE, elsewhere=True)

    def _probe_once(self, what: str, path: str, headers: Mapping[str, str], kind: str) -> Verdict:
        try:
            answer = self._door.exchange(what, "GET", path, headers=headers, cap=_PROBE_CAP)
        except Unavailable as error:
            return Verdict(Liveness.UNKNOWN, error.why, retry_after_seconds=error.retry_after_seconds)
        return _verdict(answer, kind)

    def _project_pages(self, project: str, again: int = 0) -> Iterator[Sequence[Mapping[str, Any]]]:
        path = f"/organization/projects/{segment(project)}/api_keys"
        return self._pages("openai.list_keys", path, {"owner_project_access": "any"}, again)

    def _pages(
        self, what: str, path: str, params: Mapping[str, str], again: int = 0
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Follow ``after`` until ``has_more`` is false; a list that goes in circles is no list.

        A full page that claims to be the last is not believed before the one after it was asked for.
        """
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            query: dict[str, str | int] = {**params, "limit": _PAGE}
            if cursor is not None:
                query["after"] = cursor
            content = self._read(what, path, query, again)
            items = content.get("data") if isinstance(content, dict) else None
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise Unavailable(self.provider, what, "unexpected body")
            more = content.get("has_more")
            if not isinstance(more, bool):  # a list that does not say that it ends may have been cut
                raise Unavailable(self.provider, what, "unexpected body")
            yield items
            if not more and len(items) < _PAGE:
                return
            last = content.get("last_id") or (items[-1].get("id") if items else None)
            if not isinstance(last, str) or last in seen:
                raise Unavailable(self.provider, what, "a list that goes in circles")
            seen.add(last)
            cursor = last
        raise Unavailable(self.provider, what, "a list without end")

    def _read(self, what: str, path: str, query: Mapping[str, str | int], again: int) -> Any:  # noqa: ANN401 -- JSON
        """What is read for a list; where it meets a 5xx it is asked for *again* at once, so many times."""
        for _ in range(again):
            try:
                return self._door.read(what, "GET", path, headers=self._headers, params=query)[0]
            except Unavailable as error:
                if not error.why.startswith("status 5") or error.retry_after_seconds is not None:
                    raise
        return self._door.read(what, "GET", path, headers=self._headers, params=query)[0]

    def _project_key(self, item: Mapping[str, Any], project: str, project_name: str | None) -> KnownKey:
        kind = KeyKind.SERVICE_ACCOUNT if _part(item, "owner").get("type") == "service_account" else KeyKind.PROJECT
        return self._key(item, kind, _owner(_part(item, "owner")), project, project_name)

    def _admin(self, item: Mapping[str, Any], emails: dict[str, str | None]) -> KnownKey:
        owner = _part(item, "owner")
        id_ = _text(owner, "id")
        if id_ and id_ not in emails:
            emails[id_] = self._email(id_)
        named = Owner("user", id_, _text(owner, "name") or None, emails.get(id_))
        return self._key(item, KeyKind.ADMIN, named, None, None)

    def _email(self, user: str) -> str | None:
        """The address of a user: the admin-key list alone does not tell it."""
        try:
            content = self._read("openai.get_user", f"/organization/users/{segment(user)}", {}, _AGAIN)
        except Refused:
            return None
        return _text(content, "email") or None

    def _key(
        self, item: Mapping[str, Any], kind: KeyKind, owner: Owner, project: str | None, project_name: str | None
    ) -> KnownKey:
        mask = parse_mask(_text(item, "redacted_value")) or UNREADABLE
        if not _text(item, "id"):
            raise Unavailable(self.provider, "openai.list_keys", "unexpected body")
        return KnownKey(
            self.provider,
            self.account,
            _text(item, "id"),
            kind,
            _text(item, "name"),
            mask,
            owner,
            project,
            project_name,
            _instant(item.get("created_at")),
            _instant(item.get("last_used_at")),
        )


def _verdict(answer: Answer, kind: str) -> Verdict:
    content = answer.json()
    error = content.get("error") if isinstance(content, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if kind == "list":
        genuine = isinstance(content, dict) and content.get("object") == "list"
    else:
        genuine = isinstance(content, dict) and isinstance(content.get("id"), str)
    verdict = judge(
        answer.status,
        error_code(content),
        message if isinstance(message, str) else "",
        genuine=genuine,
        project=answer.headers.get("openai-project") or None,
    )
    return replace(verdict, retry_after_seconds=answer.retry_after_seconds)


def _ids(content: object) -> set[str]:
    items = content.get("data") if isinstance(content, dict) else None
    return {_text(item, "id") for item in items if _text(item, "id")} if isinstance(items, list) else set()


def _path(key: KnownKey) -> str:
    if key.project is None:
        return f"/organization/admin_api_keys/{segment(key.id)}"
    return f"/organization/projects/{segment(key.project)}/api_keys/{segment(key.id)}"


def _owner(owner: Mapping[str, Any]) -> Owner:
    kind = "service_account" if owner.get("type") == "service_account" else "user"
    person = _part(owner, kind)
    return Owner(kind, _text(person, "id"), _text(person, "name") or None, _text(person, "email") or None)


def _part(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: object, name: str) -> str:
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, str):
        return ""
    kept = value.encode("utf-8", "replace").decode().replace("\0", "")  # what a database cannot keep stops no list
    return scrub(kept)[:500]


def _instant(value: object) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and 0 < value < 10**11 else None
