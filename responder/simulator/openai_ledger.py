"""What an OpenAI organization wrote down: audit records, usage and costs.

https://platform.openai.com/docs/api-reference/audit-logs and
https://platform.openai.com/docs/api-reference/usage . Array parameters are
accepted with and without brackets.
"""

import time
from collections.abc import Iterable

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import openai_errors as errors
from responder.simulator.openai_objects import Json, ServiceAccount, Use
from responder.simulator.organization import Organization
from responder.simulator.server import reply

_WIDTH_SECONDS = {"1m": 60, "1h": 3600, "1d": 86400}
_LIMITS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
_COMPARE = {
    "gt": lambda at, bound: at > bound,
    "gte": lambda at, bound: at >= bound,
    "lt": lambda at, bound: at < bound,
    "lte": lambda at, bound: at <= bound,
}
_USD_PER_TOKEN = 2e-06


class Ledger:
    """The endpoints that only report."""

    def __init__(self, organization: Organization) -> None:
        self.org = organization

    def rules(self) -> list[Rule]:
        """The routes."""
        return [
            Rule("/v1/organization/audit_logs", methods=["GET"], endpoint=self.audit_logs),
            Rule("/v1/organization/usage/completions", methods=["GET"], endpoint=self.completions),
            Rule("/v1/organization/costs", methods=["GET"], endpoint=self.costs),
        ]

    def audit_logs(self, request: Request) -> Response:
        """Newest first; ``resource_ids[]`` finds a key's creation and deletion."""
        try:
            limit = int(request.args.get("limit", "20"))
            bounds = {name: int(request.args[f"effective_at[{name}]"]) for name in _COMPARE if _bound(request, name)}
        except ValueError:
            return errors.failure(400, "Expected an integer.")
        if not 1 <= limit <= 100:
            return errors.failure(400, "Invalid 'limit': expected an integer between 1 and 100.")
        entries = [e for e in reversed(self.org.audit) if _wanted(e, request, bounds)]
        ids = [e["id"] for e in entries]
        after, before = request.args.get("after"), request.args.get("before")
        if after in ids:
            entries = entries[ids.index(after) + 1 :]
        elif before in ids:
            entries = entries[max(0, ids.index(before) - limit) : ids.index(before)]
        data = entries[:limit]
        return reply(
            {
                "object": "list",
                "data": data,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
                "has_more": len(entries) > limit,
            }
        )

    def completions(self, request: Request) -> Response:
        """Tokens and requests by bucket, grouped by any of key, project, user and model."""
        return self._buckets(request, _completions_result)

    def costs(self, request: Request) -> Response:
        """Dollars by day, at one made-up price for every token."""
        return self._buckets(request, _costs_result, only="1d", most=180)

    def _buckets(
        self,
        request: Request,
        result: "Result",
        only: str | None = None,
        most: int | None = None,
    ) -> Response:
        width_name = only or request.args.get("bucket_width", "1d")
        if width_name not in _WIDTH_SECONDS or request.args.get("bucket_width", width_name) != width_name:
            return errors.failure(400, "Invalid 'bucket_width'.")
        usual, largest = _LIMITS[width_name]
        try:
            start = int(request.args["start_time"])
            end = int(request.args.get("end_time", int(time.time()) + 1))
            limit = int(request.args.get("limit", usual))
            skip = int(request.args.get("page", "page_0").removeprefix("page_"))
        except (KeyError, ValueError):
            return errors.failure(400, "Missing or invalid 'start_time', 'end_time', 'limit' or 'page'.")
        if not 1 <= limit <= (most or largest):
            return errors.failure(400, "Invalid 'limit'.")
        width = _WIDTH_SECONDS[width_name]
        first = start - start % width
        starts = range(first + skip * width, end, width)
        uses = [u for u in self.org.usage if start <= u.at < end and _selected(u, request)]
        groups = _many(request, "group_by")
        data = [
            {
                "object": "bucket",
                "start_time": at,
                "end_time": at + width,
                "results": _grouped([u for u in uses if at <= u.at < at + width], groups, result),
            }
            for at in starts[:limit]
        ]
        more = len(starts) > limit
        return reply(
            {
                "object": "page",
                "data": data,
                "has_more": more,
                "next_page": f"page_{skip + limit}" if more else None,
            }
        )


class Result:
    """One line of a bucket; subclasses know its members."""

    def of(self, uses: list[Use], group: Json) -> Json:
        """The line that sums *uses*, with the members *group* filled in."""
        raise NotImplementedError


class _Completions(Result):
    def of(self, uses: list[Use], group: Json) -> Json:
        return {
            "object": "organization.usage.completions.result",
            "input_tokens": sum(u.input_tokens for u in uses),
            "output_tokens": sum(u.output_tokens for u in uses),
            "input_cached_tokens": 0,
            "num_model_requests": sum(u.requests for u in uses),
            "project_id": group.get("project_id"),
            "user_id": group.get("user_id"),
            "api_key_id": group.get("api_key_id"),
            "model": group.get("model"),
            "batch": None,
            "service_tier": None,
        }


class _Costs(Result):
    def of(self, uses: list[Use], group: Json) -> Json:
        tokens = sum(u.input_tokens + u.output_tokens for u in uses)
        return {
            "object": "organization.costs.result",
            "amount": {"value": round(tokens * _USD_PER_TOKEN, 9), "currency": "usd"},
            "line_item": group.get("line_item"),
            "project_id": group.get("project_id"),
            "api_key_id": group.get("api_key_id"),
            "quantity": tokens if "line_item" in group else None,
            "quantity_unit": "tokens" if "line_item" in group else None,
        }


_completions_result = _Completions()
_costs_result = _Costs()


def _grouped(uses: list[Use], groups: list[str], result: Result) -> list[Json]:
    sums: dict[tuple[object, ...], list[Use]] = {}
    for use in uses:
        sums.setdefault(tuple(_member(use, name) for name in groups), []).append(use)
    return [result.of(some, dict(zip(groups, key, strict=True))) for key, some in sums.items()]


def _member(use: Use, name: str) -> object:
    user = None if isinstance(use.key.owner, ServiceAccount) else use.key.owner.id
    members = {
        "api_key_id": use.key.id,
        "project_id": use.key.project_id,
        "user_id": user,
        "model": use.model,
        "line_item": f"{use.model}, input",
    }
    return members.get(name)


def _selected(use: Use, request: Request) -> bool:
    filters = {
        "api_key_ids": "api_key_id",
        "project_ids": "project_id",
        "user_ids": "user_id",
        "models": "model",
    }
    wanted = ((_many(request, name), member) for name, member in filters.items())
    return all(not values or _member(use, member) in values for values, member in wanted)


def _many(request: Request, name: str) -> list[str]:
    return request.args.getlist(f"{name}[]") + request.args.getlist(name)


def _bound(request: Request, name: str) -> bool:
    return f"effective_at[{name}]" in request.args


def _wanted(entry: Json, request: Request, bounds: dict[str, int]) -> bool:
    kind = str(entry["type"])
    details, project, at = entry[kind], entry.get("project"), entry["effective_at"]
    resource = details.get("id") if isinstance(details, dict) else None
    home = project.get("id") if isinstance(project, dict) else None
    return (
        _in(kind, _many(request, "event_types"))
        and _in(resource, _many(request, "resource_ids"))
        and _in(home, _many(request, "project_ids"))
        and kind.startswith("tenant.") == (request.args.get("tenant_only") == "true")
        and all(_COMPARE[name](at, bound) for name, bound in bounds.items())
    )


def _in(value: object, wanted: Iterable[str]) -> bool:
    chosen = list(wanted)
    return not chosen or value in chosen
