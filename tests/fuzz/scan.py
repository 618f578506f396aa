"""Fuzz the scanner by hand: ``python -m tests.fuzz.scan text|diff|round|rules [libFuzzer options]``.

Needs atheris, which is not among the test dependencies. ``text`` and ``diff`` look for exceptions and for
findings that are no tokens; ``round`` plants a token in fuzzed surroundings and looks for it; ``rules``
feeds the reader of rule files.
"""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["responder.scan"]):
    from responder.scan import RuleError, Scan, Scanner

from tests.scan import corpus

SCANNER = Scanner.load()
FAMILIES = sorted(rule.family for rule in corpus.RULES.values() if rule.confidence == "strong")


def _check(scan: Scan) -> None:
    for finding in scan.findings:
        if finding.line is not None and finding.line < 0:
            raise AssertionError("a line below nought")


def text(content: bytes) -> None:
    _check(SCANNER.text(content))


def diff(content: bytes) -> None:
    _check(SCANNER.diff(content))
    _check(SCANNER.diff(content, "given"))


def round_trip(content: bytes) -> None:
    """Surroundings that end in a line of their own never hide a strong token."""
    half = len(content) // 2
    random = Random(len(content))
    value = corpus.token(random.choice(FAMILIES), random)
    found = SCANNER.text(content[:half] + b"\n" + value.encode() + b"\n" + content[half:]).findings
    if value not in {finding.token.reveal() for finding in found}:
        raise AssertionError("a token was hidden")


def rules(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "fuzzed.toml").write_bytes(content)
        try:
            Scanner.load([Path(folder)])
        except RuleError:
            return


TARGETS = {"text": text, "diff": diff, "round": round_trip, "rules": rules}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
