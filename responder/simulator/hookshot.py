"""Webhooks as GitHub sends them: signed, once, and given up after ten seconds.

https://docs.github.com/webhooks/webhook-events-and-payloads . GitHub never
retries by itself; a redelivery keeps the GUID. Payloads over 25 MB are not sent.
"""

import hashlib
import hmac
import itertools
import json
import ssl
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx

Json = dict[str, object]
MAX_BYTES = 25 * 1024 * 1024
TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class Delivery:
    """One attempt to deliver an event.

    Attributes:
        id: unique for each attempt.
        guid: shared by all attempts of one event.
        status: GitHub's word: ``OK``, ``Invalid HTTP Response: 500``, ``timed out``, ``failed to connect``.
        status_code: of the receiver; 502 and 504 where there was no answer.
        duration_seconds: until the answer.
        answer: body of the receiver's answer.
    """

    id: int
    guid: str
    event: str
    action: str | None
    repository_id: int | None
    payload: Json = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    delivered_at: datetime
    redelivery: bool = False
    status: str = "pending"
    status_code: int = 0
    duration_seconds: float = 0.0
    answer: str = ""
    answer_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether GitHub counts it as a success."""
        return 200 <= self.status_code < 400

    def item(self) -> Json:
        """A ``hook-delivery-item``."""
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": self.delivered_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "redelivery": self.redelivery,
            "duration": round(self.duration_seconds, 3),
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": self.action,
            "installation_id": None,
            "repository_id": self.repository_id,
            "throttled_at": None,
        }

    def whole(self, url: str) -> Json:
        """A ``hook-delivery``."""
        return {
            **self.item(),
            "url": url,
            "request": {"headers": dict(self.headers), "payload": self.payload},
            "response": {"headers": dict(self.answer_headers), "payload": self.answer},
        }


def signatures(secret: str, body: bytes) -> dict[str, str]:
    """The two signature headers over a raw body.

    https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    """
    key = secret.encode()
    return {
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
    }


class Hookshot:
    """Sends events to one address.

    Args:
        secret: signs the bodies; empty leaves the signatures out.

    Attributes:
        url: where to, set at run time; plain HTTP, nothing listening is recorded as a failure.
        hook_id: of the webhook.
        target: ``organization``, ``repository`` or ``integration``: where the webhook is installed.
        deliveries: every attempt, oldest first.
    form: send bodies as ``application/x-www-form-urlencoded`` with one member ``payload``.
    timeout_seconds: how long a receiver may take; GitHub's own is ten.
    """

    def __init__(self, secret: str) -> None:
        self.url = ""
        self.secret = secret
        self.hook_id = 401_000_001
        self.target = "organization"
        self.target_id = 0
        self.deliveries: list[Delivery] = []
        self.form = False
        self.timeout_seconds = TIMEOUT_SECONDS
        self._ids = itertools.count(12_000_000_000)
        self._lock = threading.Lock()
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)), timeout=TIMEOUT_SECONDS
        )
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="hookshot")

    def close(self) -> None:
        """Wait for deliveries under way; drop those not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def later(self, event: str, payload: Json, guid: str | None = None) -> "Future[Delivery]":
        """As `send`, in a thread of its own."""
        return self._pool.submit(self.send, event, payload, guid)

    def send(
        self,
        event: str,
        payload: Json,
        guid: str | None = None,
        *,
        secret: str | None = None,
        redelivery: bool = False,
    ) -> Delivery:
        """Deliver once, in the caller's thread, and record it; *secret* signs with another than ours."""
        text = json.dumps(payload, separators=(",", ":"))
        body = (urlencode({"payload": text}) if self.form else text).encode()
        action, repository = payload.get("action"), payload.get("repository")
        home = repository.get("id") if isinstance(repository, dict) else None
        identifier = guid or str(uuid.uuid4())
        delivery = Delivery(
            next(self._ids),
            identifier,
            event,
            str(action) if action is not None else None,
            home if isinstance(home, int) else None,
            payload,
            body,
            self._headers(event, identifier, body, self.secret if secret is None else secret),
            datetime.now(UTC),
            redelivery,
        )
        with self._lock:
            self.deliveries.append(delivery)
        self._attempt(delivery)
        return delivery

    def again(self, delivery: Delivery) -> Delivery:
        """Redeliver: the same GUID, a new attempt."""
        return self.send(delivery.event, delivery.payload, delivery.guid, redelivery=True)

    def again_later(self, delivery: Delivery) -> "Future[Delivery]":
        """As `again`, in a thread of its own."""
        return self._pool.submit(self.again, delivery)

    def find(self, guid: str) -> Delivery | None:
        """The latest attempt with this GUID."""
        return next((d for d in reversed(list(self.deliveries)) if d.guid == guid), None)

    def _attempt(self, delivery: Delivery) -> None:
        began = time.monotonic()
        if len(delivery.body) > MAX_BYTES:
            delivery.status, delivery.status_code = "payload too large, not sent", 0
            return
        try:
            answer = self._client.post(
                self.url, content=delivery.body, headers=dict(delivery.headers), timeout=self.timeout_seconds
            )
        except httpx.TimeoutException:
            delivery.status, delivery.status_code = "timed out", 504
        except (httpx.HTTPError, httpx.InvalidURL):
            delivery.status, delivery.status_code = "failed to connect", 502
        else:
            code = answer.status_code
            delivery.status_code, delivery.answer = code, answer.text
            delivery.answer_headers = dict(answer.headers)
            delivery.status = "OK" if 200 <= code < 400 else f"Invalid HTTP Response: {code}"
        delivery.duration_seconds = time.monotonic() - began

    def _headers(self, event: str, guid: str, body: bytes, secret: str) -> dict[str, str]:
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded" if self.form else "application/json",
            "User-Agent": "GitHub-Hookshot/51a3d6e",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": str(self.hook_id),
            "X-GitHub-Hook-Installation-Target-ID": str(self.target_id),
            "X-GitHub-Hook-Installation-Target-Type": self.target,
        }
        return headers | (signatures(secret, body) if secret else {})
