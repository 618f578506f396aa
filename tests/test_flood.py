"""Made-up tokens by the thousand, and one real leak among them from somebody else.

500 by default; ``TEST_FLOOD=10000`` sets another number.
"""

import os
from collections.abc import Callable

import pytest

from responder.simulator import World
from tests import flooding
from tests.running import Group

COUNT = int(os.environ.get("TEST_FLOOD", "500"))
PATIENCE_SECONDS = max(100.0, COUNT / 8)
pytestmark = pytest.mark.timeout(PATIENCE_SECONDS + 200)


@pytest.mark.parametrize("a_report", [1, 25], ids=["one token a report", "many tokens a report"])
def test_a_real_leak_is_deleted_within_seconds_in_a_flood_of_forgeries(
    world: World, make_group: Callable[..., Group], a_report: int
) -> None:
    """The flood is the distraction; nothing else is deleted, and nobody's pager goes off all night.

    A report of many tokens occupies its place in the worker for long: more of them than there are places
    must not keep anybody else out.
    """
    group = make_group(world)
    seen = flooding.play(world, group, COUNT, victims=200, a_report=a_report, patience_seconds=PATIENCE_SECONDS)
    print(f"\n{seen.deleted_after_seconds:.2f} s to the DELETE, {seen.posts} messages, {seen.peak_megabytes:.0f} MB")
    assert seen.deleted_after_seconds < 10
    assert seen.strays == []
    assert seen.posts <= 5
    assert seen.letters <= 5
    assert seen.peak_megabytes < 400
