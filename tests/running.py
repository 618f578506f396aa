"""A responder of real processes: started, asked, killed, started again, and always ended."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from responder.core.incident import to_json
from responder.seal import Keys
from responder.store import Store, idle, incidents
from tests.closed import ALARM

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT.parent / "shared" / "contracts"
Answer = TypeVar("Answer")
_one_upgrade = threading.Lock()
PATIENCE_SECONDS = 45.0
"""For anything to happen: generous, because it ends as soon as it has happened."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], Answer], what: str, seconds: float = PATIENCE_SECONDS) -> Answer:
    """Return what *ask* answers once that is true.

    Raises:
        AssertionError: it was not in time; *what* says what was waited for.
    """
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for: {what}"
        time.sleep(0.05)


class Group:
    """Processes of one responder on one data directory.

    Args:
        folder: for the data directory and the captured logs.
        settings: by environment name; those of the test's own environment are never handed on.

    Attributes:
        data: the data directory.
        origin: of the receiver.
        environment: what processes are started with.
        processes: by command, as last started.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        bind = f"127.0.0.1:{free_port()}"
        self.origin = f"http://{bind}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESPONDER_")}
        self.environment = {
            **inherited,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "outside"), str(ROOT)]),
            "PYTHONWARNINGS": "default",
            "RESPONDER_DATA_DIR": str(self.data),
            "RESPONDER_BIND": bind,
            "RESPONDER_CATCH_UP__SECONDS": "0",  # or a sweep might make calls that nobody counts on
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = httpx.Client(base_url=self.origin, timeout=30, trust_env=False)
        self._store: Store | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        for command in list(self.processes):  # politeness takes seconds, and has tests of its own
            self.kill(command)
        if self._store is not None:
            self._store.close()
        assert error is not None or ALARM not in self.log, "a process tried to leave this machine"

    @property
    def store(self) -> Store:
        """The group's own tables, read from here."""
        if self._store is None:
            self._store = Store(
                self.environment.get("RESPONDER_DATABASE_URL", f"sqlite:///{self.data}/responder.sqlite")
            )
        return self._store

    @property
    def log(self) -> str:
        """Everything that any process wrote so far."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.logs.iterdir()))

    def prepare(self) -> Self:
        """Make the data directory and its tables, as the first start would."""
        Keys(self.data).create()
        with _one_upgrade:  # alembic keeps its context in a global
            if not self.store.is_current():
                self.store.upgrade()
        return self

    def start(
        self, command: str, failpoint: str = "", config: Path | None = None, through: Sequence[str] = ()
    ) -> Self:
        """Start ``responder`` *command*, with a settings file or *through* another command; it outlives this call."""
        environment = {**self.environment, **({"RESPONDER_FAILPOINT": failpoint} if failpoint else {})}
        path = self.logs / f"{len(list(self.logs.iterdir())):02}-{command}.log"
        with path.open("wb") as log:
            self.processes[command] = subprocess.Popen(
                [
                    *through,
                    *(sys.executable, "-m", "responder.cli", command),
                    *(["--config", str(config)] if config else []),
                ],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def wait_until_ready(self) -> Self:
        """Return once ``/readyz`` says so."""
        eventually(lambda: self._answers("/readyz"), "/readyz to be good")
        return self

    def wait_until_listening(self) -> Self:
        """Return once ``/healthz`` answers, with or without a worker."""
        eventually(lambda: self._answers("/healthz"), "/healthz to answer")
        return self

    def wait_until_idle(self, seconds: float = PATIENCE_SECONDS) -> Self:
        """Return once nothing that was accepted is unfinished."""
        eventually(self.is_idle, "everything accepted to be finished", seconds)
        return self

    def wait_until_dead(self, command: str) -> int:
        """Return the exit status of a process that was told to die."""
        return self.processes[command].wait(timeout=PATIENCE_SECONDS)

    def is_idle(self) -> bool:
        """Whether nothing that was accepted is unfinished."""
        with self.store.read() as tx:
            return idle.unfinished(tx) == 0

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident in the product's JSON, oldest first."""
        with self.store.read() as tx:
            found = [incidents.load(tx, id_) for id_ in incidents.recent(tx, 1000)]
        return [dict(to_json(one)) for one in reversed(found)]

    def incident_of(self, key_id: str) -> dict[str, Any]:
        """The incident of one key, once there is one.

        Raises:
            AssertionError: there is none.
        """
        found = eventually(
            lambda: [one for one in self.incidents() if one["key"]["id"] == key_id], f"an incident of {key_id}"
        )
        assert len(found) == 1, "one token, one incident"
        return found[0]

    def closed(self, key_id: str) -> dict[str, Any]:
        """The incident of one key, once it is closed."""
        return self.in_state(key_id, "closed")

    def in_state(self, key_id: str, state: str) -> dict[str, Any]:
        """The incident of one key, once it is in *state* and everybody has been told."""

        def there() -> dict[str, Any] | None:
            found = self.incident_of(key_id)
            told = all(notice["status"] != "pending" for notice in found["notices"])
            return found if found["state"] == state and told else None

        found = eventually(there, f"the incident of {key_id} to be {state}")
        assert found is not None
        return found

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end, with *stdin* piped into it."""
        return subprocess.run(
            [sys.executable, "-m", "responder.cli", *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def pids(self) -> list[int]:
        """Every process of the group that lives, grandchildren included."""
        sessions = {process.pid for process in self.processes.values() if process.poll() is None}
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:  # gone in the meantime
                    continue
                if int(stat[3]) in sessions and stat[0] != "Z":
                    found.append(int(entry.name))
        return found

    def kill(self, command: str) -> None:
        """``kill -9`` a process and its children, and wait for it."""
        process = self.processes.pop(command)
        _signal_all(process, signal.SIGKILL)
        process.wait(timeout=30)

    def stop(self) -> None:
        """End everything, politely first."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            _signal_all(process, signal.SIGKILL)
            process.wait(timeout=30)
        self.processes.clear()

    def _answers(self, path: str) -> bool:
        for command, process in self.processes.items():
            assert process.poll() is None, f"responder {command} ended by itself:\n{self.log[-2000:]}"
        try:
            return self.client.get(path).status_code == 200
        except httpx.TransportError:
            return False


def _signal_all(process: "subprocess.Popen[bytes]", number: int) -> None:
    """To the process and everybody it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
