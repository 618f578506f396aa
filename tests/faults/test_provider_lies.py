"""A provider whose answers are well-formed and untrue, or that does what it does not say."""

from collections.abc import Callable
from typing import Any

import pytest

from responder.core.notice import Topic
from tests.faults.cell import DELETE, HOUR, KEYS, MODELS, PROJECTS, Cell

Make = Callable[..., Cell]

UNHEARD: list[dict[str, Any]] = [
    {"kind": "timeout"},
    {"kind": "reset"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "30"}},
    {"kind": "html"},
    {"kind": "redirect"},
    {"kind": "wrong_schema"},
    {"kind": "deleted_false"},
    {"kind": "wrong_id"},
]


@pytest.mark.parametrize("times", [1, None], ids=["once", "for ever"])
@pytest.mark.parametrize("how", UNHEARD, ids=[f"{how['kind']} {how.get('status', '')}" for how in UNHEARD])
def test_a_deletion_that_worked_unheard_is_reconciled_by_reading(
    make_cell: Make, how: dict[str, Any], times: int | None
) -> None:
    """The outcome is unknown, so the list is read; it lacks the key, and nothing is asked for twice."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(DELETE, times=times, applied=True, **how)
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert len(cell.deletes()) == 1
    cell.no_token_anywhere()


@pytest.mark.parametrize("kind", ["deleted_false", "wrong_id"])
def test_a_deletion_that_is_not_confirmed_is_asked_for_again(make_cell: Make, kind: str) -> None:
    """An answer about another key says nothing about this one."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(DELETE, kind, times=2)
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert len(cell.deletes()) == 3


def test_a_key_that_is_said_to_be_gone_and_is_listed_is_not_gone(make_cell: Make) -> None:
    """A 404 of a proxy must not turn a live key into a closed incident: the list has the last word."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(DELETE, "status", times=2, status=404)
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert cell.incident_events().count("revoke_unknown") == 2


@pytest.mark.parametrize("lists_are_stale", [False, True])
def test_a_key_that_somebody_deletes_meanwhile_is_never_said_to_be_ours(
    make_cell: Make, lists_are_stale: bool
) -> None:
    """Between the probe and the list that should prove it: held; with a list that lags: gone when we ask."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add(MODELS, "delete_afterwards")
    if lists_are_stale:
        cell.vendor.faults.add(KEYS, "stale_list", times=6)
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right() if lists_are_stale else cell.is_held()


def test_the_key_of_a_service_account_that_cannot_be_deleted_is_held(make_cell: Make) -> None:
    """Its siblings are named, and nothing else is tried."""
    cell = make_cell(service_account=True)
    cell.warm()
    cell.vendor.faults.add(DELETE, "service_account_refused", times=None)
    cell.report()
    cell.run(HOUR)
    assert cell.is_held()
    assert len(cell.deletes()) == 1
    assert Topic.WAITING in cell.pager.topics(), "and they are reminded"
    cell.no_token_anywhere()


@pytest.mark.parametrize("skip", [0, 1], ids=["from the start", "after the deletion"])
def test_a_list_that_shows_deleted_keys_for_ever_confirms_nothing(make_cell: Make, skip: int) -> None:
    """The key is dead and nobody can see it: a person is told, at the highest severity."""
    cell = make_cell()
    cell.warm()
    fault = cell.vendor.faults.add(KEYS, "stale_list", times=None, skip=skip)
    cell.report()
    cell.run(HOUR, until=cell.someone_knows)
    cell.run(HOUR)
    assert cell.incident_state() == "held"
    assert Topic.STILL_ALIVE in cell.pager.topics()
    fault.times = 0
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()


@pytest.mark.parametrize("way", ["report", "push", "alert"])
def test_a_key_that_is_listed_late_is_found_once_it_is(make_cell: Make, way: str) -> None:
    """A key leaks seconds after it was made, and lists are behind: nobody's today may be ours in five minutes."""
    cell = make_cell()
    hide = [
        cell.vendor.faults.add(PROJECTS, "no_more_lie", times=0),
        cell.vendor.faults.add(KEYS, "without the leaked key", times=None),
    ]
    getattr(cell, way)()
    cell.run(120)
    found = cell.incident()
    assert found is not None
    assert found.disposition == "not_ours"
    for one in hide:
        one.times = 0
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right() if way != "report" else cell.is_held(), "what was sealed is shredded by then"
    cell.no_token_anywhere()


@pytest.mark.parametrize("kind", ["repeated_cursor", "has_more_lie"])
@pytest.mark.parametrize("route", [PROJECTS, KEYS], ids=["projects", "keys"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_list_without_end_is_no_list(make_cell: Make, kind: str, route: str, warm: bool) -> None:
    """It is broken off, believed in nothing, and made known."""
    cell = make_cell()
    if warm:
        cell.warm()
    fault = cell.vendor.faults.add(route, kind, times=None)
    cell.report()
    cell.run(1.2 * HOUR, until=lambda: cell.someone_knows() or cell.ended_right())
    assert cell.someone_knows() or cell.ended_right()
    fault.times = 0
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert len(cell.openai.calls) < 1000
