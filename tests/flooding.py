"""A flood of made-up tokens over many keys, with one real leak among them: played for a test and for a bench."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa

from responder.simulator import World
from responder.simulator.openai_objects import Key
from responder.store import deliveries, keys
from responder.store.tables import incidents
from tests.hook import somebody
from tests.running import Group, eventually

_AT_ONCE = 4


@dataclass(slots=True)
class Flood:
    """What a flood did.

    Attributes:
        forgeries: how many made-up tokens were told.
        told_seconds: how long it took to tell them.
        real: the key that really leaked.
        deleted_after_seconds: from the 202 to the push that told of it until its DELETE arrived.
        waiting: how many deliveries still waited when it leaked.
        strays: deletions of anything else.
        posts: messages in the security channel when the flood had been looked through.
        letters: mails of the owner who has most.
        looked_through_seconds: from the first forgery until every delivery had been looked through.
        peak_megabytes: of the worker's resident memory.
    """

    forgeries: int
    told_seconds: float = 0.0
    real: Key = field(init=False)
    deleted_after_seconds: float = 0.0
    waiting: int = 0
    strays: list[str] = field(default_factory=list)
    posts: int = 0
    letters: int = 0
    looked_through_seconds: float = 0.0
    peak_megabytes: float = 0.0


def play(world: World, group: Group, forgeries: int, victims: int, a_report: int, patience_seconds: float) -> Flood:
    """Flood a group that is not started yet, each report from an address of its own, so that no quota is used up.

    Args:
        world: simulated services.
        group: the responder.
        forgeries: how many made-up tokens.
        victims: how many keys they look like, each with an owner of its own.
        a_report: how many of them stand in one report.
        patience_seconds: for everything to be looked through.
    """
    openai, result = world.openai, Flood(forgeries)
    owned = [openai.add_key(f"key {n}", owner=openai.add_user(f"U{n}", f"u{n}@acme.example")) for n in range(victims)]
    result.real = openai.add_key("real", owner=openai.add_user("Ria", "ria@acme.example"))
    repository = world.github.add_repository("service")
    group.environment["RESPONDER_TRUSTED_PROXIES"] = "1"
    group.start("serve").wait_until_ready()
    world.github.hook_url = f"{group.origin}/hooks/github"
    eventually(lambda: _known(group) > victims, "the keys to be listed")
    forged = [openai.forge(owned[n % victims]) for n in range(forgeries)]
    bodies = [forged[n : n + a_report] for n in range(0, forgeries, a_report)]
    started = time.monotonic()
    _tell(group.origin, bodies[: len(bodies) // 2])
    with group.store.read() as tx:
        result.waiting = deliveries.unfinished(tx)
    pushed = world.github.commit_and_push(repository, {"app.py": f"KEY = '{result.real.value}'\n"})
    assert pushed is not None
    assert pushed.status_code == 202
    answered = time.monotonic()
    _tell(group.origin, bodies[len(bodies) // 2 :])
    result.told_seconds = time.monotonic() - started
    found = eventually(
        lambda: [d for d in openai.deletions if d.key_id == result.real.id],
        "the real key's deletion",
        patience_seconds,
    )
    result.deleted_after_seconds = found[0].monotonic_seconds - answered
    eventually(lambda: _unfinished(group) == 0, "everything to be looked through", patience_seconds)
    result.looked_through_seconds = time.monotonic() - started
    eventually(lambda: _is_closed(group, result.real), "its incident to be closed", patience_seconds)
    result.strays = [d.path for d in openai.mutations if d.key_id != result.real.id]
    result.posts = len(world.channel.posts)
    letters = Counter(address for letter in list(world.mail.letters) for address in letter.recipients)
    result.letters = max(letters.values())
    result.peak_megabytes = max(_peaks(group))
    return result


def _tell(origin: str, bodies: list[list[str]]) -> None:
    """Post reports from several connections; what is turned away for now is told again, as anybody would."""

    def tell(body: list[str]) -> None:
        with_one = {"token": body[0]} if len(body) == 1 else {"tokens": body}
        caller = somebody()
        while True:
            answer = client.post("/v1/reports", json=with_one, headers=caller)
            if answer.status_code != 503:
                break
            time.sleep(0.2)
        assert answer.status_code == 202, answer.text

    with httpx.Client(base_url=origin, timeout=60, trust_env=False) as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(tell, bodies))


def _known(group: Group) -> int:
    with group.store.read() as tx:
        last = keys.listing(tx, "openai", "default")
        return keys.count(tx) if last is not None and last.complete_at is not None else 0


def _is_closed(group: Group, key: Key) -> bool:
    with group.store.read() as tx:
        states = tx.execute(sa.select(incidents.c.state).where(incidents.c.key_id == key.id)).scalars().all()
    return states == ["closed"]


def _unfinished(group: Group) -> int:
    with group.store.read() as tx:
        return deliveries.unfinished(tx)


def _peaks(group: Group) -> Iterator[float]:
    """The most memory each process ever had, in megabytes."""
    for pid in group.pids():
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        yield next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
