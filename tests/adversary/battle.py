"""One running responder, and every case told to it at once: what was there, what was told, what became of it."""

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any

import sqlalchemy as sa

from responder.core.incident import to_json
from responder.core.token import Token, fingerprint
from responder.seal import Keys
from responder.simulator import World
from responder.simulator.openai_objects import Key
from responder.store import deliveries, incidents, keys
from responder.store.tables import events
from responder.store.tables import incidents as table
from tests.adversary import oracle
from tests.adversary.attacks import ATTACKS, Attack, Ground
from tests.adversary.moods import MOODS, Moods
from tests.hook import somebody
from tests.running import Group, eventually

COVERAGES = ("none", "victim", "all")
_DOORS = ("report", "push", "alert")
_LETTERS = "bcdfghjkmnpqrstvwxz"
_QUARTER = timedelta(minutes=16)


@dataclass(slots=True)
class Case:
    """One attack under one set of conditions.

    Attributes:
        attack: what leaks.
        mood: how the provider answers about it.
        coverage: whose fingerprints are known: nobody's, the victim's, or of every listed key.
        busy: the victim is in use all the time.
        door: through which the responder hears of it.
        ground: where it takes place.
        text: what was told.
        deleted: keys of its projects that somebody asked to be deleted.
        incident: what became of it, in the product's JSON; None if nothing was seen in it.
    """

    attack: Attack
    mood: str
    coverage: str
    busy: bool
    door: str
    ground: Ground = field(init=False)
    text: str = ""
    deleted: list[str] = field(default_factory=list)
    incident: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """For people."""
        state = "busy" if self.busy else "idle"
        return f"{self.attack.__name__} / {self.mood} / fingerprints {self.coverage} / {state}"

    @property
    def outcome(self) -> str:
        """A row of the policy table."""
        one = self.incident
        if one is None:
            return "nothing found in it"
        if one["state"] == "closed":
            return f"closed {one['disposition']}"
        if one["state"] == "open":
            return f"open, {one['decision']}, looked at again"
        return str(one["state"])


def every_case() -> list[Case]:
    """The full product."""
    conditions = product(ATTACKS, MOODS, COVERAGES, (False, True))
    return [Case(*condition, _DOORS[n % len(_DOORS)]) for n, condition in enumerate(conditions)]


def covering_cases() -> list[Case]:
    """Every attack in every mood once, with the other conditions taking turns."""
    chosen = []
    for n, (attack, mood) in enumerate(product(ATTACKS, MOODS)):
        row = n // len(MOODS)
        chosen.append(
            Case(attack, mood, COVERAGES[(n + row) % 3], (n + row) // 3 % 2 == 1, _DOORS[(n + row // 3) % 3])
        )
    for attack in ATTACKS:  # what insiders can do is tried with nobody's fingerprint known, and then with it
        if attack.__name__ in oracle.INSIDER_CASES:
            chosen += [
                Case(attack, mood, coverage, False, "report")
                for mood in ("normal", "slow spread")
                for coverage in ("none", "victim")
            ]
    return chosen


class Battle:
    """Every case on one world and one group.

    Args:
        world: simulated services.
        group: not started yet.
        cases: what is to be played.
    """

    def __init__(self, world: World, group: Group, cases: Sequence[Case]) -> None:
        self.world = world
        self.group = group
        self.cases = cases
        self.moods = Moods(world)
        self._aged: set[str] = set()

    def play(self, patience_seconds: float) -> None:
        """Prepare, list, leak everything at once, and wait until nothing moves any more."""
        prepared = []
        for number, case in enumerate(self.cases):
            case.ground = Ground(
                self.world, f"case{number}", _tail(number), self.world.openai.add_project(f"case {number}")
            )
            attack = case.attack(case.ground)
            next(attack)
            prepared.append(attack)
        self.world.github.hook_url = f"{self.group.origin}/hooks/github"
        self.group.start("serve").wait_until_ready()
        wait_until_listed(self.group, self.world)
        for case, attack in zip(self.cases, prepared, strict=True):
            known = {"none": [], "victim": [case.ground.victim], "all": case.ground.listed}
            register(self.group, known[case.coverage])
            case.text = _end(attack)
            self._set_mood(case)
        self.moods.begin()
        self._tell_all()
        eventually(self._all_decided, "every case to be decided", patience_seconds)
        self.moods.lift()
        end = time.monotonic() + patience_seconds
        while restless := self._restless():
            assert time.monotonic() < end, f"still moving: {[f'{c.name}: {c.outcome}' for c in restless]}"
            self._let_time_pass()
            time.sleep(1)

    def table(self) -> str:
        """How often each attack ended how."""
        counts = Counter((case.attack.__name__, case.outcome) for case in self.cases)
        wrong = Counter(case.attack.__name__ for case in self.cases if self.strays(case))
        lines = [f"{'attack':24}{'outcome':38}{'cases':>6}"]
        lines += [f"{attack:24}{outcome:38}{count:6}" for (attack, outcome), count in sorted(counts.items())]
        lines += [f"{attack:24}{'VICTIM DELETED (insider)':38}{count:6}" for attack, count in sorted(wrong.items())]
        return "\n".join([*lines, f"{'total':62}{len(self.cases):6}"])

    def strays(self, case: Case) -> list[str]:
        """Keys that somebody asked to be deleted and that did not leak."""
        return sorted(set(case.deleted) - oracle.may_be_deleted(self.world, case.text))

    def has_next_step(self, case: Case) -> bool:
        """Whether the engine has something to do about the incident, now or later."""
        assert case.incident is not None
        path = self.group.data / "engine.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as rows:
            found = rows.execute(
                "SELECT count(*) FROM workflow_status WHERE workflow_uuid LIKE ? AND status IN "
                "('PENDING', 'ENQUEUED', 'DELAYED')",
                (f"%:{case.incident['id']}:%",),
            ).fetchone()
        rows.close()
        return bool(found[0])

    def is_told(self, case: Case) -> bool:
        """Whether the security team has a message about it, or one that stands for it and others."""
        assert case.incident is not None
        id_ = case.incident["id"]
        if any(id_ in post.message for post in list(self.world.channel.posts)):
            return True
        with self.group.store.read() as tx:
            digested = tx.execute(sa.select(events.c.detail).where(events.c.event == "digested")).scalars().all()
        return any(detail["incident"] == id_ for detail in digested)

    def _all(self) -> list[Any]:
        return list(self.world.openai.keys.values())

    def _set_mood(self, case: Case) -> None:
        ground = case.ground
        mine = [key for key in self._all() if key.project_id == ground.project.id or key in ground.listed]
        tokens = {key.value for key in mine} | {case.text}
        if case.busy:
            self.world.openai.use(ground.victim)
        self.moods.set(case.mood, tokens, mine, ground.project.id, newest_hidden=ground.newest_hidden)

    def _tell_all(self) -> None:
        repositories = [self.world.github.add_repository(f"service-{n}") for n in range(8)]

        def tell(numbered: tuple[int, Case]) -> None:
            number, case = numbered
            where = repositories[number % len(repositories)]
            if case.busy:
                self.world.openai.use(case.ground.victim)
            if case.door == "push":
                delivery = self.world.github.commit_and_push(where, {f"{number}.env": f"{case.text}\n"})
                assert delivery is not None
                assert delivery.status_code == 202
            elif case.door == "alert":
                self.world.github.alert(where, case.text)
            else:
                self._report(case)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(tell, enumerate(self.cases)))

    def _report(self, case: Case) -> None:
        answer = self.group.client.post("/v1/reports", json={"text": case.text}, headers=somebody())
        assert answer.status_code == 202

    def _all_decided(self) -> bool:
        """Every delivery was looked through, and every incident decided at least once."""
        with self.group.store.read() as tx:
            undecided = sa.select(sa.func.count()).where(table.c.decision.is_(None))
            return tx.execute(undecided).scalar_one() == 0 and not self._unread()

    def _unread(self) -> int:
        with self.group.store.read() as tx:
            return deliveries.unfinished(tx)

    def _let_time_pass(self) -> None:
        """A quarter of an hour goes by for whatever looks dead, and somebody tells of it again; once for each."""
        suspected = set()
        with self.group.store.begin("age") as tx:
            dead_looking = sa.select(table.c.id, table.c.looked_dead_at, table.c.fingerprint).where(
                table.c.looked_dead_at.is_not(None), table.c.state == "open"
            )
            for row in tx.execute(dead_looking).all():
                if row.fingerprint not in self._aged:
                    incidents.change(tx, row.id, looked_dead_at=row.looked_dead_at - _QUARTER)
                    suspected.add(row.fingerprint)
        self._aged |= suspected
        for case in self.cases if suspected else ():
            if suspected & set(self._fingerprints(case)):
                self._report(case)

    def _restless(self) -> list[Case]:
        """Cases of which more is to be expected soon."""
        unread = self._unread()
        self._take_stock()
        return [case for case in self.cases if unread or not self._is_at_rest(case)]

    def _is_at_rest(self, case: Case) -> bool:
        one = case.incident
        if one is None or one["state"] == "closed":
            return True
        if one["state"] == "held":
            return self.is_told(case)
        return case.mood == "may not delete" and one["decision"] == "revoke" and self.is_told(case)

    def _take_stock(self) -> None:
        """Read what became of each case."""
        with self.group.store.read() as tx:
            ids = {row.fingerprint: row.id for row in tx.execute(sa.select(table.c.id, table.c.fingerprint))}
            for case in self.cases:
                mine = [ids[digest] for digest in self._fingerprints(case) if digest in ids]
                case.incident = dict(to_json(incidents.load(tx, mine[0]))) if mine else None
        asked = list(self.world.openai.deletions)
        for case in self.cases:
            mine_too = {key.id for key in self._all() if key.project_id == case.ground.project.id}
            mine_too |= {key.id for key in case.ground.listed}
            case.deleted = [deletion.key_id or "" for deletion in asked if deletion.key_id in mine_too]

    def _fingerprints(self, case: Case) -> list[str]:
        """Under which names the incident of what was told may stand: of a key in it, else of the whole text."""
        inside = [key.value for key in self._all() if key.value in case.text]
        peppers = Keys(self.group.data).peppers
        whole = [value for value in [*inside, case.text] if value.replace("-", "").replace("_", "").isalnum()]
        return [fingerprint(Token(value, "openai-project"), *peppers).digest for value in whole]


def wait_until_listed(group: Group, world: World) -> None:
    """Return once the responder knows every key that is live."""
    live = sum(key.deleted_monotonic_seconds is None for key in world.openai.keys.values())

    def known() -> bool:
        with group.store.read() as tx:
            last = keys.listing(tx, "openai", "default")
            return last is not None and last.complete_at is not None and keys.count(tx) >= live

    eventually(known, "every key to be listed")


def register(group: Group, whose: Sequence[Key]) -> None:
    """Bind fingerprints of listed keys as `responder keys register` would have, while each was alone."""
    peppers = Keys(group.data).peppers
    with group.store.begin("register") as tx:
        for key in whose:
            known = keys.get(tx, "openai", "default", key.id)
            assert known is not None
            seen = fingerprint(Token(key.value, key.family), *peppers)
            keys.bind(tx, known, seen.digest, seen.peppers[0] if seen.peppers else None)


def _tail(number: int) -> str:
    """Four visible characters of a case's own, so that the cases do not meet."""
    letters = ""
    for _ in range(3):
        number, one = divmod(number, len(_LETTERS))
        letters += _LETTERS[one]
    return f"{letters}A"


def _end(attack: Any) -> str:
    try:
        next(attack)
    except StopIteration as end:
        return str(end.value)
    raise AssertionError("an attack has one yield")
