"""The house stands: imports point inwards, every dependency has one home, and the rules notice a breach."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.running import ROOT

CONTRACT = (ROOT / ".importlinter").read_text()
EVERYWHERE = {"structlog"}
"""Events are logged where they are handled."""


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Check the package in *folder* against the contract beside it."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--config", ".importlinter", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package that a test may spoil."""
    shutil.copytree(ROOT / "responder", tmp_path / "responder", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_the_import_contract_holds() -> None:
    """From the tree alone anybody can tell who may know whom."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("core/match.py", "import httpx"),
        ("core/decision.py", "from responder.store import incidents"),
        ("respond.py", "from responder import followup"),
        ("providers/openai.py", "import httpx"),
        ("web/api.py", "from responder import respond"),
        ("cli/scan.py", "import sqlalchemy"),
        ("followup.py", "from dbos import DBOS"),
        ("sources/report.py", "import smtplib"),
        ("simulator/mail.py", "from responder import outbound"),
        ("newcomer.py", "X = 1"),
    ],
)
def test_a_breach_is_noticed(copy: Path, module: str, line: str) -> None:
    """A contract nobody has seen failing may be one that cannot fail; a new module needs a place first."""
    path = copy / "responder" / module
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n{line}\n")
    assert lint(copy).returncode == 1


def test_every_dependency_has_a_home() -> None:
    """Where a package is used is decided once; a new one fails until somebody has decided."""
    graph = grimp.build_graph("responder", include_external_packages=True, cache_dir=None)
    outside = {module for module in graph.modules if not module.startswith("responder")}
    homeless = outside - set(sys.stdlib_module_names) - EVERYWHERE
    assert homeless == {name for name in homeless if f"[importlinter:contract:{name}]" in CONTRACT}


def test_the_core_needs_nothing_but_the_standard_library() -> None:
    """What we know can be read, tested and trusted by itself: no clock, no files, no network."""
    graph = grimp.build_graph("responder", include_external_packages=True, cache_dir=None)
    does_something = {"os", "sys", "io", "pathlib", "socket", "subprocess", "threading", "time", "random", "logging"}
    for module in graph.find_descendants("responder.core"):
        for imported in graph.find_modules_directly_imported_by(module):
            ours = imported.startswith("responder.core")
            assert ours or imported in sys.stdlib_module_names - does_something, (module, imported)


def test_core_reads_no_clock() -> None:
    """Instants are parameters: whoever calls decides what time it is."""
    for path in (ROOT / "responder" / "core").glob("*.py"):
        text = path.read_text()
        for clock in ("datetime.now(", "utcnow(", "time.time(", "monotonic(", "date.today("):
            assert clock not in text, path.name


def test_only_settings_reads_the_environment() -> None:
    """One place, so that one page can list every setting; those who start processes hand it on."""
    reads = re.compile(r"\bos\.(environ|getenv)\b")
    readers = {
        str(path.relative_to(ROOT / "responder"))
        for path in (ROOT / "responder").rglob("*.py")
        if reads.search(path.read_text())
    }
    assert readers - {"app.py", "group.py", "cli/demo.py"} == {"settings.py"}


def test_nothing_imported_is_missing_from_the_declared_dependencies() -> None:
    """What works only because something else happens to install it breaks on somebody's machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        requirement.split(";")[0].split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip().replace("-", "_")
        for requirement in [*project["dependencies"], *project["optional-dependencies"]["otel"]]
    }
    brought = {
        "httpcore": "httpx",
        "werkzeug": "flask",
        "pydantic_core": "pydantic",
        "opentelemetry": "opentelemetry_sdk",
    }
    graph = grimp.build_graph("responder", include_external_packages=True, cache_dir=None)
    for module in graph.modules - set(sys.stdlib_module_names):
        if not module.startswith("responder"):
            assert brought.get(module, module) in declared, module


def test_the_root_holds_what_was_agreed() -> None:
    """A newcomer sees the whole of it at once; hidden files are tools' business."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    agreed = {"responder", "rules", "tests", "deploy", "pyproject.toml", "README.md", "LICENSE"}
    assert {name for name in names if not name.startswith(".")} <= agreed
