"""Failpoints: nothing unless armed, once only, and never beyond this machine (see test_settings)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder import failpoint
from responder.core.errors import Unavailable
from tests.running import ROOT


@pytest.fixture(autouse=True)
def disarmed(tmp_path: Path) -> Iterator[None]:
    yield
    failpoint.arm("", tmp_path / "spent")


def test_nothing_happens_unless_armed() -> None:
    """It stands in the way of every call and commit."""
    failpoint.hit("commit.decide.before")


def test_it_strikes_at_the_named_place_at_the_named_time_once(tmp_path: Path) -> None:
    """A test says exactly where; a process that was restarted goes on."""
    failpoint.arm("here:fail:2", tmp_path / "spent")
    failpoint.hit("elsewhere")
    failpoint.hit("here")
    with pytest.raises(Unavailable):
        failpoint.hit("here")
    failpoint.hit("here")
    failpoint.arm("here:fail", tmp_path / "spent")
    failpoint.hit("here")


@pytest.mark.parametrize("spec", ["here", "here:", "here:explode", "here:kill:x", "here:kill:-1", ":::"])
def test_another_form_is_refused(tmp_path: Path, spec: str) -> None:
    """A typo must not make a crash test green."""
    with pytest.raises(ValueError, match="RESPONDER_FAILPOINT"):
        failpoint.arm(spec, tmp_path / "spent")


def test_a_kill_leaves_no_time_for_anything(tmp_path: Path) -> None:
    """No handler, no flush, no rollback: as when power fails."""
    code = (
        "import atexit, pathlib\n"
        "from responder import failpoint\n"
        f"failpoint.arm('here:kill', pathlib.Path({str(tmp_path / 'spent')!r}))\n"
        "atexit.register(print, 'said goodbye')\n"
        "try:\n    failpoint.hit('here')\nfinally:\n    print('cleaned up', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-9, b"")
    assert (tmp_path / "spent").exists()
