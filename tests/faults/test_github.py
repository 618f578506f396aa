"""GitHub on every bad day: what cannot be fetched is fetched later, or a person knows; alerts close once."""

from collections.abc import Callable

import pytest

from responder.core.notice import Topic
from responder.store import deliveries
from tests.faults.cell import DAY, HOUR, Cell
from tests.faults.faults import ABSURD, EVERY, GRAVE, Ill, names, status

Make = Callable[..., Cell]

COMMIT, ALERT, CLOSE = "^GET /repositories/[0-9]+/commits", "^GET .*/secret-scanning/alerts/[0-9]+$", "^PATCH "
OWN = [
    Ill("secondary limit", "secondary_limit"),
    Ill("secondary limit 60", "secondary_limit", {"headers": {"Retry-After": "60"}}),
    Ill("rate limit", "rate_limit"),
    Ill("406", "too_large"),
    *(status(code) for code in (304, 410, 422, 451)),
]
GONE = ("404", "406", "409", "410", "422", "451")
"""Refusals of the one thing asked for: nothing to wait for."""


@pytest.mark.parametrize("ill", [*EVERY, *OWN], ids=names)
@pytest.mark.parametrize(("way", "route"), [("push", COMMIT), ("alert", ALERT)])
def test_what_cannot_be_fetched_is_made_known_and_fetched_once_it_can_be(
    make_cell: Make, way: str, route: str, ill: Ill
) -> None:
    """The delivery was acknowledged: it is ours to bring to an end."""
    cell = make_cell()
    fault = ill.plan(cell.hub.faults, route, None)
    getattr(cell, way)()
    cell.run(1.2 * HOUR, until=lambda: cell.someone_knows() or cell.ended_right())
    assert cell.someone_knows() or cell.ended_right()
    if ill.name in ("401", "403"):
        assert cell.pager.sent[0][2] <= 60
    fault.times = 0
    cell.run(1.2 * HOUR, until=cell.ended_right)
    assert cell.ended_right() or (ill.name in GONE and Topic.STUCK in cell.pager.topics())
    assert cell.runner.failed == []
    cell.waited_as_asked()
    cell.no_token_anywhere()


@pytest.mark.parametrize("ill", [*EVERY, *OWN, *ABSURD], ids=names)
def test_an_alert_that_cannot_be_closed_keeps_the_incident_open_or_a_person_knows(make_cell: Make, ill: Ill) -> None:
    """The key is dead and its owner knows it long before."""
    cell = make_cell()
    cell.warm()
    fault = ill.plan(cell.hub.faults, CLOSE, None)
    alert = cell.alert()
    cell.run(2.2 * HOUR)
    assert not cell.vendor.is_live(cell.key.id)
    assert cell.box.topics() == [Topic.REVOKED]
    assert cell.pager.sent
    knows = Topic.STUCK in cell.pager.topics()
    assert knows or alert.resolution == "revoked"
    fault.times = 0
    cell.run(1.2 * HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert alert.resolution == "revoked" or cell.incident_events().count("alert_not_resolved")
    assert cell.runner.failed == []
    cell.waited_as_asked()


@pytest.mark.parametrize("ill", GRAVE, ids=names)
def test_after_three_days_of_silence_a_delivery_is_given_up_and_a_person_told(make_cell: Make, ill: Ill) -> None:
    """Not before, and not in silence."""
    cell = make_cell()
    ill.plan(cell.hub.faults, "^GET /repositories", None)
    id_ = cell.push()
    cell.run(2.9 * DAY)
    with cell.store.read() as tx:
        waiting = deliveries.get(tx, id_)
    assert waiting is not None
    cell.run(0.3 * DAY)
    assert "Given up after 72 hours" in cell.outcome_of(id_)
    assert Topic.STUCK in cell.pager.topics()


def test_an_alert_that_is_closed_already_stays_as_it_is(make_cell: Make) -> None:
    """Somebody was faster, and said why."""
    cell = make_cell()
    alert = cell.alert()
    alert.change({"state": "resolved", "resolution": "used_in_tests"}, "somebody")
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert alert.resolution == "used_in_tests"
    assert not [call for call in cell.github.calls if call.line.startswith("PATCH ")]


@pytest.mark.parametrize("way", ["push", "alert"])
def test_a_repository_that_was_renamed_is_found_by_its_number(make_cell: Make, way: str) -> None:
    """Names can be made to point elsewhere."""
    cell = make_cell()
    getattr(cell, way)()
    for repository in cell.hub.repositories.values():
        cell.hub.rename(repository, "renamed")
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()


def test_an_alert_whose_secret_is_hidden_is_told_to_a_person(make_cell: Make) -> None:
    """We may not see it: nobody else will look."""
    cell = make_cell()
    cell.alert(hidden=True)
    cell.run(120)
    assert Topic.STUCK in cell.pager.topics()
    assert cell.incident() is None


@pytest.mark.parametrize("way", ["push", "alert"])
def test_a_token_that_was_taken_away_while_undecided_is_told_and_reminded_of(make_cell: Make, way: str) -> None:
    """The place no longer shows it, so nobody can check it any more; that it leaked stays true."""
    cell = make_cell()
    cell.warm()
    cell.vendor.faults.add("GET /v1/models", "status", times=None, status=500)
    getattr(cell, way)()
    cell.run(60)
    assert cell.incident_state() == "open"
    cell.hub.repositories.clear()
    cell.hub.alerts.clear()
    cell.run(10)
    cell.run(2 * HOUR)
    assert cell.is_held()
    assert cell.pager.topics().count(Topic.WAITING) == 1
