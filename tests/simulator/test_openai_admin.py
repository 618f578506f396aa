"""The administration API against the vendor's own schemas."""

import time
from typing import Any

import httpx
import pytest

from responder.simulator.openai import OpenAI

_P = "/organization/projects/{project_id}"


@pytest.fixture
def busy(openai: OpenAI) -> OpenAI:
    """An organization with something of everything."""
    zoe = openai.add_user("Zoë", "zoe@acme.example")
    account = openai.add_service_account("bot")
    openai.add_key("of zoe", owner=zoe)
    openai.add_key("of the bot", owner=account, expires_at=int(time.time()) + 3600)
    openai.add_key("of one who left", owner=zoe, access="inactive")
    openai.add_legacy_key(zoe)
    openai.add_admin_key("second")
    return openai


def test_every_answer_has_the_vendors_shape(busy: OpenAI, admin: httpx.Client, openai_contract: Any) -> None:
    project, owner = busy.default_project.id, busy.owner.id
    key = next(k for k in busy.keys.values() if k.name == "of zoe")
    account = next(iter(busy.service_accounts))
    home = f"/organization/projects/{project}"
    reads = {
        "/organization/projects": "/organization/projects",
        home: _P,
        f"{home}/api_keys?owner_project_access=any": f"{_P}/api_keys",
        f"{home}/api_keys/{key.id}": f"{_P}/api_keys/{{api_key_id}}",
        f"{home}/service_accounts": f"{_P}/service_accounts",
        f"{home}/service_accounts/{account}": f"{_P}/service_accounts/{{service_account_id}}",
        f"{home}/users": f"{_P}/users",
        f"{home}/users/{owner}": f"{_P}/users/{{user_id}}",
        "/organization/users": "/organization/users",
        f"/organization/users/{owner}": "/organization/users/{user_id}",
        "/organization/admin_api_keys": "/organization/admin_api_keys",
        f"/organization/admin_api_keys/{busy.admin_key.id}": "/organization/admin_api_keys/{key_id}",
    }
    for path, template in reads.items():
        answer = admin.get(path)
        assert answer.status_code == 200, path
        openai_contract.check(f"GET {template}", answer)


def test_every_change_has_the_vendors_shape(busy: OpenAI, admin: httpx.Client, openai_contract: Any) -> None:
    home, account = f"/organization/projects/{busy.default_project.id}", next(iter(busy.service_accounts))
    key = next(k for k in busy.keys.values() if k.name == "of zoe")
    bots = next(k for k in busy.keys.values() if k.name == "of the bot")
    spare = next(k for k in busy.keys.values() if k.name == "second")
    one_key, one_account = f"{_P}/api_keys/{{api_key_id}}", f"{_P}/service_accounts/{{service_account_id}}"
    busy.refuse_service_account_keys = True
    changes: list[tuple[str, str, str, Any]] = [
        ("POST", one_key, f"{home}/api_keys/{key.id}", {"expires_in_seconds": 60}),
        ("POST", f"{_P}/service_accounts", f"{home}/service_accounts", {"name": "new"}),
        ("POST", f"{one_account}/api_keys", f"{home}/service_accounts/{account}/api_keys", {"name": "drill"}),
        ("DELETE", one_key, f"{home}/api_keys/{bots.id}", None),
        ("DELETE", one_key, f"{home}/api_keys/{key.id}", None),
        ("DELETE", one_account, f"{home}/service_accounts/{account}", None),
        ("DELETE", "/organization/admin_api_keys/{key_id}", f"/organization/admin_api_keys/{spare.id}", None),
        ("POST", f"{_P}/archive", f"{home}/archive", None),
    ]
    seen = []
    for method, template, path, body in changes:
        answer = admin.request(method, path, json=body)
        openai_contract.check(f"{method} {template}", answer)
        seen.append(answer.status_code)
    assert seen == [200, 200, 200, 400, 200, 200, 200, 200]
    assert [m.applied for m in busy.mutations] == [code == 200 for code in seen]


def test_the_schema_check_can_fail(busy: OpenAI, admin: httpx.Client, openai_contract: Any) -> None:
    """A check that takes anything checks nothing."""
    busy.faults.add("GET", "wrong_schema", body={"object": "list", "data": [{"id": "key_1"}], "has_more": False})
    with pytest.raises(AssertionError, match="redacted_value"):
        openai_contract.check(
            f"GET {_P}/api_keys", admin.get(f"/organization/projects/{busy.default_project.id}/api_keys")
        )


def test_keys_of_owners_who_left_are_hidden_unless_asked_for(busy: OpenAI, admin: httpx.Client) -> None:
    """An ex-employee's key is exactly the one that leaks."""
    path = f"/organization/projects/{busy.default_project.id}/api_keys"

    def names(**query: str) -> list[str]:
        return [k["name"] for k in admin.get(path, params=query).json()["data"]]

    assert names() == ["of zoe", "of the bot"]
    assert names(owner_project_access="active") == ["of zoe", "of the bot"]
    assert names(owner_project_access="inactive") == ["of one who left"]
    assert names(owner_project_access="any") == ["of zoe", "of the bot", "of one who left"]
    assert admin.get(path, params={"owner_project_access": "all"}).status_code == 400


def test_archived_projects_are_hidden_unless_asked_for(openai: OpenAI, admin: httpx.Client) -> None:
    old = openai.add_project("old")
    admin.post(f"/organization/projects/{old.id}/archive")
    assert len(admin.get("/organization/projects").json()["data"]) == 1
    assert len(admin.get("/organization/projects?include_archived=true").json()["data"]) == 2
    accounts = admin.get(f"/organization/projects/{old.id}/service_accounts")
    assert accounts.status_code == 400


def test_pages_follow_cursors_even_over_deleted_keys(openai: OpenAI, admin: httpx.Client) -> None:
    keys = [openai.add_key(str(n)) for n in range(25)]
    path = f"/organization/projects/{openai.default_project.id}/api_keys"
    first = admin.get(path).json()
    assert (len(first["data"]), first["has_more"]) == (20, True)
    assert (first["first_id"], first["last_id"]) == (keys[0].id, keys[19].id)
    openai.delete(keys[19])
    second = admin.get(path, params={"after": first["last_id"]}).json()
    assert [k["name"] for k in second["data"]] == ["20", "21", "22", "23", "24"]
    assert second["has_more"] is False
    assert len(admin.get(path, params={"limit": 100}).json()["data"]) == 24
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "key_unknown"}):
        assert admin.get(path, params=wrong).status_code == 400
    empty = admin.get(f"/organization/projects/{openai.add_project('empty').id}/api_keys").json()
    assert (empty["first_id"], empty["last_id"], empty["has_more"]) == (None, None, False)


def test_unknown_things_are_404_in_the_envelope(openai: OpenAI, admin: httpx.Client) -> None:
    home = f"/organization/projects/{openai.default_project.id}"
    for path in (
        "/organization/projects/proj_x",
        "/organization/projects/proj_x/api_keys",
        f"{home}/api_keys/key_x",
        f"{home}/service_accounts/sa_x",
        "/organization/users/user-x",
        "/organization/admin_api_keys/key_x",
        "/nowhere",
    ):
        answer = admin.get(path)
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_key_can_be_made_to_expire_instead_of_deleted(openai: OpenAI, admin: httpx.Client) -> None:
    key = openai.add_key()
    path = f"/organization/projects/{key.project_id}/api_keys/{key.id}"
    wishes: tuple[Any, ...] = ({}, {"scopes": None}, [])
    for wrong in wishes:
        assert admin.post(path, json=wrong).status_code == 400
    assert admin.post(path, json={"expires_in_seconds": 0, "scopes": ["api.all.read"]}).status_code == 200
    assert not openai.is_live(key.id)
    assert admin.post(path, json={"scopes": []}).status_code == 400


def test_users_are_found_by_mail_address(busy: OpenAI, admin: httpx.Client) -> None:
    found = admin.get("/organization/users", params={"emails[]": "zoe@acme.example"}).json()["data"]
    assert [user["name"] for user in found] == ["Zoë"]


def test_the_audit_log_tells_of_creation_and_deletion(
    busy: OpenAI, admin: httpx.Client, openai_contract: Any
) -> None:
    key = busy.add_key("leaked")
    admin.delete(f"/organization/projects/{key.project_id}/api_keys/{key.id}")
    answer = admin.get("/organization/audit_logs", params={"resource_ids[]": key.id})
    openai_contract.check("GET /organization/audit_logs", answer)
    deleted, created = answer.json()["data"]
    assert (deleted["type"], created["type"]) == ("api_key.deleted", "api_key.created")
    assert deleted["api_key.deleted"] == {"id": key.id}
    assert deleted["actor"]["api_key"]["id"] == busy.admin_key.id
    everything = admin.get("/organization/audit_logs").json()["data"]
    second = admin.get("/organization/audit_logs", params={"limit": 2, "after": everything[0]["id"]}).json()
    assert [e["id"] for e in second["data"]] == [e["id"] for e in everything[1:3]]
    late = admin.get("/organization/audit_logs", params={"effective_at[gt]": int(time.time()) + 10}).json()
    assert late["data"] == []
    kinds = admin.get("/organization/audit_logs", params={"event_types[]": "api_key.deleted"}).json()["data"]
    assert len(kinds) == 1


def test_usage_and_costs_show_what_a_thief_did(openai: OpenAI, admin: httpx.Client, openai_contract: Any) -> None:
    key, other = openai.add_key(), openai.add_key()
    now = int(time.time())
    openai.use(key, 3, input_tokens=1000, output_tokens=500, at=now - 90)
    openai.use(key, 1, model="gpt-5", at=now - 30)
    openai.use(other, at=now - 30)
    thief = {"Authorization": f"Bearer {key.value}"}
    assert httpx.post(f"{openai.base_url}/chat/completions", headers=thief, trust_env=False).status_code == 200
    query: dict[str, Any] = {"start_time": now - 3600, "api_key_ids[]": key.id, "group_by[]": ["api_key_id", "model"]}
    answer = admin.get("/organization/usage/completions", params={**query, "bucket_width": "1h"})
    openai_contract.check("GET /organization/usage/completions", answer)
    results = [line for bucket in answer.json()["data"] for line in bucket["results"]]
    assert {line["api_key_id"] for line in results} == {key.id}
    assert sum(line["num_model_requests"] for line in results) == 5
    assert {line["model"] for line in results} == {"gpt-5-mini-2025-08-07", "gpt-5"}
    costs = admin.get("/organization/costs", params={"start_time": now - 86400, "group_by": "api_key_id"})
    openai_contract.check("GET /organization/costs", costs)
    amounts = [line["amount"]["value"] for bucket in costs.json()["data"] for line in bucket["results"]]
    assert sum(amounts) > 0


def test_usage_comes_in_pages_of_buckets(openai: OpenAI, admin: httpx.Client) -> None:
    now = int(time.time())
    query: dict[str, Any] = {"start_time": now - 600, "bucket_width": "1m", "limit": 4}
    first = admin.get("/organization/usage/completions", params=query).json()
    assert (len(first["data"]), first["has_more"]) == (4, True)
    second = admin.get("/organization/usage/completions", params={**query, "page": first["next_page"]}).json()
    assert second["data"][0]["start_time"] == first["data"][-1]["end_time"]
    wishes: tuple[dict[str, Any], ...] = (
        {},
        {"start_time": now, "limit": 32},
        {"start_time": now, "bucket_width": "1w"},
    )
    for wrong in wishes:
        assert admin.get("/organization/usage/completions", params=wrong).status_code == 400
