"""What is configured, as objects: accounts, sources, people, and the house that holds them all.

Everything is imported where it is made, so that a command pays only for what it uses.
"""

import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from responder import settings
from responder.settings import Settings, is_same_host

STOP_FILE = "STOP"
"""In the data directory: while it is there, nothing is revoked or closed; intake goes on."""

_OLDEST_SQLITE = (3, 42) if sys.version_info >= (3, 12) else (3, 37)
"""With newer Pythons the engine asks it for milliseconds, and cannot start where the answer is NULL."""


def now() -> datetime:
    """The one clock of the process, UTC."""
    return datetime.now(UTC)


def engine_url(config: Settings) -> str:
    """Where the engine keeps its rows: beside ours on PostgreSQL, in a file of its own on SQLite."""
    if config.store_url.startswith("postgresql"):
        return config.store_url
    return f"sqlite:///{config.data_dir.absolute() / 'engine.sqlite'}"


def check_worker(config: Settings) -> None:
    """Refuse to start a worker that could not do its work.

    Raises:
        SettingsError: what is missing.
    """
    if config.store_url.startswith("sqlite") and sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise settings.SettingsError(f"RESPONDER_DATABASE_URL: SQLite is too old for this Python, {oldest} is needed")
    if config.openai.admin_key is None:
        raise settings.SettingsError("RESPONDER_OPENAI__ADMIN_KEY: must be set, or nothing can be revoked")
    if config.github.webhook_secret and not config.github.can_fetch:
        raise settings.SettingsError(
            "RESPONDER_GITHUB__TOKEN: must be set (or an app), or no push or alert can be fetched"
        )
    github(config)  # a private key that cannot be read is found out now
    if config.gitlab.webhook_secret and config.gitlab.url is None:
        raise settings.SettingsError("RESPONDER_GITLAB__URL and __TOKEN: must be set, or no push can be fetched")


def accounts(config: Settings, store: Any) -> Mapping[str, Sequence[Any]]:
    """Every configured account by provider."""
    from responder.core.token import Token
    from responder.inventory import Inventory
    from responder.outbound import Door
    from responder.pace import Budget
    from responder.proof import Account, Control
    from responder.providers.openai import OpenAI
    from responder.providers.openai_usage import OpenAILedger

    if config.openai.admin_key is None:
        return {}
    budget = Budget(config.openai.calls_per_second)
    door = Door("openai", config.openai.base_url, budget=budget)
    admin_key = config.openai.admin_key.get_secret_value()
    provider = OpenAI("default", door, admin_key)
    inventory = Inventory(store, provider, config.policy.protected, now)
    control = None
    if config.openai.canary_key is not None:
        try:
            canary = Token(config.openai.canary_key.get_secret_value(), "control")
        except ValueError:
            raise settings.SettingsError("RESPONDER_OPENAI__CANARY_KEY: is not a key") from None
        control = Control(provider, canary, provider.stranger)
    ledger = OpenAILedger(door, admin_key)
    return {"openai": [Account(provider, inventory, ledger=ledger, control=control, budget=budget)]}


def github(config: Settings) -> tuple[Any, Any]:
    """GitHub's API as it is configured, and the same in the name of the App itself; None for what we are not.

    Raises:
        SettingsError: the App's private key cannot be read.
    """
    from responder.outbound import Door
    from responder.sources.github_api import GitHub
    from responder.sources.github_app import App, Installation
    from responder.sources.github_call import PlainToken

    door, own = Door("github", config.github.api_url), config.github
    if own.token is not None:
        return GitHub(door, PlainToken(own.token.get_secret_value())), None
    if own.app_id is None or own.private_key is None or own.installation_id is None:
        return None, None
    try:
        app = App(own.app_id, own.private_key.get_secret_value(), now)
    except ValueError as error:
        raise settings.SettingsError(f"RESPONDER_GITHUB__PRIVATE_KEY: {error}") from None
    return GitHub(door, Installation(door, app, own.installation_id, now)), GitHub(door, app)


def gitlab(config: Settings) -> Any:
    """GitLab's API, if it is configured."""
    from responder.outbound import Door
    from responder.sources.gitlab_api import GitLab

    if config.gitlab.url is None or config.gitlab.token is None:
        return None
    return GitLab(Door("gitlab", f"{config.gitlab.url}/api/v4"), config.gitlab.token.get_secret_value())


def house(config: Settings, store: Any, engine: Any, ended: Any) -> Any:
    from responder import notify
    from responder.house import House, Policy
    from responder.outbox import Outbox
    from responder.seal import Keys
    from responder.sources import Reach

    keys = Keys(config.data_dir)
    as_installed, as_app = github(config)
    mail, channels = None, None
    try:
        if config.mail.url is not None and config.mail.sender is not None:
            mail = notify.Mailer(config.mail.url.get_secret_value(), config.mail.sender)
        if config.notify.urls:
            channels = notify.Channels([url.get_secret_value() for url in config.notify.urls])
    except ValueError as error:
        raise settings.SettingsError(str(error)) from None
    return House(
        store=store,
        scanner=scanner(config),
        reach=Reach(as_installed, gitlab(config), _partners(config), as_app),
        accounts=accounts(config, store),
        outbox=Outbox(
            store,
            mail,
            channels,
            public_url=None,  # no page of ours shows an incident: a link to it would lead a worried owner nowhere
            clock=now,
            recipient_domains=config.notify.recipient_domains,
        ),
        policy=Policy(
            enforce=config.mode == "enforce",
            max_revokes_per_hour=config.policy.max_revokes_per_hour,
            verify_seconds=config.policy.verify_seconds,
            page_after=timedelta(seconds=config.policy.hold_page_seconds),
            close_alerts=config.github.resolve_alerts and config.mode == "enforce",
            keep_work=timedelta(days=config.retention.days),
            keep_incidents=timedelta(days=config.retention.incident_days) if config.retention.incident_days else None,
        ),
        peppers=lambda: keys.peppers,
        private=keys.private,
        clock=now,
        sleep=time.sleep,
        holder=engine.holder,
        stopped=(config.data_dir / STOP_FILE).exists,
        is_alive=engine.is_alive,
        ended=ended,
    )


def _partners(config: Settings) -> Mapping[str, Any]:
    """Where partners publish their keys; our GitHub token goes to GitHub's own host, and to nobody else."""
    from responder.outbound import Door
    from responder.sources.partner_keys import KeyPage

    pages = {}
    for origin, url in config.partner_keys_urls.items():
        token = config.github.token if origin == "github" and is_same_host(url, config.github.api_url) else None
        pages[origin] = KeyPage(Door(origin, url), token.get_secret_value() if token is not None else None)
    return pages


def scanner(config: Settings) -> Any:
    from responder.scan import RuleError, Scanner

    try:
        return Scanner.load([config.rules_dir] if config.rules_dir else [])
    except RuleError as error:
        raise settings.SettingsError(f"RESPONDER_RULES_DIR: {error}") from None
