"""The one detect-secrets plugin: every family in one pass over a line.

detect-secrets loads this file by its path and registers every concrete plugin class it sees, so the
module of its classes is imported, not the classes. Also works under the `detect-secrets` command:
``detect-secrets scan -p responder/scan/plugin.py``.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.plugins import base
from detect_secrets.util.code_snippet import CodeSnippet

from responder.scan import rules
from responder.scan.reading import Reader, prove


class SkTokenDetector(base.RegexBasedDetector):
    """Tokens that begin with ``sk-``; the type of each secret is its family.

    Args:
        folders: rule folders besides the built-in one.
    """

    secret_type = "LLM provider token"  # noqa: S105  (a name, and the one detect-secrets wants)
    denylist = ()

    def __init__(self, folders: Sequence[str] = ()) -> None:
        self.reader = Reader(rules.read([rules.builtin(), *map(Path, folders)]))
        prove(self.reader)

    def analyze_string(self, string: str) -> Generator[str, None, None]:
        for found in self.reader.read(string):
            yield found.value

    def analyze_line(
        self,
        filename: str,
        line: str,
        line_number: int = 0,
        context: CodeSnippet | None = None,
        **kwargs: Any,  # noqa: ANN401  (as in the class we extend)
    ) -> set[PotentialSecret]:
        """Every token in *line*. The text of *context* before the line helps to tell vendors apart."""
        del kwargs
        if "sk-" not in line:
            return set()
        before = "\n".join(context.lines[: context.target_index]) + "\n" if context else ""
        return {
            PotentialSecret(found.rule.family, filename, found.value, line_number)
            for found in self.reader.read(line, before)
        }
