"""A secret-scanning alert: its two numbers come from the payload, its secret by REST.

The webhook does not carry the secret; where an example shows one, it is not read. The
same holds for what else the webhook says of the alert, except for what happened to it:
no answer of the API tells that.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads#secret_scanning_alert
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed, Refused
from responder.core.sighting import Alert, Source
from responder.sources import Change, Material, News, Reach, Told
from responder.sources.github_alerts_api import AlertDetail
from responder.sources.payload import number, text

_LOCATED = "location_created"
ACTIONS: Mapping[str, Change] = {
    "created": Change.SEEN,
    _LOCATED: Change.LOCATED,  # of the event of the same name, which has no other action
    "publicly_leaked": Change.WORSE,
    "validated": Change.WORSE,
    "metadata_created": Change.SEEN,
    "metadata_removed": Change.FORGOTTEN,
    "resolved": Change.CLOSED,
    "revoked": Change.CLOSED,  # what "resolved as revoked" was called in former times
    "reopened": Change.REOPENED,
    "assigned": Change.SEEN,
    "unassigned": Change.SEEN,
}
"""What an action means for us. Whatever it is, the secret is looked at; one we do not know means just that."""


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the repository's number, the alert's, and what happened to it.

    Raises:
        Malformed: this is no alert.
    """
    repository = number(payload, "repository", "id")
    action = text(payload, "action", 40)
    if action is None or not action.replace("_", "").isalpha():
        raise Malformed("action must be a word.")
    if "location" in payload:
        action = f"location_{action}"
    refs = {"repository": repository, "alert": number(payload, "alert", "number"), "action": action}
    return Told(f"github:{repository}", refs)


def material(reach: Reach, refs: Mapping[str, Any], _opened: bytes | None, at: datetime) -> Iterator[Material]:
    """Fetch the alert's secret.

    Raises:
        Refused: our credential is not good, or there is none, or the alert is not to be had.
        Unavailable: not now.
    """
    if reach.github is None:
        raise Refused("github", "github.get_alert", 401, "no_credential")
    alert = Alert(int(refs["repository"]), int(refs["alert"]))
    detail = reach.github.alert(alert)
    place = f"{alert.repository}/alert/{alert.number}"
    since = detail.created_at or at
    if detail.secret is None:
        gap = f"alert {alert.number}: GitHub hides its secret"
        yield Material("secret", "", Source.GITHUB_ALERT, place, detail.where, since, alert=alert, gap=gap)
        return
    news = _news(str(refs.get("action")), detail)
    yield Material("secret", detail.secret, Source.GITHUB_ALERT, place, detail.where, since, alert=alert, news=news)
    if detail.encoded and (decoded := _decode(detail.secret)) is not None:
        yield Material("text", decoded, Source.GITHUB_ALERT, place, detail.where, since, alert=alert, news=news)


def _news(action: str, detail: AlertDetail) -> News:
    """What the alert says now; what an event says is believed of the past only."""
    change = ACTIONS.get(action, Change.SEEN)
    return News(
        change,
        detail.severe or (change is Change.WORSE and not detail.inactive),
        detail.hints,
        detail.state == "open",
        detail.updated_at,
        detail.resolution,
        detail.resolved_by,
    )


def _decode(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
