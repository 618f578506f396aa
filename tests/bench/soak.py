"""An hour of steady traffic with faults: whether memory, open files and the databases stay flat.

Run it with ``.venv/bin/python -m tests.bench.soak --minutes 60``. Twenty deliveries a second, a real leak every
few seconds, a provider and a GitHub that fail now and then, and a retention of a few minutes, so that forgetting
is part of it.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from responder.simulator import World
from responder.simulator.openai_objects import Key
from tests.bench.load import request
from tests.running import Group, eventually

_SETTINGS = {
    "RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "100000",
    "RESPONDER_RETENTION__DAYS": "0.002",
    "RESPONDER_RETENTION__INCIDENT_DAYS": "0.002",
}


def main() -> None:
    """Soak, and print one line a minute and a last table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="deliveries a second")
    parser.add_argument("--leak-every", type=float, default=5, help="seconds")
    wanted = parser.parse_args()
    rows: list[Mapping[str, float]] = []
    leaked: list[Key] = []
    with tempfile.TemporaryDirectory() as folder, World() as world:
        group = Group(Path(folder), {**world.environment(), **_SETTINGS})
        with group.prepare():
            group.start("serve").wait_until_ready()
            world.github.hook_url = f"{group.origin}/hooks/github"
            stop = threading.Event()
            threads = [
                threading.Thread(target=_post, args=(group, 1 / wanted.rate, stop)),
                threading.Thread(target=_leak, args=(world, leaked, wanted.leak_every, stop)),
            ]
            for thread in threads:
                thread.start()
            print(f"{'minute':>7}{'MiB':>8}{'files':>7}{'ours KiB':>10}{'engine KiB':>11}{'deleted':>9}")
            end = time.monotonic() + wanted.minutes * 60
            while time.monotonic() < end:
                stop.wait(60)
                rows.append(_look(group, world))
                print(
                    f"{len(rows):7}{rows[-1]['memory']:8.0f}{rows[-1]['files']:7.0f}{rows[-1]['ours']:10.0f}"
                    f"{rows[-1]['engine']:11.0f}{rows[-1]['deleted']:9.0f}",
                    flush=True,
                )
            stop.set()
            for thread in threads:
                thread.join()
            eventually(group.is_idle, "everything to be finished", 900)
            left = sum(world.openai.is_live(key.id) for key in leaked)
    settled = rows[len(rows) // 2 :]
    print(f"leaked keys: {len(leaked)}, alive at the end: {left}")
    for name in ("memory", "files", "ours", "engine"):
        print(f"{name} per 10 minutes: {10 * _slope([row[name] for row in settled]):+.2f}")


def _slope(values: list[float]) -> float:
    """A minute's growth, over the last half: by then as much is forgotten as comes in."""
    return statistics.linear_regression(range(len(values)), values).slope if len(values) > 1 else 0.0


def _post(group: Group, pause: float, stop: threading.Event) -> None:
    """Pushes that delete a branch."""
    host, lane = group.origin.removeprefix("http://"), random.Random(1)
    secret = group.environment["RESPONDER_GITHUB__WEBHOOK_SECRET"]
    with httpx.Client(trust_env=False) as client:
        while not stop.wait(pause):
            head, _, body = request(host, "/hooks/github", secret, 2048, lane.randrange(1, 50)).partition(b"\r\n\r\n")
            fields = (line.partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
            client.post(f"{group.origin}/hooks/github", content=body, headers=list(fields))


def _leak(world: World, leaked: list[Key], pause: float, stop: threading.Event) -> None:
    """A new key every time, and now and then a fault."""
    owner = world.openai.add_user("Ada Example", "ada@acme.example")
    repository = world.github.add_repository()
    chance = random.Random(2)
    while not stop.wait(pause):
        leaked.append(key := world.openai.add_key("soaked", owner=owner))
        world.github.commit_and_push(repository, {"a.py": f"K = '{key.value}'\n"})
        for service, times in ((world.openai, 3), (world.github, 2)):
            if chance.random() < 0.2:
                service.faults.clear()  # those that nobody met: now and then, and not for good
                service.faults.add("", "status", times, status=502)


def _look(group: Group, world: World) -> Mapping[str, float]:
    """Memory and open files of all processes, and the size of both databases."""
    memory = files = 0.0
    for pid in group.pids():
        folder = Path("/proc") / str(pid)
        try:
            memory += int((folder / "statm").read_text().split()[1]) * 4096 / 1024**2
            files += len(list((folder / "fd").iterdir()))
        except OSError:  # gone in the meantime
            continue
    return {
        "memory": memory,
        "files": files,
        "ours": (group.data / "responder.sqlite").stat().st_size / 1024,
        "engine": (group.data / "engine.sqlite").stat().st_size / 1024,
        "deleted": float(len(world.openai.deletions)),
    }


if __name__ == "__main__":
    main()
