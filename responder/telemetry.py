"""Traces for an OpenTelemetry collector: what tasks were run, and the calls within them. The extra ``otel``.

A span is made of what `trace` shows, names of ours and ids; exceptions, whose
messages may hold anything, are not recorded. What leaves is scrubbed once more,
by what takes secrets out of log lines. OpenTelemetry's global state is left
alone, so that no library's own spans go anywhere.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from responder.trace import FAILED, Span

Clean = Callable[[str], str]

_PATIENCE_SECONDS = 3.0
"""With a collector that is away: it must not hold up our own end."""


class Traces:
    """Sends spans on, in batches, from a thread of its own.

    Args:
        exporter: to where.
        clean: returns a text without anything that looks like a secret.
    """

    def __init__(self, exporter: SpanExporter, clean: Clean) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "secret-leak-responder"}))
        self._provider.add_span_processor(BatchSpanProcessor(Scrubbing(exporter, clean)))
        self._tracer = self._provider.get_tracer("responder")

    @contextmanager
    def watch(self, span: Span) -> Iterator[None]:
        """Send one span; a call is part of the task it is made in."""
        with self._tracer.start_as_current_span(
            f"{span.kind} {span.name}",
            kind=SpanKind.CLIENT if span.kind == "call" else SpanKind.INTERNAL,
            record_exception=False,
            set_status_on_exception=False,
        ) as sent:
            try:
                yield
            finally:
                sent.set_attributes({"responder.subject": span.subject, "responder.outcome": span.outcome})
                if span.outcome == FAILED:
                    sent.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left, and stop."""
        self._provider.shutdown()


class Scrubbing(SpanExporter):
    """Hands on of every span only what is known to hold no secret.

    Args:
        inner: to whom.
        clean: as of `Traces`.
    """

    def __init__(self, inner: SpanExporter, clean: Clean) -> None:
        self._inner = inner
        self._clean = clean

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Names and plain attributes, cleaned; no events, in which exceptions are, no links, no description."""
        return self._inner.export([self._scrubbed(span) for span in spans])

    def shutdown(self) -> None:
        """Stop."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is left."""
        return self._inner.force_flush(timeout_millis)

    def _scrubbed(self, span: ReadableSpan) -> ReadableSpan:
        attributes = {
            self._clean(name): value if isinstance(value, bool | int | float) else self._clean(str(value))
            for name, value in (span.attributes or {}).items()
        }
        return ReadableSpan(
            self._clean(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


def to(endpoint: str, clean: Clean) -> Traces:
    """Send spans to a collector, as OTLP over HTTP.

    Args:
        endpoint: its base URL; OpenTelemetry's own variables say more, such as headers.
        clean: as of `Traces`.
    """
    return Traces(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_PATIENCE_SECONDS), clean)
