"""What Prometheus is told: is a leaked key still alive, how long did it take, does anything wait or fail.

What the database knows is read from it when somebody asks, so that it is the same
whichever process is asked, and right after any restart. Only what a process alone
knows, such as its calls of other services, is counted by that process.

No label holds anything from outside: labels are names of ours, out of few.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from responder.core.incident import State
from responder.sources import doors
from responder.store import Store, StoreUnavailable, Transaction, figures, heartbeats, keys, timings
from responder.trace import Span

log = structlog.get_logger(__name__)

_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SPARED = 100
_CLOCKS = {
    "revoke_requested": "From hearing of a leak to asking its provider to revoke the key",
    "confirmed_dead": "From hearing of a leak to having seen its key dead",
}


class Known(Collector):
    """What the database knows, read anew for everybody who asks.

    Args:
        store: the database.
        clock: now, UTC.
        worker: the name workers give signs of life under.
        stale: how old such a sign may be.
        peppers: the marks of the peppers at hand; None where there is none, and coverage cannot be known.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        worker: str,
        stale: timedelta,
        peppers: Callable[[], Sequence[int]] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._stale = stale
        self._peppers = peppers
        self._covered: Mapping[tuple[str, str], tuple[int, int]] = {}
        self._covered_until = 0.0

    def collect(self) -> Iterator[Metric]:
        """Every figure; if the database cannot be read, only that."""
        found: Sequence[Metric] = ()
        try:
            with self._store.read() as tx:
                found = [*self._of_incidents(tx), *self._of_work(tx), *self._of_keys(tx)]
        except StoreUnavailable as error:
            log.warning("figures_unreadable", why=error.why)
        except Exception as error:  # whoever watches has to hear even of a bug of ours
            log.exception("figures_failed", error=type(error).__name__)
        yield _gauge(
            "database_up", "1 if the database could be read just now; else there is nothing else.", bool(found)
        )
        yield from found

    def _of_incidents(self, tx: Transaction) -> Iterator[Metric]:
        rows = figures.unclosed(tx)
        states = [state.value for state in State if state is not State.CLOSED]
        counts = _gauges("incidents", "Incidents that are not closed.", "state", "severity")
        for state in states:
            for severity in ("normal", "high"):
                alike = [row.count for row in rows if (row.state, row.severity) == (state, severity)]
                counts.add_metric((state, severity), sum(alike))
        ages = _gauges("incident_oldest_seconds", "Age of the oldest incident in a state; 0: there is none.", "state")
        for state in states:
            ages.add_metric((state,), self._age(row.oldest for row in rows if row.state == state))
        live = _gauges("leaked_keys_live", "Leaked keys proved to be ours and not seen dead yet.", "waiting_for")
        since = _gauges(
            "leaked_key_live_seconds", "For how long we have known of the oldest of those.", "waiting_for"
        )
        for whom, held in (("responder", False), ("person", True)):
            alive = [row for row in rows if row.lives and (row.state == State.HELD) is held]
            live.add_metric((whom,), sum(row.count for row in alive))
            since.add_metric((whom,), self._age(row.oldest for row in alive))
        yield from (counts, ages, live, since)
        for clock, measured in timings.read(tx).items():
            bounds = [*(str(bound / 1000) for bound in timings.BOUNDS_MS), "+Inf"]
            yield HistogramMetricFamily(
                f"responder_received_to_{clock}_seconds",
                f"{_CLOCKS[clock]}: every incident ever, by all processes.",
                buckets=[(bound, float(count)) for bound, count in zip(bounds, measured.buckets, strict=True)],
                sum_value=measured.total.total_seconds(),
            )

    def _of_work(self, tx: Transaction) -> Iterator[Metric]:
        rows = figures.queued(tx)
        depth = _gauges("deliveries", "Deliveries accepted and not ended.", "source", "state")
        counted = {(source, state): 0 for source in doors() for state in ("waiting", "started")}
        for which, count in (counted | {(row.source, row.state): row.count for row in rows}).items():
            depth.add_metric(which, count)
        yield depth
        waiting = self._age(row.oldest for row in rows if row.state == "waiting")
        yield _gauge("delivery_waiting_seconds", "For how long the oldest delivery has waited to be begun.", waiting)
        late = self._age(row.oldest for row in rows)
        yield _gauge("delivery_oldest_seconds", "For how long the oldest delivery has not ended.", late)
        undelivered = figures.undelivered(tx)
        yield _gauge("notices_pending", "Notices still to be sent.", undelivered.pending)
        oldest = self._age(one for one in (undelivered.oldest,) if one is not None)
        yield _gauge("notice_pending_seconds", "For how long the oldest of those has waited.", oldest)
        yield _gauge("notices_failed", "Notices that were given up: nobody has them.", undelivered.failed)
        yield _gauge("sealed_bodies", "Sealed bodies at rest.", figures.sealed(tx))
        yield CounterMetricFamily("responder_audit_entries", "Entries of the audit record.", figures.audited(tx))
        alive = heartbeats.alive(tx, f"{self._worker}:", self._clock() - self._stale)
        yield _gauge("workers_alive", "Workers that gave a sign of life just now.", alive)
        beat = heartbeats.last(tx, self._worker)
        if beat is not None:
            yield _gauge("heartbeat_age_seconds", "Age of the newest such sign.", self._age([beat]))

    def _of_keys(self, tx: Transaction) -> Iterator[Metric]:
        rows = figures.inventories(tx)
        age = _gauges("inventory_age_seconds", "Age of the newest complete list of keys.", "provider", "account")
        whole = _gauges("inventory_complete", "1 if the last attempt to list keys succeeded.", "provider", "account")
        for row in rows:
            if row.complete_at is not None:
                age.add_metric((row.provider, row.account), self._age([row.complete_at]))
            whole.add_metric((row.provider, row.account), row.is_complete)
        yield from (age, whole)
        if self._peppers is None:
            return
        listed = _gauges("keys_listed", "Known keys.", "provider", "account")
        bound = _gauges("keys_fingerprinted", "Those that are revoked without a call.", "provider", "account")
        for who, (every, proved) in self._coverage(tx, [(row.provider, row.account) for row in rows]).items():
            listed.add_metric(who, every)
            bound.add_metric(who, proved)
        yield from (listed, bound)

    def _coverage(
        self, tx: Transaction, accounts: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[int, int]]:
        """How many keys are listed and fingerprinted: counted row by row, for at most a hundredth of the time."""
        began = time.monotonic()
        if self._peppers is not None and began >= self._covered_until:
            marks = self._peppers()
            self._covered = {who: keys.coverage(tx, *who, marks) for who in accounts}
            ended = time.monotonic()
            self._covered_until = ended + _SPARED * (ended - began)
        return self._covered

    def _age(self, instants: Sequence[datetime] | Iterator[datetime]) -> float:
        """Seconds since the oldest of these; 0 if there is none."""
        now = self._clock()
        return max(((now - instant).total_seconds() for instant in instants), default=0.0)


class Work:
    """What this process does, as `trace` shows it: its calls of other services, and its tasks; and what it takes.

    Args:
        registry: where it is to be found.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        calls, tasks = ("operation", "result"), ("task", "result")
        self._counts = {
            "call": Counter("responder_calls", "Calls of other services.", calls, registry=registry),
            "task": Counter("responder_tasks", "Tasks run, by how they ended.", tasks, registry=registry),
        }
        self._times = Histogram(
            "responder_call_seconds", "How long a call took.", calls[:1], registry=registry, buckets=_SECONDS
        )

    @contextmanager
    def watch(self, span: Span) -> Iterator[None]:
        """Count one span."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._counts[span.kind].labels(span.name, span.outcome).inc()
            if span.kind == "call":
                self._times.labels(span.name).observe(time.monotonic() - began)


class Answered(Collector):
    """How many requests had which answer.

    Args:
        read: the counts by route and status, see `web.tally`.
    """

    def __init__(self, read: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The counts, of all processes of this receiver."""
        family = CounterMetricFamily(
            "responder_requests", "Requests answered by this receiver.", labels=("route", "status")
        )
        for (route, status), count in self._read().items():
            family.add_metric((route or "none", str(status or "other")), count)
        yield family


def registry(*collectors: Collector) -> CollectorRegistry:
    """What is exposed together."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    made = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        made.register(collector)
    return made


def expose(what: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The answer to one scrape, and its type, as far as *accept* leaves a choice."""
    encode, content_type = choose_encoder(accept)
    return encode(what), content_type


def serve(bind: str, what: CollectorRegistry) -> Callable[[], None]:
    """Answer every ``GET`` at *bind*, to whoever can reach it; call the result to stop.

    Args:
        bind: ``host:port``.
        what: is exposed.

    Raises:
        OSError: nobody can listen there.
    """
    host, _, port = bind.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), what)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return stop


def _gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"responder_{name}", said, value=value)


def _gauges(name: str, said: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"responder_{name}", said, labels=labels)
