"""A small GitHub, and our side of it."""

from collections.abc import Callable, Iterator

import pytest

from responder.outbound import Door
from responder.simulator.github import GitHub as Vendor
from responder.simulator.github_shapes import Repository
from responder.sources.github_api import GitHub
from responder.sources.github_call import PlainToken


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Ours."""
    return Clock()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """GitHub on loopback, fresh."""
    with Vendor() as server:
        yield server
    assert not server.bugs


@pytest.fixture
def repository(vendor: Vendor) -> Repository:
    """An empty one."""
    return vendor.add_repository()


@pytest.fixture
def make(vendor: Vendor, clock: Clock) -> Iterator[Callable[[str], GitHub]]:
    """Our side, with any credential."""
    door = Door("github", vendor.origin, deadline_seconds=2.0)
    yield lambda credential: GitHub(door, PlainToken(credential), clock)
    door.close()


@pytest.fixture
def github(vendor: Vendor, make: Callable[[str], GitHub]) -> GitHub:
    """Our side, with the right credential."""
    return make(vendor.token)
