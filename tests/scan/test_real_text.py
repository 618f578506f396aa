"""Real programs by other people hold no live key, and a scanner that says otherwise is switched off."""

import sysconfig
from pathlib import Path

from responder.scan import Scanner


def test_nothing_is_found_in_the_standard_library(scanner: Scanner) -> None:
    """Some thousand files of code, tests, tables and certificates."""
    found, size = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*")):
        if (
            path.suffix in (".py", ".txt", ".pem", ".xml", ".json", ".html", ".rst", ".cfg")
            and "site-packages" not in path.parts
        ):
            content = path.read_bytes()
            size += len(content)
            found += [(path.name, each) for each in scanner.text(content).findings]
    assert found == []
    assert size > 5_000_000
