"""The ways in which a provider fails, each for the tokens and projects of one case only.

Five hundred cases share one simulated organisation, so its bad days are chosen by
the token that asks.
"""

from collections.abc import Callable, Iterable

from werkzeug.wrappers import Request, Response

from responder.simulator import World, openai_errors
from responder.simulator.fault import Fault
from responder.simulator.openai_objects import Key

NORMAL = "normal"
MOODS = (
    NORMAL,
    "ignores the header",
    "names no project",
    "blind",
    "401 to everything",
    "500",
    "stale list",
    "slow spread",
    "may not delete",
)
"""``blind`` ignores the header and names no project; a slow spread accepts deleted keys."""

_HIDING_THE_PROJECT = ("names no project", "blind")
_DEAF_TO_IT = ("ignores the header", "blind")


class Moods:
    """Who is answered how.

    Args:
        world: whose OpenAI.

    Attributes:
        lifted: outages and spreads are over.
    """

    def __init__(self, world: World) -> None:
        self._openai = world.openai
        self._of: dict[str, str] = {}
        self.lifted = False
        self._stale: list[Fault] = []
        self._openai.tampers["mood"] = self._answer
        self._openai.faults.kinds = (*self._openai.faults.kinds, "mood")

    def set(
        self, mood: str, tokens: Iterable[str], keys: Iterable[Key], project: str, *, newest_hidden: bool
    ) -> None:
        """From now on, answer so to *tokens*, about *keys*, and for the lists of *project*."""
        self._of |= dict.fromkeys(tokens, mood)
        faults, its_keys = self._openai.faults, f"GET /v1/organization/projects/{project}/api_keys$"
        if newest_hidden:
            faults.add(its_keys, "missing_new", times=None)
        elif mood == "stale list":
            self._stale.append(faults.add(its_keys, "stale_list", times=None))
        for key in keys:
            if mood == "may not delete":
                faults.add(f"DELETE .*{key.id}$", "status", times=None, status=403)
            elif mood == "500":
                faults.add(f"DELETE .*{key.id}$", "status", times=2, status=500)

    def begin(self) -> None:
        """Start to answer by mood."""
        self._openai.faults.add("^GET /v1/(models|me)$", "mood", times=None)

    def lift(self) -> None:
        """End outages and spreads, and show lists as they are."""
        self.lifted = True
        for fault in self._stale:
            fault.times = 0

    def _answer(self, request: Request, struck: Fault) -> Response:
        value = request.authorization.token if request.authorization is not None else ""
        mood = self._of.get(value or "", NORMAL)
        if mood == "500" and not self.lifted:
            return openai_errors.failure(500, "The server had an error.", "server_error")
        if mood == "401 to everything" and not self.lifted:
            return openai_errors.invalid_key(value or "")
        if mood in _DEAF_TO_IT:
            request.environ.pop("HTTP_OPENAI_PROJECT", None)
        if mood == "slow spread" and not self.lifted:
            return self._as_if_alive(value or "", lambda: self._openai.dispatch(request))
        answer = self._openai.dispatch(request)
        if mood in _HIDING_THE_PROJECT:
            answer.headers.pop("openai-project", None)
        return answer

    def _as_if_alive(self, value: str, ask: Callable[[], Response]) -> Response:
        """A deleted key is accepted for as long as its deletion spreads."""
        with self._openai.lock:
            key = self._openai.find(value)
            if key is None or key.deleted_monotonic_seconds is None:
                return ask()
            gone_at, key.deleted_monotonic_seconds = key.deleted_monotonic_seconds, None
            try:
                return ask()
            finally:
                key.deleted_monotonic_seconds = gone_at
