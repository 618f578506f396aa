"""Find whole tokens in one line of text, by rules.

Linear: looks at every ``sk-`` once, never at more than a token's length after it. Refuses to return
part of a token: what does not end as its family ends is not found at all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from responder.scan import chance
from responder.scan.rules import Rule, RuleError
from responder.scan.shape import LONGEST, parse

_RUN = re.compile(r"[A-Za-z0-9_-]*").match
_SHORTEST = 16
_SEEN_BEFORE, _SEEN_AFTER = 160, 60
_CLEAN = re.compile(
    r"""(?: (?:^|[^A-Za-z0-9_-]) _{0,3}                # nothing, or emphasis as in Markdown
        | \\[abefnrtv0"'/] | \\[0-7]{3} | \\u[0-9a-fA-F]{4} | \\u\{[0-9a-fA-F]{1,6}\} | \\x[0-9a-fA-F]{2}
        | :- | %[0-9a-fA-F]{2} | =[0-9A-F]{2} | \[[0-9;]{0,12}m
        )\Z""",
    re.VERBOSE,
).search
_LONGEST_BORDER = 18
# What follows a redacted or generated name, not a token: dots, stars, placeholders, the ending of a file.
_CUT = (
    *("..", "…", "\xe2\x80\xa6", "•", "\xe2\x80\xa2", "***", "${", "{", "%s", "[R", "[r", "[MASK", "<red", "<RED"),
    *(
        ".js",
        ".mjs",
        ".cjs",
        ".css",
        ".map",
        ".json",
        ".html",
        ".svg",
        ".png",
        ".jpg",
        ".woff",
        ".gz",
        ".zip",
        ".tar",
    ),
)


class Read(NamedTuple):
    """A token and where it stands."""

    start: int
    value: str
    rule: Rule


@dataclass(frozen=True)
class Reader:
    """Rules, ready to read with."""

    rules: Sequence[Rule]

    def read(self, line: str, before: str = "") -> Iterator[Read]:
        """Every token in *line*; *before* is the text that precedes it, for context only."""
        at = line.find("sk-")
        while at >= 0:
            found = self._at(line, at, before)
            if found:
                yield found
            at = line.find("sk-", at + (len(found.value) if found else 3))

    def closed(self, value: str, family: str) -> bool:
        """Whether *value*, of *family*, says itself where it ends, so that nothing can follow."""
        rule = self._named[family]
        return any(
            shape.closed and (found := shape.match(value, len(prefix))) is not None and found.end() == len(value)
            for prefix in rule.prefixes
            if value.startswith(prefix)
            for shape in rule.shapes
        )

    def strong(self, family: str) -> bool:
        """Whether tokens of *family* may act by themselves."""
        return self._named[family].confidence == "strong"

    @cached_property
    def _named(self) -> dict[str, Rule]:
        return {rule.family: rule for rule in self.rules}

    def _at(self, line: str, at: int, before: str) -> Read | None:
        match = _RUN(line, at, at + LONGEST + 1)
        run = match[0] if match else ""
        # Emphasis in Markdown ends what does not itself say where it ends.
        bare = run[:-1] if run.endswith("_") and line[at - 1 : at] == "_" else run
        if len(run) < _SHORTEST or run.startswith("sk-", 3):
            return None
        clean: bool | None = None
        nearest: tuple[int, Read] | None = None
        for rule in self._beginning(run[3]):
            if nearest and not rule.near:
                break
            if rule.clean:
                clean = _is_clean(line, at) if clean is None else clean
                if not clean:
                    continue
            value = _value(rule, bare if rule.clean else run)
            if not value or (rule.confidence == "weak" and line.startswith(_CUT, at + len(run))):
                continue
            if not rule.near:
                return Read(at, value, rule)
            distance = _distance(rule.near, line, at, at + len(value), before)
            if distance is not None and (nearest is None or distance < nearest[0]):
                nearest = (distance, Read(at, value, rule))
        return nearest[1] if nearest else None

    def _beginning(self, character: str) -> Sequence[Rule]:
        """The rules for tokens with *character* behind ``sk-``, in order."""
        return self._starting.get(character, self._anything)

    @cached_property
    def _anything(self) -> Sequence[Rule]:
        return [rule for rule in self.rules if "sk-" in rule.prefixes]

    @cached_property
    def _starting(self) -> dict[str, Sequence[Rule]]:
        letters = {prefix[3] for rule in self.rules for prefix in rule.prefixes if prefix != "sk-"}
        return {
            letter: [rule for rule in self.rules if any(p[3:4] in ("", letter) for p in rule.prefixes)]
            for letter in letters
        }


def prove(reader: Reader) -> None:
    """Grow every rule's samples and counter-samples and see that only the samples are found.

    Raises:
        RuleError: a rule does not do what it says.
    """
    for rule in reader.rules:
        lead = f"{rule.near[0]} = " if rule.near else "key = "
        for number, sample in enumerate(rule.samples, 1):
            seeds = (Random(f"{sample} {attempt}") for attempt in range(5))  # noqa: S311  (samples are no secrets)
            grown = [parse(sample).grow(seed) for seed in seeds]
            found = [next(reader.read(lead + value), None) for value in grown]
            # One in some hundred weak tokens looks like a word by chance; not all of five do.
            if not any(
                each and (each.value, each.rule) == (value, rule) for each, value in zip(found, grown, strict=True)
            ):
                taken = sorted({each.rule.family for each in found if each and each.rule is not rule})
                why = f"is taken for {', '.join(taken)}; try a lower rank" if taken else "is not found whole"
                raise RuleError(f"{rule.where}: sample {number} of {rule.family} {why}")
        for number, counter in enumerate(rule.counters, 1):
            seed = Random(counter)  # noqa: S311  (as above)
            if any(reader.read(lead + parse(counter).grow(seed))):
                raise RuleError(f"{rule.where}: counter-sample {number} of {rule.family} is found")


def _value(rule: Rule, run: str) -> str:
    if run.startswith(rule.never):
        return ""
    for prefix in rule.prefixes:
        if not run.startswith(prefix):
            continue
        for shape in rule.shapes:
            found = shape.match(run, len(prefix))
            if found and found.end() <= LONGEST and _is_random(rule, "".join(found.groups())):
                return run[: found.end()]
    return ""


def _is_random(rule: Rule, body: str) -> bool:
    lowered = body.lower()
    return (
        chance.entropy(body) >= rule.entropy
        and not chance.is_made_up(body)
        and not any(word in lowered for word in rule.words)
        and (rule.kinds <= 1 or chance.kinds(body) >= rule.kinds)
        and (not rule.changes or chance.changes(body) >= rule.changes)
        and (rule.wordiness >= 1 or chance.wordiness(body) <= rule.wordiness)
    )


def _is_clean(line: str, at: int) -> bool:
    return _CLEAN(line, max(0, at - _LONGEST_BORDER), at) is not None


def _distance(words: Sequence[str], line: str, start: int, end: int, before: str) -> int | None:
    left = (before + line[:start])[-_SEEN_BEFORE:].lower()
    right = line[end : end + _SEEN_AFTER].lower()
    distances = [len(left) - left.rfind(word) for word in words if word in left]
    distances += [right.find(word) for word in words if word in right]
    return min(distances, default=None)
