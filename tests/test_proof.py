"""Who a leaked token is: proved, disproved, or held, and never asked about without a candidate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.core.decision import Action, Case, Disposition, decide
from responder.core.liveness import Liveness
from responder.core.match import Evidence
from responder.core.token import Token
from responder.proof import Account, Allowance, Control, Finding, identify
from responder.simulator.openai_objects import Key
from tests.beside import Beside, beside, leaked
from tests.grown import token

_ASKED = r"GET /v1/(models|me)$"
_KEYS = r"GET .*/projects/[^/]+/api_keys$"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Beside]:
    """One organisation."""
    with beside(tmp_path) as made:
        yield made


def _account(here: Beside) -> Account:
    """One that has just been listed."""
    inventory = here.inventory()
    assert inventory.sync()
    here.wait(60)
    here.vendor.journal.clear()
    return Account(here.provider, inventory)


def _decided(found: Finding) -> tuple[Action, Disposition | None]:
    decision = decide(Case(found.match, found.verdict, own_key=found.own_key, refreshed=found.refreshed))
    return decision.action, decision.disposition


def _proved(found: Finding) -> str | None:
    return found.match.key.id if found.match.key is not None and found.match.evidence.proof else None


def test_a_token_without_a_candidate_is_never_sent_anywhere(here: Beside) -> None:
    """It is a stranger's secret, and asking is using it."""
    here.vendor.add_key()
    account = _account(here)
    found = here.identify(token(77).reveal(), account)
    assert here.vendor.count(_ASKED) == 0
    assert (found.match.evidence, found.verdict, found.refreshed) == (Evidence.NONE, None, True)
    assert _decided(found) == (Action.IGNORE, Disposition.NOT_OURS)


def test_without_an_account_nobody_is_asked(here: Beside) -> None:
    """There is nobody to ask."""
    one, seen = leaked(here.vendor.add_key())
    found = identify(one, seen, [], here.now)
    assert found.account is None
    assert here.vendor.journal == []


def test_a_live_token_with_one_candidate_is_proved_and_remembered(here: Beside) -> None:
    """The second leak of it needs no call at all before the DELETE."""
    key = here.vendor.add_key()
    account = _account(here)
    found = here.identify(key, account)
    assert (_proved(found), found.match.evidence) == (key.id, Evidence.PROBE)
    assert _decided(found)[0] is Action.REVOKE
    here.vendor.journal.clear()
    again = here.identify(key, account)
    assert (_proved(again), again.match.evidence) == (key.id, Evidence.FINGERPRINT)
    assert here.vendor.journal == []


def test_a_key_made_after_the_last_list_is_found_and_proved(here: Beside) -> None:
    """People leak keys minutes after they made them."""
    account = _account(here)
    key = here.vendor.add_key()
    assert _proved(here.identify(key, account)) == key.id


def test_a_new_key_that_looks_like_a_known_one_elsewhere_is_found_and_proved(here: Beside) -> None:
    """The known one answers "elsewhere"; only a fresh list shows the other."""
    old = here.vendor.add_key(tail="AbCd")
    account = _account(here)
    new = here.vendor.add_key(tail="AbCd", project=here.vendor.add_project("New"))
    assert _proved(here.identify(new, account)) == new.id
    assert here.vendor.is_live(old.id)


def test_while_the_list_cannot_be_refreshed_an_unknown_token_is_not_called_a_strangers(here: Beside) -> None:
    """Not knowing is not knowing."""
    account = _account(here)
    here.vendor.faults.add("GET .*/projects", "status", times=None, status=503)
    found = here.identify(here.vendor.add_key(), account)
    assert not found.refreshed
    assert _decided(found) == (Action.HOLD, None)


def test_a_forged_token_is_dead_and_the_key_it_imitates_stays(here: Beside) -> None:
    """Anybody can write it into an issue."""
    key = here.vendor.add_key()
    account = _account(here)
    found = here.identify(here.vendor.forge(key), account)
    assert found.verdict is not None
    assert (found.verdict.liveness, found.match.evidence) == (Liveness.DEAD, Evidence.HINT)
    assert _decided(found) == (Action.HOLD, None)


def test_a_live_stranger_with_the_same_mask_is_not_ours(here: Beside) -> None:
    """Its own organisation's business, and our key is not touched."""
    key = here.vendor.add_key()
    account = _account(here)
    found = here.identify(here.vendor.stranger(key), account)
    assert found.verdict is not None
    assert found.verdict.elsewhere
    assert _proved(found) is None
    assert _decided(found) == (Action.IGNORE, Disposition.NOT_OURS)


def test_a_live_stranger_is_not_called_one_while_the_list_is_old(here: Beside) -> None:
    """The project it lives in may be one of ours made this minute."""
    key = here.vendor.add_key()
    account = _account(here)
    here.vendor.faults.add(r"GET .*/organization/projects$", "status", times=None, status=503)
    assert _decided(here.identify(here.vendor.stranger(key), account)) == (Action.HOLD, None)


def test_twins_in_one_project_are_held(here: Beside) -> None:
    """The answer names the project, and both live there."""
    leaked_one, twin = (here.vendor.add_key(tail="AbCd") for _ in range(2))
    found = here.identify(leaked_one, _account(here))
    assert {key.id for key in found.match.keys} == {leaked_one.id, twin.id}
    assert _decided(found) == (Action.HOLD, None)
    assert {key.fingerprint for key in found.match.keys} == {None}


def test_twins_in_two_projects_are_told_apart_by_the_answer(here: Beside) -> None:
    """Each lives where it lives."""
    one = here.vendor.add_key(tail="AbCd")
    two = here.vendor.add_key(tail="AbCd", project=here.vendor.add_project("Two"))
    account = _account(here)
    assert _proved(here.identify(two, account)) == two.id
    assert _proved(here.identify(one, account)) == one.id


def test_a_twin_made_since_the_list_spoils_the_proof(here: Beside) -> None:
    """Before the list there was one, after it there are two: the leak may be either."""
    key = here.vendor.add_key(tail="AbCd")
    account = _account(here)
    here.vendor.add_key(tail="AbCd")
    assert _decided(here.identify(key, account)) == (Action.HOLD, None)


def test_a_twin_deleted_since_the_list_spoils_the_proof(here: Beside) -> None:
    """Deleted keys are accepted for minutes: the leak may be the deleted one."""
    here.vendor.spread_seconds, here.vendor.spread_acceptance = 60.0, 1.0
    key, deleted = (here.vendor.add_key(tail="AbCd") for _ in range(2))
    account = _account(here)
    here.vendor.delete(deleted)
    assert _decided(here.identify(deleted, account)) == (Action.HOLD, None)
    assert here.vendor.is_live(key.id)


def test_once_every_candidate_is_fingerprinted_a_forgery_costs_no_call(here: Beside) -> None:
    """A flood of them must not reach the provider."""
    key = here.vendor.add_key()
    account = _account(here)
    here.identify(key, account)
    here.vendor.journal.clear()
    found = here.identify(here.vendor.forge(key), account)
    assert here.vendor.journal == []
    assert _decided(found) == (Action.IGNORE, Disposition.NOT_OURS)


def test_the_key_we_run_on_is_recognised_without_a_call(here: Beside) -> None:
    """And before anything else."""
    account = _account(here)
    found = here.identify(here.vendor.admin_key, account)
    assert found.own_key
    assert here.vendor.journal == []


def test_another_admin_key_of_ours_is_proved_by_what_it_opens(here: Beside) -> None:
    """It sees our projects, which nobody else's does."""
    other = here.vendor.add_admin_key("other")
    assert _proved(here.identify(other, _account(here))) == other.id


def test_a_strangers_admin_key_is_not_ours(here: Beside) -> None:
    """It opens another organisation."""
    other = here.vendor.add_admin_key("other")
    found = here.identify(here.vendor.stranger(other), _account(here))
    assert _proved(found) is None
    assert _decided(found) == (Action.IGNORE, Disposition.NOT_OURS)


@pytest.mark.parametrize("verdict", ["rate_limited", "server_error", "not_member", "unsupported_country"])
def test_an_answer_that_says_nothing_proves_nothing(here: Beside, verdict: str) -> None:
    """Neither dead nor live: we keep trying."""
    key = here.vendor.add_key(verdict=verdict)
    found = here.identify(key, _account(here))
    assert found.verdict is not None
    assert found.verdict.liveness is Liveness.UNKNOWN
    assert _decided(found) == (Action.HOLD, None)


@pytest.mark.parametrize(
    "verdict", ["missing_scopes", "missing_scopes_401", "ip_not_authorized", "insufficient_quota"]
)
def test_a_live_key_that_may_do_little_is_proved_like_any_other(here: Beside, verdict: str) -> None:
    """It still opens something, for somebody."""
    key = here.vendor.add_key(verdict=verdict)
    assert _proved(here.identify(key, _account(here))) == key.id


def test_if_the_fresh_list_cannot_be_had_nothing_is_proved(here: Beside) -> None:
    """Half a proof is none."""
    key = here.vendor.add_key()
    account = _account(here)
    here.vendor.faults.add(_KEYS, "status", times=None, status=500)
    found = here.identify(key, account)
    assert _proved(found) is None
    assert found.verdict is not None
    assert found.verdict.liveness is Liveness.UNKNOWN


def test_if_no_answer_names_the_project_nothing_is_proved(here: Beside) -> None:
    """The key is alive, and looks like ours: a person looks."""
    key = here.vendor.add_key()
    account = _account(here)
    here.vendor.faults.add(_ASKED, "status", times=None, status=200, body={"object": "list", "data": []})
    assert _decided(here.identify(key, account)) == (Action.HOLD, None)


def test_a_token_in_none_of_the_projects_that_could_be_asked_is_not_called_a_strangers(here: Beside) -> None:
    """We ask eight at most, and it may live in the ninth."""
    keys = [here.vendor.add_key(tail="AbCd", project=here.vendor.add_project(f"p{n}")) for n in range(12)]
    account = _account(here)
    for key in keys:
        found = here.identify(key, account)
        assert _decided(found) in ((Action.HOLD, None), (Action.REVOKE, None))
        assert _proved(found) in (None, key.id)


def test_a_key_that_was_missing_from_a_list_by_mistake_is_looked_for_once_more(here: Beside) -> None:
    """It is alive: taken for gone, it would be left to the thief."""
    key = here.vendor.add_key()
    account = _account(here)
    here.identify(key, account)
    here.vendor.faults.add(_KEYS, "missing_new")
    account.inventory.sync()
    missing = account.inventory.key(key.id)
    assert missing is not None
    assert missing.gone_at is not None
    here.wait(60)
    assert _decided(here.identify(key, account)) == (Action.REVOKE, None)


def test_a_key_that_is_gone_is_already_dead(here: Beside) -> None:
    """Somebody was faster."""
    key = here.vendor.add_key()
    account = _account(here)
    here.identify(key, account)
    here.vendor.delete(key)
    account.inventory.sync()
    here.wait(60)
    assert _decided(here.identify(key, account)) == (Action.IGNORE, Disposition.ALREADY_DEAD)


# --- how often may be asked, and whether answers can be believed ---------------------------------


def test_one_source_may_ask_for_one_key_only_so_often(here: Beside) -> None:
    """Forgeries of one mask must not make us hammer the vendor; another source still may ask."""
    key = here.vendor.add_key()
    account = _account(here)
    forged = [here.vendor.forge(key) for _ in range(15)]
    codes = [found.verdict.code for value in forged if (found := here.identify(value, account, "loud")).verdict]
    assert codes[:10] == ["invalid_api_key"] * 10
    assert set(codes[10:]) == {"asked_too_often"}
    assert here.vendor.count(_ASKED) == 10
    assert _proved(here.identify(key, account, "quiet")) == key.id


def test_an_allowance_is_per_name_and_minute() -> None:
    """After a minute it is whole again."""
    now = [0.0]
    allowance = Allowance(2, lambda: now[0])
    assert [allowance.take("a") for _ in range(3)] == [True, True, False]
    assert allowance.take("b")
    now[0] = 59.9
    assert not allowance.take("a")
    now[0] = 60.0
    assert allowance.take("a")


def _controlled(here: Beside, canary: Key) -> Account:
    strangers = iter(range(1000, 2000))
    control = Control(here.provider, Token(canary.value, canary.family), lambda: token(next(strangers)))
    return Account(here.provider, _account(here).inventory, control=control)


def test_a_probe_is_believed_while_the_control_key_is_answered_as_expected(here: Beside) -> None:
    """An answer is worth what the same vendor says about a key we know."""
    canary, key = here.vendor.add_key("canary"), here.vendor.add_key()
    assert _proved(here.identify(key, _controlled(here, canary))) == key.id


@pytest.mark.parametrize(
    ("canary_says", "body"),
    [("dead", None), ("server_error", None), ("live", {"object": "list", "data": []})],
)
def test_no_probe_is_believed_while_the_control_fails(
    here: Beside, canary_says: str, body: dict[str, object] | None
) -> None:
    """An outage that answers 401 to everything looks like "dead", one that answers 200 like "live"."""
    canary, key = here.vendor.add_key("canary", verdict=canary_says), here.vendor.add_key()
    account = _controlled(here, canary)
    if body is not None:
        here.vendor.faults.add(_ASKED, "status", times=None, status=200, body=body)
    found = here.identify(key, account)
    assert found.verdict is not None
    assert (found.verdict.liveness, found.verdict.code) == (Liveness.UNKNOWN, "control_failed")
    assert _proved(found) is None
