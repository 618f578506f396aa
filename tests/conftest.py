"""What every test stands on: no way out of this machine, and servers and processes that always end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from responder.simulator import World
from tests import closed
from tests.running import Group

closed.close()

LONG = ("test_storm", "test_flood", "test_catch_up", "test_cluster", "test_crash", "test_adversary", "test_people")
"""Files that take a minute or more: begun first, or the others would be waiting for them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture
def world() -> Iterator[World]:
    """A GitHub, an OpenAI, a mail server and a channel of this test's own."""
    with World() as fresh:
        yield fresh


@pytest.fixture
def make_group(tmp_path: Path) -> Iterator[Callable[..., Group]]:
    """Makes groups of processes that end with the test; settings by name, as in the environment."""
    with ExitStack() as running:

        def make(world: World | None = None, **environment: str) -> Group:
            folder = tmp_path / f"group-{len(list(tmp_path.iterdir()))}"
            settings = {**(world.environment() if world else {}), **environment}
            return running.enter_context(Group(folder, settings))

        yield make
