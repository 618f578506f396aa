"""Rule files: a user's own families work like the built-in ones, and a mistake stops the start."""

from pathlib import Path
from random import Random

import pytest

from responder.scan import RuleError, Scanner
from responder.scan.shape import parse

ACME = """
# Our own gateway.
[[family]]
id = "acme"
provider = "litellm"
confidence = "weak"
url = "https://gateway.acme.example/keys"
prefix = ["sk-acme-"]
shape = ["{url:32}{end}"]
sample = ["sk-acme-{url:32}"]
counter = ["sk-acme-your-key"]
"""


def _load(folder: Path, text: str) -> Scanner:
    (folder / "acme.toml").write_text(text)
    return Scanner.load([folder])


def test_a_file_in_a_folder_adds_a_family(tmp_path: Path, scanner: Scanner) -> None:
    """A private gateway's keys leak like anybody's."""
    value = parse("sk-acme-{url:32}").grow(Random(3))
    (finding,) = _load(tmp_path, ACME).text(f"key: {value}").findings
    assert (finding.token.reveal(), finding.token.family, finding.provider) == (value, "acme", "litellm")
    assert "acme" not in [each.token.family for each in scanner.text(f"key: {value}").findings]


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (('id = "acme"', 'id = "acme'), 4, "Illegal character"),
        (('confidence = "weak"', 'confidence = "maybe"'), 6, "strong or weak"),
        (('confidence = "weak"\n', ""), 3, "confidence is missing"),
        (('prefix = ["sk-acme-"]', 'prefix = "sk-acme-"'), 8, "a list of strings"),
        (('prefix = ["sk-acme-"]', 'prefix = ["acme-"]'), 8, "begins with sk-"),
        (("{url:32}{end}", "{url:32"), 9, "cannot read the template"),
        (("{url:32}{end}", "{bits:32}{end}"), 9, "no such part"),
        (("{url:32}{end}", "{url:9-4}{end}"), 9, "the smaller number first"),
        (("{url:32}{end}", "{url:1-9}{alnum:3}"), 9, "literal text after it"),
        (
            ('sample = ["sk-acme-{url:32}"]', 'sample = ["sk-acme-{url:30}"]'),
            3,
            "sample 1 of acme is taken for generic",
        ),
        (('prefix = ["sk-acme-"]', 'prefix = ["sk-acme-prod-"]'), 3, "sample 1 of acme"),
        (('counter = ["sk-acme-your-key"]', 'counter = ["sk-acme-{url:32}"]'), 3, "counter-sample 1"),
        (('id = "acme"', 'id = "openai-project"'), 3, "already defined"),
        (('provider = "litellm"', 'provide = "litellm"'), 5, "unknown key provide"),
        (("https://", "http://"), 7, "https://"),
    ],
)
def test_a_bad_rule_file_refuses_to_start(tmp_path: Path, change: tuple[str, str], line: int, reason: str) -> None:
    """A rule that silently matches nothing loses leaks; file, line and reason say what to mend."""
    with pytest.raises(RuleError) as refused:
        _load(tmp_path, ACME.replace(*change))
    place, _, said = str(refused.value).partition(": ")
    assert place == f"{tmp_path / 'acme.toml'}:{line}"
    assert reason in said


def test_a_missing_folder_refuses_to_start(tmp_path: Path) -> None:
    """A typing error in the settings must not switch rules off."""
    with pytest.raises(RuleError, match="not a folder"):
        Scanner.load([tmp_path / "nowhere"])


def test_a_file_that_is_no_text_refuses_to_start(tmp_path: Path) -> None:
    """The reason says so without a traceback."""
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match="cannot be read"):
        Scanner.load([tmp_path])
