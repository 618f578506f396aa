"""OpenAI's ledger: usage by the minute, hour or day, costs by the whole day (UTC), both with an unpublished lag.

Peculiar as well: an admin key may lack any of the permissions, and audit logging
may be switched off; array parameters carry brackets; pages of usage and costs
follow ``next_page``, those of the audit log the last id.

Source: https://platform.openai.com/docs/api-reference/usage and
https://platform.openai.com/docs/api-reference/audit-logs
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from responder.core.damage import AuditRecord, Cost, Counts, Usage, Window, floor
from responder.core.errors import Unavailable
from responder.core.key import KnownKey
from responder.core.token import scrub
from responder.outbound import Door

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_WIDTHS = ((_DAY, "1m", _MINUTE, 1440), (31 * _DAY, "1h", _HOUR, 168), (timedelta.max, "1d", _DAY, 31))
"""Windows up to this long are counted in buckets of that width, so many on a page at most."""
_COST_PAGE = 180
_AUDIT_PAGE = 100
_MOST_PAGES = 50
_EVENTS = ("api_key.created", "api_key.updated", "api_key.deleted")

Params = dict[str, str | int | Sequence[str]]


class OpenAILedger:
    """What one OpenAI organisation wrote down about its keys.

    Args:
        door: to the API's base URL, ``/v1`` included.
        admin_key: with the permissions ``api.usage.read`` and ``api.audit_logs.read``.
    """

    def __init__(self, door: Door, admin_key: str) -> None:
        self._door = door
        self._headers = {"authorization": f"Bearer {admin_key}"}

    def usage(self, key: KnownKey, window: Window) -> Usage:
        """Requests and tokens of completions made with *key*.

        Raises:
            Refused: the admin key may not read usage.
            Unavailable: no answer, or one that contradicts itself.
        """
        what = "openai.read_usage"
        name, width, most = next(row[1:] for row in _WIDTHS if window.end - window.start <= row[0])
        counted = Window(floor(window.start, width), window.end)
        params: Params = {"bucket_width": name, "group_by[]": ["api_key_id", "model"], "limit": most}
        models: dict[str, Counts] = {}
        for line in self._lines(what, "/organization/usage/completions", key, counted, params):
            model = _text(line, "model") or "not named"
            counts = Counts(
                self._count(what, line, "num_model_requests"),
                self._count(what, line, "input_tokens"),
                self._count(what, line, "input_cached_tokens", absent=0),
                self._count(what, line, "output_tokens"),
            )
            models[model] = models.get(model, Counts()) + counts
        by_use = sorted(models.items(), key=lambda one: (-one[1].input_tokens - one[1].output_tokens, one[0]))
        return Usage(counted, tuple(by_use))

    def costs(self, key: KnownKey, window: Window) -> Cost:
        """What *key* cost on the days of *window*, the first of them whole.

        Raises:
            Refused, Unavailable: as `usage`.
        """
        what = "openai.read_costs"
        billed = Window(floor(window.start, _DAY), window.end)
        params: Params = {"bucket_width": "1d", "group_by[]": ["api_key_id"], "limit": _COST_PAGE}
        amount, currencies = Decimal(0), set()
        for line in self._lines(what, "/organization/costs", key, billed, params):
            value, currency = _money(line)
            if value is None:
                raise Unavailable(self._door.who, what, "unexpected body")
            amount += value
            currencies.add(currency)
        if len(currencies) > 1:
            raise Unavailable(self._door.who, what, "several currencies")
        return Cost(billed, amount, "".join(currencies))

    def records(self, key: KnownKey) -> Sequence[AuditRecord]:
        """Who created, changed and deleted *key*, oldest first.

        Raises:
            Refused: the admin key may not read the audit log, or there is none.
            Unavailable: as `usage`.
        """
        what = "openai.read_audit_log"
        params: Params = {"resource_ids[]": [key.id], "event_types[]": list(_EVENTS), "limit": _AUDIT_PAGE}
        found: dict[str, AuditRecord] = {}
        for _ in range(_MOST_PAGES):
            content, _answer = self._door.read(
                what, "GET", "/organization/audit_logs", headers=self._headers, params=params
            )
            entries = self._items(what, content, "data")
            before = len(found)
            for entry in entries:
                at = _instant(entry.get("effective_at"))
                if at is None or not _text(entry, "id"):
                    raise Unavailable(self._door.who, what, "unexpected body")
                if _part(entry, _text(entry, "type")).get("id") == key.id:
                    found[_text(entry, "id")] = _record(entry, at)
            if content.get("has_more") is not True:
                records = list(found.values())
                records.reverse()  # they come newest first, and those of one second keep their order
                records.sort(key=lambda record: record.at)
                return records
            if not entries or len(found) == before:
                break  # more of the same, or of other keys: nothing that we asked for
            params["after"] = _text(entries[-1], "id")
        raise Unavailable(self._door.who, what, "a list that goes in circles")

    def _lines(
        self, what: str, path: str, key: KnownKey, window: Window, params: Params
    ) -> Iterator[Mapping[str, Any]]:
        """What every bucket of *window* says of *key*, and of nobody else, page by page."""
        start, end = int(window.start.timestamp()), -int(-window.end.timestamp() // 1)
        query: Params = {**params, "start_time": start, "end_time": max(end, start + 1), "api_key_ids[]": [key.id]}
        seen: set[int] = set()
        for _ in range(_MOST_PAGES):
            content, _answer = self._door.read(what, "GET", path, headers=self._headers, params=query)
            for bucket in self._items(what, content, "data"):
                at = bucket.get("start_time")
                if not isinstance(at, int):
                    raise Unavailable(self._door.who, what, "unexpected body")
                if at in seen:
                    raise Unavailable(self._door.who, what, "a list that goes in circles")
                seen.add(at)
                lines = self._items(what, bucket, "results")
                if start <= at < end:
                    yield from (line for line in lines if line.get("api_key_id") == key.id)
            if content.get("has_more") is not True:
                return
            if not isinstance(content.get("next_page"), str):
                raise Unavailable(self._door.who, what, "unexpected body")
            query["page"] = content["next_page"]
        raise Unavailable(self._door.who, what, "a list without end")

    def _items(self, what: str, content: object, name: str) -> list[dict[str, Any]]:
        items = content.get(name) if isinstance(content, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Unavailable(self._door.who, what, "unexpected body")
        return items

    def _count(self, what: str, line: Mapping[str, Any], name: str, absent: int | None = None) -> int:
        value = line.get(name, absent)
        value = absent if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Unavailable(self._door.who, what, "unexpected body")
        return value


def _money(line: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """Amount and currency; OpenAI's schema says number, some answers say decimal text."""
    amount = _part(line, "amount")
    value, currency = amount.get("value"), amount.get("currency")
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not isinstance(currency, str):
        return None, ""
    try:
        money = Decimal(str(value))
    except ArithmeticError:
        return None, ""
    known = money.is_finite() and abs(money.adjusted()) < 30 and currency.isascii() and currency.isalpha()
    return (money, currency.lower()[:8]) if known else (None, "")


def _record(entry: Mapping[str, Any], at: datetime) -> AuditRecord:
    actor = _part(entry, "actor")
    session, api_key = _part(actor, "session"), _part(actor, "api_key")
    by = session or api_key
    user, robot = _part(by, "user"), _part(by, "service_account")
    who = _text(user, "email") or _text(user, "id")
    if not who and robot:
        who = f"service account {_text(robot, 'id')}"
    if api_key and _text(api_key, "id"):
        who = f"{who or 'somebody'} with key {_text(api_key, 'id')}"
    return AuditRecord(at, _text(entry, "type"), who or "not named", _text(session, "ip_address") or None)


def _part(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return scrub(value)[:200] if isinstance(value, str) else ""


def _instant(value: object) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and 0 < value < 10**11 else None
