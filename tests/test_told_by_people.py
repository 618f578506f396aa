"""Leaks that people tell of: by the API, from a terminal, on the web page, and by scanning what is long past."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from responder.simulator.openai_objects import Key
from responder.store.tables import deliveries, sightings
from tests import browser
from tests.browser import Browser
from tests.town import Scene, Town, town

WEB_URL = "https://github.com/acme/old"
FILE = "named-after-a-customer.env"


@dataclass
class Told:
    """What was leaked, and what telling of it printed or showed.

    Attributes:
        keys: those that leaked.
        said: output of commands, or text of pages.
        statuses: exit codes, where it was a command.
    """

    keys: Sequence[Key]
    said: Sequence[str] = ()
    statuses: Sequence[int] = ()


def three(place: Town, name: str) -> list[Key]:
    return [place.key(f"{name}-{number}") for number in range(3)]


def several_in_one_report(place: Town) -> Scene[Told]:
    keys = three(place, "several")
    yield
    place.report(
        tokens=[*(key.value for key in keys), place.world.openai.forge(keys[0])], url="https://paste.example/x"
    )
    return Told(keys)


def from_a_terminal(place: Town) -> Scene[Told]:
    keys = three(place, "terminal")
    yield
    (place.group.folder / "found.txt").write_text(f"one\nK={keys[0].value}\n")
    (place.group.folder / "bearer").write_text("made-up-bearer\n")
    url = ("--url", "https://paste.example/y")
    done = [
        place.group.run("report", "--to", place.group.origin, "found.txt"),
        place.group.run("report", "--bearer-file", "bearer", "--json", stdin=f"{keys[2].value}\n"),
    ]
    hour = -1
    while hour != datetime.now(UTC).hour:  # only within an hour is the same report the same
        hour = datetime.now(UTC).hour
        done[2:] = [place.group.run("report", *url, *source, stdin=keys[1].value) for source in ((), ("-",))]
    return Told(keys, [one.stdout + one.stderr for one in done], [one.returncode for one in done])


def on_the_page(place: Town) -> Scene[Told]:
    key = place.key("page")
    yield
    if browser.PROGRAM is None:
        return Told([])
    with Browser(place.group.folder / "profile") as visitor:
        visitor.open(f"{place.group.origin}/report")
        visitor.write("#text", f"Look what I found:\n{key.value}\n")
        visitor.write("#url", "https://paste.example/z")
        visitor.press("button")
        said = [visitor.ask("document.body.innerText"), visitor.ask("location.href"), *visitor.complaints()]
    return Told([key], said)


def long_past(place: Town) -> Scene[Told]:
    keys = three(place, "past")
    yield
    old = place.group.folder / "old"
    for number, key in enumerate(keys):
        commit(old, {FILE: f"a\nb\nKEY={key.value}\n" if number else f"KEY={key.value}\n"})
        commit(old, {FILE: "KEY=\n"})
    done = [place.group.run("scan", "--git", str(old), "--report", "--web-url", WEB_URL) for _ in range(2)]
    return Told(keys, [one.stdout + one.stderr for one in done], [one.returncode for one in done])


def commit(folder: Path, files: dict[str, str]) -> None:
    """One more commit in a repository, which is made if there is none."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    identity = ["-c", "user.name=a", "-c", "user.email=a@acme.example"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "Change"]):
        subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("people")
    scenes = (several_in_one_report, from_a_terminal, on_the_page, long_past)
    with town(folder, 77, *scenes, RESPONDER_REPORTS__TOKENS="made-up-bearer") as made:
        yield made


def seen(incident: dict[str, Any]) -> list[tuple[str, str | None]]:
    """How and where the token of an incident was seen."""
    return [(one["source"], one["where"]) for one in incident["sightings"]]


def test_every_token_of_one_report_is_dealt_with_at_a_place_of_its_own(place: Town) -> None:
    """A paste holds a whole `.env` file: the second key is as leaked as the first."""
    for key in place.after(several_in_one_report).keys:
        assert seen(place.contained(key)) == [("report", "https://paste.example/x")]
    with place.group.store.read() as tx:
        query = sa.select(sightings.c.place).where(sightings.c.where == "https://paste.example/x")
        places = [one.rpartition("/") for one in tx.execute(query).scalars()]
    assert len({receipt for receipt, _, _ in places}) == 1
    assert sorted(index for _, _, index in places) == ["0", "1", "2", "3"]


def test_a_report_from_a_terminal_is_dealt_with_and_repeats_no_key(place: Town) -> None:
    """Two calm lines, or JSON for a script; the same report twice is one."""
    told = place.after(from_a_terminal)
    assert told.statuses == [0, 0, 0, 0], told.said
    for key, url in zip(told.keys, (None, "https://paste.example/y", None), strict=True):
        assert set(seen(place.contained(key))) == {("report", url)}
        assert not any(key.value[8:30] in said for said in told.said)
    assert [said.count("\n") for said in told.said] == [2, 1, 2, 2]
    assert json.loads(told.said[1])["to"] == place.group.origin
    assert told.said[2] == told.said[3], "the same receipt"


def test_a_person_with_a_browser_is_all_it_takes(place: Town) -> None:
    """No JavaScript, no key in any address, and nothing that the browser had to refuse."""
    if browser.PROGRAM is None:
        pytest.skip("no Chromium here")
    told = place.after(on_the_page)
    text, address, *complaints = told.said
    assert "Your report is stored" in text
    assert address == f"{place.group.origin}/report"
    assert complaints == []
    assert seen(place.contained(told.keys[0])) == [("report", "https://paste.example/z")]


def test_keys_in_deleted_lines_of_an_old_history_are_revoked(place: Town) -> None:
    """Nobody reads old commits but thieves."""
    told = place.after(long_past)
    assert told.statuses == [1, 1], told.said
    for key in told.keys:
        ((source, where),) = seen(place.contained(key))
        assert source == "scan"
        assert where is not None
        assert where.startswith(f"{WEB_URL}/commit/")
        assert not any(key.value[8:30] in said for said in told.said)


def test_the_same_scan_again_adds_nothing(place: Town) -> None:
    """It runs every night, perhaps."""
    first, again = place.after(long_past).said
    assert "3 handed over, 3 of them for the first time today" in first
    assert "3 handed over, 0 of them for the first time today" in again
    with place.group.store.read() as tx:
        rows = tx.execute(sa.select(deliveries).where(deliveries.c.source == "scan")).all()
        places = tx.execute(sa.select(sightings.c.place).where(sightings.c.source == "scan")).scalars().all()
    assert [(row.refs, row.lane) for row in rows] == [({"backfill": True}, "scan")]
    assert len(places) == 3
    assert sorted(one.rpartition("/")[2] for one in places) == ["1", "3", "3"], "commit, name and line"


def test_no_name_of_a_scanned_file_is_kept(place: Town) -> None:
    """A file may be named after its secret."""
    place.group.wait_until_idle()
    for path in place.group.data.glob("*.sqlite*"):
        assert FILE.encode() not in path.read_bytes()
    assert FILE not in place.group.log
