"""The security team's channel: records what Apprise posts to a ``json://`` address.

https://github.com/caronc/apprise/wiki/Notify_Custom_JSON
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from responder.simulator.server import Server, reply


@dataclass(frozen=True, slots=True)
class Post:
    """One message to the channel.

    Attributes:
        title: as posted.
        message: as posted.
        kind: ``info``, ``success``, ``warning`` or ``failure``.
        monotonic_seconds: ``time.monotonic()`` on arrival.
        at: the same on the wall clock, UTC.
    """

    title: str
    message: str
    kind: str
    monotonic_seconds: float
    at: datetime


class Channel(Server):
    """An address that takes any POST of JSON.

    Attributes:
        posts: what was taken, in order.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.posts: list[Post] = []
        self._arrived = threading.Condition(self.lock)

    @property
    def url(self) -> str:
        """The address in Apprise's notation."""
        return f"json://127.0.0.1:{self.port}/notify"

    def routes(self) -> Sequence[Rule]:
        return [Rule("/", methods=["POST"], endpoint=self._take), Rule("/<path:_>", endpoint=self._take)]

    def wait_for(self, count: int, timeout_seconds: float = 10.0) -> list[Post]:
        """The posts, once there are *count*.

        Raises:
            TimeoutError: there were fewer in time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.posts) >= count, timeout_seconds):
                raise TimeoutError(f"{len(self.posts)} of {count} posts arrived")
            return list(self.posts)

    def _take(self, request: Request, _: str = "") -> Response:
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            return self.error(400)
        said = {name: str(body.get(name, "")) for name in ("title", "message", "type")}
        post = Post(said["title"], said["message"], said["type"], time.monotonic(), datetime.now(UTC))
        with self._arrived:
            self.posts.append(post)
            self._arrived.notify_all()
        return reply({"ok": True})
