"""What does not go as it should: tried again ever more rarely, and said to the security team, once."""

from collections.abc import Sequence

from responder.core.notice import Topic
from responder.engine import Task
from responder.house import House
from responder.proof import Account
from responder.ruling import tell_soon
from responder.store import Transaction, deliveries, incidents


def report_stuck(house: House, tx: Transaction, about: str, why: str, *, always: bool = False) -> None:
    """Owe the security team a word about what cannot go on without them, once; *always*: whatever else they hear."""
    if not incidents.noted(tx, about, "stuck"):
        incidents.note(tx, about, "stuck", house.clock(), {"why": why})
    house.outbox.owe_security(tx, about, Topic.STUCK, always=always)


def report_lockout(house: House, account: Account) -> Sequence[Task]:
    """Tell the security team, once a day, that a provider refuses our own credential; nothing if it does not."""
    if not account.inventory.locked_out:
        return []
    who = (account.provider.provider, account.provider.account)
    about = f"lockout_{who[0]}_{who[1]}_{house.clock():%Y%m%d}"
    with house.store.begin("lockout") as tx:
        why = f"{who[0]} refuses our own admin key (account {who[1]}): until it is replaced, no leak can be revoked."
        report_stuck(house, tx, about, why, always=True)
    return [tell_soon(about, "lockout")]


def give_up(house: House, task: Task, error: str) -> Sequence[Task]:
    """A task failed for a reason nobody foresaw, again and again: a person is told."""
    about = str(task.args[0]) if task.args else task.name
    with house.store.begin("give_up") as tx:
        if not about.startswith("inc_"):
            deliveries.end(tx, about, f"failed: {error}", house.clock(), failed=True)
        report_stuck(house, tx, about, f"The task {task.name} failed again and again: {error}.")
    return [] if task.name == "tell" else [tell_soon(about, f"gave-up-{task.name}")]


def pause(attempt: int) -> float:
    """Seconds before the next attempt: 1, 2, 4 … 300."""
    return float(min(2**attempt, 300))
