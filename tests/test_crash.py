"""``kill -9`` between every two steps: what was accepted is finished, once.

By default the places are killed at where something could be done twice or be
forgotten. With ``CRASH_EVERYWHERE=1`` in the environment it is every named place
of the code that this story passes; that takes some minutes.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from responder.inbox import Inbox
from responder.simulator import World
from responder.simulator.github_alerts import Alert
from responder.simulator.openai_objects import Key, User
from responder.sources import GITHUB_EVENTS, doors
from responder.store.deliveries import Delivery
from tests.hook import SECRET, Sender, dump, push
from tests.running import ROOT, Group, eventually

pytestmark = pytest.mark.timeout(900)

_AT_ONCE = 4
INTERESTING = (
    "commit.start.before",
    "commit.start.after",
    "github.get_commit.after",
    "commit.join.after",
    "openai.probe.after",
    "commit.learn.after",
    "commit.decide.before",
    "commit.decide.after",
    "openai.delete_key.before",
    "openai.delete_key.after",
    "commit.revoked.before",
    "commit.revoked.after",
    "commit.ended.before",
    "commit.ended.after",
    "commit.verified.before",
    "commit.verified.after",
    "commit.claim.after",
    "commit.told.before",
    "commit.told.after",
    "github.close_alert.before",
    "github.close_alert.after",
    "commit.alert_closed.before",
    "commit.alert_closed.after",
    "commit.close.before",
    "commit.close.after",
)
_BEFORE_ANY_MAIL = INTERESTING[: INTERESTING.index("commit.claim.after")]
"""After these, a mail may be on its way in another thread: taken, with nobody left to write that down."""


def everywhere() -> list[str]:
    """Every place that has a name in the code: around commits and around calls."""
    text = "".join(path.read_text() for path in sorted((ROOT / "responder").rglob("*.py")))
    commits = {f"commit.{name}" for name in re.findall(r'begin\(\s*"([a-z_]+)"', text)}
    calls = set(re.findall(r'"((?:openai|github)\.[a-z_]+)"', text))
    return sorted(f"{name}.{side}" for name in commits | calls for side in ("before", "after"))


EVERYWHERE = bool(os.environ.get("CRASH_EVERYWHERE"))
PLACES = everywhere() if EVERYWHERE else list(INTERESTING)


@dataclass(slots=True)
class Account:
    """What is left after a crash and a restart.

    Attributes:
        died: the process was killed at the place; if not, the story does not pass it.
        requests: one for each DELETE that arrived, whether it took effect.
        others: requests to change anything else.
        patches: how often the alert was changed.
    """

    died: bool
    incident: dict[str, Any]
    key: Key
    alert: Alert
    requests: list[bool]
    others: int
    patches: int
    mails: list[str]
    unfinished: bool


def crash_and_restart(folder: Path, place: str, seed: int) -> Account:
    """Leak a key by push and by alert, die at *place*, start again, and wait until it is over."""
    with World(seed) as world:
        owner = world.openai.add_user("Ada", "ada@acme.example")
        key = world.openai.add_key("crash", owner=owner)
        world.openai.add_key("bystander", owner=owner)
        repository = world.github.add_repository()
        with Group(folder, world.environment()).prepare() as group:
            pushed = world.github.commit_and_push(repository, {"a.py": f"K = '{key.value}'\n"})
            alert = world.github.alert(repository, key.value)
            assert pushed is not None
            inbox = Inbox(group.store, group.data)
            for number, sent in enumerate(world.github.deliveries):
                door = GITHUB_EVENTS[sent.event]
                told = doors()[door].told(sent.payload)
                inbox.accept(Delivery(f"gh_{number}", door, told.lane, told.refs, datetime.now(UTC)))
            group.start("worker", failpoint=f"{place}:kill")
            died = _died(group)
            if died:
                group.start("worker")
            incident = group.closed(key.id)
            eventually(lambda: alert.state == "resolved" and group.is_idle(), f"the end, after {place}")
            deletions = [mutation for mutation in world.openai.mutations if mutation.key_id == key.id]
            return Account(
                died,
                incident,
                key,
                alert,
                [mutation.applied for mutation in deletions],
                len(world.openai.mutations) - len(deletions),
                world.github.count("^PATCH"),
                [str(letter.message["Message-ID"]) for letter in world.mail.letters],
                not group.is_idle(),
            )


def _died(group: Group) -> bool:
    """Whether the worker was killed by its failpoint, rather than finishing the story."""
    process = group.processes["worker"]

    def over() -> str | None:
        if process.poll() is not None:
            return "died"
        finished = [one for one in group.incidents() if one["state"] == "closed"] and group.is_idle()
        return "finished" if finished and EVERYWHERE and time.monotonic() > settled else None

    settled = time.monotonic() + 15
    return eventually(over, "the worker to die") == "died" and process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[Account]"]]:
    """All crashes, a few at once: most of each is waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {
            place: pool.submit(crash_and_restart, tmp_path_factory.mktemp("crash"), place, seed)
            for seed, place in enumerate(PLACES)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_at_any_place_loses_nothing_and_repeats_nothing(
    crashes: dict[str, "Future[Account]"], place: str
) -> None:
    """Power fails when it likes; a key that leaked must die all the same, and a person be told once."""
    account = crashes[place].result()
    if not account.died:
        assert place not in INTERESTING, "this place is not passed any more"
        pytest.skip("this story does not pass this place")
    assert account.requests == [True], "exactly one DELETE, and it took effect"
    assert account.others == 0, "nothing else was changed"
    assert not account.unfinished
    assert (account.incident["state"], account.incident["disposition"]) == ("closed", "revoked")
    assert account.incident["confirmed_dead"]
    assert {s["source"] for s in account.incident["sightings"]} == {"github_push", "github_alert"}
    assert (account.alert.resolution, account.alert.validity) == ("revoked", "inactive")
    assert account.patches == 1
    assert len(set(account.mails)) == 1, "one message, known by its id even if it came twice"
    assert len(account.mails) <= (1 if place in _BEFORE_ANY_MAIL else 2)
    assert isinstance(account.key.owner, User)


@pytest.mark.parametrize(("place", "kept"), [("commit.accept.after", 1), ("commit.accept.before", 0)])
def test_a_receiver_killed_while_it_accepts_takes_the_redelivery(
    make_group: Callable[..., Group], place: str, kept: int
) -> None:
    """GitHub saw no answer either way; what it delivers again is stored once."""
    sender = Sender(make_group(RESPONDER_GITHUB__WEBHOOK_SECRET=SECRET).prepare())
    loopback = {"RESPONDER_GITHUB__API_URL": "http://127.0.0.1:9", "RESPONDER_OPENAI__BASE_URL": "http://127.0.0.1:9"}
    sender.group.environment |= loopback
    sender.group.start("web", failpoint=f"{place}:kill").wait_until_listening()
    body = dump(push())
    with pytest.raises(httpx.TransportError):
        sender.post(body, guid="died-on-it")
    assert len(sender.stored()) == kept
    assert eventually(lambda: _posted(sender, body), "the receiver to be back") == 202
    assert len(sender.stored()) == 1


def _posted(sender: Sender, body: bytes) -> int:
    try:
        return sender.post(body, guid="died-on-it").status_code
    except httpx.TransportError:
        return 0


def test_a_group_killed_whole_goes_on_where_it_was(world: World, make_group: Callable[..., Group]) -> None:
    """What had its 202 is finished by the next start."""
    key = world.openai.add_key("whole", owner=world.openai.add_user("Ada", "ada@acme.example"))
    group = make_group(world).start("serve").wait_until_ready()
    world.github.hook_url = f"{group.origin}/hooks/github"
    delivered = world.github.commit_and_push(world.github.add_repository(), {"a.py": f"K = '{key.value}'\n"})
    group.kill("serve")
    assert delivered is not None
    assert delivered.status_code == 202
    group.start("serve").wait_until_ready()
    assert group.closed(key.id)["disposition"] == "revoked"
    assert [mutation.applied for mutation in world.openai.deletions] == [True]
    assert len(world.mail.letters) == 1


def test_a_worker_that_dies_is_started_again_by_its_group(world: World, make_group: Callable[..., Group]) -> None:
    """Nobody watches at night; and the receiver went on taking deliveries meanwhile."""
    key = world.openai.add_key("half", owner=world.openai.add_user("Ada", "ada@acme.example"))
    group = make_group(world).start("serve", failpoint="openai.delete_key.after:kill").wait_until_ready()
    world.github.hook_url = f"{group.origin}/hooks/github"
    world.github.commit_and_push(world.github.add_repository(), {"a.py": f"K = '{key.value}'\n"})
    assert group.closed(key.id)["disposition"] == "revoked"
    assert "process_died" in group.log
    assert [mutation.applied for mutation in world.openai.deletions] == [True]
    assert len(world.mail.letters) == 1


def test_halves_end_with_their_group(world: World, make_group: Callable[..., Group]) -> None:
    """Orphans would hold the port and the database against the next start."""
    group = make_group(world).start("serve").wait_until_ready()
    parent = group.processes["serve"]
    others = set(group.pids()) - {parent.pid}
    assert len(others) >= 3
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(timeout=10)
    eventually(lambda: not any(_lives(pid) for pid in others), "the halves to end", 20)
    group.start("serve").wait_until_ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_is_quick_and_clean(
    world: World, make_group: Callable[..., Group], number: signal.Signals
) -> None:
    """Schedulers give half a minute and then kill."""
    group = make_group(world).start("serve").wait_until_ready()
    group.client.close()
    process: subprocess.Popen[bytes] = group.processes["serve"]
    os.kill(process.pid, number)
    assert process.wait(timeout=30) == 0
    assert "Traceback" not in group.log
    assert not group.pids()


def _lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
