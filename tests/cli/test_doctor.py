"""``responder doctor``: what is wrong is red, with its fix; nothing is touched, and no secret is shown."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from responder.simulator import World
from responder.simulator.gitlab import GitLab
from tests.running import Group, eventually


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One for all."""
    with World() as fresh:
        fresh.openai.add_key("prod")
        yield fresh


@pytest.fixture(scope="module")
def group(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A responder that runs as it should, with a control key."""
    canary = world.openai.add_key("canary")
    environment = {**world.environment(), "RESPONDER_OPENAI__CANARY_KEY": canary.value}
    with Group(tmp_path_factory.mktemp("doctor"), environment) as running:
        running.start("serve").wait_until_ready()
        eventually(lambda: "keys_listed" in running.log, "the first list")
        yield running


Ask = Callable[..., tuple[int, dict[str, dict[str, Any]], str]]


@pytest.fixture
def ask(group: Group) -> Ask:
    """Exit code, checks by name, and everything printed."""

    def asked(**environment: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        done = group.run("doctor", "--json", **environment)
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        return done.returncode, checks, done.stdout + done.stderr

    return asked


def test_where_all_is_well_nothing_is_red_and_nothing_is_touched(ask: Ask, world: World) -> None:
    """It runs against production, on Monday."""
    before = len(world.openai.mutations), len(world.mail.letters), len(world.channel.posts)
    code, checks, _ = ask()
    assert code == 0, checks
    assert {check["state"] for check in checks.values()} == {"green", "yellow"}
    assert checks["coverage"]["state"] == "yellow", "no key was registered"
    assert checks["control key"]["state"] == "green"
    assert (len(world.openai.mutations), len(world.mail.letters), len(world.channel.posts)) == before


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("OpenAI admin key", {"RESPONDER_OPENAI__ADMIN_KEY": "sk-admin-revoked"}),
        ("GitHub", {"RESPONDER_GITHUB__TOKEN": "ghp_expired"}),
        ("GitLab", {"RESPONDER_GITLAB__WEBHOOK_SECRET": "made-up-shared-token"}),
        ("mail", {"RESPONDER_MAIL__URL": "smtp://127.0.0.1:9?starttls=never"}),
        ("channels", {"RESPONDER_NOTIFY__URLS": "nonsense://"}),
        ("channels", {"RESPONDER_NOTIFY__URLS": ""}),
        ("control key", {"RESPONDER_OPENAI__CANARY_KEY": "sk-proj-nobody-has-this-one"}),
    ],
)
def test_what_is_broken_is_red_and_says_what_to_do(ask: Ask, name: str, environment: dict[str, str]) -> None:
    """A red line without a fix is a riddle at three in the morning."""
    code, checks, printed = ask(**environment)
    assert code == 1
    assert checks[name]["state"] == "red"
    assert checks[name]["fix"]
    assert all(value not in printed for value in environment.values() if len(value) > 8)


def test_gitlab_is_looked_at_where_it_is_configured(ask: Ask) -> None:
    """Its token expires like any other, and without it no push can be fetched."""
    with GitLab() as vendor:
        assert ask(**vendor.environment())[1]["GitLab"]["state"] == "green"
        _, checks, printed = ask(**{**vendor.environment(), "RESPONDER_GITLAB__TOKEN": "glpat-expired"})
        assert (checks["GitLab"]["state"], "glpat-expired" in printed) == ("red", False)
    assert "GitLab" not in ask()[1]


def test_a_data_directory_that_others_may_read_is_red(ask: Ask, group: Group) -> None:
    """The pepper in it makes the fingerprints worth something."""
    pepper = Path(group.data, "pepper")
    pepper.chmod(0o644)
    try:
        code, checks, _ = ask()
    finally:
        pepper.chmod(0o600)
    assert (code, checks["data directory"]["state"]) == (1, "red")


def test_for_people_it_is_a_table_with_each_fix_below_its_line(group: Group) -> None:
    """Most who read it have never seen it before."""
    done = group.run("doctor")
    assert "yellow" in done.stdout
    assert "→ run: responder keys register" in done.stdout


def test_before_anything_ran_it_says_how_to_begin(tmp_path: Path, world: World) -> None:
    """The first thing a newcomer runs may be this."""
    with Group(tmp_path, world.environment()) as fresh:
        done = fresh.run("doctor", "--json")
        states = {check["name"]: check["state"] for check in json.loads(done.stdout)}
        assert (done.returncode, states["data directory"], states["database"]) == (1, "red", "red")
