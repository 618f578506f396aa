"""A secret-scanning alert: its two numbers come from the payload, its secret by REST.

The webhook does not carry the secret; where an example shows one, it is not read.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads#secret_scanning_alert
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from responder.core.errors import Malformed, Refused
from responder.core.sighting import Alert, Source
from responder.sources import Material, Reach, Told
from responder.sources.payload import number, text


def told(payload: Mapping[str, Any]) -> Told:
    """Keep the repository's number, the alert's, and what happened to it.

    Raises:
        Malformed: this is no alert.
    """
    repository = number(payload, "repository", "id")
    action = text(payload, "action", 40)
    if action is None or not action.replace("_", "").isalpha():
        raise Malformed("action must be a word.")
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
    yield Material("secret", detail.secret, Source.GITHUB_ALERT, place, detail.where, since, alert=alert)
    if detail.encoded and (decoded := _decode(detail.secret)) is not None:
        yield Material("text", decoded, Source.GITHUB_ALERT, place, detail.where, since, alert=alert)


def _decode(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return None
