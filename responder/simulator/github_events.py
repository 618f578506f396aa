"""The payloads of GitHub's webhooks.

https://docs.github.com/webhooks/webhook-events-and-payloads . No payload ever
holds a file's content or a secret.
"""

from collections.abc import Sequence

from responder.simulator import github_shapes as shapes
from responder.simulator.git import NOBODY, Commit
from responder.simulator.github_alerts import Alert
from responder.simulator.github_shapes import Json, Repository
from responder.simulator.hookshot import Hookshot


def push(
    api: str,
    repository: Repository,
    commits: Sequence[Commit],
    branch: str,
    before: str | None,
    *,
    forced: bool,
) -> Json:
    """A ``push`` of *commits*, oldest first; none for a new branch on an existing commit."""
    tip = commits[-1] if commits else repository.objects.resolve(branch)
    parents = commits[0].parents if commits else ()
    old = before if before is not None else parents[0] if parents else NOBODY
    after = tip.sha if tip else NOBODY
    who, mail = (tip.author.login, tip.author.email) if tip else ("alice", None)
    return {
        "ref": f"refs/heads/{branch}",
        "before": old,
        "after": after,
        "created": old == NOBODY,
        "deleted": after == NOBODY,
        "forced": forced,
        "base_ref": None,
        "compare": f"{shapes.HTML}/{repository.full_name}/compare/{old[:12]}...{after[:12]}",
        "commits": [shapes.pushed_commit(repository, c) for c in commits[:2048]],
        "head_commit": shapes.pushed_commit(repository, tip) if tip else None,
        "repository": shapes.push_repository(api, repository),
        "pusher": {"name": who, "email": mail},
        "organization": shapes.organization(api, repository.owner),
        "sender": shapes.user(api, who),
    }


def public(api: str, repository: Repository) -> Json:
    """A ``public``: a private repository can be read by everybody from now on."""
    return {
        "repository": shapes.full_repository(api, repository),
        "organization": shapes.organization(api, repository.owner),
        "sender": shapes.user(api, "alice"),
    }


def alert(api: str, action: str, about: Alert, who: str) -> Json:
    """A ``secret_scanning_alert`` sent because *who* did something."""
    return {
        "action": action,
        "alert": about.webhook(api),
        "repository": shapes.full_repository(api, about.repository),
        "organization": shapes.organization(api, about.repository.owner),
        "sender": shapes.user(api, who, _kind(who)),
    }


def ping(api: str, organization: str, hooks: Hookshot) -> Json:
    """What is sent when a webhook is made."""
    return {
        "zen": "Keep it logically awesome.",
        "hook_id": hooks.hook_id,
        "hook": hook(hooks, f"{api}/orgs/{organization}", "organization"),
        "organization": shapes.organization(api, organization),
        "sender": shapes.user(api, "alice"),
    }


def hook(hooks: Hookshot, home: str, kind: str) -> Json:
    """The webhook as it is listed at *home*; its secret is never shown."""
    own = f"{home}/hooks/{hooks.hook_id}"
    created = "2026-01-05T08:00:00Z"
    return {
        "type": kind.capitalize(),
        "id": hooks.hook_id,
        "name": "web",
        "active": True,
        "events": ["push", "secret_scanning_alert", "secret_scanning_alert_location"],
        "config": {"url": hooks.url, "content_type": "json", "insecure_ssl": "0", "secret": "********"},
        "created_at": created,
        "updated_at": created,
        "url": own,
        "test_url": f"{own}/test",
        "ping_url": f"{own}/pings",
        "deliveries_url": f"{own}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }


def _kind(who: str) -> str:
    if who.endswith("[bot]"):
        return "Bot"
    return "Organization" if who == "github" else "User"
