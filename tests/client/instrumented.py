"""Calls of OpenAI's SDK, instrumented by OpenTelemetry's own packages, whose exporter sends the
spans to the product. Give PRODUCT_URL, TOKEN, ORGANIZATION, and what the SDK reads."""

import os

from openai import OpenAI
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MODEL = "gpt-4o-mini"

exporter = OTLPSpanExporter(
    endpoint=f"{os.environ['PRODUCT_URL']}/v1/usage-events/otlp/v1/traces",
    headers={"authorization": f"Bearer {os.environ['TOKEN']}"},
)
tracing = TracerProvider(resource=Resource({"synaxis.organization": os.environ["ORGANIZATION"]}))
tracing.add_span_processor(BatchSpanProcessor(exporter))
OpenAIInstrumentor().instrument(tracer_provider=tracing)

openai = OpenAI()
for number in range(3):
    message = {"role": "user", "content": f"call {number}"}
    openai.chat.completions.create(model=MODEL, messages=[message])
chunks = openai.chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": "stream"}],
    stream=True,
    stream_options={"include_usage": True},
)
for _ in chunks:
    pass
tracing.shutdown()
