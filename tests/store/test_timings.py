"""How long it took is counted once, with the event it is about, and never forgotten."""

from contextlib import suppress
from datetime import datetime, timedelta

from responder.core.incident import State
from responder.core.sighting import Sighting, Source
from responder.store import Store, Transaction, incidents, retention, timings
from tests.grown import NOON, seen

ASKED, DEAD = timings.CLOCKS


def leak(tx: Transaction, seed: int, at: datetime = NOON) -> str:
    """An incident that was received."""
    place = Sighting(Source.REPORT, f"d{seed}", None, at, f"d{seed}")
    return incidents.join(tx, seen(seed), "openai", "default", place, at).incident_id


def read(store: Store) -> dict[str, tuple[int, float]]:
    """How many were measured, and their seconds together, by clock."""
    with store.read() as tx:
        return {clock: (one.buckets[-1], one.total.total_seconds()) for clock, one in timings.read(tx).items()}


def test_every_measurement_is_in_its_bucket_and_in_all_larger_ones(store: Store) -> None:
    """As Prometheus adds them up: the last bucket holds every one."""
    took = [timedelta(milliseconds=ms) for ms in (0, 25, 26, 700, 86_400_000, 86_400_001)]
    with store.begin("measure") as tx:
        for seed, one in enumerate(took):
            incidents.note(tx, leak(tx, seed), DEAD, NOON + one)
    with store.read() as tx:
        histogram = timings.read(tx)[DEAD]
    counted = dict(zip((*timings.BOUNDS_MS, None), histogram.buckets, strict=True))
    assert (counted[25], counted[50], counted[500], counted[1000], counted[86_400_000], counted[None]) == (
        2,
        3,
        3,
        4,
        5,
        6,
    )
    assert list(histogram.buckets) == sorted(histogram.buckets)
    assert histogram.total == sum(took, timedelta())
    assert read(store)[ASKED] == (0, 0.0)


def test_only_the_first_event_of_an_incident_counts_from_when_it_was_first_received(store: Store) -> None:
    """A key asked for twice was leaked once; a second sighting does not stop the clock."""
    with store.begin("measure") as tx:
        id_ = leak(tx, 1)
        incidents.note(tx, id_, "received", NOON + timedelta(seconds=3), {})
        incidents.note(tx, id_, ASKED, NOON + timedelta(seconds=4), {})
        incidents.note(tx, id_, ASKED, NOON + timedelta(seconds=90), {})
        incidents.note(tx, "delivery", ASKED, NOON, {})
    assert read(store)[ASKED] == (1, 4.0)


def test_a_clock_that_jumped_back_took_no_time(store: Store) -> None:
    """A negative duration would make a sum shrink, which a counter must not."""
    with store.begin("measure") as tx:
        incidents.note(tx, leak(tx, 1), ASKED, NOON - timedelta(hours=1), {})
    assert read(store)[ASKED] == (1, 0.0)


def test_an_undone_transaction_measured_nothing(store: Store) -> None:
    """What is counted is exactly what is in the timelines."""
    with store.begin("join") as tx:
        id_ = leak(tx, 1)
    with suppress(RuntimeError), store.begin("undone") as tx:
        incidents.note(tx, id_, ASKED, NOON, {})
        raise RuntimeError
    assert read(store)[ASKED] == (0, 0.0)


def test_what_was_measured_outlives_its_incident_and_its_process(store: Store, url: str) -> None:
    """A counter that falls looks like a restart, and hides the very spike that follows."""
    with store.begin("measure") as tx:
        id_ = leak(tx, 1)
        incidents.note(tx, id_, ASKED, NOON + timedelta(seconds=1), {})
        incidents.change(tx, id_, state=State.CLOSED.value, closed_at=NOON)
    another = Store(url)
    with another.begin("measure") as tx:
        assert retention.forget_incidents(tx, NOON + timedelta(days=1)) == 1
        incidents.note(tx, leak(tx, 2), ASKED, NOON + timedelta(seconds=1), {})
    another.close()
    assert read(store)[ASKED] == (2, 2.0)
