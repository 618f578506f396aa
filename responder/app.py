"""The processes: a receiver that takes in, a worker that works; the only module that knows both."""

import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import structlog

from responder import failpoint, log, settings
from responder.assembly import now, scanner
from responder.settings import Settings

logger = structlog.get_logger(__name__)


def run_receiver(config: Settings) -> None:
    """Serve until told to stop."""
    from responder.web import server
    from responder.web.tally import Tally

    tally = Tally()

    def make() -> Any:
        start_logs(config)
        failpoint.arm(_failpoint(config), config.data_dir / "failpoint.spent")
        return receiver(config, tally)

    start_logs(config)
    server.serve(config.bind, make)


def run_worker(config: Settings) -> None:
    """Work until told to stop."""
    from responder.worker import Worker

    start_logs(config)
    prepare(config)
    failpoint.arm(_failpoint(config), config.data_dir / "failpoint.spent")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker = Worker(config)
    worker.start()
    logger.info("worker_ready", holder=worker.engine.holder)
    stop.wait()
    worker.close()


def receiver(config: Settings, tally: Any) -> Any:
    """The WSGI application of a receiver; *tally* is shared by all its processes."""
    from responder import metrics, web
    from responder.inbox import Inbox
    from responder.keyring import Keyring
    from responder.seal import Keys, seal
    from responder.store import Store, heartbeats
    from responder.web.bodies import Bodies
    from responder.web.callers import Callers
    from responder.web.server import within

    store = Store(config.store_url)
    public = Keys(config.data_dir).public
    inbox = Inbox(store, config.data_dir)
    shown = metrics.registry(
        metrics.Known(store, now, heartbeats.WORKER, heartbeats.STALE), metrics.Answered(tally.read)
    )
    token = config.metrics.token
    return web.create(
        web.Receiver(
            inbox=inbox,
            bodies=Bodies(within),
            github_secrets=_bytes(config.github.webhook_secret),
            gitlab_secrets=_bytes(config.gitlab.webhook_secret),
            gitlab_revocation_tokens=_bytes(config.gitlab.revocation_token),
            keyring=Keyring(store, inbox, config.partner_keys_urls, now, time.sleep),
            holds_token=_holds_token(config) if config.github.partner_feedback else None,
            callers=Callers(public, _bytes(config.reports.tokens)),
            trusted_proxies=config.trusted_proxies,
            public_url=config.public_url,
            seal=lambda body, id_: seal(public, body, id_),
            tally=tally,
            expose=lambda accept: metrics.expose(shown, accept),
            metrics_token=None if token is None else token.get_secret_value().encode(),
            is_ready=lambda: _is_ready(store),
            clock=now,
        )
    )


def _holds_token(config: Settings) -> Any:
    """Whether a text holds a token by its shape alone; whose it is a receiver neither knows nor asks."""
    shapes = scanner(config)
    return lambda text: any(found.confidence == "strong" for found in shapes.text(text).findings)


def _bytes(secrets: Sequence[Any]) -> Sequence[bytes]:
    return [secret.get_secret_value().encode() for secret in secrets]


def _is_ready(store: Any) -> str | None:
    """None, or why not."""
    from responder.store import StoreUnavailable, heartbeats

    try:
        if not store.is_current():
            return "The database needs an upgrade."
        with store.read() as tx:
            beat = heartbeats.last(tx, heartbeats.WORKER)
    except StoreUnavailable:
        return "The database cannot be read."
    if not store.has_room():
        return "The disk is nearly full."
    return None if beat is not None and now() - beat < heartbeats.STALE else "No worker is alive."


def prepare(config: Settings) -> None:
    """Make the data directory, its keys and, on SQLite, the tables."""
    from responder.seal import Keys
    from responder.store import Store

    Keys(config.data_dir).create()
    store = Store(config.store_url)
    if store.is_sqlite and not store.is_current():
        store.upgrade()
    store.close()


def start_logs(config: Settings) -> None:
    """Begin to log, with every configured secret redacted."""
    log.configure(config.secrets())


def _failpoint(config: Settings) -> str:
    spec = settings.failpoint()
    if spec and not config.loopback_only:
        raise settings.SettingsError("RESPONDER_FAILPOINT: only where every service is on this machine")
    return spec
