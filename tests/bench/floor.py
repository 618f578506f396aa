"""The least that can check a webhook: Flask and gunicorn as ours run, one HMAC, nothing stored.

``python -m tests.bench.floor HOST:PORT`` serves until it is told to stop.
"""

import sys

from flask import Flask, Response, jsonify, request

from responder.sources.signature import is_signed
from responder.web import server
from tests.hook import SECRET


def bare() -> Flask:
    """One view."""
    app = Flask(__name__)

    @app.post("/hooks/github")
    def hook() -> tuple[Response, int]:
        good = is_signed(request.headers.get("X-Hub-Signature-256"), request.get_data(), [SECRET.encode()])
        return jsonify(delivery=request.headers.get("X-GitHub-Delivery")), 202 if good else 401

    return app


if __name__ == "__main__":
    server.serve(sys.argv[1], bare)
