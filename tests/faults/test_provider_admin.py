"""The provider's admin API on every bad day there is: each cell ends right, or a person knows.

A row is an operation at a moment of the story, and what is wrong with its answers: for ever,
until somebody knows; then it is over, and the story must end as if nothing had been.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from responder import followup
from responder.core.key import Tier
from responder.core.notice import Topic
from responder.store import keys
from tests.faults.cell import ADMINS, DELETE, HOUR, KEYS, PROJECTS, Cell
from tests.faults.faults import ABSURD, EVERY, GRAVE, NO_CREDENTIAL, Ill, names

Make = Callable[..., Cell]

LISTS = {
    "keys, cold": (KEYS, False, 0),
    "keys, proving": (KEYS, True, 0),
    "keys, verifying": (KEYS, True, 1),
}
ROWS = [
    *((moment, *LISTS[moment], ill) for moment in LISTS for ill in EVERY),
    *(("projects", PROJECTS, False, 0, ill) for ill in (*NO_CREDENTIAL, *GRAVE)),
    *(("delete", DELETE, True, 0, ill) for ill in (*EVERY, *ABSURD)),
]


@pytest.mark.parametrize(
    ("route", "warm", "skip", "ill"), [row[1:] for row in ROWS], ids=[f"{row[0]}, {row[4].name}" for row in ROWS]
)
def test_what_fails_for_ever_is_made_known_and_what_is_over_is_made_good(
    make_cell: Make, route: str, warm: bool, skip: int, ill: Ill
) -> None:
    """Nothing is deleted but the leaked key, nothing untrue is written, and nothing ends silently."""
    cell = make_cell()
    if warm:
        cell.warm()
    ill.plan(cell.vendor.faults, route, None, skip=skip)
    cell.report()
    cell.run(1.2 * HOUR, until=lambda: cell.someone_knows() or cell.ended_right())
    assert cell.someone_knows() or cell.ended_right()
    if ill in NO_CREDENTIAL and route != PROJECTS and skip == 0:
        assert cell.pager.sent[0][2] <= 60, "our own key is refused: a page within a minute"
    cell.vendor.faults.clear()
    if not cell.ended_right() and not cell.is_held():
        cell.run(1.5 * HOUR, until=cell.ended_right)
        assert cell.ended_right()
    assert cell.runner.failed == []
    cell.waited_as_asked()
    cell.no_token_anywhere()


@pytest.mark.parametrize("ill", [*NO_CREDENTIAL, *GRAVE], ids=names)
def test_the_list_of_admin_keys_stands_in_nobodys_way(make_cell: Make, ill: Ill) -> None:
    """Not every admin key may see the admin keys; project keys are listed before them."""
    cell = make_cell()
    ill.plan(cell.vendor.faults, ADMINS, None)
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    cell.no_token_anywhere()


def asked_in_vain(make_cell: Make) -> tuple[Cell, int]:
    """A cell whose provider cannot delete yet, and how often it was asked to."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(DELETE, "status", None, status=503)
    cell.report()
    cell.run(20)
    asked = len(cell.deletes())
    assert asked
    return cell, asked


def test_what_was_decided_before_observe_mode_is_not_done_in_it(make_cell: Make) -> None:
    """A retry is on its way while somebody thinks better of it; nothing may be deleted from then on."""
    cell, asked = asked_in_vain(make_cell)
    observing = replace(cell.house, policy=replace(cell.house.policy, enforce=False))
    cell.runner.use(followup.table(observing))
    cell.vendor.faults.clear()
    cell.run(2 * HOUR)
    assert len(cell.deletes()) == asked
    assert cell.incident_state() == "held"
    assert Topic.HELD in cell.pager.topics()


def test_what_was_decided_before_a_key_was_protected_waits_for_a_person(make_cell: Make) -> None:
    """The same, for one key."""
    cell, asked = asked_in_vain(make_cell)
    with cell.store.begin("protect") as tx:
        assert keys.set_tier(tx, "openai", "default", cell.key.id, Tier.PROTECTED)
    cell.vendor.faults.clear()
    cell.run(2 * HOUR)
    assert len(cell.deletes()) == asked
    assert cell.incident_state() == "held"
