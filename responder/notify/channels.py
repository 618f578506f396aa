"""The security team's channels, through Apprise (https://appriseit.com).

Peculiar: Apprise answers with a boolean and logs the rest, sometimes with the
URL and the credentials in it, so its log is closed here; and "sent" means that
every channel took it, so those that did are remembered and not called again.
"""

import logging
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from responder.core.errors import Refused, Unavailable
from responder.core.incident import Incident
from responder.core.notice import Channel, Notice, Topic
from responder.notify.message import render, topic_now
from responder.notify.words import Outcome, outcome

if TYPE_CHECKING:
    from apprise import Apprise, NotifyType

_REMEMBERED = 1000
_LONGEST_BODY = 6000
_SHORTEST_SPLIT = 1000
_LIGHT = frozenset({Topic.REVOKED, Topic.ALREADY_DEAD})
_HEAVY = frozenset({Topic.STILL_ALIVE, Topic.STUCK, Topic.UNDELIVERED})


class Channels:
    """All configured channels; a notice is sent once each has accepted it.

    Args:
        urls: Apprise URLs. They hold credentials and are never shown.
        timeout_seconds: for one channel.

    Raises:
        ValueError: a URL is not understood; the message gives its position only.
    """

    def __init__(self, urls: Sequence[str], *, timeout_seconds: float = 20) -> None:
        self._channels = [
            _open(url, f"URL {number} of {len(urls)}", timeout_seconds) for number, url in enumerate(urls, 1)
        ]
        self._accepted: OrderedDict[str, set[int]] = OrderedDict()

    def send(self, notice: Notice, incident: Incident, *, public_url: str | None) -> None:
        """Send *notice* to every channel that has not accepted it yet.

        Raises:
            Unavailable: at least one channel did not accept it; try again.
            Refused: there is no such text for this audience, or no channel at all.
        """
        if not self._channels:
            raise Refused("apprise", "apprise.notify", 501, "no_channels")
        message = render(replace(notice, channel=Channel.APPRISE), incident, public_url=public_url)
        body = message.text if len(message.text) <= _LONGEST_BODY else message.text[:_LONGEST_BODY] + "\n…"
        accepted = self._accepted.setdefault(notice.id, set())
        if len(self._accepted) > _REMEMBERED:
            self._accepted.popitem(last=False)
        for number, channel in enumerate(self._channels):
            if number not in accepted and _told(channel, message.subject, body, _weight(notice, incident)):
                accepted.add(number)
        missing = len(self._channels) - len(accepted)
        if missing:
            raise Unavailable(
                "apprise", "apprise.notify", f"{missing} of {len(self._channels)} channels did not accept"
            )
        self._accepted.pop(notice.id, None)


def _open(url: str, which: str, timeout_seconds: float) -> "Apprise":
    import apprise  # noqa: PLC0415 -- 180 ms that most commands save

    logging.getLogger("apprise").disabled = True
    asset = apprise.AppriseAsset(
        app_id="secret-leak-responder",
        app_desc="Secret-leak responder",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        interpret_emojis=False,
        interpret_escapes=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=timeout_seconds,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Apprise's own, from loading all its plugins
        plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise ValueError(f"notify.urls: {which} is not understood by Apprise")
    if "overflow=" not in url:
        # As it comes, Apprise hands an overlong text on, and the service drops it: a chat gets it in pieces, and a
        # telephone, which would ring for each, the beginning.
        split = plugin.body_maxlen >= _SHORTEST_SPLIT
        plugin.overflow_mode = apprise.OverflowMode.SPLIT if split else apprise.OverflowMode.TRUNCATE
    channel = apprise.Apprise(asset=asset)
    channel.add(plugin)
    return channel


def _told(channel: "Apprise", subject: str, body: str, weight: "NotifyType") -> bool:
    from apprise import NotifyFormat  # noqa: PLC0415 -- loaded by `_open` already

    return bool(channel.notify(body=body, title=subject, notify_type=weight, body_format=NotifyFormat.TEXT))


def _weight(notice: Notice, incident: Incident) -> "NotifyType":
    from apprise import NotifyType  # noqa: PLC0415 -- loaded by `_open` already

    topic = topic_now(notice.topic, incident)
    if topic in _HEAVY:
        return NotifyType.FAILURE
    if topic in _LIGHT and outcome(incident) in (Outcome.DEAD, Outcome.DELETED, Outcome.UNTOUCHED):
        return NotifyType.INFO
    return NotifyType.WARNING
