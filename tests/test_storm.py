"""Fifty kills under load, on both databases: nothing acknowledged is lost, nothing harmful happens twice."""

from pathlib import Path

import pytest

from tests.storm import storm

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize(
    ("on_postgres", "kills", "seed"), [(False, 25, 11), (True, 25, 12)], ids=["sqlite", "postgres"]
)
def test_whatever_is_killed_everything_is_accounted_for(
    tmp_path: Path, on_postgres: bool, kills: int, seed: int
) -> None:
    """Machines fail when they like; ``python -m tests.storm`` does it a thousand times."""
    with storm(tmp_path, seed, on_postgres=on_postgres) as raging:
        account = raging.rage(kills)
    assert account.wrong == {}
    assert account.leaked >= kills // 2, "there was a load"
    assert account.duplicates <= kills
