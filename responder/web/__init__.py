"""The receiver: authenticates, writes down, answers. It executes nothing and holds no credential to revoke with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from responder.inbox import Inbox
from responder.keyring import Keyring
from responder.web import api, form, gitlab, health, hooks, metrics, openapi, partner, problem
from responder.web.bodies import Bodies
from responder.web.callers import Callers
from responder.web.tally import Tally


@dataclass(frozen=True, slots=True)
class Receiver:
    """What the routes need.

    Attributes:
        inbox: where deliveries go.
        bodies: reads what is sent.
        github_secrets: HMAC secrets, two while they rotate; none turns the route off.
        gitlab_secrets: signing keys and shared tokens, likewise.
        gitlab_revocation_tokens: what GitLab's token revocation presents, likewise.
        keyring: the public keys that partners sign with.
        holds_token: whether a text holds a whole token of a known family; None: partners get no feedback.
        callers: tells those who report apart.
        trusted_proxies: how many proxies before us each add an address to ``X-Forwarded-For``.
        public_url: where people reach us, as far as configured.
        seal: seals a body for the worker: bytes and the delivery's id to bytes.
        tally: counts what is answered, with the other processes of this receiver.
        expose: what Prometheus is told, and its type, as far as its ``Accept`` leaves a choice.
        metrics_token: the bearer it is told that for; None turns the route off.
        is_ready: whether the database, its tables and the worker are good; a reason if not.
        clock: now, UTC.
    """

    inbox: Inbox
    bodies: Bodies
    github_secrets: Sequence[bytes]
    gitlab_secrets: Sequence[bytes]
    gitlab_revocation_tokens: Sequence[bytes]
    keyring: Keyring
    holds_token: Callable[[str], bool] | None
    callers: Callers
    trusted_proxies: int
    public_url: str | None
    seal: Callable[[bytes, str], bytes]
    tally: Tally
    expose: Callable[[str], tuple[bytes, str]]
    metrics_token: bytes | None = field(repr=False)
    is_ready: Callable[[], str | None]
    clock: Callable[[], datetime]


def create(receiver: Receiver) -> Flask:
    """The WSGI application."""
    app = Flask("responder.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = hooks.LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    if receiver.trusted_proxies:  # of what they add, only the caller's address is believed
        proxied = ProxyFix(app.wsgi_app, x_for=receiver.trusted_proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # Flask's own way of putting something before it
    problem.handle(app)
    app.before_request(problem.check_framing)
    app.teardown_request(receiver.bodies.release)
    app.register_blueprint(hooks.blueprint(receiver))
    app.register_blueprint(gitlab.blueprint(receiver))
    app.register_blueprint(partner.blueprint(receiver))
    app.register_blueprint(api.blueprint(receiver))
    app.register_blueprint(form.blueprint(receiver))
    app.register_blueprint(health.blueprint(receiver))
    app.register_blueprint(metrics.blueprint(receiver))
    app.register_blueprint(openapi.blueprint(receiver))
    metrics.count(app, receiver)
    return app
