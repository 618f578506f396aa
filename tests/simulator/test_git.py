"""The git side agrees with git itself."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.simulator.git import Author, Content, Objects

WHEN = datetime(2026, 11, 20, 9, 14, 3, tzinfo=UTC)


def git(folder: Path, *arguments: str) -> str:
    date = f"{int(WHEN.timestamp())} +0000"
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "Zoë"),
            ("EMAIL", "zoe@acme.example"),
            ("DATE", date),
        )
    }
    command = ["git", "-c", "core.abbrev=7", "-c", "commit.gpgsign=false", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **identity}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")
def test_ids_and_patches_are_those_git_makes(tmp_path: Path) -> None:
    """A responder that checks ids, or falls back to fetching with git, must not notice."""
    first: dict[str, Content] = {
        "a.txt": "one\ntwo\nthree\n",
        "lib/deep/b.py": "x = 1\n",
        "lib.txt": "no newline",
        "bin": b"\0\1",
    }
    second: dict[str, Content] = {
        "a.txt": "one\n2\nthree\nfour",
        "lib/deep/b.py": None,
        "lib.txt": "no newline\n",
        "new/c": "é\n",
    }
    objects = Objects()
    author = Author("Zoë", "zoe@acme.example", "zoe")
    git(tmp_path, "init", "-q", "-b", "main")
    for number, files in enumerate((first, second)):
        for path, content in files.items():
            place = tmp_path / path
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", f"number {number}", "--cleanup=verbatim")
        made = objects.commit(files, f"number {number}\n", author=author, at=WHEN)
        assert made.sha == git(tmp_path, "rev-parse", "HEAD").strip()
    whole = git(tmp_path, "show", "--format=", "--no-color", "HEAD")
    for change in objects.own_changes(made):
        patch = objects.patch(change)
        assert patch
        assert patch in whole


def test_a_rename_a_merge_and_a_forced_away_commit() -> None:
    objects = Objects()
    root = objects.commit({"old.txt": "same\n", "keep": "k"}, "root")
    renamed = objects.commit({"old.txt": None, "dir/new.txt": "same\n"}, "rename")
    change = objects.own_changes(renamed)
    assert [(c.status, c.path, c.previous_path) for c in change] == [("renamed", "dir/new.txt", "old.txt")]
    side = objects.commit({"side": "s"}, "side", branch="side", parents=(root.sha,))
    merged = objects.commit({"side": "s"}, "merge", parents=(renamed.sha, side.sha))
    assert {c.sha for c in objects.ancestry(merged)} == {root.sha, renamed.sha, side.sha, merged.sha}
    assert objects.merge_base(renamed, side) == root
    forced = objects.commit({"keep": "other"}, "forced", parents=(root.sha,))
    assert objects.branches["main"] == forced.sha
    assert objects.resolve(merged.sha) == merged
    assert objects.resolve("no-such-branch") is None


def test_a_secret_added_and_removed_again_is_only_in_the_commits_between() -> None:
    """Why every commit of a push is fetched and not just the comparison."""
    objects = Objects()
    before = objects.commit({"a": "1\n"})
    added = objects.commit({"a": "1\n", ".env": "SECRET\n"})
    after = objects.commit({".env": None})
    assert objects.changes(before, after) == []
    assert "+SECRET" in str(objects.patch(objects.own_changes(added)[0]))
