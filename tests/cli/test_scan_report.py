"""`responder scan --report`: what is found is in the responder's inbox, sealed, or it is said why not."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from responder.cli import main
from responder.core.sighting import Source
from responder.seal import Keys, unseal
from responder.simulator import growth
from responder.sources import Material, Reach, doors
from responder.store import Store
from responder.store.tables import deliveries
from tests.grown import NOON

STRONG = growth.grow("openai-project", random.Random(61))
WEAK = "sk-" + "".join(random.Random(62).choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=22))


@pytest.fixture
def data(tmp_path: Path, empty_house: Path) -> Path:
    """A data directory of this test's own."""
    return Path(shutil.copytree(empty_house, tmp_path / "data"))


def run(data: Path, *arguments: str, stdin: str = "") -> Result:
    """Run ``responder scan``; no key may ever be printed."""
    gone = {name: None for name in os.environ if name.startswith("RESPONDER_")}
    given = {**gone, "RESPONDER_CONFIG": os.devnull, "RESPONDER_DATA_DIR": str(data)}
    result = CliRunner().invoke(main, ["scan", *arguments], input=stdin, env=given, prog_name="responder")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert STRONG[8:30] not in result.output
    return result


def handed(data: Path) -> list[Material]:
    """What the worker would look through."""
    store, keys = Store(f"sqlite:///{data / 'responder.sqlite'}"), Keys(data)
    with store.read() as tx:
        rows = tx.execute(sa.select(deliveries).order_by(deliveries.c.received_at)).all()
    store.close()
    found: list[Material] = []
    for row in rows:
        assert STRONG.encode() not in row.sealed
        opened = unseal(keys.private, row.sealed, row.id)
        found += doors()[row.source].material(Reach(None), row.refs, opened, NOON)
    return found


def test_files_and_standard_input_are_handed_over(data: Path, tmp_path: Path) -> None:
    """The same way, whatever was scanned; a place is a digest and a line."""
    (tmp_path / "a.env").write_text(f"\nK={STRONG}\n")
    for arguments, place in (([str(tmp_path / "a.env")], "/2"), (["-"], "-/1")):
        result = run(data, *arguments, "--report", stdin=STRONG)
        assert result.exit_code == 1
        assert "1 handed over, 1 of them for the first time today" in result.stderr
        piece = handed(data)[-1]
        assert (piece.content, piece.source, piece.where) == (STRONG, Source.SCAN, None)
        assert piece.place.endswith(place)
        assert "a.env" not in piece.place


def test_the_place_of_a_file_does_not_depend_on_where_one_stands(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scanned from another folder it is the same file."""
    (tmp_path / "a.env").write_text(STRONG)
    run(data, str(tmp_path / "a.env"), "--report")
    monkeypatch.chdir(tmp_path)
    assert "0 of them for the first time today" in run(data, "a.env", "--report").stderr


def test_many_findings_go_in_batches_and_none_is_lost(data: Path) -> None:
    """A delivery is a step of work: it must not grow without end."""
    tokens = [growth.grow("openai-project", random.Random(n)) for n in range(120)]
    result = run(data, "-", "--report", stdin="\n".join(tokens))
    assert "120 handed over" in result.stderr
    assert sorted(str(piece.content) for piece in handed(data)) == sorted(tokens)


def test_what_no_configured_provider_can_know_stays_here(data: Path) -> None:
    """A weak shape means nothing by itself."""
    result = run(data, "-", "--report", "--json", stdin=f"{WEAK}\n{STRONG}\n")
    assert {one["confidence"] for one in json.loads(result.stdout)["findings"]} == {"weak", "strong"}
    assert [piece.content for piece in handed(data)] == [STRONG]


def test_nothing_found_is_nothing_handed_over(data: Path) -> None:
    """And exit code 0, as without."""
    result = run(data, "-", "--report", stdin="nothing")
    assert (result.exit_code, handed(data)) == (0, [])


def test_only_the_sighted_place_is_looked_for_again() -> None:
    """As with any other delivery."""
    opened = json.dumps({"findings": [{"token": one, "place": one, "where": None} for one in "abc"]}).encode()
    narrow = doors()["scan"].narrow({"backfill": True}, "b")
    assert [one.content for one in doors()["scan"].material(Reach(None), narrow, opened, NOON)] == ["b"]
    assert list(doors()["scan"].material(Reach(None), narrow, None, NOON)) == [], "shredded"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "--report"], "--report needs its inbox.pub"),
        (["--git", ".", "--report", "--web-url", "javascript:alert(1)"], "--web-url must be an https address"),
        (["-", "--report", "--web-url", "https://github.com/o/r"], "--web-url goes with --git and --report"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_scanned(tmp_path: Path, arguments: list[str], said: str) -> None:
    """A scan takes long; and a data directory is not made by mistake."""
    result = run(tmp_path / "nowhere", *arguments, stdin=STRONG)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "nowhere").exists()


def test_without_tables_it_is_said(tmp_path: Path) -> None:
    """One line, as for every other command."""
    Keys(tmp_path / "data").create()
    result = run(tmp_path / "data", "-", "--report", stdin=STRONG)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "responder db upgrade" in result.stderr
