"""What is written for those who run it is true: every name exists, every promise of the manifests stands in them."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from responder import cli
from tests.running import ROOT
from tests.test_settings import names, secret_names

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
FILES = [DEPLOY / "Dockerfile", DEPLOY / "compose.yaml", *UNITS, *MANIFESTS]
BOOKS = [ROOT / "README.md", DEPLOY / "RUNBOOK.md"]
ANCHORS = (
    "key-still-live",
    "held-incidents",
    "queue-stuck",
    "no-worker",
    "notices-undelivered",
    "inventory-stale",
    "credential-refused",
    "coverage-low",
    "disk-full",
)
WORST_EXPOSURE = 2.0
UNPRIVILEGED = "10001"
CREDENTIAL = re.compile(r"ADMIN_KEY|CANARY_KEY|GITHUB__TOKEN|GITLAB__TOKEN|PRIVATE_KEY|MAIL__|NOTIFY__")


def used_names(text: str) -> set[str]:
    """Every environment name of ours in *text*."""
    return set(re.findall(r"\bRESPONDER_[A-Z0-9_]+\b(?!…)", text))


@pytest.mark.parametrize("path", [*FILES, *BOOKS], ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """An unknown name refuses to start, on the evening of the installation."""
    known = set(names()) | {"RESPONDER_CONFIG", "RESPONDER_FAILPOINT"}
    text = re.sub(r"\bRESPONDER_(?=…)", "", path.read_text())
    assert {name for name in used_names(text) if name.removesuffix("_FILE") not in known} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_secret_is_given_as_a_file(path: Path) -> None:
    """What is in an environment is in `docker inspect`, in unit files and in manifests."""
    secrets = set(secret_names())
    assert "RESPONDER_OPENAI__ADMIN_KEY" in secrets
    assert used_names(path.read_text()) & secrets == set()


def containers() -> dict[str, dict[str, Any]]:
    """Every container of every pod, by name."""
    documents = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]
    pods = [one["spec"]["template"]["spec"] for one in documents if "template" in one.get("spec", {})]
    return {one["name"]: one for pod in pods for one in [*pod["containers"], *pod.get("initContainers", ())]}


def services() -> dict[str, dict[str, Any]]:
    """Every service of ours in compose."""
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return {name: one for name, one in found.items() if name != "database"}


def test_every_command_of_an_image_or_unit_exists() -> None:
    """The entry point is the console command of the package, and takes no option here."""
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    docker = (DEPLOY / "Dockerfile").read_text()
    assert list(script) == re.findall(r'ENTRYPOINT \["(\w+)"\]', docker)
    asked = re.findall(r'^CMD \["(\w+)"\]', docker, re.MULTILINE)
    asked += [" ".join(one["command"]) for one in services().values() if "command" in one]
    asked += [" ".join(one["args"]) for one in containers().values() if "args" in one]
    asked += re.findall(r"^ExecStart=/opt/responder/bin/responder (.+)", _units(), re.MULTILINE)
    assert sorted(asked) == sorted(["serve"] * 2 + ["web"] * 3 + ["worker"] * 3 + ["db upgrade"])
    for line in asked:
        _check(f"responder {line}")


def test_what_the_image_is_made_of_exists_and_is_not_ignored() -> None:
    """The ignore file lets through what is copied, and nothing else."""
    docker = (DEPLOY / "Dockerfile").read_text()
    copied = [
        source for line in re.findall(r"^COPY (?!--)(.+) \S+$", docker, re.MULTILINE) for source in line.split()
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(copied)
    assert f"USER {UNPRIVILEGED}:{UNPRIVILEGED}" in docker
    assert "HEALTHCHECK" in docker
    assert "/healthz" in docker


def test_containers_have_no_power_and_write_nowhere_but_where_they_must() -> None:
    """A hole in ours must not become a hole in the machine."""
    for one in services().values():
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["mem_limit"] == one["memswap_limit"]
    for one in containers().values():
        security = one["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_a_receiver_is_handed_nothing_to_revoke_with_and_a_worker_no_door() -> None:
    """P-4: whoever takes over the half that can be reached finds no credential, and no private key."""
    web, worker = services()["web"], services()["worker"]
    assert "ports" not in worker
    assert web["volumes"] == ["public:/data:ro"]
    assert "inside" in web["networks"]
    assert "outside" not in web["networks"]
    for given in (str(web), str(containers()["web"]), (DEPLOY / "systemd" / "responder-web.service").read_text()):
        assert not CREDENTIAL.search(given)
    assert "ports" not in containers()["worker"]
    policies = {
        one["metadata"]["name"]: one["spec"]
        for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "network.yaml").read_text())
        if one["kind"] == "NetworkPolicy"
    }
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert "ingress" not in policies["worker"]
    assert "Ingress" in policies["worker"]["policyTypes"]
    reached = [port["port"] for rule in policies["web"]["egress"] for port in rule["ports"]]
    assert sorted(set(reached)) == [53, 5432]


def test_intake_does_not_depend_on_a_worker() -> None:
    """/readyz is bad while no worker is alive: a balancer that asked it would turn deliveries away for good."""
    assert containers()["web"]["readinessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_units_are_closed_in_the_same_way() -> None:
    """One of three that was forgotten is the one that gets taken over."""
    walls = [text[text.index("LimitCORE") : text.index("SystemCallErrorNumber")] for text in map(_read, UNITS)]
    assert len(walls) == 3
    assert len(set(walls)) == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_a_unit_and_finds_it_closed(unit: Path) -> None:
    """Systemd ignores what it does not know: a misspelt wall is none."""
    read = _analyze("verify", "--recursive-errors=no", "--man=no", str(unit))
    complaints = [line for line in read.stderr.splitlines() if unit.name in line and "not executable" not in line]
    assert complaints == []
    judged = _analyze("security", "--offline=true", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", judged.stdout)
    assert level, judged.stderr
    assert float(level[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.name)
def test_every_command_in_a_book_exists(book: Path) -> None:
    """At three in the morning nobody guesses what an option is called now."""
    lines = list(_commands(book.read_text()))
    assert len(lines) > 10
    for line in lines:
        _check(line)


def test_every_alert_has_a_section_and_every_link_leads_somewhere() -> None:
    """A page without a next step is noise."""
    text = (DEPLOY / "RUNBOOK.md").read_text()
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    titles = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in found]
    assert set(ANCHORS) <= set(titles)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(titles)


def _commands(text: str) -> Iterator[str]:
    """Every command line of ours: in fenced blocks and between backticks."""
    start = r"(?:^|^\S+=\S+ |[/|&] ?)"  # of a line, after a setting, a path or another command
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from re.findall(rf"{start}(responder [a-z][^|&;#<>\n]*)", block, re.MULTILINE)
    for quoted in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        if quoted.startswith("responder "):
            yield re.split(r"[|<>;&]", quoted)[0]


def _check(line: str) -> None:
    """That a command line is one of ours, as far as its words and options go."""
    words = [word.strip("[]") for word in shlex.split(line.replace("…", ""))[1:]]
    command: click.Command = cli.main
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    assert not isinstance(command, click.Group) or any(word.startswith("-") for word in words), line
    options = {name: one for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
    places = sum(one.nargs if one.nargs > 0 else 99 for one in command.params if isinstance(one, click.Argument))
    _take(words, options, places, line)


def _take(words: Sequence[str], options: dict[str, click.Parameter], places: int, line: str) -> None:
    left = list(words)
    while left:
        word = left.pop(0)
        if word.startswith("-") and word != "-":
            assert word in options, f"{word} in: {line}"
            option = options[word]
            if isinstance(option, click.Option) and not option.is_flag and left:
                value = left.pop(0)
                if isinstance(option.type, click.Choice):
                    wanted = re.split(r"[|,]", value)
                    assert set(wanted) <= set(map(str, option.type.choices)), line
        else:
            places -= 1
            assert places >= 0, f"{word} in: {line}"


def _read(path: Path) -> str:
    return path.read_text()


def _units() -> str:
    return "\n".join(map(_read, UNITS))


def _analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"LANG": "C.UTF-8"},
    )
