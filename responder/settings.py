"""Settings: one file, overridden by the environment; the one place that reads either.

An unknown name or an impossible combination refuses to start, in one line, and
no line ever repeats a value: most of them are secrets.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

PREFIX = "RESPONDER_"
_NOT_SETTINGS = frozenset({"RESPONDER_CONFIG", "RESPONDER_FAILPOINT"})
_HARMLESS = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TZDIR|TMPDIR|VIRTUAL_ENV|LD_LIBRARY_PATH|SSL_CERT_(?:FILE|DIR)|PYTHON\w*|PG\w+"
)
"""What a receiver inherits besides our own: what Python needs to run, and libpq to connect."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SIGNING_KEY = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4}){6,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


class SettingsError(Exception):
    """The settings cannot be used; the message is one line, fit for a terminal, without any value."""


def is_loopback(url: str) -> bool:
    """Whether *url* names this machine."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def is_same_host(one: str, other: str) -> bool:
    """Whether two URLs lead to the same server, port and scheme included."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _base_url(value: object) -> object:
    if isinstance(value, str):
        parts = urlsplit(value)
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("must be a plain base URL")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(value)):
            raise ValueError("must be https (http only for a loopback host)")
        return value.rstrip("/")
    return value


BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_split)]


def _check_database(url: str) -> None:
    """Refuse what a driver would read otherwise than it was meant, and repeat."""
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("database_url must start with sqlite:/// or postgresql://")
    parts = urlsplit(url)
    try:
        whole = parts.netloc.count("@") < 2 and (parts.port is None or parts.port > 0)
    except ValueError:  # no number
        whole = False
    if not whole:
        raise ValueError("database_url has no port that is a number, or a password with : / @ not percent-encoded")


def _signing_keys(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    values = [secret.get_secret_value() for secret in secrets]
    if any(value.startswith("whsec_") and not _SIGNING_KEY.match(value) for value in values):
        raise ValueError("what follows whsec_ must be base64")
    return secrets


class Section(BaseModel):
    """A group of settings: closed against unknown names, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GitHub(Section):
    """GitHub: where its API is, how it signs, and the token we fetch with."""

    api_url: BaseUrl = "https://api.github.com"
    webhook_secret: Secrets = ()
    token: Secret | None = None
    app_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.]{1,64}$")
    private_key: Secret | None = None
    installation_id: int | None = Field(default=None, gt=0)
    resolve_alerts: bool = True
    partner_keys_url: BaseUrl | None = None
    partner_feedback: bool = False
    depsdev_keys_url: BaseUrl | None = None

    @property
    def can_fetch(self) -> bool:
        """Whether there is a credential to fetch with."""
        return self.token is not None or self.app_id is not None


class GitLab(Section):
    """GitLab: where it is, how it signs, the token we fetch with, and the one it revokes through us with."""

    url: BaseUrl | None = None
    token: Secret | None = None
    webhook_secret: Annotated[Secrets, AfterValidator(_signing_keys)] = ()
    revocation_token: Secrets = ()


class Reports(Section):
    """Reports by people: the bearers that may send more of them."""

    tokens: Secrets = ()


class OpenAI(Section):
    """One OpenAI organisation and the admin key for it."""

    admin_key: Secret | None = None
    base_url: BaseUrl = "https://api.openai.com/v1"
    canary_key: Secret | None = None
    calls_per_second: float = Field(default=20, gt=0)


class Mail(Section):
    """The mail server that owners are told through."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    url: Secret | None = None
    sender: str | None = Field(default=None, alias="from")


class Notify(Section):
    """The security team's channels."""

    urls: Secrets = ()
    recipient_domains: Words = ()


class Policy(Section):
    """When a person must agree, and how long to keep looking."""

    protected: Words = ()
    max_revokes_per_hour: int = Field(default=100, ge=0)
    verify_seconds: int = Field(default=900, ge=1)
    hold_page_seconds: int = Field(default=900, ge=1)


class Inventory(Section):
    """How often the list of known keys is brought up to date."""

    sync_seconds: int = Field(default=300, ge=1)


class Retention(Section):
    """How long what ended is kept, in days."""

    days: float = Field(default=30, gt=0)
    incident_days: float = Field(default=0, ge=0)


class Metrics(Section):
    """Where a worker shows its metrics, and the bearer for which a receiver does."""

    bind: str | None = Field(default=None, pattern=r"^.+:\d{1,5}$")
    token: Secret | None = Field(default=None, min_length=16)


class Otel(Section):
    """Where traces go; needs the extra ``otel``."""

    endpoint: BaseUrl | None = None


class CatchUp(Section):
    """How often what webhooks missed is looked for."""

    seconds: int = Field(default=300, ge=0)


class Settings(Section):
    """Everything that can be set; names and meanings are in the README."""

    mode: Literal["enforce", "observe"] = "enforce"
    data_dir: Path = Path("data")
    database_url: Secret | None = None
    public_url: BaseUrl | None = None
    rules_dir: Path | None = None
    bind: str = Field(default="127.0.0.1:8080", pattern=r"^.+:\d{1,5}$")
    trusted_proxies: int = Field(default=0, ge=0, le=8)
    github: GitHub = GitHub()
    gitlab: GitLab = GitLab()
    reports: Reports = Reports()
    openai: OpenAI = OpenAI()
    mail: Mail = Mail()
    notify: Notify = Notify()
    policy: Policy = Policy()
    inventory: Inventory = Inventory()
    catch_up: CatchUp = CatchUp()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()
    otel: Otel = Otel()

    @model_validator(mode="after")
    def _possible(self) -> "Settings":
        if self.database_url is not None:
            _check_database(self.database_url.get_secret_value())
        if (self.mail.url is None) != (self.mail.sender is None):
            raise ValueError("mail.url and mail.from go together")
        app = (self.github.app_id, self.github.private_key, self.github.installation_id)
        if any(one is not None for one in app) and None in app:
            raise ValueError("github.app_id, github.private_key and github.installation_id go together")
        if self.github.app_id is not None and self.github.token is not None:
            raise ValueError("github.token and github.app_id exclude each other")
        if (self.gitlab.url is None) != (self.gitlab.token is None):
            raise ValueError("gitlab.url and gitlab.token go together")
        return self

    def public(self) -> dict[str, Any]:
        """Every setting, with nothing of a secret but that it is set."""
        return self.model_dump(mode="json")

    @property
    def store_url(self) -> str:
        """The database of our own tables, as a URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'responder.sqlite'}"

    @property
    def loopback_only(self) -> bool:
        """Whether every configured service is on this machine, as in a test or the demo."""
        urls = (self.github.api_url, self.openai.base_url, self.gitlab.url or self.github.api_url)
        return all(is_loopback(url) for url in urls)

    @property
    def partner_keys_urls(self) -> Mapping[str, str]:
        """Where the public keys are with which each partner origin signs."""
        urls = {"github": self.github.partner_keys_url or f"{self.github.api_url}/meta/public_keys/secret_scanning"}
        if self.github.depsdev_keys_url is not None:
            urls["depsdev"] = self.github.depsdev_keys_url
        return urls

    def secrets(self) -> tuple[str, ...]:
        """Every configured secret by value, for the redaction of logs."""
        found = [*self.github.webhook_secret, *self.gitlab.webhook_secret, *self.gitlab.revocation_token]
        found += [*self.reports.tokens, *self.notify.urls]
        single = [self.github.token, self.github.private_key, self.gitlab.token]
        single += [self.openai.admin_key, self.openai.canary_key, self.metrics.token]
        found += [s for s in single if s is not None]
        mail = urlsplit(self.mail.url.get_secret_value()).password if self.mail.url else None
        database = urlsplit(self.store_url).password
        return (*(s.get_secret_value() for s in found), *(p for p in (mail, database) if p))


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        path: the file; None looks at ``RESPONDER_CONFIG``, then at ``responder.toml`` in
            the working directory, and does without where there is none.
        environ: the environment; the process's own if None.

    Raises:
        SettingsError: a name is unknown, a value impossible, a file unreadable.
    """
    env = os.environ if environ is None else environ
    chosen = path or (Path(env["RESPONDER_CONFIG"]) if env.get("RESPONDER_CONFIG") else None)
    values = _from_file(chosen or Path("responder.toml"), required=chosen is not None)
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS:
            _place(values, name, env[name])
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def failpoint(environ: Mapping[str, str] | None = None) -> str:
    """The named crash a test asked for, if any (see `failpoint`)."""
    return (os.environ if environ is None else environ).get("RESPONDER_FAILPOINT", "")


def receiver_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a receiver: nothing but what a receiver needs, of ours or of anybody's.

    It holds no provider or GitHub credential, so that who takes over the receiver has none: neither ours, nor
    one that lies about in the environment for another program.
    """
    env = os.environ if environ is None else environ
    kept = {name: value for name, value in env.items() if _HARMLESS.fullmatch(name) or name == "RESPONDER_FAILPOINT"}
    kept |= {
        "RESPONDER_CONFIG": os.devnull,
        "RESPONDER_MODE": settings.mode,
        "RESPONDER_DATA_DIR": str(settings.data_dir.absolute()),
        "RESPONDER_DATABASE_URL": settings.store_url,
        "RESPONDER_BIND": settings.bind,
        "RESPONDER_GITHUB__API_URL": settings.github.api_url,
        "RESPONDER_OPENAI__BASE_URL": settings.openai.base_url,
    }
    kept["RESPONDER_TRUSTED_PROXIES"] = str(settings.trusted_proxies)
    kept["RESPONDER_GITHUB__PARTNER_FEEDBACK"] = str(settings.github.partner_feedback)
    urls = {
        "PUBLIC_URL": settings.public_url,
        "GITHUB__PARTNER_KEYS_URL": settings.github.partner_keys_url,
        "GITHUB__DEPSDEV_KEYS_URL": settings.github.depsdev_keys_url,
        "RULES_DIR": settings.rules_dir and str(settings.rules_dir.absolute()),
    }
    kept |= {PREFIX + name: url for name, url in urls.items() if url}
    verifying = {
        "GITHUB__WEBHOOK_SECRET": settings.github.webhook_secret,
        "GITLAB__WEBHOOK_SECRET": settings.gitlab.webhook_secret,
        "GITLAB__REVOCATION_TOKEN": settings.gitlab.revocation_token,
        "REPORTS__TOKENS": settings.reports.tokens,
        "METRICS__TOKEN": (settings.metrics.token,) if settings.metrics.token is not None else (),
    }
    return kept | {
        PREFIX + name: ",".join(one.get_secret_value() for one in secrets)
        for name, secrets in verifying.items()
        if secrets
    }


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise SettingsError(f"settings file not found: {path}") from None
        return {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"settings file cannot be read: {path}") from None
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")
        raise SettingsError(f"settings file is not TOML: {path} ({place})") from None


def _place(values: dict[str, Any], name: str, value: str) -> None:
    """Put one environment variable where it belongs, reading ``…_FILE`` first."""
    *section, key = name.removeprefix(PREFIX).lower().split("__")
    if key.endswith("_file"):
        key = key.removesuffix("_file")
        try:
            value = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{name}: the file it names cannot be read") from None
    if len(section) > 1 or not key:
        raise SettingsError(f"{name}: unknown setting")
    place = values.setdefault(section[0], {}) if section else values
    if not isinstance(place, dict):
        raise SettingsError(f"{name}: unknown setting")
    place[key] = value


def _one_line(error: ValidationError) -> str:
    """The first thing wrong, named as the environment would name it, without any value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = PREFIX + "__".join(str(part).upper() for part in first["loc"] if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown setting"
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if first["loc"] else said
