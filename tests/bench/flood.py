"""Ten thousand made-up tokens over two hundred keys, and one real leak among them.

Run it with ``.venv/bin/python -m tests.bench.flood``. The responder runs with its default settings, which allow
twenty calls a second to the provider.
"""

import argparse
import tempfile
from pathlib import Path

from responder.simulator import World
from tests import flooding
from tests.running import Group


def main() -> None:
    """Flood, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forgeries", type=int, default=10_000)
    parser.add_argument("--victims", type=int, default=200, help="keys that the forgeries look like")
    parser.add_argument("--a-report", type=int, default=1, help="tokens in one report")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, World() as world, Group(Path(folder), world.environment()) as group:
        seen = flooding.play(world, group, wanted.forgeries, wanted.victims, wanted.a_report, patience_seconds=7200)
    rows = (
        ("forgeries", f"{seen.forgeries}"),
        ("told within, s", f"{seen.told_seconds:.0f}"),
        ("deliveries waiting when the real key leaked", f"{seen.waiting}"),
        ("its DELETE after, s", f"{seen.deleted_after_seconds:.2f}"),
        ("other mutating requests", f"{len(seen.strays)}"),
        ("messages to the security team", f"{seen.posts}"),
        ("mails to the owner who got most", f"{seen.letters}"),
        ("all looked through after, s", f"{seen.looked_through_seconds:.0f}"),
        ("peak memory of a process, MB", f"{seen.peak_megabytes:.0f}"),
    )
    for name, value in rows:
        print(f"{name:46}{value:>10}")


if __name__ == "__main__":
    main()
