"""The bell only saves time; it must never cost anything."""

import os
from pathlib import Path

from responder.bell import Ear, ring


def test_rings_are_counted_and_nudges_are_not(tmp_path: Path) -> None:
    """How much arrives is told by them."""
    ear = Ear(tmp_path / "bell")
    for _ in range(3):
        ring(tmp_path / "bell")
        ear.nudge()
    assert ear.hear(5.0) == 3
    assert ear.hear(0.0) == 0
    ear.close()


def test_a_bell_that_nobody_hears_is_rung_in_vain(tmp_path: Path) -> None:
    """A receiver goes on without a worker."""
    ring(tmp_path / "bell")
    Ear(tmp_path / "bell").close()
    ring(tmp_path / "bell")


def test_a_closed_ear_writes_to_nothing_that_was_opened_since(tmp_path: Path) -> None:
    """Its number may belong to a database or to a mail that is being sent."""
    ear = Ear(tmp_path / "bell")
    ear.close()
    opened = [os.open(tmp_path / f"file{number}", os.O_RDWR | os.O_CREAT) for number in range(20)]
    ear.nudge()
    assert ear.hear(0.0) == 0
    ear.close()
    for number, descriptor in enumerate(opened):
        os.close(descriptor)
        assert (tmp_path / f"file{number}").read_bytes() == b""
