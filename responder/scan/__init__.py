"""Find whole ``sk-`` tokens in text, files and diffs, through every layer people and programs put around them.

The only package that knows detect-secrets. Pure apart from reading rule files at `Scanner.load`: no clock,
no network. Refuses to call clean what it could not read: that is reported as `Skipped`. Refuses to
return part of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from responder.core.token import Token
from responder.scan import engine
from responder.scan.needles import Needles
from responder.scan.patch import Patch
from responder.scan.rules import Rule, RuleError
from responder.scan.sweep import Sweep
from responder.scan.views import Text, Unread, View

__all__ = ["Finding", "RuleError", "Scan", "Scanner", "Skipped"]

_PACKED = (
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"PK\x03\x04", "compressed (zip)"),
    (b"BZh", "compressed (bzip2)"),
    (b"\xfd7zXZ\0", "compressed (xz)"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)"),
    (b"7z\xbc\xaf", "compressed (7z)"),
    (b"%PDF-", "compressed streams (pdf)"),
    (b"version https://git-lfs", "the content is in Git LFS, here is only a pointer"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A token and where it was.

    Attributes:
        token: the whole token, its family set; it does not print.
        provider: who could revoke it (``openai``, ``anthropic``, ``openrouter``, ``litellm``), or nobody.
        confidence: ``strong`` may act by itself; ``weak`` only if a provider recognises the token.
        layer: what lay around it: ``plain``, ``escape``, ``join``, ``base64``, ``hex``, ``utf-16``, ``codes``.
        path: the file inside the diff, else as handed in.
        line: its line in the new file or text, from 1; none outside of files.
    """

    token: Token
    provider: str | None
    confidence: Literal["strong", "weak"]
    layer: str
    path: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that could not be scanned and must not be called clean."""

    path: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found, once per token, file and line, and what it could not look at."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]


class Scanner:
    """Rules, loaded and warmed: make one per process, use it from any thread."""

    def __init__(self, plugin: Any, snippet: Any) -> None:  # noqa: ANN401  (detect-secrets makes the classes)
        self.plugin = plugin
        self.snippet = snippet
        self._rules: dict[str, Rule] = {rule.family: rule for rule in plugin.reader.rules}
        self._text, self._diff = Needles(), Needles(diff=True)

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> Self:
        """Read the built-in rules and those in *folders*, and warm everything up.

        Raises:
            RuleError: a rule file cannot be used; ``str()`` is ``file:line: reason``.
        """
        plugin = engine.start(folders)
        from detect_secrets.util.code_snippet import CodeSnippet  # noqa: PLC0415  (only those who scan pay for it)

        return cls(plugin, CodeSnippet)

    @property
    def families(self) -> frozenset[str]:
        """Ids of every family of tokens it knows; each begins with its vendor."""
        return frozenset(self._rules)

    def text(self, text: str | bytes, path: str | None = None) -> Scan:
        """Scan *text* as it is."""
        content = _bytes(text)
        views = [Text(content, path)]
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            # The mark of UTF-16 proves nothing: what follows is read both ways.
            views.append(Text(content.decode("utf-16", "replace").encode(), path))
        packed = next((reason for mark, reason in _PACKED if content.startswith(mark)), None)
        return self._scan(views, self._text, Unread(path, packed) if packed else None)

    def diff(self, diff: str | bytes, path: str | None = None) -> Scan:
        """Scan what *diff* adds: a unified diff, a merge's ``--cc``, or a patch without header of the file *path*."""
        return self._scan([Patch(_bytes(diff), path)], self._diff)

    def _scan(self, views: Sequence[View], needles: Needles, packed: Unread | None = None) -> Scan:
        sweep = Sweep(self.plugin, needles, self._text, self.snippet)
        for view in views:
            sweep.run(view)
        findings = []
        for (value, path, line), (family, layer) in sweep.found.items():
            rule = self._rules[family]
            findings.append(Finding(Token(value, family), rule.provider, rule.confidence, layer, path, line))
        skipped = [each for each in (*sweep.skipped, packed, views[0].cut()) if each]
        return Scan(tuple(findings), tuple(Skipped(*each) for each in skipped))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text
