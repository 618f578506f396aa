"""Masks, candidates and proofs: which key a token is, and when nobody can say."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.key import UNREADABLE, KeyKind, KnownKey, Mask, parse_mask
from responder.core.liveness import Liveness, Verdict
from responder.core.match import Evidence, Match, find, prove
from responder.simulator import growth
from tests.grown import NOON, known, seen, token, twin

_LIVE = Verdict(Liveness.LIVE, "", "proj_one")
_SEEN = seen()
_PROVED_OTHER = seen(99).digest


# --- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", list(growth.SHAPES))
def test_the_mask_a_provider_shows_fits_its_own_token(family: str) -> None:
    """Eight characters, stars, four: as captured for every family."""
    value, name = token(3, family).reveal(), seen(3, family)
    mask = parse_mask(growth.mask(value))
    assert mask == Mask(value[:8], value[-4:], len(value))
    assert mask.fits(name.head, name.tail, name.length)


@pytest.mark.parametrize("dots", ["..", "...", "…", "........"])
def test_dots_say_nothing_about_the_length(dots: str) -> None:
    """Documentation shortens with three dots, whatever the key's length."""
    mask = parse_mask(f"{_SEEN.head}{dots}{_SEEN.tail}")
    assert mask == Mask(_SEEN.head, _SEEN.tail, None)
    assert mask.fits(_SEEN.head, _SEEN.tail, 1)


def test_stars_keep_the_length_and_a_token_of_another_length_does_not_fit() -> None:
    """It is a different key, however alike the ends."""
    mask = parse_mask(growth.mask(token().reveal()))
    assert mask is not None
    assert not mask.fits(_SEEN.head, _SEEN.tail, _SEEN.length + 1)


def test_a_mask_that_shows_more_than_we_keep_still_fits() -> None:
    """If a vendor starts to show six characters, leaks must not turn into "not ours" overnight."""
    value = token().reveal()
    mask = parse_mask(value[:12] + "*" * (len(value) - 18) + value[-6:])
    assert mask == Mask(value[:8], value[-4:], len(value))


@pytest.mark.parametrize(
    "text",
    [
        "", "abc", "sk-abc", "*" * 20, "...", "abc***", "***abc", "abc*def", "abc.def", "abc***def***ghi",
        "a b***cdef", "sk-é***abcd", "sk-abc***de f", "sk-abc***abcd\n", "x" * 41 + "***abcd", "sk-abc*.*abcd",
    ],
)  # fmt: skip
def test_what_is_no_mask_is_none(text: str) -> None:
    """A whole key, or nothing at all, in the place of a mask is a broken list, not a candidate."""
    assert parse_mask(text) is None


def test_a_mask_fits_only_both_ends() -> None:
    """Either end alone is shared by thousands."""
    mask = Mask(_SEEN.head, _SEEN.tail, _SEEN.length)
    assert not mask.fits("sk-other", _SEEN.tail, _SEEN.length)
    assert not mask.fits(_SEEN.head, "0000", _SEEN.length)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_reading_a_mask_never_fails(text: str) -> None:
    """One strange row must not end the list with a traceback."""
    mask = parse_mask(text)
    assert mask is None or (1 <= len(mask.head) <= 8 and 1 <= len(mask.tail) <= 4)


# --- find ----------------------------------------------------------------------------------------


def test_a_proved_fingerprint_is_found_whatever_the_mask_says() -> None:
    """It is the strongest evidence and needs no call."""
    key = known(5, fingerprint=_SEEN.digest)
    assert find(_SEEN, [known(7), key, twin()]) == Match(Evidence.FINGERPRINT, (key,))


def test_a_fingerprint_bound_to_two_keys_proves_nothing() -> None:
    """It contradicts itself: one of the two bindings is wrong."""
    match = find(_SEEN, [known(fingerprint=_SEEN.digest), twin(fingerprint=_SEEN.digest)])
    assert match.evidence is Evidence.HINT
    assert match.key is None


def test_a_mask_alone_is_a_hint_and_never_a_proof() -> None:
    """Anybody who can write a comment can write a mask."""
    match = find(_SEEN, [known()])
    assert match == Match(Evidence.HINT, (known(),))
    assert not match.evidence.proof


def test_twins_are_both_candidates() -> None:
    """Two keys sharing a mask are never told apart by it."""
    match = find(_SEEN, [known(), twin(), known(1)])
    assert {key.id for key in match.keys} == {"key_0", "key_twin"}
    assert match.key is None


def test_a_tombstone_is_a_candidate_too() -> None:
    """A token of a deleted key must not be taken for the key that looks like it."""
    assert len(find(_SEEN, [known(gone_at=NOON), twin()]).keys) == 2


def test_a_key_proved_to_be_another_token_is_no_candidate() -> None:
    """Its binding says which token it is."""
    assert find(_SEEN, [known(), twin(fingerprint=_PROVED_OTHER)]).keys == (known(),)


def test_if_every_candidate_is_proved_to_be_another_the_token_is_disproved() -> None:
    """No call is made: a flood of forgeries costs microseconds."""
    match = find(_SEEN, [known(fingerprint=_PROVED_OTHER), twin(fingerprint=seen(98).digest)])
    assert match == Match(Evidence.NONE, (), disproved=True)


def test_no_candidate_is_not_a_disproof() -> None:
    """The list may be behind."""
    assert find(_SEEN, [known(1), known(2, fingerprint=_PROVED_OTHER)]) == Match(Evidence.NONE)
    assert find(_SEEN, []) == Match(Evidence.NONE)


_pool = st.lists(
    st.builds(
        known,
        st.sampled_from([0, 0, 1]),
        id=st.sampled_from(["a", "b", "c", "d"]),
        project=st.sampled_from(["proj_one", "proj_two", None]),
        fingerprint=st.sampled_from([None, None, _SEEN.digest, _PROVED_OTHER]),
        gone_at=st.sampled_from([None, None, NOON]),
    ),
    max_size=4,
    unique_by=lambda key: key.id,
)


@settings(max_examples=300, deadline=None)
@given(_pool, st.permutations(range(4)))
def test_the_order_of_the_keys_changes_neither_evidence_nor_candidates(
    keys: list[KnownKey], order: list[int]
) -> None:
    """Databases return rows in any order."""
    other = [keys[n] for n in order if n < len(keys)]
    one, two = find(_SEEN, keys), find(_SEEN, other)
    assert (one.evidence, set(one.keys), one.disproved) == (two.evidence, set(two.keys), two.disproved)
    raised, again = prove(one, _LIVE, keys, _SEEN), prove(two, _LIVE, other, _SEEN)
    assert (raised.evidence, set(raised.keys)) == (again.evidence, set(again.keys))


# --- prove ---------------------------------------------------------------------------------------


def test_one_candidate_in_the_named_project_before_and_after_is_proved() -> None:
    """The token lives there, and there it can only be this key."""
    assert prove(find(_SEEN, [known()]), _LIVE, [known(), known(1)], _SEEN) == Match(Evidence.PROBE, (known(),))


def test_a_twin_in_another_project_does_not_matter() -> None:
    """The answer names the project."""
    hint = find(_SEEN, [known(), twin(project="proj_two")])
    assert prove(hint, _LIVE, [known()], _SEEN).key == known()


def test_a_twin_in_the_same_project_is_not_told_apart() -> None:
    """Revoking a stranger's key is worse than waiting for a person."""
    hint = find(_SEEN, [known(), twin()])
    assert prove(hint, _LIVE, [known(), twin()], _SEEN) == hint


def test_a_twin_that_appears_in_the_fresh_list_spoils_the_proof() -> None:
    """It was made after the last list, and may be the one."""
    hint = find(_SEEN, [known()])
    assert prove(hint, _LIVE, [known(), twin()], _SEEN) == hint


def test_a_twin_that_vanished_since_spoils_the_proof() -> None:
    """Deleted before the list was read, still accepted for minutes: the token may be its."""
    hint = find(_SEEN, [known(), twin(gone_at=NOON)])
    assert prove(hint, _LIVE, [known()], _SEEN) == hint
    hint = find(_SEEN, [known(), twin()])
    assert prove(hint, _LIVE, [known()], _SEEN) == hint


def test_a_candidate_that_vanished_since_is_not_proved() -> None:
    """Nothing is left that could be deleted."""
    hint = find(_SEEN, [known()])
    assert prove(hint, _LIVE, [known(1)], _SEEN) == hint


def test_another_key_in_the_place_of_the_candidate_proves_nothing() -> None:
    """Before and after must agree on one id."""
    hint = find(_SEEN, [known()])
    assert prove(hint, _LIVE, [twin()], _SEEN) == hint


def test_a_twin_proved_to_be_another_token_is_no_twin() -> None:
    """Its binding rules it out, before and after."""
    other = twin(fingerprint=_PROVED_OTHER)
    hint = find(_SEEN, [known(), other])
    assert prove(hint, _LIVE, [known(), other], _SEEN) == Match(Evidence.PROBE, (known(),))


def test_what_another_worker_has_proved_in_between_is_proved_and_not_in_doubt() -> None:
    """Two doors tell two workers of one token; whoever comes second must not hold what the first would revoke."""
    hint = find(_SEEN, [known(), known(1)])
    just_learned = [known(fingerprint=_SEEN.digest), known(1), twin()]
    assert prove(hint, _LIVE, just_learned, _SEEN) == Match(Evidence.FINGERPRINT, (known(),))
    contradiction = find(_SEEN, [known(fingerprint=_SEEN.digest), twin(fingerprint=_SEEN.digest)])
    assert prove(contradiction, _LIVE, [known(fingerprint=_SEEN.digest)], _SEEN) == contradiction


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(Liveness.UNKNOWN, "timeout", "proj_one"),
        Verdict(Liveness.DEAD, "invalid_api_key", "proj_one"),
        Verdict(Liveness.LIVE, "mismatched_project", "proj_one", elsewhere=True),
        Verdict(Liveness.LIVE, "", None),
        Verdict(Liveness.LIVE, "", "proj_two"),
    ],
)
def test_only_a_live_answer_that_names_the_project_proves(verdict: Verdict) -> None:
    """Anything less is a look, and looks can be forged."""
    hint = find(_SEEN, [known()])
    assert prove(hint, verdict, [known()], _SEEN) == hint


@settings(max_examples=300, deadline=None)
@given(_pool, _pool)
def test_a_proof_by_probe_always_names_one_listed_candidate(before: list[KnownKey], now: list[KnownKey]) -> None:
    """Whatever the two lists hold, a key that was no candidate is never proved."""
    hint = find(_SEEN, before)
    if hint.evidence is not Evidence.HINT:
        return
    match = prove(hint, _LIVE, now, _SEEN)
    if match.evidence.proof:
        assert match.key is not None
        assert match.key in hint.keys
        assert match.key.project == _LIVE.project
        assert match.key.gone_at is None
        fitting = [key for key in now if key.mask.fits(_SEEN.head, _SEEN.tail, _SEEN.length)]
        proved = {key.id for key in now if key.fingerprint in _SEEN.digests}
        unproved = [key.id for key in fitting if key.fingerprint is None]
        assert match.key.id in proved if match.evidence is Evidence.FINGERPRINT else unproved == [match.key.id]


def test_an_admin_key_is_proved_by_what_only_our_admin_keys_see() -> None:
    """It has no project; the organisation itself is what it opens."""
    admin = known(kind=KeyKind.ADMIN, project=None)
    seen_by_us = Verdict(Liveness.LIVE, ours=True)
    assert prove(find(_SEEN, [admin]), seen_by_us, [admin], _SEEN) == Match(Evidence.PROBE, (admin,))
    for verdict in (_LIVE, Verdict(Liveness.LIVE), replace(seen_by_us, elsewhere=True)):
        assert not prove(find(_SEEN, [admin]), verdict, [admin], _SEEN).evidence.proof


def test_an_organisation_wide_answer_does_not_prove_a_project_key() -> None:
    """A project key and an admin key may share a tail, and only one of them gave this answer."""
    hint = find(_SEEN, [known()])
    assert prove(hint, Verdict(Liveness.LIVE, ours=True), [known()], _SEEN) == hint


def test_evidence_is_ordered_by_strength_and_named_in_words() -> None:
    """Tables, logs and answers use these words."""
    assert [e.word for e in sorted(Evidence)] == ["none", "hint", "probe", "provider_hash", "fingerprint"]
    assert [e.proof for e in sorted(Evidence)] == [False, False, True, True, True]


def test_the_kept_key_is_the_one_from_the_inventory() -> None:
    """Its tier comes from our policy, which a fresh list knows nothing of."""
    hint = find(_SEEN, [known(name="as known")])
    match = prove(hint, _LIVE, [replace(known(), name="as listed")], _SEEN)
    assert match.key is not None
    assert match.key.name == "as known"


def test_beside_a_key_whose_mask_shows_nothing_none_is_proved() -> None:
    """The token could be that one."""
    hint = find(_SEEN, [known()])
    odd = replace(known(1), mask=UNREADABLE)
    assert prove(hint, _LIVE, [known(), odd], _SEEN) == hint
