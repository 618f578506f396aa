"""The database and the disk on their bad days: refused at the door, gone on with later, never deleted wrongly."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder import followup, respond, trouble
from responder.core.notice import Topic
from responder.engine import Task
from responder.inbox import Inbox
from responder.store import FLOOR_BYTES, Store, StoreUnavailable, retention
from responder.store.deliveries import Delivery
from tests.faults.cell import HOUR, MODELS, Cell
from tests.faults.virtual import Runner

Make = Callable[..., Cell]


def copy_of(cell: Cell, to: Path) -> None:
    with (
        closing(sqlite3.connect(cell.folder / "responder.sqlite")) as now,
        closing(sqlite3.connect(to)) as then,
    ):
        now.backup(then)


def restore(cell: Cell, old: Path) -> None:
    with (
        closing(sqlite3.connect(old)) as then,
        closing(sqlite3.connect(cell.folder / "responder.sqlite")) as now,
    ):
        then.backup(now)


@pytest.mark.parametrize("seconds", [0, 1, 3, 20])
def test_an_old_copy_of_the_database_deletes_nothing_wrongly_and_tells_at_most_once_more(
    make_cell: Make, tmp_path: Path, seconds: int
) -> None:
    """Restored from before the deletion, the story runs again: the key is gone, which is found out by asking."""
    cell = make_cell()
    cell.warm()
    cell.report()
    copy_of(cell, tmp_path / "old.sqlite")
    if seconds:
        cell.run(seconds)
        copy_of(cell, tmp_path / "old.sqlite")
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    restore(cell, tmp_path / "old.sqlite")
    cell.runner = Runner(cell.clock, followup.table(cell.house), lambda t, e: trouble.give_up(cell.house, t, e))
    cell.runner.add(respond.contain_now("rep_one"))
    cell.report(name="again")
    cell.run(2 * HOUR)
    cell.check()
    assert len(cell.box.sent) <= 2
    assert len(cell.pager.sent) <= 3
    assert cell.incident_state() in ("closed", "held")


def test_two_workers_on_one_delivery_delete_once_and_tell_once(make_cell: Make) -> None:
    """What one has begun the other leaves, or takes over by reading first."""
    cell = make_cell()
    cell.warm()
    other = replace(cell.house, holder="worker-2", store=cell.open_store(), is_alive=lambda _holder: False)
    second = Runner(cell.clock, followup.table(other), lambda t, e: trouble.give_up(other, t, e))
    second.add(respond.contain_now(cell.report()))
    for _ in range(60):
        cell.runner.run(1, cell.check)
        second.run(1, cell.check)
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert len(cell.deletes()) == 1
    assert [topic for topic in cell.box.topics() if topic is Topic.REVOKED] == [Topic.REVOKED]


@pytest.mark.parametrize("moment", [0, 1, 2, 5])
def test_a_database_that_is_locked_for_a_while_only_delays(make_cell: Make, moment: int) -> None:
    """Tasks fail, are tried again, and find everything as it was."""
    cell = make_cell()
    cell.warm()
    cell.report()
    cell.run(moment)
    broken = {"left": 3}
    begin = Store.begin

    class Locked(Store):
        def begin(self, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            if broken["left"]:
                broken["left"] -= 1
                raise StoreUnavailable("OperationalError")
            return begin(self, name)

    house = replace(cell.house, store=Locked(f"sqlite:///{cell.folder / 'responder.sqlite'}"))
    cell.stores.append(house.store)
    cell.runner.use(followup.table(house))
    cell.run(HOUR, until=cell.ended_right)
    assert cell.ended_right()
    assert {error for _, error in cell.runner.failed} <= {"StoreUnavailable"}


def test_a_disk_that_is_nearly_full_takes_nothing_in_and_pages_once(make_cell: Make) -> None:
    """What was taken in goes on to its end; whoever sends more is asked to come again."""
    cell = make_cell()
    cell.warm()
    cell.report()
    free = {"bytes": FLOOR_BYTES - 1}
    store = Store(f"sqlite:///{cell.folder / 'responder.sqlite'}", lambda _folder: free["bytes"])
    cell.stores.append(store)
    cell.runner.use(followup.table(replace(cell.house, store=store)))
    late = Delivery("gh_late", "github_push", "x", {"repository": 1}, datetime.now(UTC))
    with pytest.raises(StoreUnavailable, match="disk nearly full"):
        Inbox(store, cell.folder).accept(late)
    cell.run(2 * HOUR)
    assert cell.ended_right()
    stuck = [text for notice, text, _ in cell.pager.sent if notice.topic is Topic.STUCK]
    assert len(stuck) == 1
    assert "disk is nearly full" in stuck[0]
    free["bytes"] = FLOOR_BYTES
    assert Inbox(store, cell.folder).accept(late)


@pytest.mark.parametrize("hours", [1, -1, 72, -72])
@pytest.mark.parametrize("at", [0, 3, 30])
@pytest.mark.parametrize("unknown", [False, True], ids=["proved", "undecided"])
def test_a_clock_that_is_set_in_the_middle_changes_when_and_not_what(
    make_cell: Make, hours: int, at: int, unknown: bool
) -> None:
    """By an hour as a careless hand does, by three days as a broken battery does."""
    cell = make_cell()
    cell.warm()
    fault = cell.vendor.faults.add(MODELS, "status", times=None if unknown else 0, status=500)
    cell.report()
    cell.run(at)
    cell.clock.jump(hours * HOUR)
    cell.run(60)
    fault.times = 0
    cell.run(80 * HOUR, until=lambda: cell.ended_right() or cell.is_held())
    assert cell.ended_right() or (cell.is_held() and hours == 72)
    cell.no_token_anywhere()


def test_what_is_still_to_be_done_for_an_incident_that_was_forgotten_ends_quietly(make_cell: Make) -> None:
    """Its damage may be asked for a last time after its retention; nobody is to be paged for that."""
    cell = make_cell()
    cell.warm()
    cell.report()
    cell.run(HOUR, until=cell.ended_right)
    incident = cell.incident()
    assert incident is not None
    with cell.store.begin("tidy") as tx:
        assert retention.forget_incidents(tx, datetime.max.replace(tzinfo=UTC)) == 1
    table = followup.table(cell.house)
    late = {"assess": (1, 0), "close": ("late", 0), "look": (1,), "remind": (1,), "revoke": (0,), "verify": (1,)}
    assert not any(list(table[name](incident.id, *args)) for name, args in late.items())
    assert cell.incident() is None


class _Lost(Exception):
    pass


@pytest.mark.parametrize("tasks", range(1, 7))
def test_what_an_incident_still_needs_is_found_without_the_engines_memory(make_cell: Make, tasks: int) -> None:
    """Whatever was to follow is lost after so many tasks: what our own tables say is enough to go on."""
    cell = make_cell()
    cell.warm()
    cell.report()

    def lose(_task: Task) -> None:
        if cell.runner.ran == tasks:
            raise _Lost

    with pytest.raises(_Lost):
        cell.runner.run(HOUR, lose)
    cell.runner = Runner(cell.clock, followup.table(cell.house), lambda t, e: trouble.give_up(cell.house, t, e))
    cell.run(3 * HOUR, until=cell.ended_right)
    assert cell.ended_right()
