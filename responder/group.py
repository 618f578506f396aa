"""Receiver and worker as one process group: whichever dies is started again, and both end with us."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from responder import app, assembly
from responder.settings import Settings, receiver_environment

logger = structlog.get_logger(__name__)

_RESTART_SECONDS = 0.5
_USERS_MISTAKE = 2  # the exit code of settings that cannot be used: starting again would not mend them


def run(config: Settings, file: Path | None = None) -> int:
    """Receiver and worker as one group: whichever dies is started again; both end with us.

    Args:
        config: the settings.
        file: where they were read from, if that was said; the worker reads it too.
    """
    assembly.check_worker(config)
    app.start_logs(config)
    app.prepare(config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    halves = {
        "worker": (["worker", *(["--config", str(file.absolute())] if file else [])], dict(os.environ)),
        "receiver": (["web"], receiver_environment(config)),
    }
    running: dict[str, subprocess.Popen[bytes]] = {}
    status = 0
    while not stop.is_set():
        for name, (arguments, environment) in halves.items():
            process = running.get(name)
            if process is not None and process.poll() is None:
                continue
            if process is not None and process.returncode == _USERS_MISTAKE:
                status = _USERS_MISTAKE
                stop.set()
                break
            if process is not None:
                logger.error("process_died", half=name, status=process.returncode)
                stop.wait(_RESTART_SECONDS)
            running[name] = subprocess.Popen(  # noqa: S603 -- ourselves
                [sys.executable, "-m", "responder.cli", *arguments],
                env=environment,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 -- this process has one thread
            )
        stop.wait(0.2)
    _end(list(running.values()))
    return status


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Politely first."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def _die_with_parent() -> None:
    """Have Linux end this process when the one that started it ends, however it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
