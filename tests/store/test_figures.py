"""What Prometheus is told of a database is what is in it."""

from collections.abc import Mapping
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from responder import metrics
from responder.core.notice import Audience, Channel, Delivery, Topic
from responder.core.sighting import Sighting, Source
from responder.core.token import mark
from responder.store import Store, deliveries, heartbeats, incidents, keys, notices
from responder.store.deliveries import Delivery as Delivered
from tests.grown import NOON, PEPPER, known, seen

LATER = NOON + timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
STALE = timedelta(seconds=15)


def told(store: Store, *, peppers: bool = True) -> Mapping[str, float]:
    """Every figure by its name and the values of its labels, as a scrape ten minutes after noon has it."""
    marks = (lambda: [mark(PEPPER)]) if peppers else None
    content, _ = metrics.expose(metrics.registry(metrics.Known(store, lambda: LATER, "worker", STALE, marks)), "")
    return {
        " ".join(
            [
                sample.name.removeprefix("responder_"),
                *(value for _, value in sorted(sample.labels.items(), reverse=True)),
            ]
        ): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def test_an_empty_database_has_nothing_waiting_and_nothing_alive(store: Store) -> None:
    """Zero is told as zero: an alert on a series that is not there would never fire, and never clear."""
    found = told(store)
    assert found["database_up"] == 1
    named = [
        *("leaked_keys_live responder", "leaked_keys_live person", "leaked_key_live_seconds responder"),
        *("incidents open normal", "incidents held high", "incident_oldest_seconds held"),
        *("notices_pending", "notices_failed", "notice_pending_seconds", "delivery_waiting_seconds"),
        *("workers_alive", "audit_entries_total", "sealed_bodies"),
        *("received_to_revoke_requested_seconds_count", "received_to_confirmed_dead_seconds_bucket +Inf"),
    ]
    assert {name: found[name] for name in named} == dict.fromkeys(named, 0.0)


def test_a_key_is_live_from_its_proof_until_it_was_seen_dead_or_given_up(store: Store) -> None:
    """The one question that matters at night: is a key still live, since when, and who is at it?"""
    cases: dict[str, dict[str, object]] = {
        "proved": {"evidence": "fingerprint"},
        "revoked": {"evidence": "probe", "state": "contained", "revoked_at": NOON},
        "protected": {"evidence": "probe", "state": "held", "severity": "high"},
        "still alive": {"evidence": "probe", "state": "held", "revoked_at": NOON},
        "dead": {"evidence": "probe", "state": "contained", "revoked_at": NOON, "dead_at": NOON},
        "gone before": {"evidence": "probe", "state": "closed", "closed_at": NOON},
        "a look-alike": {"evidence": "hint", "state": "held"},
        "undecided": {},
    }
    with store.begin("leak") as tx:
        for number, values in enumerate(cases.values()):
            at = NOON + number * MINUTE
            place = Sighting(Source.REPORT, f"d{number}", None, at, f"d{number}")
            id_ = incidents.join(tx, seen(number), "openai", "default", place, at).incident_id
            if values:
                incidents.change(tx, id_, **values)
    found = told(store)
    assert (found["leaked_keys_live responder"], found["leaked_key_live_seconds responder"]) == (2, 600)
    assert (found["leaked_keys_live person"], found["leaked_key_live_seconds person"]) == (2, 480)
    assert (found["incidents held normal"], found["incidents held high"]) == (2, 1)
    assert (found["incidents open normal"], found["incidents contained normal"]) == (2, 2)
    assert (found["incident_oldest_seconds held"], found["incident_oldest_seconds open"]) == (480, 600)


def test_what_waits_is_counted_by_where_it_came_from_and_what_nobody_got_is_too(store: Store) -> None:
    """A queue that is deep is a flood; one that is old is a standstill."""
    with store.begin("deliver") as tx:
        for number, source in enumerate(("report", "report", "github_push", "github_push")):
            body = b"sealed" if source == "report" else None
            deliveries.accept(tx, Delivered(f"d{number}", source, "lane", {}, NOON + number * MINUTE, body))
        deliveries.start(tx, ["d1", "d2"])
        deliveries.end(tx, "d2", "done", NOON)
        deliveries.shred(tx, ["d1"])
        for number, topic in enumerate((Topic.HELD, Topic.WAITING, Topic.REVOKED, Topic.STUCK)):
            at = NOON + number * MINUTE
            notices.owe(tx, "inc_1", Audience.SECURITY, topic, Channel.APPRISE, "channels", at)
        first, _, third, _ = notices.claim(tx, "inc_1", "test", NOON, lambda _: timedelta(0))
        notices.settle(tx, first, Delivery.SENT, NOON)
        notices.settle(tx, third, Delivery.FAILED, NOON)
    found = told(store)
    assert {name: value for name, value in found.items() if name.startswith("deliveries ") and value} == {
        "deliveries waiting report": 1,
        "deliveries started report": 1,
        "deliveries waiting github_push": 1,
    }
    assert (found["delivery_oldest_seconds"], found["delivery_waiting_seconds"]) == (600, 600)
    assert found["sealed_bodies"] == 1
    assert (found["notices_pending"], found["notices_failed"], found["notice_pending_seconds"]) == (2, 1, 540)


def test_workers_count_as_long_as_they_beat(store: Store) -> None:
    """A row of a worker that died an hour ago is no worker."""
    with store.begin("beat") as tx:
        for name, ago in (("worker", 4), ("worker:a", 4), ("worker:b", 14), ("worker:c", 16)):
            heartbeats.beat(tx, name, LATER - timedelta(seconds=ago))
    found = told(store)
    assert (found["workers_alive"], found["heartbeat_age_seconds"]) == (2, 4)


def test_coverage_counts_what_the_pepper_at_hand_can_name(store: Store) -> None:
    """A fingerprint under a pepper that is lost revokes nothing; without a pepper nothing is claimed."""
    with store.begin("list") as tx:
        keys.write(tx, [known(seed) for seed in range(4)], NOON)
        keys.listed(tx, "openai", "default", NOON, None)
        keys.bind(tx, known(0), seen(0).digest, mark(PEPPER))
        keys.bind(tx, known(1), seen(1).digest, mark(PEPPER) ^ 1)
    found = told(store)
    assert (found["keys_listed openai default"], found["keys_fingerprinted openai default"]) == (4, 1)
    assert (found["inventory_age_seconds openai default"], found["inventory_complete openai default"]) == (600, 1)
    assert not [name for name in told(store, peppers=False) if name.startswith("keys_")]
    with store.begin("list") as tx:
        keys.listed(tx, "openai", "default", LATER, "cut off")
    assert (
        told(store)["inventory_age_seconds openai default"],
        told(store)["inventory_complete openai default"],
    ) == (600, 0)


def test_a_database_that_cannot_be_read_is_told_and_nothing_else() -> None:
    """Figures from before would look like peace; an error would look like a scrape that was lost."""
    store = Store("sqlite:////proc/nowhere/responder.sqlite")
    assert told(store) == {"database_up": 0}
    store.close()
