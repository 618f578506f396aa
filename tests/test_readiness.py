"""Ready means that what is taken in is also dealt with: as long as a worker lives, and works."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.engine import Task
from responder.inbox import Inbox
from responder.simulator import World
from responder.store import Store
from responder.store.deliveries import Delivery
from responder.waiter import Waiter
from tests.hook import assert_problem
from tests.running import Group, eventually


def test_a_worker_that_was_killed_is_missed_and_a_new_one_noticed(
    world: World, make_group: Callable[..., Group]
) -> None:
    """A load balancer, and whoever is on call, go by this; the sign of life is fifteen seconds old at most."""
    group = make_group(world).prepare()
    group.start("web").start("worker").wait_until_ready()
    group.kill("worker")
    eventually(lambda: group.client.get("/readyz").status_code == 503, "the worker to be missed")
    answer = group.client.get("/readyz")
    assert_problem(answer, 503)
    assert "worker" in answer.json()["detail"]
    group.start("worker").wait_until_ready()


class Stubborn:
    """An engine that takes nothing for a while.

    Attributes:
        taken: keys of what it took.
        is_well: whether it takes anything.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_well = False

    def start(self, task: Task) -> None:
        """Take *task*, or fail as nobody foresaw."""
        if not self.is_well:
            raise RuntimeError("the engine's own trouble")
        self.taken.append(task.key)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Of one delivery more than a waiter has places."""
    made = Store(f"sqlite:///{tmp_path / 'responder.sqlite'}")
    made.upgrade()
    for number in range(4):
        refs = {"n": number}
        Inbox(made, tmp_path).accept(Delivery(f"d{number}", "report", f"lane{number}", refs, datetime.now(UTC)))
    yield made
    made.close()


def test_a_worker_that_starts_nothing_says_so_and_goes_on_when_it_can(store: Store, tmp_path: Path) -> None:
    """Alive and deaf is worse than dead: nobody would look. And what it could not start keeps no place."""
    engine = Stubborn()
    waiter = Waiter(store, tmp_path, engine, 3, lambda id_: Task("contain", id_), patience_seconds=0.5)  # type: ignore[arg-type]
    assert waiter.is_going()
    waiter.start()
    try:
        eventually(lambda: not waiter.is_going(), "the waiter to say that it is stuck")
        engine.is_well = True
        eventually(lambda: "d0" in engine.taken, "the waiter to go on")
        eventually(waiter.is_going, "the waiter to say so")
        for id_ in ("d0", "d1", "d2", "d3"):
            waiter.ended(id_)
        eventually(lambda: set(engine.taken) == {"d0", "d1", "d2", "d3"}, "every delivery to be started")
    finally:
        waiter.close()
