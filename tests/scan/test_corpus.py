"""What is found and what is left alone, over many texts: ours, grown anew, and the team's when it is there."""

import json
from collections import Counter
from random import Random

import pytest

from responder.scan import Scan, Scanner
from responder.scan.shape import parse
from tests.scan import corpus, innocent


def _scan(scanner: Scanner, case: corpus.Case) -> Scan:
    if case.diff:
        return scanner.diff(case.text)
    return scanner.text(case.text.encode("latin-1") if case.layer == "utf-16" else case.text)


@pytest.mark.parametrize("seed", [11, 1_234, 987_654])
def test_unseen_tokens_of_every_family_come_out_whole_from_every_context(scanner: Scanner, seed: int) -> None:
    """A truncated token matches nothing, and its leak would be closed as unknown."""
    wanted, found, invented = Counter[str](), Counter[str](), 0
    for case in corpus.positives(seed):
        seen = {finding.token.reveal(): finding.token.family for finding in _scan(scanner, case).findings}
        for value, family in case.expected.items():
            wanted[family] += 1
            found[family] += value in seen and corpus.same(family, seen[value])
        invented += len(seen.keys() - case.expected.keys())
    total = found.total()
    assert total / wanted.total() >= 0.98
    assert total / (total + invented) >= 0.98
    assert not {family: found[family] for family in wanted if found[family] < 0.95 * wanted[family]}


def test_nothing_is_found_in_texts_that_only_look_as_if(scanner: Scanner) -> None:
    """Every invented token is a call to a provider, or a person woken."""
    invented = [text for text in innocent.texts(5, 40) if scanner.text(text).findings]
    assert not invented


@pytest.mark.parametrize("family", sorted(corpus.RULES))
def test_samples_are_found_as_their_family_and_counter_samples_are_not_found(scanner: Scanner, family: str) -> None:
    """A rule file is a promise about both."""
    rule = corpus.RULES[family]
    value = corpus.token(family, Random(family))
    (finding,) = scanner.text(f"{rule.near[0] if rule.near else 'key'} = {value}\n").findings
    assert (finding.token.reveal(), finding.token.family) == (value, family)
    assert (finding.provider, finding.confidence) == (rule.provider, rule.confidence)
    for template in rule.counters:
        grown = parse(template).grow(Random(family))
        assert not scanner.text(f"key = {grown}\n").findings


def test_the_teams_corpus_is_found_in_full_and_nothing_else(scanner: Scanner) -> None:
    """The cases on which today's scanners return the right token in a third to a half."""
    if not corpus.shared().exists():
        pytest.skip("the team's corpus is not beside this checkout")
    wrong = []
    for line in corpus.shared().read_text("utf-8").splitlines():
        case = json.loads(line)
        scan = scanner.diff(case["text"]) if case["kind"] == "diff" else scanner.text(case["text"], case["path"])
        seen = {finding.token.reveal(): finding.token.family for finding in scan.findings}
        wanted = {each["token"]: each["family"] for each in case["expected"]}
        allowed = {each["token"] for each in case["optional"]}
        whole = all(value in seen and corpus.same(family, seen[value]) for value, family in wanted.items())
        if not whole or seen.keys() - wanted.keys() - allowed:
            wrong.append(case["id"])
    assert wrong == []
