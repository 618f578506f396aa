"""Durable execution: what was started is finished, whatever dies in between.

The engine is one per process, so each test runs processes and looks at what
they wrote down.
"""

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql

from responder import followup
from responder.simulator.growth import grow
from tests.postgres import database

_PATIENCE_SECONDS = 20.0


class Process:
    """One executing process."""

    holder: str

    def __init__(self, url: str, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.engine_process", url, str(folder)]
        root = Path(__file__).parents[1]
        self._log = (folder / f"log-{time.monotonic_ns()}").open("w+")
        self._running = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def tell(self, *command: object) -> Any:
        """Give a command and wait for its answer."""
        assert self._running.stdin is not None
        self._running.stdin.write(json.dumps(command) + "\n")
        self._running.stdin.flush()
        return self._hear()

    def wait_until_ready(self) -> Self:
        """It says its name once it executes."""
        self.holder = self._hear()
        return self

    def kill(self) -> None:
        """As the power would."""
        self._running.kill()
        self._running.communicate()

    def quit(self) -> None:
        """End it in order."""
        self._running.communicate('["quit"]\n', timeout=_PATIENCE_SECONDS)
        assert self._running.returncode == 0, self._logged()

    def close(self) -> None:
        """End it, however it stands."""
        if self._running.poll() is None:
            self.kill()
        for file in (self._running.stdin, self._running.stdout, self._log):
            if file is not None:
                file.close()

    def _hear(self) -> Any:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        assert line, self._logged()
        return json.loads(line)

    def _logged(self) -> str:
        self._log.seek(0)
        return self._log.read()


class Place:
    """A database and a folder for any number of processes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._processes: list[Process] = []

    def process(self) -> Process:
        """One more."""
        made = Process(self.url, self.folder)
        self._processes.append(made)
        return made.wait_until_ready()

    def done(self) -> list[str]:
        """What all processes wrote down, in order."""
        file = self.folder / "done"
        return file.read_text().splitlines() if file.exists() else []

    def wait(self, fits: Callable[[list[str]], bool]) -> list[str]:
        """What was written down, once it fits."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not fits(self.done()):
            assert time.monotonic() < end, self.done()
            time.sleep(0.02)
        return self.done()

    def wait_for(self, line: str, count: int = 1) -> list[str]:
        """The same, once *line* is there so often."""
        return self.wait(lambda done: done.count(line) >= count)

    def everything(self) -> bytes:
        """All that is in the database, as one heap."""
        if self.url.startswith("sqlite"):
            return b"".join(path.read_bytes() for path in self.folder.glob("engine.sqlite*"))
        found = []
        with psycopg.connect(self.url) as connection:
            names = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables"
                " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, name in names:
                table = sql.Identifier(schema, name)
                rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(table)).fetchall()
                found += [row[0] for row in rows]
        return "\n".join(found).encode()

    def forget_the_end_of(self, key: str) -> None:
        """As if neither what *key* returned nor that it ended had reached the disk."""
        lost = ("DELETE FROM {}operation_outputs", "UPDATE {}workflow_status SET status = 'PENDING'")
        if self.url.startswith("sqlite"):
            with sqlite3.connect(self.folder / "engine.sqlite", timeout=10) as file:
                for statement in lost:
                    file.execute(f"{statement.format('')} WHERE workflow_uuid = ?", (key,))
            file.close()
            return
        with psycopg.connect(self.url) as connection:
            for statement in lost:
                connection.execute(f"{statement.format('dbos.')} WHERE workflow_uuid = %s", (key,))

    def close(self) -> None:
        for process in self._processes:
            process.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """On one machine, and on many."""
    if request.param == "sqlite":
        made = Place(f"sqlite:///{tmp_path / 'engine.sqlite'}", tmp_path)
        yield made
        made.close()
        return
    with database() as url:
        made = Place(url, tmp_path)
        yield made
        made.close()


def test_tasks_run_at_once_or_after_their_delay_and_each_key_once(place: Place) -> None:
    """A delay is a row, and a key names a task for ever, also after it has ended."""
    process = place.process()
    process.tell("enqueue", "work", "late", ["late"], 1.0)
    process.tell("enqueue", "work", "soon", ["soon"], 0)
    for _ in range(3):
        process.tell("start", "work", "now", ["now"], 0)
        process.tell("enqueue", "work", "now", ["now"], 0)
    process.tell("start", "chain", "chain:2", ["chain", 2], 0)
    done = place.wait_for("late")
    assert done.index("late") > max(done.index("now"), done.index("soon"))
    place.wait_for("chain 0")
    process.tell("start", "work", "now", ["now"], 0)
    process.tell("start", "work", "after", ["after"], 0)
    done = place.wait_for("after")
    process.quit()
    assert Counter(done) == Counter(["now", "soon", "late", "chain 2", "chain 1", "chain 0", "after"])


def test_a_task_that_was_killed_runs_again_after_the_restart(place: Place) -> None:
    """What was acknowledged is finished; what had ended is not done twice."""
    process = place.process()
    process.tell("start", "work", "before", ["before"], 0)
    place.wait_for("before")
    while process.tell("pending"):  # it has ended once that is on disk too
        time.sleep(0.02)
    process.tell("start", "slow", "slow", ["slow"], 0)
    process.tell("enqueue", "work", "waiting", ["waiting"], 0.5)
    place.wait_for("slow began")
    process.kill()
    (place.folder / "go").touch()
    again = place.process()
    again.tell("start", "work", "before", ["before"], 0)
    done = place.wait(lambda done: {"slow ended", "waiting"} <= set(done))
    assert Counter(done) == Counter(["before", "slow began", "slow began", "slow ended", "waiting"])


def test_a_task_whose_end_could_not_be_written_down_is_begun_again_by_the_same_process(place: Place) -> None:
    """A database that was away for a second must not leave it begun for as long as the process lives."""
    process = place.process()
    process.tell("start", "work", "lost", ["lost"], 0)
    place.wait_for("lost")
    while process.tell("pending"):
        time.sleep(0.02)
    place.forget_the_end_of("lost")
    place.wait_for("lost", 2)
    while process.tell("pending"):
        time.sleep(0.02)
    assert place.done() == ["lost", "lost"]


def test_a_living_process_takes_over_from_a_dead_one_and_from_nobody_else(place: Place) -> None:
    """Nobody restarts a machine that burned down; and two must not do one task."""
    first, second = place.process(), place.process()
    assert first.tell("alive", second.holder)
    assert second.tell("alive", first.holder)
    first.tell("start", "slow", "slow", ["slow"], 0)
    place.wait_for("slow began")
    time.sleep(2.5)  # longer than the reaper's pause: the first is alive, so nothing is taken
    assert place.done() == ["slow began"]
    first.kill()
    (place.folder / "go").touch()
    place.wait_for("slow ended")
    assert place.done() == ["slow began", "slow began", "slow ended"]
    assert not second.tell("alive", first.holder)


def test_an_unforeseen_failure_is_tried_again_and_then_told_and_leaves_only_its_name(place: Place) -> None:
    """Nothing ends silently; and an exception's message may hold a token."""
    process = place.process()
    process.tell("start", "fail", "fail", ["broken"], 0)
    process.tell("start", "fail", "stubborn", ["stubborn"], 0)
    refusal = process.tell("refuse")
    done = place.wait(lambda done: {"told of broken", "told of stubborn"} <= set(done))
    assert Counter(line for line in done if "broken" in line) == Counter(
        {"broken tried": 2, "gave up fail broken ValueError": 1, "told of broken": 1}
    )
    assert Counter(line for line in done if "stubborn" in line) == Counter(
        {"stubborn tried": 3, "gave up fail stubborn ValueError": 2, "told of stubborn": 1}
    )
    process.quit()
    secret = grow("openai-project", random.Random(5))
    heap = place.everything()
    assert b"told of broken" in heap or b"told:broken" in heap
    assert secret.encode() not in heap
    assert secret[20:60].encode() not in heap
    assert refusal == "the engine stores ids only, not bytes"
    assert not any("refused" in line for line in done)


def test_what_has_ended_can_be_forgotten_and_what_has_not_stays(place: Place) -> None:
    """The tables must not grow for ever, nor lose a leak on the way."""
    process = place.process()
    for number in range(3):
        process.tell("start", "work", f"w{number}", [f"w{number}"], 0)
    process.tell("enqueue", "work", "later", ["later"], 2.0)
    process.tell("start", "slow", "slow", ["slow"], 0)
    place.wait(lambda done: {"w0", "w1", "w2", "slow began"} <= set(done))
    time.sleep(0.3)
    assert process.tell("purge", 1) == 0
    assert process.tell("purge", 0) == 3
    assert process.tell("pending") == 1
    (place.folder / "go").touch()
    done = place.wait(lambda done: {"later", "slow ended"} <= set(done))
    assert Counter(done) == Counter(["w0", "w1", "w2", "slow began", "slow ended", "later"])


def test_what_is_urgent_does_not_wait_for_what_is_not(place: Place) -> None:
    """After a crash under load thousands of notices and looks wait; a key lives on behind each of them."""
    process = place.process()
    for number in range(16):  # as many as are taken from the queue at once
        process.tell("enqueue", "slow", f"s{number}", [f"s{number}"], 0)
    place.wait(lambda done: {f"s{number} began" for number in range(16)} <= set(done))
    for number in range(60):
        process.tell("enqueue", "work", f"w{number}", [f"w{number}"], 0)
    process.tell("enqueue", "urgent", "urgent", ["urgent"], 0)
    (place.folder / "go").touch()
    done = place.wait(lambda done: {f"w{number}" for number in range(60)} | {"urgent"} <= set(done))
    usual = [line for line in done if line == "urgent" or line.startswith("w")]
    assert usual.index("urgent") < 16, "among those that are taken next"


def test_what_we_call_urgent_exists() -> None:
    """A name that nobody bears would go before nothing."""
    house: Any = None
    assert set(followup.table(house)) >= followup.URGENT
