"""Time the scanner beside the others: ``python -m tests.bench.scan``. Prints one table.

Every figure is a ratio taken in the same round over the same bytes, and the median of the rounds. The
others run as their users run them, with their default rules: detect-secrets in this process, kingfisher,
betterleaks and gitleaks as commands, if they are installed (on PATH, or in the folder given by --peers).
"""

import argparse
import atexit
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median

from rich.console import Console
from rich.table import Table

from responder.scan import Scanner
from responder.scan.needles import Needles
from responder.scan.patch import Patch
from responder.scan.sweep import Sweep
from tests.scan import corpus

SIZES = ((10_000, 0), (10_000, 1), (1_000_000, 0), (1_000_000, 20), (50_000_000, 0), (50_000_000, 200))
LAYERS = {
    "plain": frozenset({"plain"}),
    "+ escapes, joins, base64": frozenset(
        {"plain", "split", "parted", "escaped", "base64_0", "base64_2", "base64_3"}
    ),
    "every layer": None,
}
BARS = {"plain": (1.5, 25), "+ escapes, joins, base64": (5, 25), "every layer": (14, 25)}
COMMANDS = {
    "kingfisher": ["kingfisher", "scan", "--no-validate", "--no-update-check", "--format", "json", "{}"],
    "betterleaks": ["betterleaks", "{}", "--no-color"],
    "gitleaks": ["gitleaks", "dir", "{}", "--no-banner"],
}
HOSTILE = {
    "sk-": "sk-",
    "sk- lines": "sk-\n",
    "almost keys": "sk-aaaaaaaaaaaaaaaaaaaa ",
    "keys": "sk-{} ",
    "openings": "'sk-",
    "joins": "'sk-'+",
    "one long join": '"sk-abc" + "def" + ',
    "escapes": "sk\\u002d",
    "percent": "sk%2D",
    "percent of percent": "%252525",
    "backslashes": "sk-\\\\",
    "base64": "c2st",
    "base64 lines": "c2st" * 19 + "\n",
    "base64 at an offset": "aHNrLQ",
    "base64 twice": "YzJzdGNISnZhaTA9",
    "hexadecimal": "736b2d",
    "spaced hexadecimal": "73 6b 2d ",
    "codes": "115,107,45,",
    "utf-16": "s\0k\0-\0",
    "magic": "sk-proj-T3BlbkFJ",
    "hunks": "@@ -1 +1 @@\n+sk-aaaaaaaaaaaaaaaaaaaaaaaaa\n",
    "files": "diff --git a/x b/x\n@@ -1 +1 @@\n+sk-bbbbbbbbbbbbbbbbbbbbb\n",
    "headers": "+++ b/sk-aaaaaaaaaaaaaaaa\n",
    "messages": "\ncommit sk-aaaaaaaaaaaaaaaaaaaa",
    "binaries": "\nBinary files a and b differ",
    "line feeds": "\n",
}


def real_shaped(size: int, tokens: int, random: Random) -> bytes:
    """A diff of about *size* bytes made of the standard library's lines, with *tokens* planted."""
    lines = [
        line
        for path in sorted(Path(os.__file__).parent.glob("*.py"))
        for line in path.read_text("utf-8", "replace").split("\n")
    ]
    parts: list[str] = []
    length, at, planted = 0, random.randrange(len(lines)), 0
    while length < size:
        body = [random.choice("++ -") + lines[(at + n) % len(lines)] for n in range(min(60, 5 + size // 200))]
        if planted < tokens and length >= planted * size // max(tokens, 1):
            body.insert(len(body) // 2, f'+API_KEY = "{corpus.token("openai-project", random)}"')
            planted += 1
        new, old = (sum(line[0] in mark + " " for line in body) for mark in "+-")
        path = f"src/part_{len(parts)}.py"
        head = f"diff --git a/{path} b/{path}\nindex 3b18e51..9daeafb 100644\n--- a/{path}\n+++ b/{path}\n"
        parts.append(f"{head}@@ -1,{old} +1,{new} @@ def f():\n" + "\n".join(body) + "\n")
        length += len(parts[-1])
        at += 60
    return "".join(parts).encode()


def find_loop(content: bytes) -> int:
    """What everything is measured against."""
    count, at = 0, -1
    while (at := content.find(b"sk-", at + 1)) >= 0:
        count += 1
    return count


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def ours(scanner: Scanner, layers: frozenset[str] | None) -> Callable[[bytes], int]:
    """The scanner with only *layers*, or as it is."""
    if layers is None:
        return lambda content: len(scanner.diff(content).findings)
    needles, inner = Needles(layers, diff=True), Needles(layers)

    def scan(content: bytes) -> int:
        sweep = Sweep(scanner.plugin, needles, inner, scanner.snippet)
        sweep.run(Patch(content, None))
        return len(sweep.found)

    return scan


def detect_secrets(content: bytes) -> int:
    """Its `scan_diff` with default plugins and filters, in a checkout: it passes over files that are not there."""
    from detect_secrets.core.scan import scan_diff
    from detect_secrets.settings import default_settings

    with contextlib.chdir(_checkout(content)), default_settings():
        return sum(1 for _ in scan_diff(content.decode("utf-8", "replace")))


@functools.cache
def _checkout(content: bytes) -> Path:
    """A folder in which every file of the diff exists, as where a diff comes from."""
    folder = Path(tempfile.mkdtemp(prefix="responder-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in re.findall(rb"^\+\+\+ b/(.+)$", content, re.MULTILINE):
        file = folder / name.decode("utf-8", "replace").strip()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def command(name: str, peers: str) -> Callable[[bytes], int] | None:
    """The command *name* on a file that holds the content, or nothing if it is not installed."""
    program = shutil.which(name, path=os.pathsep.join([peers, os.environ.get("PATH", "")]))
    if not program:
        return None

    def scan(content: bytes) -> int:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "push.txt").write_bytes(content)
            arguments = [program, *(part.format(folder) for part in COMMANDS[name][1:])]
            return subprocess.run(arguments, capture_output=True, check=False).returncode

    return scan


def timed(
    content: bytes, scanners: dict[str, Callable[[bytes], int]], rounds: int
) -> Iterator[tuple[str, float, float, int]]:
    """Name, median ratio to the find loop, median seconds and findings of each scanner; rounds are interleaved."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in scanners}
    found = {name: scan(content) for name, scan in scanners.items() if not name.endswith(" command")}
    for number in range(rounds):
        base = min(seconds(lambda: find_loop(content)) for _ in range(3))
        for name, scan in scanners.items():
            if number < _rounds(name, len(content), rounds):
                taken = seconds(partial(scan, content))
                times[name].append((taken / base, taken))
    for name, pairs in times.items():
        yield name, median(ratio for ratio, _ in pairs), median(each for _, each in pairs), found.get(name, -1)


def _rounds(name: str, size: int, rounds: int) -> int:
    """Slow ones get fewer rounds; they are slow enough to be measured in one."""
    if name in BARS:
        return rounds
    return max(1, min(rounds, 3_000_000 // size, 5))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default="", help="a folder of commands to compare with")
    parser.add_argument("--quick", action="store_true", help="leave out 50 MB and the slow hostile inputs")
    parser.add_argument("--only", choices=("diffs", "hostile"), help="one table instead of both")
    parser.add_argument(
        "--small", type=int, default=1 << 19, help="bytes of the smaller hostile input; the larger is four times that"
    )
    options = parser.parse_args()
    console = Console(width=150)
    missed = [] if options.only == "hostile" else list(diffs(console, options.peers, quick=options.quick))
    if options.only != "diffs":
        missed += hostile(Scanner.load(), console, options.small, quick=options.quick)
    console.print("bars missed: " + ("; ".join(missed) or "none"))
    return 1 if missed else 0


def diffs(console: Console, peers: str, *, quick: bool) -> Iterator[str]:
    """Time every scanner on diffs of three sizes, with and without tokens."""
    scanner, random = Scanner.load(), Random(1)
    table = Table(title="diffs: ratio to a bytes.find loop over the same bytes")
    for column in ("bytes", "planted", "scanner", "times find", "ms", "found", "ours is faster by"):
        table.add_column(column, justify="left" if column == "scanner" else "right")
    every = {name: ours(scanner, layers) for name, layers in LAYERS.items()}
    if find_spec("unidiff"):
        every["detect-secrets scan_diff"] = detect_secrets
    else:
        console.print("unidiff, which detect-secrets' scan_diff needs, is not installed; left out")
    for name in COMMANDS:
        run = command(name, peers)
        if run is None:
            console.print(f"{name} is not installed; left out")
        elif run(b"x = 1\n") == run(f'OPENAI_API_KEY = "{corpus.token("openai-legacy", random)}"\n'.encode()):
            console.print(f"{name} does not tell a leak from none the way it is called here; left out")
        else:
            every[f"{name} command"] = run
    for size, tokens in SIZES[: 4 if quick else None]:
        content = real_shaped(size, tokens, random)
        rows = {
            name: rest for name, *rest in timed(content, every, 200 if size < 100_000 else 21 if size < 10**7 else 5)
        }
        for name, (ratio, taken, found) in rows.items():
            faster = taken / rows["every layer"][1]
            table.add_row(
                f"{size:,}",
                str(tokens),
                name,
                f"{ratio:,.2f}",
                f"{taken * 1000:,.3f}",
                "" if found < 0 else str(found),
                f"{faster:,.0f}",
            )
            if name in BARS and ratio > (
                BARS[name][0] if not tokens else 25 if size < 10**5 else 16 if size < 10**7 else 15
            ):
                yield f"{name} at {size:,} with {tokens}: {ratio:.2f}"
    console.print(table)


def hostile(scanner: Scanner, console: Console, size: int, *, quick: bool) -> Iterator[str]:
    """Time inputs made to be slow at two sizes, as text and as a diff, and the longest call of the plugin.

    In processor time: how work grows with the input is the question, and a shared machine answers another one.
    """
    table = Table(
        title=f"hostile inputs of {size:,} and {4 * size:,} bytes, and the longest single call of the plugin"
    )
    for column in ("input", "as", "small, ms", "large, ms", "ratio", "longest call, ms"):
        table.add_column(column, justify="right")
    longest = [0.0]
    plain = scanner.plugin.analyze_line

    def watched(*arguments: object) -> object:
        start = time.thread_time()
        found = plain(*arguments)
        longest[0] = max(longest[0], time.thread_time() - start)
        return found

    scanner.plugin.analyze_line = watched
    for name, unit in HOSTILE.items():
        for kind in ("text", "diff"):
            longest[0] = 0.0
            scan: Callable[[bytes], object] = getattr(scanner, kind)
            small, large = (_hostile(unit, many, kind) for many in (size, 4 * size))
            pairs: list[tuple[float, float]] = []
            while not pairs or (len(pairs) < 3 and not quick and pairs[0][1] < 1):
                pairs.append(
                    (seconds(partial(scan, small), time.thread_time), seconds(partial(scan, large), time.thread_time))
                )
            # A single slow moment of the machine is not the input's doing: the least of each counts.
            low, high = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
            table.add_row(
                name,
                kind,
                f"{low * 1000:,.1f}",
                f"{high * 1000:,.1f}",
                f"{high / low:.2f}",
                f"{longest[0] * 1000:.1f}",
            )
            if high / low > 4.6 and high > 0.02:
                yield f"{name} as {kind}: {high / low:.2f}"
            if longest[0] > 0.05:
                yield f"{name} as {kind}: one call of {longest[0] * 1000:.0f} ms"
    console.print(table)


def _hostile(unit: str, size: int, kind: str) -> bytes:
    if "{}" in unit:
        random = Random(2)
        text = "".join(unit.format(corpus.token("generic", random)[3:]) for _ in range(size // 40))
    else:
        text = unit * (size // len(unit) + 1)
    lead = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n+" if kind == "diff" else ""
    return (lead + text).encode("latin-1")[:size]


if __name__ == "__main__":
    sys.exit(main())
