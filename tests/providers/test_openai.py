"""What is peculiar about OpenAI: the many faces of a 401, and deletions that are none."""

import traceback
from dataclasses import replace

import pytest

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.liveness import Liveness, Verdict
from responder.core.revocation import Outcome
from responder.core.token import Token
from responder.outbound import Door
from responder.providers.openai import OpenAI
from responder.simulator.openai import OpenAI as Vendor
from responder.simulator.openai_objects import Key
from tests.grown import token


def _listed(provider: OpenAI) -> dict[str, KnownKey]:
    return {key.id: key for page in provider.list_keys() for key in page}


def _probe(provider: OpenAI, key: Key) -> Verdict:
    known = _listed(provider).get(key.id)
    return provider.probe(Token(key.value, key.family), known)


# --- probes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "liveness", "code"),
    [
        ("live", Liveness.LIVE, ""),
        ("dead", Liveness.DEAD, "invalid_api_key"),
        ("account_deactivated", Liveness.DEAD, "account_deactivated"),
        ("missing_scopes", Liveness.LIVE, "missing_scopes"),
        ("missing_scopes_401", Liveness.LIVE, "missing_scopes"),
        ("ip_not_authorized", Liveness.LIVE, "ip_not_authorized"),
        ("insufficient_quota", Liveness.LIVE, "insufficient_quota"),
        ("credit_balance_exhausted", Liveness.LIVE, "credit_balance_exhausted"),
        ("rate_limited", Liveness.UNKNOWN, "rate_limit_exceeded"),
        ("unsupported_country", Liveness.UNKNOWN, "unsupported_country_region_territory"),
        ("not_member", Liveness.UNKNOWN, "status_401"),
        ("server_error", Liveness.UNKNOWN, "status_500"),
    ],
)
def test_every_answer_to_a_probe_is_read_for_what_it_says(
    vendor: Vendor, provider: OpenAI, verdict: str, liveness: Liveness, code: str
) -> None:
    """The status alone says nothing."""
    key = vendor.add_key(verdict=verdict)
    found = _probe(provider, key)
    assert (found.liveness, found.code) == (liveness, code)
    assert found.project == (key.project_id if liveness is Liveness.LIVE else None)


def test_a_probe_is_bound_to_the_candidates_project(vendor: Vendor, provider: OpenAI) -> None:
    """A live look-alike from somewhere else says that it is from somewhere else."""
    key = vendor.add_key()
    other = vendor.add_key(project=vendor.add_project("Other"))
    stranger = vendor.stranger(key)
    known = _listed(provider)[key.id]
    for value in (other.value, stranger.value):
        found = provider.probe(Token(value, key.family), known)
        assert (found.liveness, found.elsewhere, found.project) == (Liveness.LIVE, True, None)
    assert {seen.headers.get("OpenAI-Project") for seen in vendor.journal if seen.path == "/v1/models"} == {
        key.project_id
    }


def test_a_probe_without_a_candidate_names_the_project_it_lives_in(vendor: Vendor, provider: OpenAI) -> None:
    """The answer's own header does."""
    key = vendor.add_key()
    assert provider.probe(Token(key.value, key.family), None).project == key.project_id


def test_a_forged_token_is_dead(vendor: Vendor, provider: OpenAI) -> None:
    """It looks like the key and opens nothing."""
    key = vendor.add_key()
    known = _listed(provider)[key.id]
    assert provider.probe(Token(vendor.forge(key), key.family), known).liveness is Liveness.DEAD


def test_the_leaked_token_and_not_our_own_key_asks(vendor: Vendor, provider: OpenAI) -> None:
    """With the wrong one every leak would look alive."""
    key = vendor.add_key(verdict="dead")
    vendor.add_key()
    assert _probe(provider, key).liveness is Liveness.DEAD
    assert key.uses == 0


# --- revoking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deleted_false", "wrong_id"])
@pytest.mark.parametrize("applied", [False, True])
def test_an_answer_that_does_not_name_the_deleted_key_is_unknown(
    vendor: Vendor, provider: OpenAI, kind: str, applied: bool
) -> None:
    """200 is a status, not a deletion."""
    key = vendor.add_key()
    known = _listed(provider)[key.id]
    vendor.faults.add("DELETE", kind, applied=applied)
    assert provider.revoke(known).outcome is Outcome.UNKNOWN
    assert provider.is_listed(known) is not applied


def test_a_service_accounts_key_is_deleted_alone(vendor: Vendor, provider: OpenAI) -> None:
    """Its siblings may be what production runs on."""
    bot = vendor.add_service_account("bot")
    leaked, sibling = vendor.add_key(owner=bot), vendor.add_key(owner=bot)
    assert provider.revoke(_listed(provider)[leaked.id]).outcome is Outcome.REVOKED
    assert vendor.is_live(sibling.id)
    assert not bot.deleted


def test_a_vendor_that_refuses_service_account_keys_is_a_refusal(vendor: Vendor, provider: OpenAI) -> None:
    """A person decides whether the whole account goes."""
    vendor.refuse_service_account_keys = True
    key = vendor.add_key(owner=vendor.add_service_account("bot"))
    answer = provider.revoke(_listed(provider)[key.id])
    assert (answer.outcome, answer.status) == (Outcome.REFUSED, 400)
    assert vendor.is_live(key.id)


def test_another_admin_key_is_deleted_through_its_own_endpoint(vendor: Vendor, provider: OpenAI) -> None:
    """It has no project."""
    other = vendor.add_admin_key("other")
    known = _listed(provider)[other.id]
    assert provider.is_listed(known)
    assert provider.revoke(known).outcome is Outcome.REVOKED
    assert not provider.is_listed(known)
    assert vendor.is_live(vendor.admin_key.id)


def test_the_key_we_run_on_is_never_deleted(vendor: Vendor, provider: OpenAI) -> None:
    """Nor anything that looks like it: without it nothing more can be revoked."""
    answer = provider.revoke(_listed(provider)[vendor.admin_key.id])
    assert answer.outcome is Outcome.REFUSED
    assert not vendor.mutations
    assert vendor.is_live(vendor.admin_key.id)


def test_a_deletion_is_one_request(vendor: Vendor, provider: OpenAI) -> None:
    """Every further round trip is one for the thief."""
    key = vendor.add_key()
    known = _listed(provider)[key.id]
    vendor.journal.clear()
    provider.revoke(known)
    path = f"/v1/organization/projects/{known.project}/api_keys/{known.id}"
    assert [seen.line for seen in vendor.journal] == [f"DELETE {path}"]


def test_our_own_credential_that_is_dead_is_refused_and_not_taken_for_the_leaks(vendor: Vendor) -> None:
    """Its 401 says nothing about the leaked key."""
    key = vendor.add_key()
    door = Door("openai", vendor.base_url)
    healthy = OpenAI("default", door, vendor.admin_key.value)
    known = _listed(healthy)[key.id]
    vendor.disable(vendor.admin_key)
    with pytest.raises(Refused) as caught:
        healthy.is_listed(known)
    assert caught.value.status == 401
    answer = healthy.revoke(known)
    assert (answer.outcome, answer.status) == (Outcome.REFUSED, 401)
    assert healthy.probe(Token(key.value, key.family), known).liveness is Liveness.LIVE
    door.close()


def test_no_error_carries_a_credential_an_address_or_a_body(vendor: Vendor, provider: OpenAI) -> None:
    """Each is logged, and some are mailed."""
    key = vendor.add_key()
    known = _listed(provider)[key.id]
    faults = [{"kind": "status", "status": s} for s in (400, 401, 403, 404, 429, 500)]
    faults += [{"kind": k} for k in ("reset", "html", "cut_json", "cut_body", "redirect", "wrong_schema")]
    for fault in faults:
        vendor.faults.clear()
        vendor.faults.add("", times=None, **{"body": f"{key.value} {token().reveal()}", **fault})  # type: ignore[arg-type]
        for ask in (
            lambda: _listed(provider),
            lambda: provider.list_project(known),
            lambda: provider.is_listed(known),
        ):
            with pytest.raises((Refused, Unavailable)) as caught:
                ask()
            text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
            for linked in (caught.value.__cause__, caught.value.__context__):
                assert linked is None
            for secret in (vendor.admin_key.value, key.value, token().reveal(), "Bearer", f":{vendor.port}"):
                assert secret not in text
        answers = repr((provider.revoke(known), provider.probe(Token(key.value, key.family), known)))
        assert not any(
            secret in answers for secret in (vendor.admin_key.value, key.value, "Bearer", str(vendor.port))
        )


def test_a_key_of_another_account_keeps_its_account(vendor: Vendor) -> None:
    """Two organisations may be configured, and their keys must not be mixed up."""
    door = Door("openai", vendor.base_url)
    key = vendor.add_key()
    assert _listed(OpenAI("second", door, vendor.admin_key.value))[key.id] == replace(
        _listed(OpenAI("first", door, vendor.admin_key.value))[key.id], account="second"
    )
    door.close()
