"""One answer of the provider, one verdict: every row of the captured answers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.liveness import DEAD_CODES, ELSEWHERE_CODES, Liveness, judge

_LIVE, _DEAD, _UNKNOWN = Liveness.LIVE, Liveness.DEAD, Liveness.UNKNOWN
_SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
_ADDRESS = "IP not authorized. Your request IP does not match the configured IP allowlist for your project."
_MEMBER = "You must be a member of an organization to use the API."


@pytest.mark.parametrize(
    ("status", "code", "message", "verdict"),
    [
        (401, "invalid_api_key", "Incorrect API key provided: ***.", _DEAD),
        (401, "account_deactivated", "The account has been deactivated.", _DEAD),
        (401, "", _SCOPES, _LIVE),
        (403, "", _SCOPES, _LIVE),
        (401, "missing_scope", "", _LIVE),
        (403, "missing_scopes", "", _LIVE),
        (403, "insufficient_permissions", "", _LIVE),
        (401, "", _ADDRESS, _LIVE),
        (403, "ip_not_authorized", "", _LIVE),
        (401, "ip_not_allowed", "", _LIVE),
        (401, "mismatched_organization", "", _LIVE),
        (401, "mismatched_project", "", _LIVE),
        (403, "mismatched_project", "", _LIVE),
        (429, "insufficient_quota", "You exceeded your current quota.", _LIVE),
        (429, "credit_balance_exhausted", "", _LIVE),
        (401, "", _MEMBER, _UNKNOWN),
        (401, "", "", _UNKNOWN),
        (401, "token_expired", "", _UNKNOWN),
        (401, "", "Incorrect API key provided: ***.", _UNKNOWN),
        (403, "unsupported_country_region_territory", "Country not supported", _UNKNOWN),
        (403, "invalid_api_key", "", _UNKNOWN),
        (403, "account_deactivated", "", _UNKNOWN),
        (403, "", "", _UNKNOWN),
        (429, "rate_limit_exceeded", "Rate limit reached", _UNKNOWN),
        (429, "", "", _UNKNOWN),
        (429, "invalid_api_key", "", _UNKNOWN),
        (400, "invalid_api_key", "", _UNKNOWN),
        (404, "", "", _UNKNOWN),
        (304, "", "", _UNKNOWN),
        (500, "", "", _UNKNOWN),
        (500, "invalid_api_key", "", _UNKNOWN),
        (502, "", "<html>", _UNKNOWN),
        (503, "", _SCOPES, _UNKNOWN),
        (201, "", "", _UNKNOWN),
        (204, "", "", _UNKNOWN),
    ],
)
def test_an_answer_is_judged_by_its_code_and_never_by_its_status_alone(
    status: int, code: str, message: str, verdict: Liveness
) -> None:
    """A 401 may well mean a live key; taken for "dead", it would be left to the thief."""
    assert judge(status, code, message, genuine=True).liveness is verdict


@pytest.mark.parametrize("code", sorted(ELSEWHERE_CODES))
def test_a_mismatch_means_alive_but_elsewhere(code: str) -> None:
    """The key exists and is not the candidate's."""
    verdict = judge(401, code, "", genuine=True, project="proj_other")
    assert (verdict.liveness, verdict.elsewhere) == (_LIVE, True)


def test_a_genuine_answer_names_the_project_it_lives_in() -> None:
    """The project is half of the proof."""
    verdict = judge(200, "", "", genuine=True, project="proj_one")
    assert (verdict.liveness, verdict.project, verdict.elsewhere) == (_LIVE, "proj_one", False)


def test_a_live_key_without_rights_still_names_its_project() -> None:
    """A restricted key can be proved as well as any other."""
    assert judge(403, "", _SCOPES, genuine=False, project="proj_one").project == "proj_one"


def test_a_200_of_another_shape_is_unknown() -> None:
    """A captive portal answers 200 to everything."""
    verdict = judge(200, "", "", genuine=False, project="proj_one")
    assert (verdict.liveness, verdict.project) == (_UNKNOWN, None)


def test_an_unknown_answer_says_what_it_was() -> None:
    """Somebody will have to find out."""
    assert judge(503, "", "", genuine=False).code == "status_503"
    assert judge(403, "unsupported_country", "", genuine=False).code == "unsupported_country"


@settings(max_examples=300, deadline=None)
@given(st.integers(100, 599), st.text(max_size=30), st.text(max_size=60), st.booleans())
def test_only_a_401_with_a_known_code_is_ever_dead(status: int, code: str, message: str, genuine: bool) -> None:
    """Whatever a provider invents next year is not "dead" by accident; messages are never kept."""
    verdict = judge(status, code, message, genuine=genuine)
    assert verdict.liveness is not _DEAD or (status == 401 and code in DEAD_CODES)
    assert verdict.code in (
        code, f"status_{status}", "missing_scopes", "ip_not_authorized", "unexpected_body", "",
    )  # fmt: skip
