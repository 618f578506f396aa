"""Traces hold operations and ids; what should never get into one does not get out."""

from collections.abc import Iterator

import pytest

from responder import trace
from responder.log import redact

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from responder.telemetry import Scrubbing, Traces
from tests.canary import Canary
from tests.grown import token

SECRETS = [token(seed).reveal() for seed in range(6)]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keeps what would be sent."""
    return InMemorySpanExporter()


@pytest.fixture
def watched(exporter: InMemorySpanExporter) -> Iterator[Traces]:
    """Everything that is done in this process, until the test is over."""
    traces = Traces(exporter, redact)
    trace.watch(traces.watch)
    yield traces
    trace.watch()
    traces.close()


def failing(secret: str) -> None:
    """Do something about a token, and fail with it in every hand."""
    with trace.span("task", f"contain {secret}", secret) as seen:
        seen.outcome = secret
        with trace.span("call", "openai.probe", f"about {secret}"):
            raise RuntimeError(f"no {secret}") from ValueError(secret)


def test_a_call_is_part_of_its_task_and_both_say_how_they_ended(
    watched: Traces, exporter: InMemorySpanExporter
) -> None:
    """That is what a trace is for."""
    with trace.span("task", "contain", "contain:rep_1:0") as seen:
        with trace.span("call", "openai.probe") as asked:
            asked.outcome = trace.of_status(401)
        seen.outcome = "done"
    watched.close()
    call, task = exporter.get_finished_spans()
    assert (task.name, call.name) == ("task contain", "call openai.probe")
    assert call.parent is not None
    assert task.context is not None
    assert call.parent.span_id == task.context.span_id
    assert dict(task.attributes or {}) == {"responder.subject": "contain:rep_1:0", "responder.outcome": "done"}
    assert dict(call.attributes or {})["responder.outcome"] == "401"


def test_no_token_leaves_in_a_span_whatever_goes_wrong(watched: Traces, exporter: InMemorySpanExporter) -> None:
    """Even one that somebody took for an id, a name or an outcome, or that an exception carried."""
    for secret in SECRETS:
        with pytest.raises(RuntimeError):
            failing(secret)
    watched.close()
    spans = exporter.get_finished_spans()
    assert len(spans) == 2 * len(SECRETS)
    assert all("redacted" in str(dict(span.attributes or {})) for span in spans)
    assert [find for span in spans for find in Canary(SECRETS).in_text(span.to_json(), span.name)] == []


def test_what_a_library_would_add_to_a_span_does_not_leave_either(exporter: InMemorySpanExporter) -> None:
    """Events, descriptions, lists: nothing of ours, so nothing of it is sent unread."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Scrubbing(exporter, redact)))
    secret = SECRETS[0]
    with provider.get_tracer("library").start_as_current_span(secret) as span:
        span.set_attributes({"url": f"https://x.example/{secret}", "list": [secret, "a"], secret: 1, "size": 3})
        span.add_event(f"got {secret}", {"body": secret})
        span.set_status(Status(StatusCode.ERROR, f"no {secret}"))
    provider.shutdown()
    (sent,) = exporter.get_finished_spans()
    assert dict(sent.attributes or {})["size"] == 3
    assert Canary(SECRETS).in_text(sent.to_json(), "a span") == []
    assert not sent.events


def test_nobody_watches_unless_asked_to() -> None:
    """The seam itself does nothing: an exception passes as it is, and the outcome is only written down."""
    with pytest.raises(RuntimeError, match="as it is"), trace.span("task", "contain") as seen:
        raise RuntimeError("as it is")
    assert seen.outcome == trace.FAILED
