"""What holds for any token, border and layer hypothesis can think of."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.scan import Scanner
from tests.scan import corpus

SCANNER = Scanner.load()
BORDERS = st.sampled_from(
    ["", *" \t\"'`(),;:=/&@<>|#\n日é\0", "\r\n", "\\n", "\\t", '\\"', "\\u0022", "%22", "%20", "\x1b[0m"],
)
GLUE = st.sampled_from(["Bearer_", "_", "-", "key-", "X_", "task"])
UNLIKE = {"generic", "litellm", "helicone", "openai-drift", "anthropic-drift"}
"""Families told by how random they look: a few in a thousand look like words. The scores count these."""
FAMILIES = st.sampled_from(sorted(corpus.RULES.keys() - UNLIKE))
STRONG = st.sampled_from(sorted(rule.family for rule in corpus.RULES.values() if rule.confidence == "strong"))
ESCAPES = st.sampled_from([escape for _, escape in corpus.ESCAPES])
ENCODINGS = st.sampled_from([encode for _, _, encode in corpus.ENCODED])
SEEDS = st.integers(0, 2**32)


def _found(text: str, *, wide: bool = False) -> set[str]:
    scan = SCANNER.text(text.encode("latin-1") if wide else text)
    return {finding.token.reveal() for finding in scan.findings}


@given(FAMILIES, BORDERS, BORDERS, SEEDS)
def test_no_border_hides_or_cuts_a_token(family: str, left: str, right: str, seed: int) -> None:
    """Other scanners accept quotes and spaces, and lose the token before a comma or an escape."""
    value = corpus.token(family, Random(seed))
    assert _found(f"a{left or ' '}{value}{right}") == {value}


@given(STRONG, GLUE, SEEDS)
def test_text_glued_to_its_front_does_not_hide_a_strong_token(family: str, glue: str, seed: int) -> None:
    """Its shape is proof enough."""
    value = corpus.token(family, Random(seed))
    assert value in _found(f"{glue}{value} ")


@given(FAMILIES, ESCAPES, SEEDS)
def test_every_escape_is_undone(family: str, escape: Callable[[str], str], seed: int) -> None:
    """Logs and notebooks escape, and escape again."""
    value = corpus.token(family, Random(seed))
    assert _found(f"{{'k': '{escape(value)}'}}") == {value}


@given(FAMILIES, ENCODINGS, SEEDS)
def test_every_encoding_is_decoded(family: str, encode: Callable[[str, str, Random], str], seed: int) -> None:
    """Base64 is how Kubernetes and HTTP carry secrets, and how people think they hide them."""
    random = Random(seed)
    value = corpus.token(family, random)
    text = encode("SOME_KEY", value, random)
    assert _found(text, wide="\x00" in text) == {value}


@given(FAMILIES, st.sampled_from(corpus.JOINS), SEEDS)
def test_a_literal_in_pieces_is_put_together(family: str, join: tuple[str, str, str, int], seed: int) -> None:
    """Splitting a key is the advice people find to get past push protection."""
    random = Random(seed)
    value = corpus.token(family, random)
    assert value in _found(corpus.taken_apart("SOME_KEY", value, join, random))


LEADS = ["", "sk-", "c2st", "@@ -1 +1 @@\n+", "diff --git a/x b/x\n", "sk\\u002d", "736b2d", "Binary files "]


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=200)), st.sampled_from(LEADS))
def test_nothing_breaks_it(content: bytes | str, lead: str) -> None:
    """What strangers push decides what is scanned."""
    whole = lead * 2 + content + lead if isinstance(content, str) else lead.encode() + content + lead.encode()
    SCANNER.text(whole)
    SCANNER.diff(whole)
    SCANNER.diff(whole, "some/path")


@given(st.text(alphabet="+- @\\\ndiff-sk\"'=%ac2t0", max_size=300), SEEDS)
def test_no_text_before_it_in_another_file_hides_a_token(noise: str, seed: int) -> None:
    """Faults of one file's diff stay in that file."""
    value = corpus.token("openai-project", Random(seed))
    diff = f"diff --git a/n b/n\n@@ -1,9 +1,9 @@\n{noise}\n" + corpus.added(f"key = {value}\n", Random(seed))
    findings = [each for each in SCANNER.diff(diff).findings if each.token.reveal() == value]
    assert [each.path for each in findings] == ["src/new.txt"]
