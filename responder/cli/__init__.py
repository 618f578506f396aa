"""Where a person starts: ``responder COMMAND``.

Each command is a module that is loaded only when it is called, so that help
comes at once. A user's mistake is one line and exit code 2, never a traceback.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from responder.confine import confine

_COMMANDS = {
    "catch-up": ("catch_up", "Find what webhooks missed."),
    "audit": ("audit", "Check the record of what was decided and done."),
    "db": ("db", "Look after the database."),
    "demo": ("demo", "Leak a made-up key to a simulated GitHub and watch it being dealt with."),
    "doctor": ("doctor", "Check everything that can be checked without deleting anything."),
    "incidents": ("incidents", "Look at incidents, and decide those that wait for you."),
    "keys": ("keys", "Look at the known keys, prove tokens to be them, delete them by hand."),
    "report": ("report", "Tell a running responder of a leaked key."),
    "scan": ("scan", "Scan files, standard input or a git history for leaked tokens."),
    "serve": ("run", "Run receiver and worker as one group."),
    "wait-idle": ("wait_idle", "Wait until no accepted delivery is unfinished."),
    "web": ("run", "Run the receiver alone."),
    "worker": ("run", "Run the worker alone."),
}


class _Commands(click.Group):
    """Knows every command's name and help without loading it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"responder.cli.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)  # noqa: S101 -- a slip of ours, not of a user's
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in sorted(_COMMANDS)])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="secret-leak-responder")
def main() -> None:
    """Revoke leaked sk- API keys within seconds, and tell their owners."""
    confine()


def load(config: Path | None) -> Any:
    """The settings, or one line and exit code 2."""
    from responder import settings

    try:
        return settings.load(config)
    except settings.SettingsError as error:
        raise Mistake(str(error)) from None


class Mistake(click.ClickException):
    """A mistake of the user's: one line, exit code 2."""

    exit_code = 2


@contextmanager
def reading(config: Path | None) -> Iterator[Any]:
    """The configured database, for a question or two."""
    from responder.store import Store, StoreUnavailable

    store = Store(load(config).store_url)
    try:
        if not store.is_current():
            raise Mistake("the database is not set up; run: responder db upgrade")
        yield store
    except StoreUnavailable as error:
        raise Mistake(f"the database cannot be used: {error.why}") from None
    finally:
        store.close()


config_option = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file (default: responder.toml)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
