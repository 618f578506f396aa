"""The scanner as a whole: its engine, threads, bounds, and what it keeps to itself."""

import logging
import threading
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from responder.scan import Scanner
from tests.scan import corpus


def test_exactly_our_plugin_runs_and_no_filter(scanner: Scanner) -> None:
    """The default filters drop live keys: every UUID, every `.css`, every call that looks like one."""
    from detect_secrets import settings

    assert Scanner.load().text("nothing") == scanner.text("nothing")
    assert [type(each).__name__ for each in settings.get_plugins()] == ["SkTokenDetector"]
    assert settings.get_filters() == []


@pytest.mark.parametrize(
    "pragma", ["# pragma: allowlist secret", "# gitleaks:allow", "# nosec", "// trufflehog:ignore", "# noqa"]
)
def test_no_comment_hides_a_key(scanner: Scanner, pragma: str) -> None:
    """Whoever leaks a key also writes the comment."""
    assert scanner.text(
        f'k = "{corpus.token("anthropic-api", Random(1))}"  {pragma}\n', "tests/fixtures/a.lock"
    ).findings


def test_threads_see_what_one_thread_sees(scanner: Scanner) -> None:
    """detect-secrets loses findings when its settings change in one thread while another scans."""
    cases = [case for case in corpus.positives(3) if not case.diff][::7]
    texts = [case.text.encode("latin-1" if case.layer == "utf-16" else "utf-8") for case in cases]
    alone = [scanner.text(text) for text in texts]
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(n for n, text in enumerate(texts) if scanner.text(text) != alone[n])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    Scanner.load()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_token_is_reported_once_for_each_place(scanner: Scanner) -> None:
    """Twice in a line is one thing to mend, on two lines it is two."""
    value = corpus.token("openrouter", Random(4))
    findings = scanner.text(f"{value} {value}\n{value}\n", "a").findings
    assert [(each.path, each.line) for each in findings] == [("a", 1), ("a", 2)]


def test_nothing_printed_or_logged_holds_the_token(scanner: Scanner, caplog: pytest.LogCaptureFixture) -> None:
    """A finding goes through logs and tracebacks; the token must not."""
    caplog.set_level(logging.DEBUG)
    value = corpus.token("openai-admin", Random(5))
    scan = scanner.text(f"k = '{value}'")
    assert scan.findings
    assert value[12:] not in f"{scan!r} {scan} {caplog.text}"


def test_vendors_are_told_apart_by_the_words_around(scanner: Scanner) -> None:
    """The same 32 digits are DeepSeek's or DashScope's; the nearest name decides, also from the line above."""
    value = corpus.token("hex32", Random(6))
    for text, family in [
        (f"DEEPSEEK_API_KEY={value}", "deepseek"),
        (f"qwen:\n  key: {value}\n", "dashscope"),
        (f"deepseek, then DASHSCOPE={value}", "dashscope"),
        (f"key={value}", "hex32"),
    ]:
        assert [each.token.family for each in scanner.text(text).findings] == [family]


@pytest.mark.parametrize(
    "mark", [b"\x1f\x8b\x08", b"PK\x03\x04", b"%PDF-1.7", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_packed_content_is_not_called_clean(scanner: Scanner, mark: bytes) -> None:
    """What is inside was not seen."""
    assert [each.path for each in scanner.text(mark + b"rest", "x").skipped] == ["x"]


def test_more_tokens_than_the_cap_allows_are_reported(scanner: Scanner) -> None:
    """A cap that says nothing is a hole."""
    many = "\n".join(corpus.token("openrouter", Random(n)) for n in range(10_050))
    assert any("tokens" in each.reason for each in scanner.text(many).skipped)
    assert len(scanner.text(many).findings) == 10_000


def test_a_large_diff_needs_little_memory(scanner: Scanner) -> None:
    """A push of fifty megabytes must not need a few hundred."""
    value = corpus.token("openai-project", Random(2))
    file = corpus.added("nothing to see here, move along\n" * 4_000, Random(1)).encode()
    diff = file * 80 + corpus.added(f"k = '{value}'\n", Random(1)).encode()
    tracemalloc.start()
    scan = scanner.diff(diff)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [each.token.reveal() for each in scan.findings] == [value]
    assert len(diff) > 10_000_000
    assert peak < 1_000_000


def test_utf_16_files_are_read(scanner: Scanner) -> None:
    """PowerShell writes its output so."""
    value = corpus.token("langfuse", Random(3))
    for coding in ("utf-16", "utf-16-le", "utf-16-be"):
        found = scanner.text(f"a\r\nk = {value}\r\n".encode(coding)).findings
        assert [(each.token.reveal(), each.line) for each in found] == [(value, 2)]


def test_a_byte_order_mark_hides_nothing(scanner: Scanner) -> None:
    """Two bytes at the front of a file would otherwise blind the scanner."""
    value = corpus.token("openrouter", Random(3)).encode()
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"):
        assert len(scanner.text(mark + value + b"\n").findings) == 1


def test_the_rules_are_where_the_package_looks_for_them() -> None:
    """In an installed wheel they lie inside the package, in a checkout beside it."""
    from responder.scan.rules import builtin

    assert {path.name for path in builtin().glob("*.toml")} >= {"openai.toml", "anthropic.toml"}
    assert isinstance(builtin(), Path)
