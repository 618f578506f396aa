"""A receiver of real processes on a full disk, or with its database gone: refused with 503, never acknowledged."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.hook import SECRET, Sender, assert_problem, dump, push
from tests.running import Group


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """A receiver whose data directory is a small disk of its own."""
    folder = tmp_path_factory.mktemp("disk")
    disk = folder / "data"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no disk may be mounted here")
    try:
        with Group(folder, {"RESPONDER_GITHUB__WEBHOOK_SECRET": SECRET, "RESPONDER_DATA_DIR": str(disk)}) as group:
            group.data = disk
            group.prepare().start("web").wait_until_listening()
            yield Sender(group)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, megabytes: int) -> None:
    with suppress(OSError):
        (disk / "other").write_bytes(b"x" * megabytes * 1024 * 1024)


def refused(sender: Sender, guid: str) -> None:
    answer = sender.post(dump(push()), guid=guid)
    assert_problem(answer, 503)
    assert answer.headers["retry-after"].isdigit()
    assert sender.group.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("megabytes", [40, 200], ids=["nearly full", "full"])
def test_a_disk_without_room_refuses_and_takes_again_once_there_is_some(sender: Sender, megabytes: int) -> None:
    """What is acknowledged is on disk: where there is none, nothing is."""
    guid = f"disk-{megabytes}"
    fill(sender.group.data, megabytes)
    refused(sender, guid)
    assert sender.group.client.get("/readyz").status_code == 503
    assert "disk is nearly full" in sender.group.client.get("/readyz").text
    (sender.group.data / "other").unlink()
    assert sender.post(dump(push()), guid=guid).status_code == 202
    assert len([id_ for id_ in sender.stored() if guid in id_]) == 1


def test_a_database_that_was_taken_away_refuses(sender: Sender) -> None:
    """Connections that are open go on writing into a file that nobody will ever find again."""
    database, aside = sender.group.data / "responder.sqlite", sender.group.data / "aside"
    database.rename(aside)
    refused(sender, "missing")
    aside.rename(database)
    assert sender.post(dump(push()), guid="missing").status_code == 202
