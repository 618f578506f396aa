"""Diffs as Git, GitHub and accidents make them: what is read, where it is said to be, what is said to be missing."""

from collections.abc import Callable
from random import Random

import pytest

from responder.scan import Scanner
from tests.scan import corpus

HEAD = "diff --git a/{p} b/{p}\nindex 3b18e51..9daeafb 100644\n--- a/{p}\n+++ b/{p}\n"


@pytest.fixture
def grow() -> Callable[[], str]:
    random = Random(42)
    return lambda: corpus.token("openai-project", random)


def _places(scanner: Scanner, diff: str | bytes, path: str | None = None) -> list[tuple[str, str | None, int | None]]:
    return [(each.token.reveal(), each.path, each.line) for each in scanner.diff(diff, path).findings]


def test_only_added_lines_count_and_know_their_number(scanner: Scanner, grow: Callable[[], str]) -> None:
    """What a push removes or leaves as it was is no new leak."""
    old, kept, new = grow(), grow(), grow()
    diff = (
        HEAD.format(p="src/a.py")
        + f"@@ -10,3 +10,4 @@ def main(): {grow()}\n x = '{kept}'\n-y = '{old}'\n+y = 1\n+z = '{new}'\n w\n"
    )
    assert _places(scanner, diff) == [(new, "src/a.py", 12)]


def test_a_patch_without_header_is_of_the_file_named_beside_it(scanner: Scanner, grow: Callable[[], str]) -> None:
    """GitHub's compare API sends patches like this; the usual parser loses the whole push."""
    value = grow()
    assert _places(scanner, f"@@ -1,2 +7,3 @@ x\n a\n+k = '{value}'\n b", "lib/k.py") == [(value, "lib/k.py", 8)]


def test_merges_are_read_by_their_columns(scanner: Scanner, grow: Callable[[], str]) -> None:
    """A conflict's resolution can be the one place where a key was typed."""
    both, one, old = grow(), grow(), grow()
    diff = (
        "diff --cc src/m.py\nindex 1,2..3\n--- a/src/m.py\n+++ b/src/m.py\n@@@ -1,2 -1,2 +1,4 @@@ def f():\n"
        f"  x\n++k = '{both}'\n- y = '{old}'\n +z = '{one}'\n"
    )
    assert _places(scanner, diff) == [(both, "src/m.py", 2), (one, "src/m.py", 3)]


@pytest.mark.parametrize(
    "broken",
    [
        "@@ -1,9 +1,9 @@\n+a = 1\n",
        "@@ -1 +1 @@\n+a\n+b\n+c\n d\n",
        "@@ nonsense @@\n+a\n",
        "@@ -1,2 +1,2 @@\ngarbage that is no line of a hunk\n",
        "\x00\x01\x02\n@@\n",
        "GIT binary patch\nliteral 10\nzcmZQzU|?i`U|?ckU|?Y=\n\nliteral 0\nHcmV?d00001\n\n",
    ],
)
def test_a_broken_file_does_not_hide_the_next(scanner: Scanner, grow: Callable[[], str], broken: str) -> None:
    """Anyone who can push could otherwise blind the scanner with one odd file."""
    value = grow()
    diff = HEAD.format(p="broken") + broken + HEAD.format(p="good") + f"@@ -0,0 +1 @@\n+k = '{value}'\n"
    assert (value, "good", 1) in _places(scanner, diff)


@pytest.mark.parametrize("inside", ["\r", "\x0c", "\u2028", "\x1c", "\x85", "\x00", "\x0b"])
def test_lines_end_at_line_feeds_only(scanner: Scanner, grow: Callable[[], str], inside: str) -> None:
    """Python's own idea of a line would shift every number behind a form feed."""
    value = grow()
    diff = HEAD.format(p="a") + f"@@ -0,0 +1,2 @@\n+x{inside}y\r\n+k='{value}'{inside}\r\n"
    assert _places(scanner, diff) == [(value, "a", 2)]


def test_an_added_line_that_looks_like_a_header_stays_a_line(scanner: Scanner, grow: Callable[[], str]) -> None:
    """The text `++ b/evil.txt` must not move the finding to another file."""
    value = grow()
    diff = HEAD.format(p="a.txt") + f"@@ -1,0 +1,3 @@\n+++ b/evil.txt\n+-- x\n+key {value}\n"
    assert _places(scanner, diff) == [(value, "a.txt", 3)]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ('"b/\\303\\251 \\"x\\".py"', 'é "x".py'),
        ("b/with space.py", "with space.py"),
        ("b/tabbed.py\t2026-01-01", "tabbed.py"),
        ("b/dos.py\r", "dos.py"),
    ],
)
def test_paths_are_read_as_git_writes_them(
    scanner: Scanner, grow: Callable[[], str], written: str, path: str
) -> None:
    """The owner is looked up by path."""
    diff = f"diff --git a/x b/x\n--- /dev/null\n+++ {written}\n@@ -0,0 +1 @@\n+{grow()}\n"
    assert [each.path for each in scanner.diff(diff).findings] == [path]


def test_files_of_a_plain_diff_are_told_apart(scanner: Scanner, grow: Callable[[], str]) -> None:
    """`diff -u` writes no `diff --git` lines."""
    one, two = grow(), grow()
    diff = f"--- one.py\n+++ one.py\n@@ -1 +1 @@\n-a\n+{one}\n--- two.py\n+++ two.py\n@@ -5,0 +6 @@\n+{two}\n"
    assert _places(scanner, diff) == [(one, "one.py", 1), (two, "two.py", 6)]


def test_commit_messages_around_diffs_are_scanned(scanner: Scanner, grow: Callable[[], str]) -> None:
    """People paste keys into messages, and `git log -p` puts the next message behind a hunk."""
    first, second = grow(), grow()
    log = f"commit {'1' * 40}\n\n    use {first}\n\n" + corpus.added("x = 1\n", Random(1))
    log += f"\ncommit {'2' * 40}\nAuthor: a\n\n    now {second}\n"
    assert _places(scanner, log) == [(first, None, None), (second, None, None)]


def test_what_a_diff_leaves_out_is_reported(scanner: Scanner) -> None:
    """Not scanned is not clean."""
    cut = HEAD.format(p="cut.py") + "@@ -1,5 +1,9 @@\n a\n+b\n"
    binary = "diff --git a/l.png b/l.png\nindex 1..2 100644\nBinary files a/l.png and b/l.png differ\n"
    gone = "diff --git a/o.png b/o.png\ndeleted file mode 100644\nBinary files a/o.png and /dev/null differ\n"
    large = HEAD.format(p="m.bin") + "@@ -0,0 +1,1 @@\n+version https://git-lfs.github.com/spec/v1\n"
    skipped = [(each.path, each.reason.split(",")[0]) for each in scanner.diff(binary + gone + large + cut).skipped]
    assert skipped == [
        ("l.png", "binary file"),
        ("m.bin", "the content is in Git LFS"),
        ("cut.py", "the diff is cut off: 2 of 9 lines of the last hunk"),
    ]


def test_base64_and_literals_run_on_over_added_lines(scanner: Scanner, grow: Callable[[], str]) -> None:
    """The marks of a diff cut through wrapped base64 and split literals alike."""
    random = Random(8)
    for case in corpus.positives(77):
        if case.layer in ("join", "base64") and not case.diff and random.random() < 0.2:
            found = scanner.diff(corpus.added(case.text, random)).findings
            assert {each.token.reveal() for each in found} >= case.expected.keys(), case.note
