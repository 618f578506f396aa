"""Several workers and a receiver on one PostgreSQL: what one leaves undone another does, and limits are shared."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from responder.simulator import World
from responder.simulator.openai_objects import Key, User
from tests.postgres import database
from tests.running import Group, eventually

pytestmark = pytest.mark.timeout(300)

TAKEN_OVER_WITHIN_SECONDS = 15.0
"""As the README says: the round of the reaper, the start of the tasks, and what those themselves need."""


class Cluster:
    """A receiver and some workers, each a process of its own with its own log.

    Attributes:
        world: simulated services.
        web: the receiver's group, whose tables are everybody's.
        workers: one group each.
    """

    def __init__(self, world: World, groups: list[Group]) -> None:
        self.world = world
        self.web, *self.workers = groups

    def key(self, number: int) -> Key:
        """A new key, of an owner with an address of their own."""
        person = self.world.openai.add_user(f"Owner {number}", f"owner{number}@acme.example")
        return self.world.openai.add_key(f"key {number}", owner=person)

    def push(self, key: Key, repository: str) -> None:
        """Push it."""
        made = self.world.github.add_repository(repository)
        delivery = self.world.github.commit_and_push(made, {"a.py": f"K = '{key.value}'\n"})
        assert delivery is not None
        assert delivery.status_code == 202, delivery.answer

    def letters(self, key: Key) -> int:
        """How many mails the owner of *key* has."""
        assert isinstance(key.owner, User)
        return sum(key.owner.email in letter.recipients for letter in list(self.world.mail.letters))


@contextmanager
def cluster(folder: Path, workers: int, **settings: str) -> Iterator[Cluster]:
    """A receiver and *workers* workers, all of them ready."""
    with ExitStack() as running:
        world = running.enter_context(World(5))
        url = running.enter_context(database())
        environment = {
            **world.environment(),
            "RESPONDER_OPENAI__CALLS_PER_SECOND": "500",
            "RESPONDER_DATABASE_URL": url,
            **settings,
        }
        groups = [running.enter_context(Group(folder / str(n), environment)) for n in range(workers + 1)]
        for group in groups[1:]:
            group.environment["RESPONDER_DATA_DIR"] = str(groups[0].data)
        groups[0].prepare().start("web")
        for group in groups[1:]:
            group.start("worker")
        groups[0].wait_until_ready()
        for group in groups[1:]:
            eventually(lambda group=group: "worker_ready" in group.log, "every worker to be ready")  # type: ignore[misc]
        world.github.hook_url = f"{groups[0].origin}/hooks/github"
        yield Cluster(world, groups)


def test_the_work_of_a_dead_worker_is_taken_over_within_the_stated_time(tmp_path: Path) -> None:
    """Nobody restarts a machine at night; its leaks may not wait for that."""
    with cluster(tmp_path, 2) as town:
        keys = [town.key(n) for n in range(12)]
        town.world.github.latency_seconds = 1.0
        for number, key in enumerate(keys):
            town.push(key, f"service-{number}")
        eventually(lambda: _at_work(town), "both workers to be at work")
        town.workers[0].kill("worker")
        killed = time.monotonic()
        town.world.github.latency_seconds = 0.0
        for key in keys:
            eventually(lambda key=key: not town.world.openai.is_live(key.id), "every key to be dead")  # type: ignore[misc]
        last = max(mutation.monotonic_seconds for mutation in town.world.openai.deletions)
        assert last - killed < TAKEN_OVER_WITHIN_SECONDS
        for key in keys:
            assert town.web.closed(key.id)["disposition"] == "revoked"
        assert [town.letters(key) for key in keys] == [1] * len(keys)
        applied = [mutation.key_id for mutation in town.world.openai.mutations if mutation.applied]
        assert sorted(filter(None, applied)) == sorted(key.id for key in keys)


def _at_work(town: Cluster) -> bool:
    """Whether each worker has begun to fetch something."""
    with town.web.store.read() as tx:
        rows = tx.exec_driver_sql("SELECT DISTINCT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")
        return len({row[0] for row in rows if row[0]}) >= 2


def test_a_worker_that_lost_its_database_connection_goes_on(tmp_path: Path) -> None:
    """A server that is started anew has forgotten every lock; nobody may be taken for dead for good."""
    with cluster(tmp_path, 2) as town:
        with town.web.store.begin("cut") as tx:
            tx.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        eventually(lambda: all("lease_lost" in one.log for one in town.workers), "the leases to be taken again")
        key = town.key(1)
        eventually(lambda: town.web.client.get("/readyz").status_code == 200, "the receiver to be ready again")
        town.push(key, "service")
        assert town.web.closed(key.id)["disposition"] == "revoked"
        assert town.letters(key) == 1


def test_the_breaker_is_exact_however_many_workers_there_are(tmp_path: Path) -> None:
    """A burst of leaks over two machines may not double what a person allowed."""
    with cluster(tmp_path, 2, RESPONDER_POLICY__MAX_REVOKES_PER_HOUR="5") as town:
        keys = [town.key(n) for n in range(16)]
        for number, key in enumerate(keys):
            town.push(key, f"service-{number}")
        town.web.wait_until_idle(90)
        assert len({mutation.key_id for mutation in town.world.openai.deletions}) == 5
        states = [one["state"] for one in town.web.incidents()]
        assert sorted(states) == ["closed"] * 5 + ["held"] * 11


def test_what_is_scheduled_runs_once_for_all(tmp_path: Path) -> None:
    """Two workers that list the keys twice as often would use up a rate limit that is one."""
    with cluster(tmp_path, 3, RESPONDER_INVENTORY__SYNC_SECONDS="2") as town:
        started, before = time.time(), _listings(town)
        eventually(lambda: time.time() > started + 10, "ten seconds to pass")
        seconds, more = time.time() - started, _listings(town) - before
        assert 2 <= more <= seconds / 2 + 2


def _listings(town: Cluster) -> int:
    return sum(len(re.findall("keys_listed", one.log)) for one in town.workers)


def test_a_flood_in_one_repository_does_not_delay_another(tmp_path: Path) -> None:
    """Each lane has a third of the places of each worker at most."""
    with cluster(tmp_path, 2) as town:
        flooded, key = town.world.github.add_repository("flooded"), town.key(1)
        for worker in town.workers:
            worker.stop()
        for number in range(120):
            commit = flooded.objects.commit({f"f{number}.py": "x = 1\n"}, "Change")
            delivery = town.world.github.push(flooded, commit)
            assert delivery is not None
            assert delivery.status_code == 202
        town.push(key, "honest")
        town.world.github.latency_seconds = 1.0
        for worker in town.workers:
            worker.start("worker")
        eventually(lambda: town.world.openai.deletions, "the deletion")
        with town.web.store.read() as tx:
            waiting = tx.exec_driver_sql("SELECT count(*) FROM deliveries WHERE state = 'waiting'").scalar_one()
        assert waiting > 0, "the flood was still waiting when the other's key was deleted"


def test_a_worker_that_is_told_to_stop_leaves_its_work_to_the_others(tmp_path: Path) -> None:
    """An upgrade stops one worker after another."""
    with cluster(tmp_path, 2) as town:
        keys = [town.key(n) for n in range(6)]
        town.world.github.latency_seconds = 0.5
        for number, key in enumerate(keys):
            town.push(key, f"service-{number}")
        os.kill(town.workers[0].processes["worker"].pid, signal.SIGTERM)
        for key in keys:
            assert town.web.closed(key.id)["disposition"] == "revoked"
        assert [town.letters(key) for key in keys] == [1] * len(keys)
