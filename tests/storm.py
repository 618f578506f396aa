"""``kill -9`` at random, under load, and then an account of every delivery, deletion and mail.

``python -m tests.storm --kills 1000 --seed 7`` does it for as long as it takes; ``--postgres`` with a receiver and
two workers on a PostgreSQL of its own, else with the embedded group on SQLite. A kill hits the whole group, one of
its processes, or a process that reaches a named place in the code. What fails is printed with its seed.
"""

import argparse
import os
import random
import re
import signal
import string
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import sqlalchemy as sa

from responder.simulator import World
from responder.simulator.hookshot import Delivery
from responder.simulator.openai_objects import Key
from responder.store.tables import deliveries, incidents
from tests.postgres import database
from tests.running import ROOT, Group, eventually

_SETTINGS = {
    "RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "1000000",
    "RESPONDER_OPENAI__CALLS_PER_SECOND": "500",
    "RESPONDER_CATCH_UP__SECONDS": "0",
}
_LEAK_SECONDS = 1.0
_LONGEST_LIFE_SECONDS = 3.0
_FAILPOINT_SHARE = 0.3
_CALM_SECONDS = 900.0
_PLACES = """
    commit.accept commit.alert_closed commit.assessed commit.beat commit.claim commit.close commit.decide commit.ended
    commit.join commit.learn commit.list_page commit.listed commit.located commit.revoked commit.start commit.take_up
    commit.told commit.verified github.close_alert github.get_alert github.get_commit github.list_locations
    openai.delete_key openai.list_keys openai.list_projects openai.probe openai.read_usage
"""
"""Where a process may be told to die: every commit and call that a leak leads through."""


@dataclass(slots=True)
class Account:
    """What is left when the storm is over.

    Attributes:
        kills: by what was hit.
        acknowledged: deliveries that had a 2xx.
        lost: those of them that are not on disk, or not ended.
        leaked: keys whose leak was acknowledged.
        alive: those of them that still work.
        untold: those of them whose owner has no mail.
        strays: keys that were asked to be deleted, and had not leaked.
        twice: keys whose deletion took effect more than once.
        mails: how many each owner has of the same message; more than one is a duplicate.
        unclosed: incidents of leaked keys that are not closed.
    """

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    leaked: int = 0
    alive: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    mails: Counter[str] = field(default_factory=Counter)
    unclosed: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Mails that somebody has once more than needed."""
        return sum(count - 1 for count in self.mails.values())

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What must not be, by name; empty if all is well."""
        names = ("lost", "alive", "untold", "strays", "twice", "unclosed")
        return {name: found for name in names if (found := getattr(self, name))}


class Storm:
    """One responder of several processes that keep dying.

    Args:
        world: simulated services.
        folder: for the processes' data and logs.
        seed: of every choice.
        postgres: URL of an empty database; None: the embedded group on SQLite.
    """

    def __init__(self, world: World, folder: Path, seed: int, postgres: str | None = None) -> None:
        self._world = world
        world.github.remaining = 10**9  # a thousand kills are more calls than GitHub has in an hour
        self._chance = random.Random(seed)
        self._owner_count = 0
        self._pushed: list[tuple[Key, str]] = []
        self._stop = threading.Event()
        settings = {**world.environment(), **_SETTINGS}
        if postgres:
            settings["RESPONDER_DATABASE_URL"] = postgres
        commands = ("web", "worker", "worker") if postgres else ("serve",)
        self._units = [(Group(folder / str(n), settings), command) for n, command in enumerate(commands)]
        self.first = self._units[0][0]
        for group, _ in self._units[1:]:
            group.environment["RESPONDER_DATA_DIR"] = str(self.first.data)
        self._places = _places()
        self._repositories = [world.github.add_repository(f"service-{n}") for n in range(6)]
        self._forged = [world.openai.add_key(f"victim {n}", tail=_tail(-n - 1)) for n in range(20)]

    def __enter__(self) -> Self:
        self.first.prepare()
        for group, command in self._units:
            group.start(command)
        eventually(self._is_ready, "the responder to be ready")
        self._world.github.hook_url = f"{self.first.origin}/hooks/github"
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        with ExitStack() as stack:
            for group, _ in self._units:
                stack.enter_context(group)  # which ends with it

    def rage(self, kills: int) -> Account:
        """Leak and kill, then let it calm down, and account for everything."""
        account = Account()
        leaking = threading.Thread(target=self._leak_for_ever)
        leaking.start()
        for _ in range(kills):
            account.kills[self._kill()] += 1
        self._stop.set()
        leaking.join()
        self._start_what_is_dead()
        eventually(self._is_ready, "the responder to be ready again", 120)
        guids = self._redeliver()
        with suppress(AssertionError):  # what is not finished by then is in the account
            self.first.wait_until_idle(_CALM_SECONDS)
        self._settle(account, guids)
        return account

    def _leak_for_ever(self) -> None:
        """A real key by push, one in three by alert as well; in between, a token that only looks like a key."""
        number = 0
        while not self._stop.wait(_LEAK_SECONDS * (0.5 + self._chance.random())):
            number += 1
            person = self._world.openai.add_user(f"Owner {number}", f"owner{number}@acme.example")
            key = self._world.openai.add_key(f"key {number}", owner=person, tail=_tail(number))
            repository = self._chance.choice(self._repositories)
            victim = self._chance.choice(self._forged)
            forged = victim.value[:30] + key.value[30:-4] + victim.value[-4:]
            pushed = self._world.github.commit_and_push(
                repository, {f"f{number}.py": f"K = '{key.value}'\nF = '{forged}'\n"}
            )
            assert pushed is not None
            self._pushed.append((key, pushed.guid))
            if number % 3 == 0:
                self._world.github.alert(repository, key.value)

    def _kill(self) -> str:
        """Wait a while, kill something, and see to it that it runs again; what was hit."""
        group, command = self._chance.choice(self._units)
        if self._chance.random() < _FAILPOINT_SHARE:
            return self._kill_at_a_place(group, command)
        time.sleep(self._chance.uniform(0.1, _LONGEST_LIFE_SECONDS))
        pids = group.pids()
        if not pids or self._chance.random() < 0.4:
            group.kill(command)
            group.start(command)
            return f"{command}, whole"
        victim = self._chance.choice(pids)
        name = _name(victim)
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if (process := group.processes[command]).pid == victim:
            process.wait()  # or it would pass for alive, and its halves for ready while they are leaving
        self._start_what_is_dead()
        return name

    def _kill_at_a_place(self, group: Group, command: str) -> str:
        """Start it anew with a named place to die at, and give it time to get there."""
        place = self._chance.choice(self._places)
        (self.first.data / "failpoint.spent").unlink(missing_ok=True)
        group.kill(command)
        group.start(command, failpoint=f"{place}:kill:{self._chance.randint(1, 3)}")
        end = time.monotonic() + 2 * _LONGEST_LIFE_SECONDS
        while time.monotonic() < end and not (self.first.data / "failpoint.spent").exists():
            time.sleep(0.05)
        time.sleep(0.1)
        self._start_what_is_dead()
        return "at a named place"

    def _start_what_is_dead(self) -> None:
        for group, command in self._units:
            process = group.processes.get(command)
            if process is None or process.poll() is not None:
                if process is not None:
                    group.kill(command)
                group.start(command)

    def _is_ready(self) -> bool:
        self._start_what_is_dead()
        with suppress(httpx.TransportError):
            return self.first.client.get("/readyz").status_code == 200
        return False

    def _redeliver(self) -> set[str]:
        """What GitHub got no 2xx for is delivered again, as a person would have it; every guid."""
        attempts: dict[str, list[Delivery]] = {}
        for sent in list(self._world.github.deliveries):
            attempts.setdefault(sent.guid, []).append(sent)
        for guid, tried in attempts.items():
            if not any(one.ok for one in tried):
                eventually(lambda guid=guid: self._world.github.redeliver(guid).ok, "a delivery to be taken")  # type: ignore[misc]
        return set(attempts)

    def _settle(self, account: Account, guids: set[str]) -> None:
        with self.first.store.read() as tx:
            rows = tx.execute(sa.select(deliveries.c.id, deliveries.c.state)).all()
            states = dict(tx.execute(sa.select(incidents.c.key_id, incidents.c.state)).all())
        ended = {row.id.split("_")[1] for row in rows if row.state in ("done", "failed")}
        account.acknowledged = len(guids)
        account.lost = sorted(guids - ended)
        letters = list(self._world.mail.letters)
        account.mails = Counter(f"{one.message['Message-ID']} {one.recipients}" for one in letters)
        told = {recipient for letter in letters for recipient in letter.recipients}
        account.leaked = len(self._pushed)
        leaked = {key.id for key, _ in self._pushed}
        for key, _ in self._pushed:
            if self._world.openai.is_live(key.id):
                account.alive.append(key.id)
            if getattr(key.owner, "email", "") not in told:
                account.untold.append(key.id)
            if states.get(key.id) != "closed":
                account.unclosed.append(f"{key.id}: {states.get(key.id)}")
        applied = Counter(one.key_id for one in self._world.openai.mutations if one.applied)
        account.strays = sorted({one.key_id or "?" for one in self._world.openai.mutations} - leaked)
        account.twice = [key_id or "?" for key_id, count in applied.items() if count > 1]


def _tail(number: int) -> str:
    """The end of a key, no other's: two that look alike would be a person's to decide, as they should."""
    digits = string.ascii_letters + string.digits
    return "".join(digits[number // 62**place % 62] for place in (2, 1, 0)) + "A"


def _places() -> Sequence[str]:
    """Before and after each of them; all have their names from the code."""
    text = "".join(path.read_text() for path in sorted((ROOT / "responder").rglob("*.py")))
    commits = {f"commit.{name}" for name in re.findall(r'begin\(\s*"([a-z_]+)"', text)}
    named = commits | set(re.findall(r'"((?:openai|github)\.[a-z_]+)"', text))
    assert named.issuperset(_PLACES.split()), "a place has lost its name"
    return sorted(f"{name}.{side}" for name in _PLACES.split() for side in ("before", "after"))


def _name(pid: int) -> str:
    try:
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return "a process"
    return f"a process of {next((word for word in ('serve', 'worker', 'web') if word in words), 'ours')}"


@contextmanager
def storm(folder: Path, seed: int, *, on_postgres: bool) -> Iterator[Storm]:
    """A storm, ready to rage."""
    with ExitStack() as stack:
        world = stack.enter_context(World(seed))
        url = stack.enter_context(database()) if on_postgres else None
        yield stack.enter_context(Storm(world, folder, seed, url))


def main() -> None:
    """Rage, and print the account; exit 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--keep", type=Path, help="an empty folder for data and logs that are to stay")
    wanted = parser.parse_args()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        storm(wanted.keep or Path(folder), wanted.seed, on_postgres=wanted.postgres) as raging,
    ):
        account = raging.rage(wanted.kills)
    minutes = (time.monotonic() - started) / 60
    print(f"seed {wanted.seed}: {sum(account.kills.values())} kills in {minutes:.0f} minutes")
    for name, count in account.kills.most_common():
        print(f"  {name:24}{count:8}")
    print(f"acknowledged deliveries {account.acknowledged}, lost {len(account.lost)}")
    print(f"leaked keys {account.leaked}, alive {len(account.alive)}, owner not told {len(account.untold)}")
    print(f"unproved deletions {len(account.strays)}, deleted twice {len(account.twice)}")
    print(f"mails {sum(account.mails.values())}, duplicates {account.duplicates}")
    if account.wrong:
        print(f"WRONG: {account.wrong}")
        sys.exit(1)


if __name__ == "__main__":
    main()
