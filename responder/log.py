"""Logs: JSON lines on standard error, ours and everybody else's through one redaction.

The last thing that happens to a line, traceback included, is that whatever looks
like a secret, or is one we were configured with, is taken out of it.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TextIO

import structlog

_DASH = r"(?:-|%2[dD]|\\+u002[dD]|\\+x2[dD]|&#45;|&#[xX]2[dD];)"
_LETTER = r"(?:[A-Za-z0-9_-]|%[0-9A-Fa-f]{2}|\\+u00[0-9A-Fa-f]{2}|\\+x[0-9A-Fa-f]{2}|&#[xX]?[0-9A-Fa-f]{2,3};)"
_SECRETS = re.compile(
    rf"(?i:sk){_DASH}{_LETTER}{{8,}}"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_.-]{8,}"
    r"|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_QUIET = ("httpx", "httpcore", "urllib3", "hpack", "h2", "apprise", "sqlalchemy", "alembic", "asyncio", "aiosmtpd")


def redact(text: str, known: Iterable[str] = ()) -> str:
    """Return *text* without anything that looks like a secret, or is one of *known*."""
    for secret in known:
        if len(secret) >= 8:
            text = text.replace(secret, "[redacted]")
    return _CONTROLS.sub(lambda c: f"\\u{ord(c.group()):04x}", _SECRETS.sub("[redacted]", text))


_RENDER: Sequence[structlog.typing.Processor] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(sort_keys=True),
)


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """Everybody else's lines: JSON, then redaction of the finished line."""

    known: tuple[str, ...] = ()

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self.known)


class _Own:
    """Our lines, as they leave structlog; past the standard library, which takes longer than all the rest of one.

    They share its handler's lock and stream: a line of one thread stays in one piece, whoever else writes.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str) -> None:
        self.name = name
        self._handler = handler

    def msg(self, line: str) -> None:
        """Write one; that it cannot be written is nobody's fault who logs."""
        handler = self._handler
        handler.acquire()
        try:
            with suppress(Exception):
                handler.stream.write(line + "\n")
                handler.stream.flush()
        finally:
            handler.release()

    debug = info = warning = error = critical = msg


def _finish(known: Sequence[str]) -> structlog.typing.Processor:
    """Make a line of an event; of one that none can be made of, only where it came from."""

    def finish(logger: _Own, method: str, event: Any) -> str:  # noqa: ANN401 -- structlog's own
        try:
            for step in _RENDER:
                event = step(logger, method, event)
            return redact(event, known)
        except Exception:  # noqa: BLE001 -- whoever logs has work to do that must go on
            return json.dumps({"event": "line_not_rendered", "level": method, "logger": logger.name})

    return finish


def configure(known: Iterable[str] = (), level: int = logging.INFO) -> None:
    """Set up logging for this process.

    Args:
        known: secrets to take out by exact value.
        level: from which on there is a line; of the chattiest libraries from warnings on, whatever this is.
    """
    stamps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    known = tuple(known)
    handler: logging.StreamHandler[TextIO] = logging.StreamHandler(sys.stderr)
    structlog.configure(
        processors=[*stamps, _finish(known)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda name="responder": _Own(handler, name),
        cache_logger_on_first_use=False,
    )
    formatter = _Redacting(
        foreign_pre_chain=[*stamps, structlog.stdlib.PositionalArgumentsFormatter()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDER],
    )
    formatter.known = known
    handler.setFormatter(formatter)
    for name in (None, "dbos"):  # the engine would add a handler of its own to a logger without one
        logger = logging.getLogger(name)
        logger.handlers = [handler]
    logging.getLogger("dbos").propagate = False
    logging.getLogger("dbos").setLevel(logging.WARNING)
    logging.getLogger().setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a line that cannot be written would be shown with its arguments, as they are
