"""A PostgreSQL for the tests: the one the environment names, or a private one, started once and stopped at exit.

``TEST_POSTGRES_URL`` names a server we may make databases in; without it a
cluster is made in a temporary folder, by the user ``postgres`` if we are root.
With ``TEST_POSTGRES_REQUIRED=1`` having none is a failure, else a skip.
"""

import atexit
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_PROGRAMS = Path("/usr/lib/postgresql")
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database of its own, dropped afterwards."""
    server = _server()
    if server is None:
        reason = "no PostgreSQL: set TEST_POSTGRES_URL, or install its server"
        if os.environ.get("TEST_POSTGRES_REQUIRED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"responder_{secrets.token_hex(6)}"
    home, _, _ = server.rpartition("/")
    _run(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield f"{home}/{name}"
    finally:
        _run(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def settings_for(kind: str) -> Iterator[dict[str, str]]:
    """The settings of a responder on a fresh database: ``sqlite`` (there are none) or ``postgres``."""
    if kind == "sqlite":
        yield {}
        return
    with database() as url:
        yield {"RESPONDER_DATABASE_URL": url}


def _run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@cache
def _server() -> str | None:
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        return given
    found = sorted(_PROGRAMS.glob("*/bin/initdb"))
    return _start(found[-1].parent) if found else None


def _start(programs: Path) -> str:
    folder = Path(tempfile.mkdtemp(prefix="responder-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    cluster, port = folder / "cluster", _free_port()
    _call(user, programs / "initdb", "-D", cluster, "-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -h 127.0.0.1 -k {folder} " + " ".join(f"-c {setting}" for setting in _SETTINGS)
    _call(user, programs / "pg_ctl", "-D", cluster, "-w", "-l", folder / "log", "-o", options, "start")
    atexit.register(_stop, user, programs, folder)
    return f"postgresql://tester@127.0.0.1:{port}/postgres"


def _stop(user: str | None, programs: Path, folder: Path) -> None:
    _call(user, programs / "pg_ctl", "-D", folder / "cluster", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _call(user: str | None, *command: str | Path) -> None:
    words: Sequence[str] = [str(word) for word in command]
    subprocess.run(words, user=user, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
