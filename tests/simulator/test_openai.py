"""What a leaked key's bearer is told, and what deleting a key does, over real HTTP."""

import ssl
import time
from typing import Any

import httpx
import pytest

from responder.simulator import growth
from responder.simulator.openai import OpenAI
from responder.simulator.openai_objects import VERDICTS, Key

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the trust store would take longer than the tests


def probe(openai: OpenAI, value: str, path: str = "/models", **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {value}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.get(openai.base_url + path, headers=sent, trust_env=False, verify=PLAIN)


def keys_path(key: Key) -> str:
    return f"/organization/projects/{key.project_id}/api_keys"


def listed(admin: httpx.Client, key: Key, **query: str) -> list[Any]:
    data = admin.get(keys_path(key), params=query).json()["data"]
    assert isinstance(data, list)
    return data


EXPECTED = {
    "live": (200, None, ""),
    "dead": (401, "invalid_api_key", "Incorrect API key provided: "),
    "missing_scopes": (403, None, "Missing scopes: api.model.read"),
    "missing_scopes_401": (401, None, "Missing scopes: api.model.read"),
    "ip_not_authorized": (401, None, "IP not authorized"),
    "insufficient_quota": (429, "insufficient_quota", "exceeded your current quota"),
    "rate_limited": (429, "rate_limit_exceeded", "Rate limit reached"),
    "credit_balance_exhausted": (429, "credit_balance_exhausted", "credit balance"),
    "account_deactivated": (401, "account_deactivated", "has been deactivated"),
    "unsupported_country": (403, "unsupported_country_region_territory", "Country"),
    "not_member": (401, None, "You must be a member of an organization"),
    "server_error": (500, None, "The server had an error"),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_has_its_documented_answer(openai: OpenAI, me_contract: Any, verdict: str) -> None:
    """By status alone, half of these would be misread."""
    key = openai.add_key(verdict=verdict)
    status, code, words = EXPECTED[verdict]
    answer = probe(openai, key.value)
    assert answer.status_code == status
    assert answer.headers["x-request-id"].startswith("req_")
    if status != 200:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == code
        assert words in error["message"]
        assert key.value not in answer.text
    me = probe(openai, key.value, "/me")
    if me.status_code in (200, 401, 403):
        me_contract.check("GET /v1/me", me)


def test_the_401_shows_the_mask_of_the_whole_length(openai: OpenAI) -> None:
    key = openai.add_key()
    forged = openai.forge(key)
    message = probe(openai, forged).json()["error"]["message"]
    assert message == (
        f"Incorrect API key provided: {key.mask}. "
        "You can find your API key at https://platform.openai.com/account/api-keys."
    )
    assert len(key.mask) == len(forged)


def test_answers_name_the_project_and_the_organizations_slug(openai: OpenAI, openai_contract: Any) -> None:
    key = openai.add_key()
    answer = probe(openai, key.value)
    openai_contract.check("GET /models", answer)
    assert answer.headers["openai-project"] == key.project_id
    assert answer.headers["openai-organization"] == openai.slug
    limited = probe(openai, openai.add_key(verdict="insufficient_quota").value)
    assert limited.headers["openai-project"] == key.project_id
    assert "openai-project" not in probe(openai, openai.forge(key)).headers


@pytest.mark.parametrize("path", ["/models", "/me"])
def test_naming_another_project_or_organization_is_refused(openai: OpenAI, path: str) -> None:
    """How a responder can make sure whose key it holds."""
    key = openai.add_key()
    other = openai.add_project("other")
    theirs = openai.stranger(key)
    right = {"OpenAI_Organization": openai.id, "OpenAI_Project": str(key.project_id)}
    assert probe(openai, key.value, path, **right).status_code == 200
    for value, headers, code in (
        (key.value, {"OpenAI_Project": other.id}, "mismatched_project"),
        (key.value, {"OpenAI_Organization": "org-other"}, "mismatched_organization"),
        (theirs.value, {"OpenAI_Project": str(key.project_id)}, "mismatched_project"),
        (theirs.value, {"OpenAI_Organization": openai.id}, "mismatched_organization"),
    ):
        answer = probe(openai, value, path, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)


def test_me_names_the_person_but_no_project_and_no_key(openai: OpenAI) -> None:
    key = openai.add_key(owner=openai.add_user("Zoë", "zoe@acme.example"))
    body = probe(openai, key.value, "/me").json()
    assert (body["email"], body["orgs"]["data"][0]["id"]) == ("zoe@acme.example", openai.id)
    assert key.id not in str(body)
    assert str(key.project_id) not in str(body)


def test_a_stranger_is_alive_elsewhere_behind_the_same_mask(openai: OpenAI, admin: httpx.Client) -> None:
    """Revoking ours because theirs leaked is the mistake to avoid."""
    key = openai.add_key()
    theirs = openai.stranger(key)
    assert theirs.mask == key.mask
    answer = probe(openai, theirs.value)
    assert answer.status_code == 200
    assert answer.headers["openai-project"] == theirs.project_id != key.project_id
    assert answer.headers["openai-organization"] != openai.slug
    assert [k["id"] for k in listed(admin, key)] == [key.id]


def test_two_keys_may_share_a_mask(openai: OpenAI, admin: httpx.Client) -> None:
    first = openai.add_key()
    second = openai.add_key(tail=first.value[-4:])
    assert first.value != second.value
    assert len({k["redacted_value"] for k in listed(admin, first)}) == 1


def test_use_moves_the_time_of_last_use(openai: OpenAI, admin: httpx.Client) -> None:
    key = openai.add_key()
    assert listed(admin, key)[0]["last_used_at"] is None
    probe(openai, openai.forge(key))
    assert listed(admin, key)[0]["last_used_at"] is None
    probe(openai, key.value)
    assert abs(listed(admin, key)[0]["last_used_at"] - time.time()) < 5


def test_a_deleted_key_is_out_of_the_list_and_dead_at_once_by_default(openai: OpenAI, admin: httpx.Client) -> None:
    key, bystander = openai.add_key("leaked"), openai.add_key("bystander")
    answer = admin.delete(f"{keys_path(key)}/{key.id}")
    assert answer.json() == {"object": "organization.project.api_key.deleted", "id": key.id, "deleted": True}
    assert [k["id"] for k in listed(admin, key)] == [bystander.id]
    assert probe(openai, key.value).json()["error"]["code"] == "invalid_api_key"
    assert not openai.is_live(key.id)
    assert openai.is_live(bystander.id)
    deletion = openai.deletions[0]
    assert (deletion.key_id, deletion.project_id, deletion.applied) == (key.id, key.project_id, True)
    assert abs(time.monotonic() - deletion.monotonic_seconds) < 5


def test_deleting_again_or_elsewhere_is_404_and_recorded(openai: OpenAI, admin: httpx.Client) -> None:
    key, other = openai.add_key(), openai.add_project("other")
    assert admin.delete(f"/organization/projects/{other.id}/api_keys/{key.id}").status_code == 404
    assert openai.is_live(key.id)
    admin.delete(f"{keys_path(key)}/{key.id}")
    assert admin.delete(f"{keys_path(key)}/{key.id}").status_code == 404
    assert [d.applied for d in openai.deletions] == [False, True, False]


def test_a_deletion_spreads_slowly_and_at_random(openai: OpenAI) -> None:
    """One 401 proves nothing, and neither does one 200."""
    key = openai.add_key()
    openai.spread_seconds = 60
    openai.delete(key)
    seen = [probe(openai, key.value).status_code for _ in range(30)]
    assert set(seen) == {200, 401}
    assert not openai.is_live(key.id)
    openai.spread_seconds = 0
    assert {probe(openai, key.value).status_code for _ in range(5)} == {401}


def test_the_same_seed_spreads_the_same_way() -> None:
    def run() -> list[str]:
        server = OpenAI(seed=7)
        key = server.add_key()
        server.spread_seconds = 60
        server.delete(key)
        return [server.judge(key.value)[1] for _ in range(20)]

    assert run() == run()


def test_a_list_may_lag_behind_a_deletion(openai: OpenAI, admin: httpx.Client) -> None:
    key = openai.add_key()
    openai.list_lag_seconds = 0.2
    admin.delete(f"{keys_path(key)}/{key.id}")
    assert [k["id"] for k in listed(admin, key)] == [key.id]
    time.sleep(0.25)
    assert listed(admin, key) == []


def test_verdicts_can_be_scripted(openai: OpenAI) -> None:
    """A verdict that flips, and a spell of spurious 401s."""
    key = openai.add_key()
    key.script = ["dead", "server_error", "live", "dead"]
    assert [probe(openai, key.value).status_code for _ in range(6)] == [401, 500, 200, 401, 200, 200]


def test_service_account_keys_can_be_deleted_unless_the_old_way_is_on(openai: OpenAI, admin: httpx.Client) -> None:
    account = openai.add_service_account("deploy bot")
    key, sibling = openai.add_key(owner=account), openai.add_key(owner=account)
    assert growth.family_of(key.value) == "openai-service-account"
    openai.refuse_service_account_keys = True
    assert admin.delete(f"{keys_path(key)}/{key.id}").status_code == 400
    assert openai.is_live(key.id)
    openai.refuse_service_account_keys = False
    assert admin.delete(f"{keys_path(key)}/{key.id}").status_code == 200
    assert openai.is_live(sibling.id)
    admin.delete(f"/organization/projects/{key.project_id}/service_accounts/{account.id}")
    assert not openai.is_live(sibling.id)


def test_only_admin_keys_enter_the_administration(openai: OpenAI, openai_contract: Any) -> None:
    key = openai.add_key()
    refused = probe(openai, key.value, "/organization/projects")
    assert (refused.status_code, "Missing scopes" in refused.text) == (403, True)
    openai.scopes_status = 401
    assert probe(openai, key.value, "/organization/projects").status_code == 401
    unknown = probe(openai, openai.forge(openai.admin_key), "/organization/projects")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (401, "invalid_api_key")
    theirs = openai.stranger(openai.admin_key)
    elsewhere = probe(openai, theirs.value, "/organization/projects")
    openai_contract.check("GET /organization/projects", elsewhere)
    assert elsewhere.json()["data"] == []
    anonymous = httpx.get(f"{openai.base_url}/organization/projects", trust_env=False)
    assert anonymous.status_code == 401
    assert probe(openai, openai.admin_key.value).status_code == 403


def test_one_admin_key_can_delete_another_and_even_itself(openai: OpenAI, admin: httpx.Client) -> None:
    second = openai.add_admin_key("leaked admin")
    answer = admin.delete(f"/organization/admin_api_keys/{second.id}")
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)
    assert probe(openai, second.value, "/organization/projects").status_code == 401
    assert openai.deletions[0].key_id == second.id
    admin.delete(f"/organization/admin_api_keys/{openai.admin_key.id}")
    assert admin.get("/organization/projects").status_code == 401


def test_a_legacy_key_is_live_but_in_no_list(openai: OpenAI, admin: httpx.Client) -> None:
    key = openai.add_legacy_key()
    assert probe(openai, key.value).status_code == 200
    assert listed(admin, key, owner_project_access="any") == []
    assert admin.delete(f"{keys_path(key)}/{key.id}").status_code == 404
    assert openai.is_live(key.id)


def test_a_report_by_possession_kills_any_key_later(openai: OpenAI) -> None:
    key = openai.add_legacy_key()
    openai.compromised_after_seconds = 0.1
    body = {"secret": {"api_key": key.value}, "comment": "leaked"}
    url = f"{openai.origin}/external/compromised_secret"
    assert httpx.post(url, json=body, trust_env=False).status_code == 200
    assert openai.is_live(key.id)
    time.sleep(0.2)
    assert not openai.is_live(key.id)
    assert openai.reports == [key.value]
    assert httpx.post(url, json={}, trust_env=False).status_code == 400


def test_expired_disabled_and_archived_keys_are_dead(openai: OpenAI, admin: httpx.Client) -> None:
    expired = openai.add_key(expires_at=int(time.time()) - 1)
    disabled = openai.add_key()
    openai.disable(disabled)
    archived = openai.add_key(project=openai.add_project("old"))
    assert admin.post(f"/organization/projects/{archived.project_id}/archive").json()["status"] == "archived"
    for key in (expired, disabled, archived):
        assert probe(openai, key.value).json()["error"]["code"] == "invalid_api_key"
        assert not openai.is_live(key.id)
    assert disabled.id in [k["id"] for k in listed(admin, disabled)]


def test_a_lost_answer_leaves_the_delete_applied(openai: OpenAI, admin: httpx.Client) -> None:
    """Repeating it blindly, or believing it failed, are both wrong."""
    key = openai.add_key()
    openai.faults.add(f"DELETE .*/{key.id}", "timeout", applied=True, seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        admin.delete(f"{keys_path(key)}/{key.id}", timeout=0.1)
    assert [d.applied for d in openai.deletions] == [True]
    assert not openai.is_live(key.id)


def test_a_delete_that_a_fault_stopped_is_recorded_as_not_applied(openai: OpenAI, admin: httpx.Client) -> None:
    key = openai.add_key()
    openai.faults.add("DELETE", "status", status=503)
    assert admin.delete(f"{keys_path(key)}/{key.id}").json()["error"]["type"] == "server_error"
    assert [d.applied for d in openai.deletions] == [False]
    assert openai.is_live(key.id)


@pytest.mark.parametrize("applied", [False, True])
def test_answers_to_a_delete_may_lie(openai: OpenAI, admin: httpx.Client, applied: bool) -> None:
    for kind in ("deleted_false", "wrong_id", "service_account_refused"):
        key = openai.add_key()
        openai.faults.add("DELETE", kind, applied=applied)
        answer = admin.delete(f"{keys_path(key)}/{key.id}")
        assert openai.is_live(key.id) is not applied
        truth = {"deleted": True, "id": key.id}
        said = {name: answer.json().get(name) for name in truth}
        assert said != truth


def test_lists_may_lie(openai: OpenAI, admin: httpx.Client) -> None:
    keys = [openai.add_key(str(n)) for n in range(5)]
    path = keys_path(keys[0])
    admin.delete(f"{path}/{keys[0].id}")

    def get(**query: str) -> Any:
        answer = admin.get(path, params=query).json()
        return [k["name"] for k in answer["data"]], answer["has_more"]

    openai.faults.add("GET", "stale_list")
    assert get() == (["0", "1", "2", "3", "4"], False)
    openai.faults.add("GET", "missing_new")
    assert get() == (["1", "2", "3"], False)
    openai.faults.add("GET", "repeated_cursor")
    assert get(after=keys[2].id, limit="2") == (["1", "2"], True)
    openai.faults.add("GET", "has_more_lie")
    assert get() == (["1", "2", "3", "4"], True)
    openai.faults.add("GET", "no_more_lie")
    assert get(limit="1") == (["1"], False)
    assert get() == (["1", "2", "3", "4"], False)


def test_a_lie_about_lists_leaves_other_answers_alone(openai: OpenAI, admin: httpx.Client) -> None:
    openai.faults.add("GET", "missing_new", None)
    assert admin.get(f"/organization/projects/{openai.default_project.id}").status_code == 200
    assert admin.get("/nowhere").status_code == 404
