"""What the running processes hold, and who can see it: asked of the kernel, not of the code."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from responder.seal import Keys
from responder.simulator import World
from responder.store import idle
from tests import postgres
from tests.grown import token
from tests.running import Group, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's /proc")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into these processes: so it should be")

FOREIGN = ("OPENAI_API_KEY", "GITHUB_TOKEN", "GH_TOKEN", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "SLACK_WEBHOOK")
POWERLESS = (
    ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 and shutil.which("setpriv") else ()
)
"""As root, tests are powerful enough to prove nothing: what they start is not."""
SECRET = ("GITHUB__TOKEN", "OPENAI__ADMIN_KEY", "MAIL__URL", "NOTIFY__URLS", "GITHUB__WEBHOOK_SECRET")
LISTENING = "0A"
ACCEPTING = 0x10000  # a Unix socket that listens, in /proc/net/unix


@dataclass(frozen=True, slots=True)
class House:
    """A responder at work: a leaked key was deleted, and a report was taken.

    Attributes:
        group: its processes.
        folder: of the secret files.
        private: what only the worker may hold, by name.
        webhook: what a receiver is there to hold.
        foreign: what neither was asked to hold, but the environment has.
        halves: the process ids by half: ``serve``, ``worker`` and ``web``.
    """

    group: Group
    folder: Path
    private: Mapping[str, bytes]
    webhook: bytes
    foreign: Mapping[str, bytes]
    halves: Mapping[str, Sequence[int]]

    @property
    def everybody(self) -> list[int]:
        """Every process."""
        return [pid for pids in self.halves.values() for pid in pids]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("secrets")
    foreign = {name: token(number, "openai-project").reveal() for number, name in enumerate(FOREIGN)}
    with World(41) as world:
        settings = world.environment()
        sender = settings.pop("RESPONDER_MAIL__FROM")
        (folder / "responder.toml").write_text(f'[mail]\nfrom = "{sender}"\n')
        secrets = {name: settings.pop(f"RESPONDER_{name}") for name in SECRET}
        for name, value in secrets.items():
            (folder / name).write_text(f"{value}\n")
            settings[f"RESPONDER_{name}_FILE"] = str(folder / name)
        webhook = secrets.pop("GITHUB__WEBHOOK_SECRET").encode()
        with Group(tmp_path_factory.mktemp("group"), settings | foreign) as group:
            world.github.hook_url = f"{group.origin}/hooks/github"
            key = world.openai.add_key("leaked")
            repository = world.github.add_repository("leaky")
            group.start("serve", config=folder / "responder.toml", through=POWERLESS).wait_until_ready()
            world.github.commit_and_push(repository, {"config.py": key.value})
            assert group.client.post("/v1/reports", json={"token": token(99).reveal()}).status_code == 202
            eventually(lambda: not world.openai.is_live(key.id), "the leaked key to be deleted")
            made = Keys(group.data)
            private = {name: value.encode() for name, value in secrets.items()}
            private |= {"pepper": made.pepper, "inbox.key": made.private}
            others = {name: value.encode() for name, value in foreign.items()}
            yield House(group, folder, private, webhook, others, _halves(group))


def _halves(group: Group) -> dict[str, list[int]]:
    halves: dict[str, list[int]] = {}
    for pid in group.pids():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        halves.setdefault(command[command.index(b"responder.cli") + 1].decode(), []).append(pid)
    assert {half: len(pids) for half, pids in halves.items()} == {"serve": 1, "worker": 1, "web": 3}
    return halves


@only_root
def test_a_receiver_holds_nothing_to_revoke_fetch_or_unseal_with(house: House) -> None:
    """Whoever takes it over searches its memory first."""
    for pid in house.halves["web"]:
        found = _held(pid, {**house.private, **house.foreign, "its own": house.webhook})
        assert found == {"its own"}, f"receiver {pid} holds {sorted(found)}"
    worker = _held(house.halves["worker"][0], house.private)
    assert {"OPENAI__ADMIN_KEY", "GITHUB__TOKEN", "inbox.key"} <= worker


@only_root
def test_no_credential_is_on_a_command_line_and_none_given_as_a_file_in_an_environment(house: House) -> None:
    """Both are shown by tools that nobody thinks of."""
    for pid in house.everybody:
        shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert [name for name, secret in house.private.items() if secret in shown] == []


@only_root
def test_a_receiver_inherits_no_variable_that_it_does_not_need(house: House) -> None:
    """Build machines and laptops are full of other people's tokens."""
    for pid in house.halves["web"]:
        content = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        names = {line.partition(b"=")[0].decode() for line in content if line}
        assert not names & set(FOREIGN)
        assert not any("ADMIN_KEY" in name or "TOKEN" in name or "MAIL" in name or "NOTIFY" in name for name in names)
        assert {"PATH", "PYTHONPATH", "RESPONDER_GITHUB__WEBHOOK_SECRET"} <= names


@only_root
def test_a_receiver_has_no_secret_file_open(house: House) -> None:
    """A descriptor inherited from the group would be as good as the file."""
    secret = {str(path) for path in house.folder.iterdir()} | {str(house.group.data / "pepper")}
    secret |= {str(house.group.data / "inbox.key"), str(house.group.data / "engine.sqlite")}
    for pid in house.halves["web"]:
        opened = set(_opened(pid).values())
        assert any("socket:" in target for target in opened)
        assert not opened & secret


@only_root
def test_only_the_receiver_listens_and_only_where_it_was_told_to(house: House) -> None:
    """A control socket, a debug server or a metrics port that nobody asked for would be a door."""
    port = urlsplit(house.group.origin).port
    for half, pids in house.halves.items():
        for pid in pids:
            assert _listening(pid) == ({f"127.0.0.1:{port}"} if half == "web" else set()), half


def test_every_file_is_readable_by_its_owner_alone(house: House) -> None:
    """Whatever the mask was that the responder was started with."""
    assert stat.S_IMODE(house.group.data.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in house.group.data.rglob("*")}
    assert {"pepper", "inbox.key", "inbox.pub", "responder.sqlite", "responder.sqlite-wal", "bell"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_no_process_leaves_a_core_or_a_file_for_others(house: House) -> None:
    """A core is all of memory, on a disk, and in a crash report that is sent somewhere."""
    for pid in house.everybody:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0\s", limits)
        assert "Umask:\t0077\n" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.skipif(os.geteuid() == 0 and not POWERLESS, reason="needs setpriv to be powerless")
def test_another_program_of_the_same_user_can_look_into_none_of_them(house: House) -> None:
    """On SQLite both halves are one user: the receiver must not read the worker's memory for that."""
    attempt = (
        "import sys\nfor path in sys.argv[1:]:\n try: print(path, open(path, 'rb').read(1))\n except OSError: pass"
    )
    ours = [f"/proc/{pid}/{name}" for pid in house.everybody for name in ("environ", "mem", "maps")]
    own = "/proc/self/environ"
    done = subprocess.run(
        [*POWERLESS, sys.executable, "-c", attempt, own, *ours],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == [own]


def test_a_receiver_on_postgresql_needs_nothing_of_the_data_directory_but_the_public_key(tmp_path: Path) -> None:
    """The units and manifests hand it that one file, read-only."""
    handed = tmp_path / "handed"
    handed.mkdir()
    with postgres.database() as url:
        settings = {"RESPONDER_DATABASE_URL": url}
        with Group(tmp_path / "whole", settings) as whole, Group(tmp_path / "web", settings) as group:
            whole.prepare()
            shutil.copy(whole.data / "inbox.pub", handed)
            group.environment["RESPONDER_DATA_DIR"] = str(handed)
            group.start("web").wait_until_listening()
            assert group.client.post("/v1/reports", json={"token": token(98).reveal()}).status_code == 202
            group.stop()
            assert [path.name for path in handed.iterdir()] == ["inbox.pub"]
            with whole.store.read() as tx:
                assert idle.unfinished(tx) == 1


def _held(pid: int, wanted: Mapping[str, bytes]) -> set[str]:
    """Which of *wanted* stand in the memory or environment of a process."""
    found: set[str] = set()
    left = b""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, permissions, *_ = line.split()
            if not permissions.startswith("rw"):  # files and code that nobody wrote to
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            with suppress(OSError):  # unmapped in the meantime
                memory.seek(start)
                content = left + memory.read(end - start)
                found |= {name for name, secret in wanted.items() if secret in content}
                left = content[-256:]
    return found


def _opened(pid: int) -> dict[int, str]:
    opened = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed in the meantime
            opened[int(entry.name)] = str(entry.readlink())
    return opened


def _listening(pid: int) -> set[str]:
    """Where a process listens: TCP as ``host:port``, Unix sockets by name."""
    mine = {target[8:-1] for target in _opened(pid).values() if target.startswith("socket:[")}
    found = set()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and words[9] in mine:
                host, _, port = words[1].partition(":")
                four = socket.inet_ntoa(bytes.fromhex(host)[::-1]) if family == "tcp" else host
                found.add(f"{four}:{int(port, 16)}")
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[3], 16) & ACCEPTING and words[6] in mine:
            found.add(" ".join(words[7:]) or "an unnamed Unix socket")
    return found
