"""Asking what a dead key was used for: beside the story, again and again, and never in its way."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from responder import assess, closing
from responder.core.damage import Damage
from responder.core.sighting import Sighting, Source
from responder.engine import Task
from responder.house import House, Locks, Policy
from responder.inventory import Inventory
from responder.outbound import Door
from responder.pace import Circuit
from responder.proof import Account
from responder.providers.openai import OpenAI
from responder.providers.openai_usage import OpenAILedger
from responder.simulator import World
from responder.simulator.openai import OpenAI as Vendor
from responder.sources import Reach
from responder.store import Store, damages, incidents
from responder.store.tables import metadata
from tests.grown import seen
from tests.running import Group, eventually

DEAD = datetime(2026, 11, 20, 9, 30, 20, tzinfo=UTC)
EXPOSED = DEAD - timedelta(minutes=5)
USAGE, COSTS, AUDIT = "GET /v1/organization/usage", "GET /v1/organization/costs", "GET /v1/organization/audit_logs"


class Scene:
    """One leaked key, dead, with its incident; and a house to ask about it.

    Attributes:
        now: what the house's clock says.
    """

    def __init__(self, store: Store, vendor: Vendor, door: Door) -> None:
        self.store, self.vendor, self.now = store, vendor, DEAD
        self.key = vendor.add_key("leaked")
        self.key.created_at = at(days=-30)
        provider = OpenAI("default", door, vendor.admin_key.value)
        inventory = Inventory(store, provider, (), lambda: self.now)
        assert inventory.sync()
        ledger = OpenAILedger(door, vendor.admin_key.value)
        unused: dict[str, Any] = {field.name: None for field in fields(House) if field.default_factory is MISSING}
        needed = {
            "store": store,
            "accounts": {"openai": [Account(provider, inventory, ledger=ledger)]},
            "clock": lambda: self.now,
        }
        self.house = House(**unused | needed)
        with store.begin("make") as tx:
            sighting = Sighting(Source.REPORT, "p", None, EXPOSED, "d1")
            self.id = incidents.join(
                tx, seen(), "openai", "default", sighting, DEAD - timedelta(minutes=1)
            ).incident_id
            known = inventory.key(self.key.id)
            assert known is not None
            incidents.name_key(tx, self.id, known)
            incidents.change(tx, self.id, dead_at=DEAD)

    def ask(self, number: int = 0, attempt: int = 0) -> list[Task]:
        return list(assess.assess(self.house, self.id, number, attempt))

    def run(self, task: Task) -> list[Task]:
        _, number, attempt = task.args
        return self.ask(int(number), int(attempt))

    @property
    def damage(self) -> Damage | None:
        with self.store.read() as tx:
            return damages.get(tx, self.id)

    @property
    def found(self) -> Damage:
        assert self.damage is not None
        return self.damage


def at(**later: float) -> int:
    return int((EXPOSED + timedelta(**later)).timestamp())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = Store(f"sqlite:///{tmp_path / 'r.sqlite'}")
    with store.begin("make") as tx:
        metadata.create_all(tx)
    with Vendor(seed=3) as vendor:
        patient = Circuit(clock=itertools.count(0, 60).__next__)  # whoever comes again comes in time
        door = Door("openai", vendor.base_url, circuit=patient, deadline_seconds=2)
        yield Scene(store, vendor, door)
        door.close()
    store.close()
    assert not vendor.bugs


def test_the_report_tells_use_from_exposure_to_death_against_the_week_before(scene: Scene) -> None:
    """The owner used it for years, the thief for five minutes."""
    use, key = scene.vendor.use, scene.key
    use(key, 14, input_tokens=1_400_000, output_tokens=0, at=at(days=-3))
    use(key, 99, at=at(days=-9))
    use(key, 40, model="dear", input_tokens=700_000, output_tokens=300_000, at=at(minutes=2))
    use(key, 1, at=at(minutes=30))
    scene.ask()
    found = scene.found
    assert found.usage is not None
    assert found.usage_before is not None
    assert found.cost is not None
    assert found.cost_before is not None
    assert found.usage.total.requests == 40
    assert [model for model, _ in found.usage.models] == ["dear"]
    assert found.usage_before.total.requests == 14
    assert found.usage_before.window.days == 7
    assert (found.cost.amount, found.cost_before.amount) == (Decimal("2.0"), Decimal("2.8"))
    assert (found.window.start, found.window.end) == (EXPOSED, DEAD)
    assert found.asked_at == DEAD
    assert found.unread == ()
    assert [record.what for record in found.records or ()] == ["api_key.created"]


def test_another_keys_use_is_never_counted(scene: Scene) -> None:
    """Its neighbour in the project may be the busiest of all."""
    scene.vendor.use(scene.vendor.add_key("busy"), 1000, at=at(minutes=2))
    scene.ask()
    assert scene.found.usage is not None
    assert scene.found.cost is not None
    assert scene.found.usage.total.requests == 0
    assert scene.found.cost.amount == 0


def test_it_is_asked_at_once_after_an_hour_and_after_a_day(scene: Scene) -> None:
    """Providers count late: what came in meanwhile is in the later report."""
    assert assess.first(scene.id).delay_seconds == 0
    (hour,) = scene.ask()
    early = scene.found
    scene.vendor.use(scene.key, 7, at=at(minutes=1))
    scene.now = DEAD + timedelta(seconds=hour.delay_seconds)
    (day,) = scene.run(hour)
    middle = scene.found
    scene.now += timedelta(seconds=day.delay_seconds)
    assert not scene.run(day)
    reports = (early, middle, scene.found)
    assert [report.asked_at - DEAD for report in reports] == [timedelta(), timedelta(hours=1), timedelta(days=1)]
    assert [report.asked_again_at for report in reports] == [middle.asked_at, scene.found.asked_at, None]
    assert [report.usage and report.usage.total.requests for report in reports] == [0, 7, 7]
    assert all(report.preliminary for report in reports)


def test_a_round_that_runs_twice_changes_nothing(scene: Scene) -> None:
    """A process may die between the answer and the note that it came; the following task has the same name."""
    first, before = scene.ask(), scene.found
    assert scene.ask() == first
    assert scene.found == before


@pytest.mark.parametrize(
    ("route", "status", "line"),
    [
        (USAGE, 403, "could not be read: usage, refused with status 403"),
        (COSTS, 401, "could not be read: costs, refused with status 401"),
        (AUDIT, 404, "could not be read: the audit log, refused with status 404"),
    ],
)
def test_an_absent_permission_is_a_line_and_the_rest_is_told(
    scene: Scene, route: str, status: int, line: str
) -> None:
    """Few admin keys may read everything; nothing fails for that."""
    scene.vendor.use(scene.key, 7, at=at(minutes=1))
    scene.vendor.faults.add(route, "status", times=None, status=status)
    (following,) = scene.ask()
    assert following.args == (scene.id, 1, 0)
    assert scene.found.unread == (line,)
    answered = [scene.found.usage, scene.found.cost, scene.found.records]
    assert [part is None for part in answered] == [route == one for one in (USAGE, COSTS, AUDIT)]


@pytest.mark.parametrize(("kind", "status"), [("status", 429), ("status", 500), ("wrong_schema", 200), ("reset", 0)])
def test_a_provider_that_is_away_is_asked_again(scene: Scene, kind: str, status: int) -> None:
    """Half a report is not kept for a whole one."""
    scene.vendor.faults.add(COSTS, kind, status=status, headers={"Retry-After": "7"})
    (again,) = scene.ask()
    assert again.args == (scene.id, 0, 1)
    assert again.delay_seconds == (7 if kind == "status" else 1)
    assert scene.damage is None
    scene.ask(0, 1)
    assert scene.found.unread == ()


def test_a_provider_that_stays_away_becomes_a_line_and_the_next_round_comes(scene: Scene) -> None:
    """Nothing ends silently, and nobody is called out of bed for statistics."""
    scene.vendor.faults.add(USAGE, "wrong_schema", times=None)
    following, attempts = scene.ask(), 1
    while following[0].args[1] == 0:
        assert attempts < 20
        following, attempts = scene.ask(0, int(following[0].args[2])), attempts + 1
    assert following[0].args == (scene.id, 1, 0)
    assert scene.found.unread == ("could not be read: usage, no usable answer: unexpected body",)
    assert scene.found.cost is not None


def test_one_account_answers_one_question_at_a_time_and_nobody_waits_for_it(scene: Scene) -> None:
    """A slow ledger must not fill the places in which people are told and keys are verified."""
    scene.vendor.faults.add(USAGE, "timeout", seconds=1)
    slow = threading.Thread(target=scene.ask)
    slow.start()
    eventually(lambda: scene.vendor.count(USAGE), "the first question")
    (again,) = scene.ask()
    assert again.args == (scene.id, 0, 0)
    assert again.key != assess.first(scene.id).key
    assert again.delay_seconds > 0
    slow.join()
    assert scene.ask()[0].args == (scene.id, 1, 0)


def test_two_blocks_of_one_name_never_run_together_whichever_way_they_were_entered() -> None:
    """The one that does not wait must not open the door for those that do."""
    locks, order = Locks(), []

    def wait_for_it() -> None:
        with locks.alone("account"):
            order.append("waited")

    with locks.alone_or_not("account") as first, locks.alone_or_not("account") as second:
        assert (first, second) == (True, False)
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        waiting.join(0.1)
        order.append("left")
    waiting.join()
    assert order == ["left", "waited"]
    with locks.alone_or_not("account") as third:
        assert third


def test_a_key_that_was_dead_when_we_were_told_is_asked_about_too(scene: Scene) -> None:
    """The provider, or a thief, was quicker than we; it may have been used for days before."""
    with scene.store.begin("gone") as tx:
        proof = {"evidence": "fingerprint", "disposition": "already_dead"}
        incidents.change(tx, scene.id, dead_at=None, state="closed", **proof)
    house = replace(scene.house, reach=Reach(None), policy=Policy(), stopped=lambda: False)
    assert assess.first(scene.id) in closing.close(house, scene.id, "gone", 0)
    scene.now = DEAD + timedelta(hours=5)
    scene.ask()
    assert scene.found.window.end == scene.now


def test_a_vendor_without_a_ledger_leaves_no_report(scene: Scene) -> None:
    """Nothing to be asked is no failure."""
    (account,) = scene.house.accounts["openai"]
    house = replace(scene.house, accounts={"openai": [replace(account, ledger=None)]})
    assert not assess.assess(house, scene.id, 0, 0)
    assert scene.damage is None


def test_a_key_that_nobody_was_proved_to_own_is_not_asked_about(scene: Scene) -> None:
    """A look-alike's use is somebody else's."""
    with scene.store.begin("forget") as tx:
        incidents.change(tx, scene.id, key_id=None)
    assert not scene.ask()
    assert not scene.vendor.count(USAGE)


def test_a_leak_is_written_up_with_what_the_thief_did(world: World, make_group: Callable[..., Group]) -> None:
    """With real processes, after the owner was told and the incident is closed; the audit log may not be read."""
    key = world.openai.add_key("leaked", owner=world.openai.add_user("Ada", "ada@acme.example"))
    world.openai.faults.add(AUDIT, "status", times=None, status=404)
    world.openai.latency_seconds = 0.01
    group = make_group(world, RESPONDER_OPENAI__CALLS_PER_SECOND="500").start("serve").wait_until_ready()
    answer = group.client.post("/v1/reports", json={"token": key.value})
    assert answer.status_code == 202
    world.openai.use(key, 12, model="dear", input_tokens=12_000, output_tokens=2400)  # never in a minute before
    incident = group.closed(key.id)
    told: Any = eventually(lambda: group.incident_of(key.id).get("damage"), "the report")
    assert told["preliminary"] is True
    assert told["usage"]["requests"] == 12
    assert told["unread"] == ["could not be read: the audit log, refused with status 404"]
    assert told["asked_again_at"] > told["asked_at"] >= incident["timeline"][0]["at"]
    page = group.run("incidents", "summary", incident["id"]).stdout
    assert "## What it was used for (preliminary)" in page
    assert "`dear`: 12 requests, 12,000 input and 2,400 output tokens" in page
    assert [list(letter.recipients) for letter in world.mail.letters] == [["ada@acme.example"]]
