"""Somebody who runs `responder keys`: in a script, in a pipe, at a terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from responder.cli import main
from responder.simulator.openai_objects import Key
from responder.store import Store
from tests.running import ROOT

DAY_SECONDS = 86_400


@dataclass
class Person:
    """Somebody at a terminal, or a script.

    Attributes:
        data: the responder's data directory.
        settings: by environment name.
        seen: everything any command printed.
    """

    data: Path
    settings: dict[str, str]
    seen: list[str] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str | bytes = "", **settings: str) -> Result:
        """Run ``responder keys``, without a terminal."""
        gone = {name: None for name in os.environ if name.startswith("RESPONDER_")}
        environment: Mapping[str, str | None] = {**gone, **self.settings, **settings}
        result = CliRunner().invoke(main, ["keys", *arguments], input=stdin, env=environment, prog_name="responder")
        self.seen.append(result.output)
        crashed = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not crashed, f"a traceback: {result.exc_info}"
        return result

    def process(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run ``responder keys`` as a process of its own, in a pipe."""
        done = subprocess.run(
            self._command(arguments),
            env=self._environment(settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.seen += [done.stdout, done.stderr]
        return done

    def at_terminal(self, *arguments: str, answers: Mapping[str, str], columns: int = 100) -> tuple[int, str]:
        """Run ``responder keys`` on a terminal, answering each question once it was asked; status and screen."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.clear()
            os.environ.update(self._environment({"COLUMNS": str(columns), "TERM": "dumb"}))
            os.execv(sys.executable, self._command(arguments))
        screen, waiting, end = b"", dict(answers), time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    screen += os.read(terminal, 65536)
                except OSError:  # Linux says so when the other side is gone
                    break
            for question, answer in list(waiting.items()):
                if question.encode() in screen:
                    os.write(terminal, answer.encode() + b"\n")
                    del waiting[question]
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert not waiting, f"never asked: {list(waiting)}; the screen said {screen.decode(errors='replace')}"
        self.seen.append(screen.decode(errors="replace"))
        return status, self.seen[-1]

    def store(self) -> Store:
        """The responder's own tables."""
        return Store(f"sqlite:///{self.data / 'responder.sqlite'}")

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What a question to the database is answered with."""
        store = self.store()
        try:
            with store.read() as tx:
                return question(tx)
        finally:
            store.close()

    def everything(self) -> bytes:
        """All that was printed, and all that is on disk."""
        printed = "\n".join(self.seen).encode()
        return printed + b"".join(path.read_bytes() for path in self.data.rglob("*") if path.is_file())

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "responder.cli", "keys", *arguments]

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESPONDER_")}
        paths = os.pathsep.join([str(ROOT / "tests" / "outside"), str(ROOT)])
        return {**inherited, "PYTHONPATH": paths, **self.settings, **settings}


def aged(key: Key, created_days: int, used_days: int | None = None) -> Key:
    """*key*, as if made so many days ago, and last used so many."""
    key.created_at = int(time.time()) - created_days * DAY_SECONDS
    key.last_used_at = None if used_days is None else int(time.time()) - used_days * DAY_SECONDS
    return key
