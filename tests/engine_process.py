"""One executing process for the engine's tests: told what to do on standard input, and writing down what it did.

Each line is a JSON list: ``["start" | "enqueue", name, key, args, delay_seconds]``,
``["purge", days]``, ``["pending"]``, ``["alive", holder]``, ``["refuse"]`` or ``["quit"]``; each but the
last is answered with a line.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from responder.engine import Engine, Task
from responder.simulator.growth import grow

_TRIES = 2


def _table(folder: Path, secret: str) -> Mapping[str, Callable[..., Sequence[Task]]]:
    def note(line: str) -> None:
        with (folder / "done").open("a") as file:
            file.write(f"{line}\n")

    def work(name: str) -> Sequence[Task]:
        note(name)
        return []

    def slow(name: str) -> Sequence[Task]:
        note(f"{name} began")
        while not (folder / "go").exists():
            time.sleep(0.02)
        note(f"{name} ended")
        return []

    def chain(name: str, left: int) -> Sequence[Task]:
        note(f"{name} {left}")
        return [Task("chain", f"{name}:{left - 1}", (name, left - 1))] if left else []

    def fail(name: str) -> Sequence[Task]:
        note(f"{name} tried")
        raise ValueError(secret)

    return {"work": work, "urgent": work, "slow": slow, "chain": chain, "fail": fail}


def main(url: str, folder: Path) -> None:
    """Run until told to quit, or killed."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    secret = grow("openai-project", random.Random(5))
    engine = Engine(url, folder / "leases", tries=_TRIES, lost_seconds=2.0)

    def give_up(task: Task, error: str) -> Sequence[Task]:
        with (folder / "done").open("a") as file:
            file.write(f"gave up {task.name} {task.args[0]} {error}\n")
        if task.args[0] == "stubborn" and not (folder / "told").exists():
            (folder / "told").touch()
            raise ConnectionError(secret)
        return [Task("work", f"told:{task.args[0]}", (f"told of {task.args[0]}",))]

    engine.launch(_table(folder, secret), give_up, urgent={"urgent"})
    print(json.dumps(engine.holder), flush=True)
    for line in sys.stdin:
        command, *rest = json.loads(line)
        answer: object = None
        if command in ("start", "enqueue"):
            name, key, args, delay = rest
            (engine.start if command == "start" else engine.enqueue)(Task(name, key, tuple(args), delay))
        elif command == "purge":
            answer = engine.purge(timedelta(days=rest[0]))
        elif command == "pending":
            answer = engine.pending()
        elif command == "alive":
            answer = engine.is_alive(rest[0])
        elif command == "refuse":
            try:
                engine.start(Task("work", "refused", (secret.encode(),)))  # type: ignore[arg-type]  # on purpose
            except TypeError as error:
                answer = str(error)
        else:
            break
        print(json.dumps(answer), flush=True)
    engine.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
