"""An adversary against the running service, through its own routes.

Fourteen kinds of leaked or forged token, nine moods of the provider, three degrees
of fingerprint coverage, a busy or an idle victim. By default every attack meets
every mood once; ``TEST_ADVERSARY=full`` plays the whole product of 756
cases. Run with ``-s`` for the table of outcomes.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from responder.simulator import World
from tests.adversary import oracle
from tests.adversary.battle import Battle, Case, covering_cases, every_case, register, wait_until_listed
from tests.running import Group

FULL = os.environ.get("TEST_ADVERSARY") == "full"
SETTINGS = {
    "RESPONDER_OPENAI__CALLS_PER_SECOND": "1000",
    "RESPONDER_INVENTORY__SYNC_SECONDS": "100000",
    "RESPONDER_POLICY__VERIFY_SECONDS": "10",
    "RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "100000",
    "RESPONDER_TRUSTED_PROXIES": "1",
}
pytestmark = pytest.mark.timeout(1800 if FULL else 240)


@pytest.fixture(scope="module")
def battle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battle]:
    with World(seed=41) as world:
        group = Group(tmp_path_factory.mktemp("adversary"), {**world.environment(), **SETTINGS})
        with group:
            played = Battle(world, group, every_case() if FULL else covering_cases())
            played.play(900 if FULL else 90)
            print(f"\n{played.table()}")
            yield played


def test_nobody_outside_a_keys_own_project_can_have_it_deleted(battle: Battle) -> None:
    """Whoever may comment on a public repository could otherwise take production down."""
    wrong = [case for case in battle.cases if battle.strays(case)]
    unnamed = [c.name for c in wrong if not oracle.is_insider_case(c.attack.__name__, c.mood, c.coverage)]
    assert unnamed == []
    assert {case.attack.__name__ for case in wrong} <= set(oracle.INSIDER_CASES)


def test_every_insider_case_is_gone_once_the_victim_is_fingerprinted(battle: Battle) -> None:
    """This is what registering keys is for, so it has to hold without exception."""
    covered = [case for case in battle.cases if case.attack.__name__ in oracle.INSIDER_CASES]
    covered = [case for case in covered if case.coverage != "none"]
    assert len(covered) >= 6
    assert [case.name for case in covered if battle.strays(case)] == []


def test_what_leaked_and_can_be_proved_is_deleted(battle: Battle) -> None:
    """A responder that never deletes anything would pass every other test here."""
    due = [c for c in battle.cases if oracle.must_be_deleted(c.attack.__name__, c.mood, c.coverage)]
    assert len(due) >= 15
    assert [f"{case.name}: {case.outcome}" for case in due if not _is_deleted(battle, case)] == []


def test_no_live_leak_is_closed_as_dead_or_as_not_ours(battle: Battle) -> None:
    """The thief goes on, and nobody looks any more."""
    closed = [case for case in battle.cases if case.outcome in ("closed already_dead", "closed not_ours")]
    live = [case for case in closed if oracle.is_live_and_ours(battle.world, case.text)]
    assert [case.name for case in live if case.attack.__name__ not in oracle.HIDDEN_CASES] == []


def test_every_case_is_finished_or_in_somebodys_hands(battle: Battle) -> None:
    """Contained, closed with a reason, held with the security team told, or open with a next look."""
    for case in battle.cases:
        one = case.incident
        if one is None:
            assert case.attack.__name__ == "truncated", f"{case.name}: nothing was seen in it"
            continue
        assert len(one["reason"]) >= 10, case.name
        if one["state"] == "held":
            assert battle.is_told(case), case.name
        elif one["state"] == "open":
            assert battle.has_next_step(case), case.name


def test_no_message_ever_says_revoked_of_a_key_that_lives(battle: Battle) -> None:
    """The person who reads it stops looking."""
    for case in battle.cases:
        if case.incident is not None and case.incident["disposition"] == "revoked":
            named = case.incident["key"]["id"]
            assert not battle.world.openai.is_live(named), case.name


def test_a_key_newer_than_the_list_is_not_nobodys_because_the_key_it_resembles_is_known(
    world: World, make_group: Callable[..., Group]
) -> None:
    """With ten thousand keys one in seven new ones ends like an older one; it leaks like any other."""
    older = world.openai.add_key("older", tail="newA")
    group = make_group(world, **SETTINGS).start("serve").wait_until_ready()
    wait_until_listed(group, world)
    register(group, [older])
    with group.store.begin("age") as tx:  # the list is two minutes old
        tx.execute(sa.text("UPDATE accounts SET complete_at = complete_at - 120000000"))
    newer = world.openai.add_key("newer", tail="newA")
    assert group.client.post("/v1/reports", json={"token": newer.value}).status_code == 202
    assert group.closed(newer.id)["disposition"] == "revoked"
    assert [deletion.key_id for deletion in world.openai.deletions] == [newer.id]


def _is_deleted(battle: Battle, case: Case) -> bool:
    leaked = oracle.may_be_deleted(battle.world, case.text)
    return all(not battle.world.openai.is_live(id_) for id_ in leaked) and bool(leaked)
