"""The receiver: authenticates, writes down, answers. It executes nothing and holds no credential to revoke with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask

from responder.inbox import Inbox
from responder.web import api, health, hooks, problem


@dataclass(frozen=True, slots=True)
class Receiver:
    """What the routes need.

    Attributes:
        inbox: where deliveries go.
        github_secrets: HMAC secrets, two while they rotate; none turns the route off.
        seal: seals a body for the worker: bytes and the delivery's id to bytes.
        is_ready: whether the database, its tables and the worker are good; a reason if not.
        clock: now, UTC.
    """

    inbox: Inbox
    github_secrets: Sequence[bytes]
    seal: Callable[[bytes, str], bytes]
    is_ready: Callable[[], str | None]
    clock: Callable[[], datetime]


def create(receiver: Receiver) -> Flask:
    """The WSGI application."""
    app = Flask("responder.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = hooks.LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    problem.handle(app)
    app.before_request(problem.check_framing)
    app.register_blueprint(hooks.blueprint(receiver))
    app.register_blueprint(api.blueprint(receiver))
    app.register_blueprint(health.blueprint(receiver))
    return app
