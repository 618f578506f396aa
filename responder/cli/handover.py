"""What a scan found, handed to the responder: written to its inbox, sealed, as any delivery is.

Nobody who reads the database learns a token or the name of a file. The same
finding handed over again changes nothing: one token in one place is one sighting.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from responder.cli import Mistake, load, reading

if TYPE_CHECKING:
    from responder.scan import Finding

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Handover:
    """The way into a responder's inbox.

    Attributes:
        inbox: where deliveries go.
        public: seals for the worker.
        providers: of whom an account is configured.
        web_url: of the scanned repository, where people can look at it.
    """

    inbox: Any
    public: bytes = field(repr=False)
    providers: frozenset[str]
    web_url: str | None

    def give(self, found: "Sequence[tuple[Finding, str | None]]") -> tuple[int, int]:
        """Hand findings and their commits over; how many, and how many of those the inbox did not have yet today.

        Left out is what only a provider could recognise that is not configured.
        """
        from responder.assembly import now
        from responder.seal import seal
        from responder.sources import doors
        from responder.store.deliveries import Delivery

        rows = [
            self._row(one, commit) for one, commit in reversed(found) if self._matters(one)
        ]  # oldest commit first
        at, new = now(), 0
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            told = doors()["scan"].told({})
            content = json.dumps({"findings": batch}, sort_keys=True).encode()
            # Only for a day is the same the same: later its keys may have become ours, and are looked at again.
            name = hmac.new(self.public, at.date().isoformat().encode() + b"\0" + content, hashlib.sha256)
            id_ = f"scan_{name.hexdigest()[:24]}"
            sealed = seal(self.public, content, id_)
            if self.inbox.accept(Delivery(id_, "scan", told.lane, told.refs, at, sealed)):
                new += len(batch)
        return len(rows), new

    def _matters(self, finding: "Finding") -> bool:
        return finding.confidence == "strong" or finding.provider in self.providers

    def _row(self, finding: "Finding", commit: str | None) -> dict[str, str | None]:
        path = finding.path
        if path is not None and commit is None:
            path = str(Path(path).absolute())
        name = "-" if path is None else hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]
        return {
            "token": finding.token.reveal(),
            "place": "/".join([*([commit] if commit else []), name, str(finding.line or 0)]),
            "where": f"{self.web_url}/commit/{commit}" if self.web_url and commit else None,
        }


@contextmanager
def handover(config: Path | None, web_url: str | None) -> Iterator[Handover]:
    """The configured responder's inbox, or one line that says why there is none."""
    from responder import assembly
    from responder.core.sighting import readable_address
    from responder.inbox import Inbox
    from responder.seal import Keys
    from responder.settings import SettingsError

    settings = load(config)
    if web_url is not None and readable_address(web_url) is None:
        raise Mistake("--web-url must be an https address, and hold no credentials")
    try:
        public = Keys(settings.data_dir).public
    except OSError:
        raise Mistake(f"no responder keeps its data in {settings.data_dir}: --report needs its inbox.pub") from None
    with reading(config) as store:
        try:
            providers = frozenset(assembly.accounts(settings, store))
        except SettingsError as error:
            raise Mistake(str(error)) from None
        yield Handover(Inbox(store, settings.data_dir), public, providers, web_url and web_url.rstrip("/"))
