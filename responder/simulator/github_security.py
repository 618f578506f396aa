"""GitHub's endpoints about alerts and webhook deliveries.

https://docs.github.com/rest/secret-scanning and
https://docs.github.com/rest/repos/webhooks . Deliveries are listed where the
webhook is installed and nowhere else.
"""

from typing import Protocol

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import github_events
from responder.simulator import github_shapes as shapes
from responder.simulator.github_alerts import Alert
from responder.simulator.github_code import BOTH
from responder.simulator.github_pages import numbers, paged, problem
from responder.simulator.github_shapes import Json, Repository
from responder.simulator.hookshot import Delivery, Hookshot
from responder.simulator.server import reply

_ALERTS = "/secret-scanning/alerts"
_HOOK = "/hooks/<int:hook_id>/deliveries"
_ATTEMPT = "/<int:delivery_id>"


class Hub(Protocol):
    """What the endpoints need of the whole."""

    alerts: list[Alert]
    hooks: Hookshot
    delegated_dismissal: bool
    login: str
    organization: str

    @property
    def origin(self) -> str: ...

    def repository(self, parts: dict[str, object]) -> Repository | Response: ...

    def announce(self, action: str, alert: Alert) -> object: ...


class Security:
    """The endpoints."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def rules(self) -> list[Rule]:
        """The routes."""
        found = [
            Rule(f"/orgs/<org>{_ALERTS}", methods=["GET"], endpoint=self.list_alerts),
            Rule("/orgs/<org>/hooks", methods=["GET"], endpoint=self.list_hooks),
        ]
        for home in BOTH:
            number = f"{home}{_ALERTS}/<int:alert>"
            found += [
                Rule(home + _ALERTS, methods=["GET"], endpoint=self.list_alerts),
                Rule(number, methods=["GET"], endpoint=self.get_alert),
                Rule(number, methods=["PATCH"], endpoint=self.change_alert),
                Rule(f"{number}/locations", methods=["GET"], endpoint=self.list_locations),
                Rule(f"{home}/hooks", methods=["GET"], endpoint=self.list_hooks),
            ]
        organizations = (f"/orgs/<org>{_HOOK}", f"/organizations/<int:org_id>{_HOOK}")
        for home in ("/app/hook/deliveries", *organizations, *(home + _HOOK for home in BOTH)):
            found += [
                Rule(home, methods=["GET"], endpoint=self.list_deliveries),
                Rule(home + _ATTEMPT, methods=["GET"], endpoint=self.get_delivery),
                Rule(f"{home}{_ATTEMPT}/attempts", methods=["POST"], endpoint=self.redeliver),
            ]
        return found

    def list_alerts(self, request: Request, **parts: object) -> Response:
        """Newest first; generic types only when named."""
        home = self._home(parts)
        if isinstance(home, Response):
            return home
        alerts = sorted(self._within(home), key=lambda a: (a.created, a.number), reverse=True)
        alerts = [alert for alert in alerts if _wanted(alert, request)]
        if request.args.get("direction") == "asc":
            alerts.reverse()
        hide = request.args.get("hide_secret") == "true"
        shown = [
            {
                **alert.rest(self.hub.origin, hide_secret=hide),
                **(
                    {"repository": shapes.simple_repository(self.hub.origin, alert.repository)}
                    if isinstance(home, str)
                    else {}
                ),
            }
            for alert in alerts
        ]
        if "after" in request.args or "before" in request.args:
            return self._by_cursor(request, shown)
        return paged(request, self.hub.origin, shown)

    def get_alert(self, request: Request, alert: int, **parts: object) -> Response:
        found = self._alert(alert, parts)
        if isinstance(found, Response):
            return found
        hide = request.args.get("hide_secret") == "true"
        return reply(found.rest(self.hub.origin, hide_secret=hide, single=True))

    def change_alert(self, request: Request, alert: int, **parts: object) -> Response:
        """Resolve or reopen; a change is announced by webhook, to the one who made it too."""
        found = self._alert(alert, parts)
        if isinstance(found, Response):
            return found
        wish = request.get_json(silent=True)
        if not isinstance(wish, dict):
            return problem(400, "Problems parsing JSON")
        if self.hub.delegated_dismissal and wish.get("state") == "resolved":
            return problem(403, "Delegated alert dismissal is enabled; a reviewer must close this alert.")
        if "resolution_comment" in wish and "state" not in wish:
            return problem(400, "A resolution comment needs a resolution.")
        if wish.get("state") == found.state and wish.get("resolution") == found.resolution:
            return problem(400, "The resolution was not changed.")
        before = found.state
        wrong = found.change(wish, self.hub.login)
        if wrong is not None:
            return problem(422, "Validation Failed", [{"message": wrong, "code": "invalid"}])
        if found.state != before:
            self.hub.announce("resolved" if found.state == "resolved" else "reopened", found)
        return reply(found.rest(self.hub.origin, single=True))

    def list_locations(self, request: Request, alert: int, **parts: object) -> Response:
        found = self._alert(alert, parts)
        if isinstance(found, Response):
            return found
        return paged(request, self.hub.origin, found.locations)

    def list_hooks(self, request: Request, **parts: object) -> Response:
        home = self._home(parts)
        if isinstance(home, Response):
            return home
        here = "organization" if isinstance(home, str) else "repository"
        path = f"/orgs/{home}" if isinstance(home, str) else f"/repos/{home.full_name}"
        hooks = (
            [github_events.hook(self.hub.hooks, f"{self.hub.origin}{path}", here)]
            if self.hub.hooks.target == here
            else []
        )
        return paged(request, self.hub.origin, hooks)

    def list_deliveries(self, request: Request, **parts: object) -> Response:
        """Newest first, by cursor; ``status`` is ``success`` or ``failure``."""
        found = self._deliveries(parts)
        if isinstance(found, Response):
            return found
        status = request.args.get("status")
        if status not in (None, "success", "failure"):
            return problem(422, "Validation Failed")
        chosen = [d for d in reversed(found) if status is None or d.ok == (status == "success")]
        size = numbers(request, 30, 100)[1]
        cursor = request.args.get("cursor")
        if cursor is not None:
            if not cursor.removeprefix("v1_").isdigit():
                return problem(400, "Invalid cursor")
            chosen = [d for d in chosen if d.id <= int(cursor.removeprefix("v1_"))]
        response = reply([d.item() for d in chosen[:size]])
        if len(chosen) > size:
            others = "".join(f"{k}={v}&" for k, v in request.args.items() if k != "cursor")
            address = f"{self.hub.origin}{request.path}?{others}cursor=v1_{chosen[size].id}"
            response.headers["Link"] = f'<{address}>; rel="next"'
        return response

    def get_delivery(self, request: Request, delivery_id: int, **parts: object) -> Response:
        del request
        found = self._delivery(delivery_id, parts)
        return found if isinstance(found, Response) else reply(found.whole(self.hub.hooks.url))

    def redeliver(self, request: Request, delivery_id: int, **parts: object) -> Response:
        """Accept now, deliver in the background."""
        del request
        found = self._delivery(delivery_id, parts)
        if isinstance(found, Response):
            return found
        self.hub.hooks.again_later(found)
        return reply({}, 202)

    def _home(self, parts: dict[str, object]) -> Repository | str | Response:
        if "org_id" in parts:
            return self.hub.organization if parts["org_id"] == self.hub.hooks.target_id else problem(404, "Not Found")
        return str(parts["org"]) if "org" in parts else self.hub.repository(parts)

    def _within(self, home: Repository | str) -> list[Alert]:
        if isinstance(home, str):
            return [a for a in self.hub.alerts if a.repository.owner == home]
        return [a for a in self.hub.alerts if a.repository is home]

    def _alert(self, number: int, parts: dict[str, object]) -> Alert | Response:
        home = self.hub.repository(parts)
        if isinstance(home, Response):
            return home
        found = next((a for a in self._within(home) if a.number == number), None)
        return problem(404, "Not Found") if found is None else found

    def _by_cursor(self, request: Request, shown: list[Json]) -> Response:
        """Pages by ``after``; the cursor is the position, opaque to the caller."""
        after = request.args.get("after") or "0"
        if not after.isdigit():
            return problem(422, "Validation Failed")
        size, start = numbers(request, 30, 100)[1], int(after)
        response = reply(shown[start : start + size])
        if len(shown) > start + size:
            others = "".join(f"{k}={v}&" for k, v in request.args.items() if k != "after")
            address = f"{self.hub.origin}{request.path}?{others}after={start + size}"
            response.headers["Link"] = f'<{address}>; rel="next"'
        return response

    def _deliveries(self, parts: dict[str, object]) -> list[Delivery] | Response:
        hooks = self.hub.hooks
        everything = list(hooks.deliveries)
        if "hook_id" not in parts:
            return everything if hooks.target == "integration" else problem(404, "Not Found")
        home = self._home(parts)
        if isinstance(home, Response):
            return home
        here = "organization" if isinstance(home, str) else "repository"
        if hooks.target != here or parts["hook_id"] != hooks.hook_id:
            return problem(404, "Not Found")
        if isinstance(home, str):
            return everything
        return [d for d in everything if d.repository_id == home.id]

    def _delivery(self, delivery_id: int, parts: dict[str, object]) -> Delivery | Response:
        found = self._deliveries(parts)
        if isinstance(found, Response):
            return found
        return next((d for d in found if d.id == delivery_id), None) or problem(404, "Not Found")


def _wanted(alert: Alert, request: Request) -> bool:
    chosen = {
        "state": alert.state,
        "secret_type": alert.secret_type,
        "resolution": alert.resolution,
        "validity": alert.validity,
    }
    return all(name not in request.args or value in request.args[name].split(",") for name, value in chosen.items())
