"""The least that can check a webhook: Flask and gunicorn as ours run, one HMAC, nothing stored.

``python -m tests.bench.floor HOST:PORT`` serves until it is told to stop. With ``FILE`` as well each delivery's id is
on disk in that SQLite database before the answer, what came together in one commit: the least that can keep one.
"""

import sqlite3
import sys
import threading
import time
from pathlib import Path

from flask import Flask, Response, jsonify, request

from responder.sources.signature import is_signed
from responder.web import server
from tests.hook import SECRET


class Kept:
    """Ids on disk, in a table with nothing else, past every library.

    Args:
        file: the database; made if it is not there.
    """

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, timeout=30, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE IF NOT EXISTS kept (id TEXT PRIMARY KEY)",
        ):
            self._connection.execute(statement)
        self._waiting: list[str] = []
        self._alone = threading.Lock()

    def put(self, id_: str) -> None:
        """Return once it is on disk."""
        self._waiting.append(id_)
        time.sleep(0)  # lets whoever else is about to put something join
        with self._alone:
            if id_ not in self._waiting:
                return
            self._connection.execute("BEGIN IMMEDIATE")
            together, self._waiting = self._waiting, []
            self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(one,) for one in together])
            self._connection.execute("COMMIT")


def bare(file: Path | None = None) -> Flask:
    """One view."""
    app = Flask(__name__)
    kept = None if file is None else Kept(file)

    @app.post("/hooks/github")
    def hook() -> tuple[Response, int]:
        good = is_signed(request.headers.get("X-Hub-Signature-256"), request.get_data(), [SECRET.encode()])
        id_ = request.headers.get("X-GitHub-Delivery", "")
        if good and kept is not None:
            kept.put(id_)
        return jsonify(delivery=id_), 202 if good else 401

    return app


if __name__ == "__main__":
    _file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    server.serve(sys.argv[1], lambda: bare(_file))
