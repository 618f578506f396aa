"""`responder scan` as a person and a pre-commit hook call it."""

import json
import subprocess
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from responder.cli.scan import scan
from tests.scan import corpus


@pytest.fixture
def value() -> str:
    return corpus.token("openai-project", Random(9))


def _run(*arguments: str | Path, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(scan, [str(each) for each in arguments], input=given)


def test_a_key_in_a_file_is_shown_redacted_with_its_place(tmp_path: Path, value: str) -> None:
    """The output ends up in terminals and build logs."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".env").write_text(f"A=1\nK={value}\n")
    result = _run(tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}/deep/.env:2  openai-project  sk-proj-" in result.stdout
    assert value[12:40] not in result.output


def test_nothing_found_is_nought(tmp_path: Path) -> None:
    """So that a hook lets the commit through."""
    (tmp_path / "a").write_text("task-1\n")
    assert _run(tmp_path).exit_code == 0


def test_standard_input_and_json(value: str) -> None:
    """For other programs; redacted all the same."""
    result = _run("-", "--json", given=f"\nkey: {value}")
    (finding,) = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1
    assert (finding["family"], finding["line"], finding["confidence"]) == ("openai-project", 2, "strong")
    assert value[12:40] not in result.stdout


def test_a_history_is_scanned_with_what_was_removed_or_declared_binary(tmp_path: Path, value: str) -> None:
    """A key that was deleted again, or hidden by an attribute, is as leaked as any."""

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            check=True,
            capture_output=True,
        )

    git("init", "-q", ".")
    (tmp_path / ".gitattributes").write_text("*.env -diff\n")
    (tmp_path / "b.env").write_text(f"x\nK={value}\n")
    git("add", ".")
    git("commit", "-qm", "one")
    git("rm", "-q", "b.env")
    git("commit", "-qm", "two")
    result = _run("--git", tmp_path, "--json")
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["path"], finding["line"], len(finding["commit"])) == ("b.env", 2, 40)


def test_diffs_can_be_given_as_such(value: str) -> None:
    """For hooks that see the push."""
    removed = corpus.added(f"k = {value}\n", Random(1)).replace("\n+k", "\n-k")
    assert _run("--diff", "-", given=removed).exit_code == 0
    assert _run("--diff", "-", given=corpus.added(f"k = {value}\n", Random(1))).exit_code == 1


@pytest.mark.parametrize("arguments", [(), ("nowhere",), ("--git", "/"), ("-", "--rules", "nowhere")])
def test_mistakes_are_two_and_one_line(arguments: tuple[str, ...]) -> None:
    """A person's mistake is no traceback and no finding."""
    result = _run(*arguments, given="")
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output


def test_what_could_not_be_scanned_is_listed(tmp_path: Path) -> None:
    """An archive full of keys is not clean."""
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04rest")
    result = _run(tmp_path)
    assert "1 not scanned" in result.stderr
    assert "a.zip: compressed" in result.stderr


def test_file_names_cannot_steer_the_terminal(tmp_path: Path, value: str) -> None:
    """They come from strangers."""
    (tmp_path / "a\x1b[2Jb").write_text(value)
    assert "\x1b" not in _run(tmp_path).output
