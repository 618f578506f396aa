"""Settings: every name is documented, a mistake is one line, and no line repeats a value."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from responder.settings import Settings, SettingsError, load, receiver_environment
from responder.simulator import World
from tests.running import ROOT, Group

MARK = "do-not-repeat-me"


def names(model: type[BaseModel] = Settings, prefix: str = "RESPONDER_") -> Iterator[str]:
    """Every environment name."""
    for field, info in model.model_fields.items():
        name = f"{prefix}{(info.alias or field).upper()}"
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from names(inner, f"{name}__")
        else:
            yield name


def secret_names(model: type[BaseModel] = Settings, prefix: str = "RESPONDER_") -> Iterator[str]:
    """The environment name of every setting that is a secret."""
    for field, info in model.model_fields.items():
        name = f"{prefix}{(info.alias or field).upper()}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from secret_names(info.annotation, f"{name}__")
        elif "SecretStr" in repr(info.annotation):
            yield name


def test_every_setting_has_a_line_in_the_readme() -> None:
    """What is not written down cannot be found by whoever needs it."""
    documented = (ROOT / "README.md").read_text()
    missing = []
    for name in names():
        section, _, short = name.rpartition("__")
        line = next((one for one in documented.splitlines() if name in one), None)
        if line is None:
            line = next((one for one in documented.splitlines() if section in one and f"`__{short}`" in one), None)
        if line is None:
            missing.append(name)
    assert missing == []


def test_nothing_at_all_is_a_good_configuration() -> None:
    """Every setting has a default; what a command cannot do without, that command says."""
    assert load(None, {}).mode == "enforce"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    """A file for what stays, the environment for what differs."""
    file = tmp_path / "responder.toml"
    file.write_text('mode = "observe"\nbind = "127.0.0.1:1"\n[policy]\nprotected = ["prod-*", "key_1"]\n')
    settings = load(file, {"RESPONDER_BIND": "127.0.0.1:2", "RESPONDER_MAIL__FROM": "a@b.example", **MAIL})
    assert (settings.mode, settings.bind) == ("observe", "127.0.0.1:2")
    assert settings.policy.protected == ("prod-*", "key_1")
    assert settings.mail.sender == "a@b.example"
    assert load(None, {"RESPONDER_CONFIG": str(file)}).mode == "observe"


MAIL = {"RESPONDER_MAIL__URL": "smtp://mail.example"}
TWO = {"RESPONDER_GITHUB__WEBHOOK_SECRET": " one , two,"}


def test_lists_are_separated_by_commas() -> None:
    """Two secrets while they rotate."""
    assert [s.get_secret_value() for s in load(None, TWO).github.webhook_secret] == ["one", "two"]


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """Environments are listed by tools that nobody thinks of."""
    (tmp_path / "key").write_text(f"{MARK}\n")
    settings = load(None, {"RESPONDER_OPENAI__ADMIN_KEY_FILE": str(tmp_path / "key")})
    assert settings.openai.admin_key is not None
    assert settings.openai.admin_key.get_secret_value() == MARK
    assert MARK not in repr(settings)


BESIDE = {
    "RESPONDER_MAIL__URL": {"RESPONDER_MAIL__FROM": "a@b.example"},
    "RESPONDER_GITLAB__TOKEN": {"RESPONDER_GITLAB__URL": "https://gitlab.example"},
    "RESPONDER_GITHUB__PRIVATE_KEY": {
        "RESPONDER_GITHUB__APP_ID": "1",
        "RESPONDER_GITHUB__INSTALLATION_ID": "2",
    },
}
"""What some secrets are not accepted without."""


@pytest.mark.parametrize("name", list(secret_names()))
def test_every_secret_may_come_from_a_file_and_is_redacted_then_too(name: str, tmp_path: Path) -> None:
    """A secret that can only be an environment variable ends up in a unit file or a manifest."""
    value = {
        "RESPONDER_DATABASE_URL": f"postgresql://user:{MARK}@db/x",
        "RESPONDER_MAIL__URL": f"smtp://user:{MARK}@mail.example",
    }.get(name, MARK)
    (tmp_path / "secret").write_text(f"{value}\n")
    settings = load(None, {f"{name}_FILE": str(tmp_path / "secret"), **BESIDE.get(name, {})})
    found: object = settings
    for part in name.removeprefix("RESPONDER_").lower().split("__"):
        found = getattr(found, part)
    assert [one.get_secret_value() for one in (found if isinstance(found, tuple) else (found,))] == [value]
    assert MARK in settings.secrets()
    assert MARK not in repr(settings)


WRONG: dict[str, dict[str, str]] = {
    "unknown name": {"RESPONDER_COLOUR": MARK},
    "unknown section": {"RESPONDER_FAX__URL": MARK},
    "unknown name in a section": {"RESPONDER_GITHUB__TOKENS": MARK},
    "a section too deep": {"RESPONDER_GITHUB__TOKEN__X": MARK},
    "a section as a setting": {"RESPONDER_GITHUB": MARK},
    "a setting as a section": {"RESPONDER_MODE": "observe", "RESPONDER_MODE__X": MARK},
    "another mode": {"RESPONDER_MODE": MARK},
    "no number": {"RESPONDER_POLICY__VERIFY_SECONDS": MARK},
    "a negative number": {"RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "-1"},
    "no rate at all": {"RESPONDER_OPENAI__CALLS_PER_SECOND": "0"},
    "never in sync": {"RESPONDER_INVENTORY__SYNC_SECONDS": "0"},
    "no truth": {"RESPONDER_GITHUB__RESOLVE_ALERTS": MARK},
    "no port": {"RESPONDER_BIND": MARK},
    "plain HTTP to elsewhere": {"RESPONDER_GITHUB__API_URL": f"http://{MARK}.example"},
    "plain HTTP to a look-alike": {"RESPONDER_OPENAI__BASE_URL": f"http://localhost.{MARK}.example/v1"},
    "a password in a URL": {"RESPONDER_OPENAI__BASE_URL": f"https://user:{MARK}@api.example"},
    "a query in a URL": {"RESPONDER_GITHUB__API_URL": f"https://api.example/?{MARK}"},
    "no URL": {"RESPONDER_PUBLIC_URL": MARK},
    "another database": {"RESPONDER_DATABASE_URL": f"mysql://user:{MARK}@db"},
    "mail without a sender": {"RESPONDER_MAIL__URL": f"smtp://user:{MARK}@mail.example"},
    "a sender without mail": {"RESPONDER_MAIL__FROM": f"{MARK}@b.example"},
    "a file that is not there": {"RESPONDER_GITHUB__TOKEN_FILE": f"{MARK}/missing"},
    "no configuration file": {"RESPONDER_CONFIG": "/nowhere/responder.toml"},
}


@pytest.mark.parametrize("environment", WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_without_the_value(environment: dict[str, str]) -> None:
    """Most values are secrets, and start-up errors end up in tickets."""
    with pytest.raises(SettingsError) as caught:
        load(None, environment)
    said = str(caught.value)
    assert said
    assert "\n" not in said
    assert MARK not in said
    assert MARK not in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    "text", [f'mode = "{MARK}', f'{MARK} = 1\n"', "mode = 1\nmode = 2", "[github]\nsecret = 1", "\x00"]
)
def test_a_broken_file_is_one_line_too(tmp_path: Path, text: str) -> None:
    """As above; the parser's own message would show the line."""
    file = tmp_path / "responder.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert "\n" not in str(caught.value)
    assert MARK not in str(caught.value)


def test_a_start_with_a_mistake_is_one_line_and_exit_code_2(make_group: Callable[..., Group]) -> None:
    """A person reads this at a terminal, or in the log of a service that does not come up."""
    for environment, word in (
        ({"RESPONDER_COLOUR": MARK}, "RESPONDER_COLOUR"),
        ({"RESPONDER_GITHUB__WEBHOOK_SECRET": MARK, "RESPONDER_OPENAI__ADMIN_KEY": MARK}, "RESPONDER_GITHUB__TOKEN"),
        ({}, "RESPONDER_OPENAI__ADMIN_KEY"),
    ):
        done = make_group(**environment).run("serve")
        said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
        assert done.returncode == 2
        assert len(said) == 1, done.stderr
        assert word in said[0]
        assert MARK not in done.stderr + done.stdout


def test_a_failpoint_is_refused_where_a_real_service_is_configured(
    world: World, make_group: Callable[..., Group]
) -> None:
    """A way to make the process die belongs to tests."""
    group = make_group(world, RESPONDER_GITHUB__API_URL="https://github.example").prepare()
    done = group.run("worker", RESPONDER_FAILPOINT="commit.start.after:kill")
    assert done.returncode == 2
    assert "RESPONDER_FAILPOINT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_receiver_is_given_no_credential(world: World) -> None:
    """Whoever takes it over finds nothing to revoke or fetch with."""
    foreign = {"OPENAI_API_KEY": MARK, "GITHUB_TOKEN": MARK, "DATABASE_URL": MARK, "XPATH": MARK, "PATH_": MARK}
    needed = {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": "/lib",
        "SSL_CERT_FILE": "/ca",
        "PGSSLMODE": "require",
    }
    environment = world.environment() | {"RESPONDER_OPENAI__CANARY_KEY": MARK} | foreign | needed
    given = receiver_environment(load(None, environment), environment)
    assert needed.items() <= given.items()
    assert given["RESPONDER_GITHUB__WEBHOOK_SECRET"] == world.github.hooks.secret
    for secret in (world.github.token, world.openai.admin_key.value, world.mail.url, world.channel.url, MARK):
        assert secret not in given.values()
    assert load(None, given).github.webhook_secret


def test_every_secret_is_known_to_the_redaction_of_logs() -> None:
    """By exact value, whatever it looks like."""
    values = {
        name: f"{MARK}-{number}" for number, name in enumerate(("token", "admin", "canary", "hook", "mail", "db"))
    }
    settings = load(
        None,
        {
            "RESPONDER_GITHUB__TOKEN": values["token"],
            "RESPONDER_GITHUB__WEBHOOK_SECRET": values["hook"],
            "RESPONDER_OPENAI__ADMIN_KEY": values["admin"],
            "RESPONDER_OPENAI__CANARY_KEY": values["canary"],
            "RESPONDER_MAIL__URL": f"smtp://user:{values['mail']}@mail.example",
            "RESPONDER_MAIL__FROM": "a@b.example",
            "RESPONDER_DATABASE_URL": f"postgresql://user:{values['db']}@db/x",
            "RESPONDER_NOTIFY__URLS": "json://chat.example/very-secret-path",
        },
    )
    assert {*values.values(), "json://chat.example/very-secret-path"} <= set(settings.secrets())
