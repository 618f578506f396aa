"""Where everything is put together: the only module that knows everyone."""

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from responder import failpoint, log, settings
from responder.settings import Settings

logger = structlog.get_logger(__name__)

HEARTBEAT = "worker"
STOP_FILE = "STOP"
"""In the data directory: while it is there, nothing is revoked or closed; intake goes on."""

_BEAT_SECONDS = 2.0
STALE = timedelta(seconds=15)
_PLACES = 24


def now() -> datetime:
    """The one clock of the process, UTC."""
    return datetime.now(UTC)


# --- the receiver --------------------------------------------------------------------------------


def receiver(config: Settings) -> Any:
    """The WSGI application of a receiver."""
    from responder import web
    from responder.inbox import Inbox
    from responder.seal import Keys, seal
    from responder.store import Store

    store = Store(config.store_url)
    public = Keys(config.data_dir).public
    return web.create(
        web.Receiver(
            inbox=Inbox(store, config.data_dir),
            github_secrets=[s.get_secret_value().encode() for s in config.github.webhook_secret],
            seal=lambda body, id_: seal(public, body, id_),
            is_ready=lambda: _is_ready(store),
            clock=now,
        )
    )


def _is_ready(store: Any) -> str | None:
    """None, or why not."""
    from responder.store import StoreUnavailable, heartbeats

    try:
        if not store.is_current():
            return "The database needs an upgrade."
        with store.read() as tx:
            beat = heartbeats.last(tx, HEARTBEAT)
    except StoreUnavailable:
        return "The database cannot be read."
    return None if beat is not None and now() - beat < STALE else "No worker is alive."


def run_receiver(config: Settings) -> None:
    """Serve until told to stop."""
    from responder.web import server

    def make() -> Any:
        start_logs(config)
        failpoint.arm(_failpoint(config), config.data_dir / "failpoint.spent")
        return receiver(config)

    start_logs(config)
    server.serve(config.bind, make)


# --- the worker ----------------------------------------------------------------------------------


class Worker:
    """One executing process: engine, inbox, schedules and heartbeat.

    Raises:
        SettingsError: the settings let it do nothing.
    """

    def __init__(self, config: Settings) -> None:
        from responder import followup, respond
        from responder.engine import Engine
        from responder.inbox import Waiter
        from responder.store import Store

        check_worker(config)
        self._config = config
        self._stop = threading.Event()
        self._slots: dict[str, str] = {}
        self.store = Store(config.store_url)
        self.engine = Engine(engine_url(config), config.data_dir / "leases")
        self._waiter = Waiter(self.store, config.data_dir, self.engine, _PLACES, respond.contain_now)
        self.house = _house(config, self.store, self.engine, self._waiter.ended)
        self._table = followup.table(self.house)
        self._give_up = lambda task, error: respond.give_up(self.house, task, error)
        self._beat = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._record_settings()
        self.engine.launch(self._table, self._give_up)
        self._schedule()
        self._waiter.start()
        self._beat.start()

    def close(self) -> None:
        """Stop; what is unfinished stays on disk."""
        self._stop.set()
        self._waiter.close()
        self.engine.close()
        if self._beat.is_alive():
            self._beat.join(timeout=5)
        self.store.close()

    def _record_settings(self) -> None:
        """Have the audit record say with which settings we work, where they are not those it said last."""
        from responder.store import audit

        public = self._config.public()
        with self.store.begin("settings") as tx:
            if audit.last(tx, "settings_changed") != public:
                audit.record(tx, now(), "settings_changed", "settings", public)

    def _beat_for_ever(self) -> None:
        from responder.store import StoreUnavailable, heartbeats

        while True:
            try:
                with self.store.begin("beat") as tx:
                    heartbeats.beat(tx, HEARTBEAT, now())
                self._schedule()
            except StoreUnavailable as error:
                logger.warning("heartbeat_missed", why=error.why)
            if self._stop.wait(_BEAT_SECONDS):
                return

    def _schedule(self) -> None:
        """Start what is due: each slot of time has one key, so it runs once, whoever asks first."""
        from responder.engine import Task

        seconds = int(now().timestamp())
        for accounts in self.house.accounts.values():
            for one in accounts:
                who = (one.provider.provider, one.provider.account)
                slot = seconds // self._config.inventory.sync_seconds
                self._once(Task("sync", f"sync:{who[0]}:{who[1]}:{slot}", who))
        self._once(Task("sweep", f"sweep:{seconds // 60}"))
        self._once(Task("attest", f"attest:{seconds // 86400}"))
        if self._once(Task("tidy", f"tidy:{seconds // 600}")):
            self.engine.purge(timedelta(days=self._config.retention.days))

    def _once(self, task: Any) -> bool:
        """Enqueue a scheduled task, unless this process has done so for this slot."""
        name = task.key.rpartition(":")[0]
        if self._slots.get(name) == task.key:
            return False
        self._slots[name] = task.key
        self.engine.enqueue(task)
        return True


def engine_url(config: Settings) -> str:
    """Where the engine keeps its rows: beside ours on PostgreSQL, in a file of its own on SQLite."""
    if config.store_url.startswith("postgresql"):
        return config.store_url
    return f"sqlite:///{config.data_dir.absolute() / 'engine.sqlite'}"


def check_worker(config: Settings) -> None:
    """Refuse to start a worker that could not do its work.

    Raises:
        SettingsError: what is missing.
    """
    if config.openai.admin_key is None:
        raise settings.SettingsError("RESPONDER_OPENAI__ADMIN_KEY: must be set, or nothing can be revoked")
    if config.github.webhook_secret and not config.github.can_fetch:
        raise settings.SettingsError(
            "RESPONDER_GITHUB__TOKEN: must be set (or an app), or no push or alert can be fetched"
        )


def accounts(config: Settings, store: Any) -> Mapping[str, Sequence[Any]]:
    """Every configured account by provider."""
    from responder.core.token import Token
    from responder.inventory import Inventory
    from responder.outbound import Budget, Door
    from responder.proof import Account, Control
    from responder.providers.openai import OpenAI
    from responder.providers.openai_usage import OpenAILedger

    if config.openai.admin_key is None:
        return {}
    door = Door("openai", config.openai.base_url, budget=Budget(config.openai.calls_per_second))
    admin_key = config.openai.admin_key.get_secret_value()
    provider = OpenAI("default", door, admin_key)
    inventory = Inventory(store, provider, config.policy.protected, now)
    control = None
    if config.openai.canary_key is not None:
        try:
            canary = Token(config.openai.canary_key.get_secret_value(), "control")
        except ValueError:
            raise settings.SettingsError("RESPONDER_OPENAI__CANARY_KEY: is not a key") from None
        control = Control(provider, canary, provider.stranger)
    return {"openai": [Account(provider, inventory, ledger=OpenAILedger(door, admin_key), control=control)]}


def _house(config: Settings, store: Any, engine: Any, ended: Any) -> Any:
    from responder import notify
    from responder.house import House, Policy
    from responder.outbound import Door
    from responder.outbox import Outbox
    from responder.seal import Keys
    from responder.sources import Reach
    from responder.sources.github_api import GitHub

    keys = Keys(config.data_dir)
    github = None
    if config.github.token is not None:
        github = GitHub(Door("github", config.github.api_url), config.github.token.get_secret_value())
    mail, channels = None, None
    try:
        if config.mail.url is not None and config.mail.sender is not None:
            mail = notify.Mailer(config.mail.url.get_secret_value(), config.mail.sender)
        if config.notify.urls:
            channels = notify.Channels([url.get_secret_value() for url in config.notify.urls])
    except ValueError as error:
        raise settings.SettingsError(str(error)) from None
    return House(
        store=store,
        scanner=_scanner(config),
        reach=Reach(github),
        accounts=accounts(config, store),
        outbox=Outbox(store, mail, channels, config.public_url, now),
        policy=Policy(
            enforce=config.mode == "enforce",
            max_revokes_per_hour=config.policy.max_revokes_per_hour,
            verify_seconds=config.policy.verify_seconds,
            page_after=timedelta(seconds=config.policy.hold_page_seconds),
            close_alerts=config.github.resolve_alerts,
            keep_work=timedelta(days=config.retention.days),
            keep_incidents=timedelta(days=config.retention.incident_days) if config.retention.incident_days else None,
        ),
        peppers=lambda: keys.peppers,
        private=keys.private,
        clock=now,
        sleep=time.sleep,
        holder=engine.holder,
        stopped=(config.data_dir / STOP_FILE).exists,
        is_alive=engine.is_alive,
        ended=ended,
    )


def _scanner(config: Settings) -> Any:
    from responder.scan import RuleError, Scanner

    try:
        return Scanner.load([config.rules_dir] if config.rules_dir else [])
    except RuleError as error:
        raise settings.SettingsError(f"RESPONDER_RULES_DIR: {error}") from None


def run_worker(config: Settings) -> None:
    """Work until told to stop."""
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


def prepare(config: Settings) -> None:
    """Make the data directory, its keys and, on SQLite, the tables."""
    from responder.seal import Keys
    from responder.store import Store

    os.umask(0o077)
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
