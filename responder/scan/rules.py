"""Read rule files: which families of tokens there are, and what each looks like.

A rule file is data: one vendor, its families, templates and counter-samples. Refuses, with file, line
and reason, whatever it does not understand: a rule that silently matches nothing loses leaks.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from responder.scan.shape import Shape, ShapeError, parse

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_PREFIX = re.compile(r"sk-[A-Za-z0-9_-]{0,60}\Z")
_KEYS = {
    "id": str,
    "provider": str,
    "confidence": str,
    "url": str,
    "prefix": list,
    "shape": list,
    "sample": list,
    "counter": list,
    "near": list,
    "never": list,
    "words": list,
    "entropy": float,
    "changes": float,
    "wordiness": float,
    "kinds": int,
    "left": str,
    "rank": int,
}
_REQUIRED = ("id", "confidence", "url", "prefix", "shape", "sample")


class RuleError(ValueError):
    """A rule file that cannot be used. ``str()`` is ``file:line: reason``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One family.

    Attributes:
        family: its name, on findings and in tables.
        provider: who can revoke it, or nobody.
        confidence: ``strong`` may act by itself, ``weak`` only if a provider recognises the token.
        url: the vendor's own page.
        prefixes: how tokens begin.
        shapes: what may follow a prefix.
        samples: templates of whole tokens.
        counters: templates of what must never be found.
        near: words one of which must stand nearby, or none are needed.
        never: beginnings this family does not take.
        words: what only placeholders contain, lower case.
        entropy: bits a character the random part must reach.
        changes: the least share of neighbours that differ in kind.
        wordiness: the largest share of characters in word-like runs.
        kinds: how many of upper case, lower case and digits must occur.
        clean: whether no word character may stand before the token.
        rank: rules are tried in ascending order.
        where: ``file:line`` of its table.
    """

    family: str
    provider: str | None
    confidence: Literal["strong", "weak"]
    url: str
    prefixes: tuple[str, ...]
    shapes: tuple[Shape, ...]
    samples: tuple[str, ...]
    counters: tuple[str, ...]
    near: tuple[str, ...]
    never: tuple[str, ...]
    words: tuple[str, ...]
    entropy: float
    changes: float
    wordiness: float
    kinds: int
    clean: bool
    rank: int
    where: str


def builtin() -> Path:
    """The folder of rules that ships with the package, or lies beside it in a source checkout."""
    shipped = Path(str(files("responder"))) / "rules"
    return shipped if shipped.is_dir() else shipped.parent.parent / "rules"


def read(folders: Iterable[Path]) -> tuple[Rule, ...]:
    """Read every ``*.toml`` in *folders*, in the order they are to be tried.

    Raises:
        RuleError: a folder or file cannot be read or does not say what it must.
    """
    rules: dict[str, Rule] = {}
    for folder in folders:
        if not folder.is_dir():
            raise RuleError(f"{folder}:0: is not a folder of rule files")
        for path in sorted(folder.glob("*.toml")):
            for rule in _file(path):
                if rule.family in rules:
                    raise RuleError(f"{rule.where}: family {rule.family} is already defined")
                rules[rule.family] = rule
    if not rules:
        raise RuleError("no rule file found")
    return tuple(sorted(rules.values(), key=lambda rule: rule.rank))


def _file(path: Path) -> list[Rule]:
    try:
        source = path.read_text("utf-8")
        content = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise RuleError(f"{path}:{line[1] if line else 0}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}:0: cannot be read ({type(error).__name__})") from None
    families = content.pop("family", [])
    if content or not isinstance(families, list) or not families:
        raise RuleError(f"{path}:1: a rule file holds [[family]] tables and nothing else")
    places = _Places(path, source)
    return [_rule(table, places, number) for number, table in enumerate(families)]


class _Places:
    """Where in a rule file something is said."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._lines = source.split("\n")
        self._tables = [n for n, line in enumerate(self._lines) if line.strip().startswith("[[family]]")]

    def line(self, number: int, key: str = "") -> int:
        start = self._tables[number] if number < len(self._tables) else 0
        end = self._tables[number + 1] if number + 1 < len(self._tables) else len(self._lines)
        for at in range(start, end):
            if key and re.match(rf"\s*{re.escape(key)}\s*=", self._lines[at]):
                return at + 1
        return start + 1

    def where(self, number: int) -> str:
        return f"{self._path}:{self.line(number)}"

    def error(self, number: int, key: str, reason: str) -> RuleError:
        return RuleError(f"{self._path}:{self.line(number, key)}: {reason}")


def _rule(table: Mapping[str, Any], places: _Places, number: int) -> Rule:
    _check_keys(table, places, number)
    prefixes, shapes = tuple(table["prefix"]), []
    for template in table["shape"]:
        try:
            shapes.append(parse(template))
        except ShapeError as error:
            raise places.error(number, "shape", str(error)) from None
    for prefix in prefixes:
        if not _PREFIX.match(prefix):
            raise places.error(number, "prefix", "a prefix begins with sk- and holds token characters only")
    _check_templates(table, places, number)
    return Rule(
        family=table["id"],
        provider=table.get("provider"),
        confidence=table["confidence"],
        url=table["url"],
        prefixes=prefixes,
        shapes=tuple(shapes),
        samples=tuple(table["sample"]),
        counters=tuple(table.get("counter", ())),
        near=_lowered(table.get("near", ())),
        never=tuple(table.get("never", ())),
        words=_lowered(table.get("words", ())),
        entropy=float(table.get("entropy", 3.0)),
        changes=float(table.get("changes", 0)),
        wordiness=float(table.get("wordiness", 1)),
        kinds=table.get("kinds", 1),
        clean=table.get("left", "any") == "clean",
        rank=table.get("rank", 10 if table["confidence"] == "strong" else 50),
        where=places.where(number),
    )


def _check_keys(table: Mapping[str, Any], places: _Places, number: int) -> None:
    for key, value in table.items():
        if key not in _KEYS:
            raise places.error(number, key, f"unknown key {key}; there are {', '.join(_KEYS)}")
        kind = (float, int) if _KEYS[key] is float else _KEYS[key]
        strings = not isinstance(value, list) or (value and all(isinstance(item, str) for item in value))
        if not isinstance(value, kind) or isinstance(value, bool) or not strings:
            wanted = "a list of strings" if _KEYS[key] is list else f"of type {_KEYS[key].__name__}"
            raise places.error(number, key, f"{key} must be {wanted}")
    for key in _REQUIRED:
        if key not in table:
            raise places.error(number, "", f"{key} is missing")
    if not _ID.match(table["id"]):
        raise places.error(number, "id", "an id is lower-case words joined by dashes")
    if table["confidence"] not in ("strong", "weak"):
        raise places.error(number, "confidence", "confidence is strong or weak")
    if table.get("left", "any") not in ("any", "clean"):
        raise places.error(number, "left", "left is any or clean")
    if not table["url"].startswith("https://"):
        raise places.error(number, "url", "url is the vendor's page, beginning with https://")


def _check_templates(table: Mapping[str, Any], places: _Places, number: int) -> None:
    for key in ("sample", "counter"):
        for template in table.get(key, ()):
            try:
                parse(template)
            except ShapeError as error:
                raise places.error(number, key, str(error)) from None


def _lowered(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)
