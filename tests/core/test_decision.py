"""The decision table of the design, a test for each row, and what holds for every case."""

import random
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.decision import SECOND_LOOK_SECONDS, Action, Case, Decision, Disposition, Urgency, decide
from responder.core.key import KeyKind, KnownKey, Tier
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Evidence, Match
from tests.grown import NOON, known, twin

_LIVE = Verdict(Liveness.LIVE, "", "proj_one")
_DEAD = Verdict(Liveness.DEAD, "invalid_api_key")
_UNKNOWN = Verdict(Liveness.UNKNOWN, "timeout")
_ELSEWHERE = Verdict(Liveness.LIVE, "mismatched_project", elsewhere=True)
_PROOFS = [Evidence.PROBE, Evidence.PROVIDER_HASH, Evidence.FINGERPRINT]

proofs = pytest.mark.parametrize("evidence", _PROOFS)
tiers = pytest.mark.parametrize("tier", list(Tier))


def _hint(*keys: KnownKey) -> Match:
    return Match(Evidence.HINT, keys)


def _is_held_and_paged(decision: Decision) -> bool:
    return (decision.action, decision.urgency, decision.disposition) == (Action.HOLD, Urgency.PAGE, None)


@proofs
def test_a_proved_standard_key_is_revoked_at_once(evidence: Evidence) -> None:
    """This is what the product is for: nobody is asked, and the owner is told."""
    decision = decide(Case(Match(evidence, (known(),)), _LIVE))
    assert decision.action is Action.REVOKE
    assert decision.tell_owner
    assert "key_0" in decision.reason


def test_a_fingerprint_needs_no_answer_of_the_provider() -> None:
    """Every round trip before the DELETE is a round trip for the thief."""
    assert decide(Case(Match(Evidence.FINGERPRINT, (known(),)))).action is Action.REVOKE


@proofs
def test_a_proved_protected_key_is_held_for_a_person(evidence: Evidence) -> None:
    """Somebody said beforehand that production hangs on it."""
    decision = decide(Case(Match(evidence, (known(tier=Tier.PROTECTED),)), _LIVE))
    assert _is_held_and_paged(decision)
    assert decision.tell_owner


@proofs
@tiers
def test_a_proved_key_that_is_gone_closes_as_already_dead(evidence: Evidence, tier: Tier) -> None:
    """Vendors kill keys they find in public, often before we hear of it."""
    for case in (
        Case(Match(evidence, (known(tier=tier, gone_at=NOON),))),
        Case(Match(evidence, (known(tier=tier),)), _DEAD),
    ):
        decision = decide(case)
        assert (decision.action, decision.disposition) == (Action.IGNORE, Disposition.ALREADY_DEAD)
        assert decision.tell_owner


@tiers
def test_a_live_token_with_several_candidates_is_held(tier: Tier) -> None:
    """A mask carries sixteen bits: choosing one of two is tossing a coin over production."""
    assert _is_held_and_paged(decide(Case(_hint(known(tier=tier), twin()), replace(_LIVE, project=None))))


@tiers
def test_a_live_token_whose_identity_is_not_provable_is_held(tier: Tier) -> None:
    """One candidate that looks like it is still only a look."""
    assert _is_held_and_paged(decide(Case(_hint(known(tier=tier)), replace(_LIVE, project=None))))


@tiers
@pytest.mark.parametrize("verdict", [None, _UNKNOWN])
def test_while_the_provider_cannot_be_asked_the_owner_is_warned_and_we_keep_trying(
    verdict: Verdict | None, tier: Tier
) -> None:
    """Unknown is neither dead nor not ours."""
    decision = decide(Case(_hint(known(tier=tier)), verdict, refreshed=True))
    assert (decision.action, decision.disposition) == (Action.HOLD, None)
    assert decision.tell_owner
    assert decision.look_again_seconds is not None
    assert decision.look_again_seconds <= 10


@tiers
def test_a_token_that_looks_dead_once_is_looked_at_again_a_quarter_of_an_hour_later(tier: Tier) -> None:
    """Outages answer 401 too."""
    decision = decide(Case(_hint(known(tier=tier)), _DEAD))
    assert (decision.action, decision.disposition) == (Action.HOLD, None)
    assert decision.look_again_seconds == SECOND_LOOK_SECONDS == 900


@tiers
def test_a_token_dead_twice_closes_and_the_key_that_looks_like_it_stays(tier: Tier) -> None:
    """It was a forgery or an old key; deleting the candidate is what a forger wants."""
    decision = decide(Case(_hint(known(tier=tier)), _DEAD, dead_before=True))
    assert (decision.action, decision.disposition) == (Action.IGNORE, Disposition.ALREADY_DEAD)


def test_no_candidate_in_a_fresh_list_is_not_ours() -> None:
    """The alert stays open: it is somebody's."""
    decision = decide(Case(Match(Evidence.NONE), refreshed=True))
    assert (decision.action, decision.disposition) == (Action.IGNORE, Disposition.NOT_OURS)


def test_no_candidate_in_an_old_list_is_asked_again() -> None:
    """A key made after the last list is in no list yet."""
    decision = decide(Case(Match(Evidence.NONE)))
    assert (decision.action, decision.disposition) == (Action.HOLD, None)
    assert decision.look_again_seconds is not None


def test_a_token_no_candidate_can_be_is_not_ours_without_asking() -> None:
    """Every key that looks like it is proved to be another: a flood of forgeries costs nothing."""
    decision = decide(Case(Match(Evidence.NONE, disproved=True)))
    assert (decision.action, decision.disposition) == (Action.IGNORE, Disposition.NOT_OURS)


def test_a_live_token_that_lives_elsewhere_is_not_ours_once_the_list_is_fresh() -> None:
    """The provider itself says so, but only of the projects we knew to ask for."""
    decision = decide(Case(_hint(known()), _ELSEWHERE, refreshed=True))
    assert (decision.action, decision.disposition) == (Action.IGNORE, Disposition.NOT_OURS)


def test_a_live_token_that_lives_elsewhere_is_asked_again_while_the_list_is_old() -> None:
    """It may live in a project made this minute: neither a page nor a verdict yet."""
    decision = decide(Case(_hint(known()), _ELSEWHERE))
    assert (decision.action, decision.disposition, decision.urgency) == (Action.HOLD, None, Urgency.NONE)
    assert decision.look_again_seconds is not None


def test_a_service_accounts_key_is_revoked_like_any_other() -> None:
    """The provider deletes it alone; if it refuses, that is its answer, not our decision."""
    key = known(kind=KeyKind.SERVICE_ACCOUNT)
    assert decide(Case(Match(Evidence.FINGERPRINT, (key,)))).action is Action.REVOKE


@proofs
def test_an_admin_key_of_ours_is_revoked_and_a_person_gets_up(evidence: Evidence) -> None:
    """It opens everything: the key goes at once, and somebody looks at what was done with it."""
    decision = decide(Case(Match(evidence, (known(kind=KeyKind.ADMIN, project=None),))))
    assert (decision.action, decision.urgency) == (Action.REVOKE, Urgency.PAGE)


def test_the_key_we_run_on_is_never_deleted_here() -> None:
    """Whoever saws off this branch can revoke nothing more."""
    decision = decide(Case(Match(Evidence.FINGERPRINT, (known(),)), _LIVE, own_key=True))
    assert _is_held_and_paged(decision)


def test_a_legacy_key_that_lives_in_our_organisation_is_held() -> None:
    """It stands in no list; only its owner can revoke it."""
    assert _is_held_and_paged(decide(Case(Match(Evidence.NONE), _LIVE, refreshed=True)))


def test_a_user_key_of_the_old_kind_is_held_with_the_steps_to_take() -> None:
    """No list shows it, so its absence proves nothing."""
    for refreshed in (False, True):
        decision = decide(Case(Match(Evidence.NONE), refreshed=refreshed, legacy=True))
        assert _is_held_and_paged(decision)
        assert "platform.openai.com" in decision.reason


@proofs
def test_while_the_stop_file_is_up_nothing_is_revoked_and_the_question_stays(evidence: Evidence) -> None:
    """A person pulled the brake; when they let go, the leak is still there."""
    decision = decide(Case(Match(evidence, (known(),)), _LIVE, stopped=True))
    assert _is_held_and_paged(decision)
    assert decision.look_again_seconds is not None


@proofs
def test_beyond_the_breaker_the_rest_is_held(evidence: Evidence) -> None:
    """A flood that deletes every key is an attack, or a mistake of ours."""
    assert _is_held_and_paged(decide(Case(Match(evidence, (known(),)), _LIVE, breaker_open=True)))


def test_a_provider_without_an_account_is_held() -> None:
    """It looks like a real key, and nothing here can revoke it: a person can."""
    assert _is_held_and_paged(decide(Case(Match(Evidence.NONE), reachable=False)))


def test_a_proof_that_names_two_keys_is_no_proof() -> None:
    """It contradicts itself; a person looks."""
    assert _is_held_and_paged(decide(Case(Match(Evidence.FINGERPRINT, (known(), twin())))))


def test_reasons_name_the_key_as_its_provider_writes_it() -> None:
    """Ids tell upper from lower case, and people paste them into a search field."""
    key = known(id="key_AbCdE")
    cases = [
        Case(_hint(key), _DEAD, dead_before=True),
        Case(_hint(key), replace(_LIVE, project=None)),
        Case(_hint(key), _UNKNOWN),
        Case(Match(Evidence.PROBE, (key,)), _LIVE),
        Case(Match(Evidence.PROBE, (replace(key, tier=Tier.PROTECTED),)), _LIVE),
    ]
    assert all("key_AbCdE" in decide(case).reason for case in cases)


_keys = st.builds(
    known,
    seed=st.integers(0, 3),
    kind=st.sampled_from(KeyKind),
    tier=st.sampled_from(Tier),
    gone_at=st.sampled_from([None, NOON]),
    project=st.sampled_from(["proj_one", "proj_two", None]),
)
_matches = st.builds(Match, st.sampled_from(Evidence), st.lists(_keys, max_size=3).map(tuple), st.booleans())
_verdicts = st.none() | st.builds(
    Verdict, st.sampled_from(Liveness), st.just("code"), st.sampled_from([None, "proj_one"]), st.booleans()
)
_flags = ("own_key", "reachable", "refreshed", "dead_before", "legacy", "breaker_open", "stopped")
_cases = st.builds(Case, _matches, _verdicts, **dict.fromkeys(_flags, st.booleans()))


@settings(max_examples=400, deadline=None)
@given(_cases)
def test_every_case_has_a_decision_with_a_sentence(case: Case) -> None:
    """A leak without a row would end silently."""
    decision = decide(case)
    assert decision.reason[0].isupper()
    assert decision.reason.endswith(".")
    assert "\n" not in decision.reason
    assert (decision.disposition is not None) is (decision.action is Action.IGNORE)
    if decision.action is Action.HOLD:
        assert decision.urgency is Urgency.PAGE or decision.look_again_seconds is not None


@settings(max_examples=400, deadline=None)
@given(_cases)
def test_only_a_proof_of_one_ordinary_listed_key_ever_revokes(case: Case) -> None:
    """Everything else that leads to a deletion is a weapon in somebody's hand."""
    if decide(case).action is not Action.REVOKE:
        return
    key = case.match.key
    assert key is not None
    assert case.match.evidence.proof
    assert not case.own_key
    assert not case.breaker_open
    assert not case.stopped
    assert case.reachable
    assert key.tier is Tier.STANDARD
    assert key.gone_at is None
    assert case.verdict is None or case.verdict.liveness is not Liveness.DEAD


@settings(max_examples=400, deadline=None)
@given(_cases, st.sampled_from(Evidence))
def test_weaker_evidence_never_leads_to_a_stronger_action(case: Case, other: Evidence) -> None:
    """Whoever can weaken what we know must gain nothing by it."""
    weaker, stronger = sorted((other, case.match.evidence))
    with_weaker = decide(replace(case, match=replace(case.match, evidence=weaker)))
    with_stronger = decide(replace(case, match=replace(case.match, evidence=stronger)))
    if with_weaker.action is Action.REVOKE:
        assert with_stronger.action is Action.REVOKE


@settings(max_examples=300, deadline=None)
@given(_cases, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_changes_nothing(case: Case, chance: random.Random) -> None:
    """Databases return rows in any order."""
    keys = list(case.match.keys)
    chance.shuffle(keys)
    assert decide(replace(case, match=replace(case.match, keys=tuple(keys)))) == decide(case)


def test_not_knowing_is_never_taken_for_dead_or_not_ours() -> None:
    """The two mistakes that leave a live leaked key alone."""
    for verdict, flags in product((None, _UNKNOWN), product((False, True), repeat=3)):
        refreshed, dead_before, breaker_open = flags
        for keys in ((known(),), (known(), twin())):
            case = Case(
                _hint(*keys), verdict, refreshed=refreshed, dead_before=dead_before, breaker_open=breaker_open
            )
            assert decide(case).disposition is None
