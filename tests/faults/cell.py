"""One cell of the fault matrix: a house with a world of its own, one leak, one thing that goes wrong.

Whatever goes wrong, `Cell.check` must hold after every single task, and
`Cell.end` names where the story stands once time has passed.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import sqlalchemy as sa
import structlog
from werkzeug.wrappers import Request, Response

from responder import followup, respond, trouble
from responder.core.incident import Incident
from responder.core.notice import Notice, Topic
from responder.core.token import Token, fingerprint
from responder.engine import Task
from responder.house import House, Policy
from responder.inventory import Inventory
from responder.notify.message import render
from responder.outbound import Door
from responder.outbox import Carrier, Outbox
from responder.pace import Circuit
from responder.proof import Account, Allowance, Control
from responder.providers.openai import OpenAI
from responder.scan import Scanner
from responder.seal import Keys, seal
from responder.simulator.fault import Fault
from responder.simulator.github import GitHub as SimulatedGitHub
from responder.simulator.github_alerts import Alert
from responder.simulator.openai import OpenAI as Vendor
from responder.simulator.openai_objects import ServiceAccount, User
from responder.simulator.server import reply
from responder.sources import Reach
from responder.sources.github_api import GitHub
from responder.sources.github_call import PlainToken
from responder.store import Store, Transaction, deliveries, incidents
from responder.store.deliveries import Delivery as Told
from responder.store.incidents import Record
from responder.store.tables import deliveries as rows
from responder.upkeep import SCHEDULE
from tests.faults.virtual import Clock, Runner, Wire

HOUR, DAY = 3600.0, 86_400.0
LIST = "GET /v1/organization/projects/"
KEYS = r"GET /v1/organization/projects/[^/]+/api_keys$"
PROJECTS = r"GET /v1/organization/projects$"
ADMINS = r"GET /v1/organization/admin_api_keys$"
MODELS, ME = r"GET /v1/models$", r"GET /v1/me$"
DELETE = r"DELETE /v1/organization/projects/[^/]+/api_keys/"


@cache
def scanner() -> Scanner:
    """One for all: loading it takes longer than a cell."""
    return Scanner.load()


class Box:
    """A carrier that takes everything: who was told what, and when.

    Attributes:
        sent: notices with the text that went out and the second of it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: list[tuple[Notice, str, float]] = []

    def send(self, notice: Notice, incident: Incident, *, public_url: str | None) -> None:
        message = render(notice, incident, public_url=public_url)
        self.sent.append((notice, f"{message.subject}\n{message.text}\n{message.html}", self._clock.monotonic))

    def topics(self) -> list[Topic]:
        return [notice.topic for notice, _, _ in self.sent]


class Cell:
    """Everything of one cell.

    Args:
        folder: empty.
        template: a database with our tables, to be copied.
        service_account: the leaked key is a service account's.
        control: a control key is configured.
        mail: instead of a box.
        channels: likewise.
        policy: what the settings allow.

    Attributes:
        key: the one that leaks; `others` look like it or live beside it, and must never be touched.
    """

    def __init__(
        self,
        folder: Path,
        template: Path,
        *,
        service_account: bool = False,
        control: bool = False,
        mail: Carrier | None = None,
        channels: Carrier | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.folder = folder
        shutil.copy(template, folder / "responder.sqlite")
        shutil.copytree(template.parent / "keys", folder / "keys")
        self.clock = Clock()
        self.vendor, self.hub = Vendor(11), SimulatedGitHub()
        self.openai, self.github = Wire(self.vendor, self.clock), Wire(self.hub, self.clock)
        self.owner = self.vendor.add_user("Ann Owner", "ann@acme.example")
        holder: User | ServiceAccount = self.vendor.add_service_account("bot") if service_account else self.owner
        self.key = self.vendor.add_key("leaked", owner=holder)
        tail = self.key.value[-4:]
        other = self.vendor.add_project("other")
        self._tamper()
        self.others = [
            self.vendor.add_key("beside"),
            self.vendor.add_key("look-alike elsewhere", tail=tail, project=other),
            self.vendor.admin_key,
        ]
        self.box, self.pager = Box(self.clock), Box(self.clock)
        self.stores: list[Store] = []
        self.logs: list[str] = []
        self.store = self.open_store()
        self.keys = Keys(folder / "keys")
        self._digests = fingerprint(Token(self.key.value, "any"), *self.keys.peppers).digests
        self.house = self.make_house(
            "worker-1", self.store, control, mail or self.box, channels or self.pager, policy or Policy()
        )
        self.runner = Runner(
            self.clock, followup.table(self.house), lambda t, error: trouble.give_up(self.house, t, error)
        )
        self._slots = itertools.count()

    def _tamper(self) -> None:
        """Faults that only this table needs."""

        def delete_afterwards(request: Request, _struck: Fault) -> Response:
            answer = self.vendor.dispatch(request)
            self.vendor.delete(self.key)
            return answer

        def without_the_key(request: Request, _struck: Fault) -> Response:
            listed = json.loads(self.vendor.dispatch(request).get_data())
            return reply({**listed, "data": [one for one in listed["data"] if one["id"] != self.key.id]})

        self.vendor.tampers |= {"delete_afterwards": delete_afterwards, "without the leaked key": without_the_key}
        self.vendor.faults.kinds = (*self.vendor.faults.kinds, *self.vendor.tampers)

    def open_store(self) -> Store:
        """Another process's view of the same database."""
        made = Store(f"sqlite:///{self.folder / 'responder.sqlite'}")
        self.stores.append(made)
        return made

    def make_house(
        self, name: str, store: Store, control: bool, mail: Carrier, channels: Carrier, policy: Policy
    ) -> House:
        """A worker of that name."""
        door = Door(
            "openai", "http://openai.example/v1", circuit=Circuit(clock=self.clock.read), transport=self.openai
        )
        provider = OpenAI("default", door, self.vendor.admin_key.value)
        inventory = Inventory(store, provider, (), self.clock, self.clock.sleep)
        canary = None
        if control:
            ours = self.vendor.add_key("canary", project=self.vendor.add_project("canary"))
            self.others.append(ours)
            canary = Control(provider, Token(ours.value, "control"), provider.stranger, self.clock.read)
        github = GitHub(
            Door("github", "http://github.example", circuit=Circuit(clock=self.clock.read), transport=self.github),
            PlainToken(self.hub.token),
            self.clock.read,
        )
        allowance = Allowance(clock=self.clock.read)
        return House(
            store=store,
            scanner=scanner(),
            reach=Reach(github),
            accounts={"openai": [Account(provider, inventory, allowance, control=canary)]},
            outbox=Outbox(store, mail, channels, None, self.clock),
            policy=policy,
            peppers=lambda: self.keys.peppers,
            private=self.keys.private,
            clock=self.clock,
            sleep=self.clock.sleep,
            holder=name,
            stopped=lambda: False,
            is_alive=lambda holder: holder == name,
            ended=lambda _id: None,
        )

    @property
    def inventory(self) -> Inventory:
        return self.house.accounts["openai"][0].inventory

    def warm(self) -> None:
        """The keys are known already."""
        assert self.inventory.sync()
        self.openai.calls.clear()

    # --- ways in

    def report(self, value: str | None = None, name: str = "one") -> str:
        """A manual report, as the receiver writes it down."""
        body = json.dumps({"token": value or self.key.value}).encode()
        id_ = f"rep_{name}"
        sealed = seal(self.keys.public, body, id_)
        return self._accept(Told(id_, "report", "report:bearer:x", {"receipt": name}, self.clock(), sealed))

    def push(self, value: str | None = None, name: str = "pushed") -> str:
        """A push that holds the token."""
        repository = self.hub.add_repository(name)
        made = repository.objects.commit({"a.py": f"KEY = '{value or self.key.value}'\n"}, "Change")
        refs = {"repository": repository.id, "commits": [made.sha], "after": made.sha}
        return self._accept(Told(f"gh_{name}", "github_push", f"github:{repository.id}", refs, self.clock()))

    def alert(self, value: str | None = None, name: str = "alerted", *, hidden: bool = False) -> Alert:
        """An alert that shows the token."""
        repository = self.hub.add_repository(name)
        made = self.hub.alert(repository, value or self.key.value, announce=False)
        made.hidden = hidden
        refs = {"repository": repository.id, "alert": made.number, "action": "created"}
        self._accept(Told(f"gh_{name}", "github_alert", f"github:{repository.id}", refs, self.clock()))
        return made

    def _accept(self, told: Told) -> str:
        with self.store.begin("accept") as tx:
            assert deliveries.accept(tx, told)
        self.runner.add(respond.contain_now(told.id))
        return told.id

    # --- time

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with the schedules of a worker; every invariant is checked after every task.

        A worker sweeps every minute: so it does for the first ones, and then more and more rarely.

        Args:
            seconds: how long at most.
            until: over early; looked at once a sweep.
        """
        began = self.clock.monotonic
        end = began + seconds
        with structlog.testing.capture_logs() as lines:
            try:
                while self.clock.monotonic < end and not until():
                    number, now = next(self._slots), int(self.clock().timestamp())
                    self.runner.add(*(Task(one, f"{one}:{now // every}") for one, every in SCHEDULE.items()))
                    gone = self.clock.monotonic - began
                    step = 60.0 if gone < 240.0 else 600.0 if gone < 2 * HOUR else 6 * HOUR
                    if number % 5 == 0 or step > 60.0:
                        self.runner.add(Task("sync", f"sync:{number}", ("openai", "default")))
                    self.runner.run(min(step, end - self.clock.monotonic), self.check)
            finally:
                self.logs += [json.dumps(line, default=str) for line in lines]

    # --- truth

    def incident(self) -> Record | None:
        """The incident of the leaked token, if there is one."""
        with self.store.read() as tx:
            found = [incidents.get(tx, id_) for id_ in incidents.recent(tx, 100)]
        return next((one for one in found if one.fingerprint.digest in self._digests), None)

    def only_incident(self, tx: Transaction) -> Record:
        """The one there is, whatever its token."""
        (id_,) = incidents.recent(tx, 10)
        return incidents.get(tx, id_)

    def outcome_of(self, delivery_id: str) -> str:
        with self.store.read() as tx:
            return str(tx.execute(sa.select(rows.c.outcome).where(rows.c.id == delivery_id)).scalar_one())

    def incident_state(self) -> str | None:
        found = self.incident()
        return None if found is None else found.state.value

    def incident_events(self) -> list[str]:
        found = self.incident()
        assert found is not None
        with self.store.read() as tx:
            return [line.event for line in incidents.timeline(tx, found.id)]

    def deletes(self) -> list[float]:
        return [call.at for call in self.openai.calls if call.line.startswith("DELETE ")]

    def check(self, task: Task | None = None) -> None:
        """What must be true at every moment."""
        for mutation in self.vendor.deletions:
            assert mutation.key_id == self.key.id, f"a stranger's key was asked to be deleted by {task}"
        assert all(self.vendor.is_live(other.id) for other in self.others if other.verdict == "live")
        self._check_reads_between_deletes()
        alive = self.vendor.is_live(self.key.id)
        with self.store.read() as tx:
            for id_ in incidents.recent(tx, 100):
                record = incidents.get(tx, id_)
                if record.fingerprint.digest not in self._digests:
                    assert record.key_id is None, "a token was taken for another key"
                    continue
                assert record.key_id in (None, self.key.id)
                said = any(incidents.noted(tx, id_, line) for line in ("revoked", "already_gone", "confirmed_dead"))
                over = record.disposition in ("revoked", "already_dead")
                untrue = alive and (said or over or record.revoked_at or record.dead_at)
                assert not untrue, f"after {task}: {record}"

    def _check_reads_between_deletes(self) -> None:
        """After a request whose outcome is unknown the list is read before another."""
        read = True
        for call in list(self.openai.calls):
            if call.line.startswith("DELETE "):
                assert read, "a deletion was repeated without reading first"
                read = False
            elif call.line.startswith(LIST):
                read = True

    def ended_right(self) -> bool:
        """The key is dead, its owner knows, the incident is closed."""
        found = self.incident()
        if found is None or found.state != "closed" or self.vendor.is_live(self.key.id):
            return False
        told = sum(topic in (Topic.REVOKED, Topic.ALREADY_DEAD) for topic in self.box.topics())
        return found.disposition in ("revoked", "already_dead") and (told == 1 or self.key.owner is not self.owner)

    def someone_knows(self) -> bool:
        """Not at its end, and the security team was told."""
        found = self.incident()
        return (found is None or found.state != "closed") and bool(self.pager.sent)

    def is_held(self) -> bool:
        """It waits for a person, who knows."""
        found = self.incident()
        return found is not None and found.state == "held" and Topic.HELD in self.pager.topics()

    def waited_as_asked(self) -> None:
        """After each answer that said for how long: so long, within an hour; and nobody was hammered."""
        for wire in (self.openai, self.github):
            for route in {call.line for call in wire.calls}:
                calls = [call for call in wire.calls if call.line == route]
                for call, following in itertools.pairwise(calls):
                    if call.wait is not None and call.wait.isdecimal():
                        assert following.at - call.at >= min(float(call.wait), HOUR) - 0.01, (call, following)
                span = max((calls[-1].at - calls[0].at) / 60, 1)
                assert len(calls) <= 20 + 6 * span, f"{route}: {len(calls)} calls in {span:.0f} minutes"

    def no_token_anywhere(self) -> None:
        """Neither on disk nor in a log nor in a message."""
        values = [self.key.value, *(other.value for other in self.others)]
        written = b"".join(path.read_bytes() for path in self.folder.glob("responder.sqlite*"))
        said = "\n".join([*self.logs, *(text for _, text, _ in (*self.box.sent, *self.pager.sent))])
        for value in values:
            assert value.encode() not in written
            assert value not in said
            assert value[20:60] not in said

    def close(self) -> None:
        for store in self.stores:
            store.close()
