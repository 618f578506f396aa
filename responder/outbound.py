"""The one HTTP door out of the house.

Fixed host, no redirects, no proxy from the environment, a deadline for the whole
exchange, a cap on the answer. No exception that leaves here carries a header, a
URL or a body: httpx's own exceptions hold all three.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from responder import deadline, failpoint, trace
from responder.core.errors import Refused, Unavailable
from responder.pace import Budget, Circuit

TOO_LARGE = "answer too large"
"""Why an answer beyond its cap is unavailable, however often it is asked for."""

Query = Mapping[str, str | int | Sequence[str]]
"""Names and values of a query; several values are sent one after another under one name."""

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        body: as sent, decoded from any transfer or content encoding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 -- JSON has no narrower type; callers check shapes
        """The body as JSON, or None if it is not."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def retry_after_seconds(self) -> float | None:
        """``Retry-After`` in seconds where it is a plain number, kept within one hour."""
        value = self.headers.get("retry-after", "")
        return min(float(value), 3600.0) if value.isdecimal() and len(value) < 10 else None


class Door:
    """Requests to one service.

    Args:
        who: its name in errors, such as ``"openai"``.
        base_url: scheme, host and path prefix; nothing else is ever called.
        budget: how often it may be called.
        circuit: whether it is worth asking.
        deadline_seconds: for a whole exchange, however slowly it drips.
        transport: for tests.
    """

    def __init__(
        self,
        who: str,
        base_url: str,
        *,
        budget: Budget | None = None,
        circuit: Circuit | None = None,
        deadline_seconds: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.who = who
        self._base = base_url.rstrip("/")
        self._budget = budget
        self._circuit = circuit or Circuit()
        self._deadline = deadline_seconds
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=60.0)
        self._client = httpx.Client(
            transport=transport or deadline.Transport(limits),
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(deadline_seconds, connect=3.0),
        )

    def leave_alone(self, what: str, seconds: float) -> None:
        """The service asked us to wait with the operation *what*, whoever of us wants it next."""
        self._circuit.leave_alone(what, seconds)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def exchange(
        self,
        what: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Query | None = None,
        body: object = None,
        cap: int = 8 * _MEGABYTE,
        urgent: bool = False,
    ) -> Answer:
        """Send one request and read its answer, whatever its status.

        Args:
            what: the operation in our words; also names the failpoints around it.
            method: HTTP method.
            path: below the base URL; every variable part quoted with `segment`.
            headers: sent as they are.
            params: the query.
            body: sent as JSON if not None.
            cap: bytes of answer that are read at most.
            urgent: do not wait for the budget.

        Raises:
            Unavailable: no answer, not all of it, too much of it, or a redirect.
        """
        if rest := self._circuit.rest_seconds(what):
            raise Unavailable(self.who, what, "resting", rest)
        if self._budget is not None and not urgent:
            self._budget.wait()
        failpoint.hit(f"{what}.before")
        try:
            with trace.span("call", what) as seen:
                answer = self._send(what, method, path, dict(headers), params, body, cap)
                seen.outcome = trace.of_status(answer.status)
        except Unavailable as error:
            self._circuit.answered(well=error.why == TOO_LARGE)
            raise
        self._circuit.answered(well=True)
        failpoint.hit(f"{what}.after")
        if 300 <= answer.status < 400 and answer.status != 304:
            raise Unavailable(self.who, what, "redirect")
        return answer

    def read(
        self,
        what: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Query | None = None,
        body: object = None,
        cap: int = 8 * _MEGABYTE,
        urgent: bool = False,
    ) -> tuple[Any, Answer]:
        """Send one request that must succeed and answer JSON; return that and the answer.

        Raises:
            Refused: a 4xx other than 408, 425 and 429.
            Unavailable: as `exchange`; 408, 425, 429, 5xx; a success that is not JSON.
        """
        answer = self.exchange(what, method, path, headers=headers, params=params, body=body, cap=cap, urgent=urgent)
        if answer.status >= 500 or answer.status in (408, 425, 429):
            wish = answer.retry_after_seconds
            if wish and not urgent:  # a deletion's own task waits for it, and no other key's does
                self._circuit.leave_alone(what, wish)
            raise Unavailable(self.who, what, f"status {answer.status}", wish)
        if answer.status >= 400:
            raise Refused(self.who, what, answer.status, error_code(answer.json()))
        content = answer.json()
        if content is None and answer.status != 204:
            raise Unavailable(self.who, what, "not JSON")
        return content, answer

    def _send(
        self,
        what: str,
        method: str,
        path: str,
        headers: dict[str, str],
        params: Query | None,
        body: object,
        cap: int,
    ) -> Answer:
        chunks: list[bytes] = []
        size = 0
        try:
            content = None if body is None else json.dumps(body).encode()
            if content is not None:
                headers["content-type"] = "application/json"
            with (
                deadline.within(self._deadline),
                self._client.stream(
                    method, self._base + path, headers=headers, params=params, content=content
                ) as response,
            ):
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > cap:
                        raise Unavailable(self.who, what, TOO_LARGE)
                    chunks.append(chunk)
                return Answer(response.status_code, dict(response.headers), b"".join(chunks))
        except httpx.TimeoutException:
            why = "timeout"
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = type(error).__name__
        raise Unavailable(self.who, what, why)  # out here, or httpx's own exception would be its context


def segment(value: str | int) -> str:
    """Quote *value* as one path segment, slashes and dots included."""
    return quote(str(value), safe="").replace(".", "%2E")


def error_code(content: object) -> str:
    """``error.code`` of an OpenAI-style envelope, or an empty string; never a message."""
    error = content.get("error") if isinstance(content, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code[:64] if isinstance(code, str) and code.replace("_", "").isalnum() else ""
