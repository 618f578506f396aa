"""What this process does, for those who watch it: a kind, a name of ours, an id, and how it ended.

Never a URL, a header, a body or an exception. Nobody watches unless `app` says
so, and then this costs next to nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

FAILED = "failed"
"""How it ended, unless somebody says otherwise."""

_SPECIAL = frozenset({401, 403, 404, 409, 429})


@dataclass(slots=True)
class Span:
    """Something that is being done.

    Attributes:
        kind: a task of ours, or a call of somebody else's service.
        name: of the task or the operation, out of few; never taken from outside.
        subject: what it is about, as an id.
        outcome: in a word, out of few; set while the span is open.
    """

    kind: Literal["task", "call"]
    name: str
    subject: str = ""
    outcome: str = FAILED


Watcher = Callable[[Span], AbstractContextManager[object]]
"""Is entered when a span begins, and left when it ends."""

_watchers: tuple[Watcher, ...] = ()


def watch(*watchers: Watcher) -> None:
    """Have every span of this process seen by *watchers*, and by nobody else."""
    global _watchers  # noqa: PLW0603 -- one process, one audience
    _watchers = watchers


@contextmanager
def span(kind: Literal["task", "call"], name: str, subject: str = "") -> Iterator[Span]:
    """Something is done in this block; whatever the block raises goes on as it is."""
    seen = Span(kind, name, subject)
    with ExitStack() as watching:
        for watcher in _watchers:
            watching.enter_context(watcher(seen))
        yield seen


def of_status(status: int) -> str:
    """The outcome of a call that was answered: its status where that says something special, else its class."""
    return str(status) if status in _SPECIAL else f"{status // 100}xx"
