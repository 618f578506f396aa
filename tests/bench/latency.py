"""How long after its 202 a leaked key's deletion is asked for, beside the round trips nobody can avoid.

Run it with ``.venv/bin/python -m tests.bench.latency``. One leak at a time, the one before it finished; every
answer of the simulated services is 50 ms away. The floor is the same sequence of requests, made one after
another by a bare client in the same run, in turns with the leaks: fetch the commit, ask the token, list its
project; the deletion is counted when it arrives.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from responder.core.token import Token, fingerprint
from responder.seal import Keys
from responder.simulator import World
from responder.simulator.openai_objects import Key
from responder.store import keys
from tests.hook import somebody
from tests.running import Group, eventually


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaks", type=int, default=30, help="of each kind")
    parser.add_argument("--away", type=float, default=0.05, help="seconds before every simulated answer")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, World() as world:
        owner = world.openai.add_user("Ada Example", "ada@acme.example")
        grown = [world.openai.add_key(f"key {n}", owner=owner) for n in range(2 * wanted.leaks)]
        settings = {"RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "100000", "RESPONDER_TRUSTED_PROXIES": "1"}
        with Group(Path(folder), world.environment() | settings) as group:
            group.start("serve").wait_until_ready()
            eventually(lambda: _known(group, len(grown)), "the keys to be listed")
            world.openai.latency_seconds = world.github.latency_seconds = wanted.away
            world.github.hook_url = f"{group.origin}/hooks/github"
            pushed, floor = _pushes(world, group, grown[: wanted.leaks])
            reported = _reports(world, group, grown[wanted.leaks :])
    rows = (("push of an unregistered key", pushed), ("its unavoidable round trips", floor))
    print(
        f"{wanted.leaks} leaks of each kind, answers {wanted.away * 1000:.0f} ms away; ms from the 202 to the DELETE"
    )
    print(f"{'':34}{'p50':>8}{'p99':>8}{'max':>8}")
    for name, row in (*rows, ("report of a fingerprinted key", reported)):
        print(f"{name:34}" + "".join(f"{value * 1000:8.1f}" for value in (_at(row, 0.5), _at(row, 0.99), max(row))))
    print(
        f"{'push / round trips':34}"
        + "".join(f"{_at(pushed, quantile) / _at(floor, quantile):8.2f}" for quantile in (0.5, 0.99))
    )


def _known(group: Group, count: int) -> bool:
    with group.store.read() as tx:
        last = keys.listing(tx, "openai", "default")
        return last is not None and last.complete_at is not None and keys.count(tx) >= count


def _pushes(world: World, group: Group, grown: Sequence[Key]) -> tuple[list[float], list[float]]:
    """One push a key, each followed by the bare sequence for the same commit and project."""
    repository = world.github.add_repository("service")
    took, floor = [], []
    with httpx.Client(trust_env=False) as client:
        for key in grown:
            made = repository.objects.commit({"app.py": f'KEY = "{key.value}"\n'}, "Change")
            floor.append(_bare(client, world, repository.id, made.sha, key))
            delivery = world.github.push(repository, made)
            assert delivery is not None
            answered = time.monotonic()
            assert delivery.status_code == 202
            took.append(_deleted(world, key) - answered)
            group.wait_until_idle()
    return took, floor


def _bare(client: httpx.Client, world: World, repository: int, sha: str, key: Key) -> float:
    github = {"authorization": f"Bearer {world.github.token}"}
    token = {"authorization": f"Bearer {key.value}"}
    admin = {"authorization": f"Bearer {world.openai.admin_key.value}"}
    base, project = world.openai.base_url, key.project_id
    started = time.monotonic()
    for url, headers in (
        (f"{world.github.origin}/repositories/{repository}/commits/{sha}", github),
        (f"{base}/models", token),
        (f"{base}/organization/projects/{project}/api_keys?owner_project_access=any&limit=100", admin),
    ):
        assert client.get(url, headers=headers).status_code == 200
    return time.monotonic() - started


def _reports(world: World, group: Group, grown: Sequence[Key]) -> list[float]:
    """One report a key whose fingerprint was bound beforehand: nothing has to be asked first."""
    pepper = Keys(group.data).pepper
    took = []
    for key in grown:
        with group.store.read() as tx:
            known = keys.get(tx, "openai", "default", key.id)
        assert known is not None
        with group.store.begin("bench") as tx:
            keys.bind(tx, known, fingerprint(Token(key.value, "openai-project"), pepper).digest)
        answer = group.client.post("/v1/reports", json={"token": key.value}, headers=somebody())
        assert answer.status_code == 202
        answered = time.monotonic()
        took.append(_deleted(world, key) - answered)
        group.wait_until_idle()
    return took


def _deleted(world: World, key: Key) -> float:
    found = eventually(lambda: [one for one in world.openai.deletions if one.key_id == key.id], "the deletion")
    assert len(found) == 1
    return found[0].monotonic_seconds


def _at(row: Sequence[float], quantile: float) -> float:
    return statistics.quantiles(row, n=100, method="inclusive")[round(quantile * 100) - 1]


if __name__ == "__main__":
    main()
