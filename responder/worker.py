"""One executing process: engine, inbox, schedules and heartbeat."""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from responder import followup, log, metrics, respond, settings, trace, trouble, upkeep
from responder.assembly import check_worker, engine_url, house, now
from responder.core.token import mark
from responder.engine import Engine, Task
from responder.settings import Settings
from responder.store import Store, StoreUnavailable, audit, heartbeats
from responder.waiter import Waiter

logger = structlog.get_logger(__name__)

_BEAT_SECONDS = 2.0
_PLACES = 24


class Worker:
    """One executing process: engine, inbox, schedules and heartbeat.

    Raises:
        SettingsError: the settings let it do nothing.
    """

    def __init__(self, config: Settings) -> None:
        check_worker(config)
        self._config = config
        self._stop = threading.Event()
        self._slots: dict[str, str] = {}
        self._began = int(now().timestamp())
        self._unshow: list[Callable[[], None]] = []
        self.store = Store(config.store_url)
        self.engine = Engine(engine_url(config), config.data_dir / "leases")
        self._waiter = Waiter(self.store, config.data_dir, self.engine, _PLACES, respond.contain_now)
        self.house = house(config, self.store, self.engine, self._waiter.ended)
        self._table = followup.table(self.house)
        self._give_up = lambda task, error: trouble.give_up(self.house, task, error)
        self._beat = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._show()
        self._record_settings()
        self.engine.launch(self._table, self._give_up, followup.URGENT)
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
        for end in self._unshow:
            end()
        self.store.close()

    def _show(self) -> None:
        """Have what is done seen by those who watch, as far as that is configured."""
        watchers: list[trace.Watcher] = []
        if self._config.metrics.bind is not None:
            peppers = self.house.peppers
            known = metrics.Known(
                self.store, now, heartbeats.WORKER, heartbeats.STALE, lambda: [mark(one) for one in peppers()]
            )
            shown = metrics.registry(known)
            watchers.append(metrics.Work(shown).watch)
            try:
                self._unshow.append(metrics.serve(self._config.metrics.bind, shown))
            except OSError:
                raise settings.SettingsError("RESPONDER_METRICS__BIND: nobody can listen there") from None
        if self._config.otel.endpoint is not None:
            try:
                from responder import telemetry  # noqa: PLC0415 -- an extra
            except ImportError:
                raise settings.SettingsError("RESPONDER_OTEL__ENDPOINT: needs the extra otel") from None
            traces = telemetry.to(self._config.otel.endpoint, self._clean)
            watchers.append(traces.watch)
            self._unshow.append(traces.close)
        trace.watch(*watchers)

    def _clean(self, text: str) -> str:
        """Without anything that looks like a secret, or is one of ours."""
        return log.redact(text, self._config.secrets())

    def _record_settings(self) -> None:
        """Have the audit record say with which settings we work, where they are not those it said last."""
        public = self._config.public()
        with self.store.begin("settings") as tx:
            if audit.last(tx, "settings_changed") != public:
                audit.record(tx, now(), "settings_changed", "settings", public)

    def _beat_for_ever(self) -> None:
        while True:
            try:
                if self._waiter.is_going():
                    self._share(self._count_workers())
                self._schedule()
            except StoreUnavailable as error:
                logger.warning("heartbeat_missed", why=error.why)
            except Exception as error:  # the engine's own: a worker that works must not be taken for dead
                logger.exception("heartbeat_missed", error=type(error).__name__)
            if self._stop.wait(_BEAT_SECONDS):
                return

    def _count_workers(self) -> int:
        """Say that we are alive; how many others are too, ourselves included."""
        with self.store.begin("beat") as tx:
            for name in (heartbeats.WORKER, f"{heartbeats.WORKER}:{self.engine.holder}"):
                heartbeats.beat(tx, name, now())
            heartbeats.bury(tx, f"{heartbeats.WORKER}:", now() - timedelta(hours=1))
            return heartbeats.alive(tx, f"{heartbeats.WORKER}:", now() - heartbeats.STALE)

    def _share(self, workers: int) -> None:
        """Keep to our part of each account's rate, which is one for the whole cluster."""
        for one in (one for accounts in self.house.accounts.values() for one in accounts):
            if one.budget is not None:
                one.budget.share(workers)

    def _schedule(self) -> None:
        """Start what is due: each slot of time has one key, so it runs once, whoever asks first."""
        seconds = int(now().timestamp())
        for accounts in self.house.accounts.values():
            for one in accounts:
                who = (one.provider.provider, one.provider.account)
                slot = seconds // self._config.inventory.sync_seconds
                self._once(Task("sync", f"sync:{who[0]}:{who[1]}:{slot}", who))
        for origin in self.house.reach.partners:
            self._once(Task("renew_keys", f"renew:{origin}:{seconds // 3600}", (origin,)))
        every = self._config.catch_up.seconds
        if every and self.house.reach.github is not None:
            slot = seconds // every  # whoever has just started does not wait for the next one: it may have been away
            self._once(Task("catch_up", f"catch_up:{slot if slot > self._began // every else self.engine.holder}"))
        for name, period in upkeep.SCHEDULE.items():
            self._once(Task(name, f"{name}:{seconds // period}"))

    def _once(self, task: Task) -> None:
        """Enqueue a scheduled task, unless this process has done so for this slot."""
        name = task.key.rpartition(":")[0]
        if self._slots.get(name) != task.key:
            if name == "tidy":  # which forgets deliveries: their tasks go before them
                self.engine.purge(timedelta(days=self._config.retention.days))
            self.engine.enqueue(task)
            self._slots[name] = task.key
