"""A provider of LLM calls that answers as OpenAI and as Anthropic do, and as a request tells it to.

The last message is JSON: `id` of the call, `fail` (how many attempts fail first; -1: all), `status` of
the failures, `delay` before the answer and `pause` between chunks in seconds, `gate` (the answer waits
until `GET /open/<gate>`), `chunks` of a stream, `tokens` of input and of output, `cached` and `written`
tokens of the cache, `long` of them for an hour, `cut` (the stream breaks after so many chunks).
"""

import asyncio
import itertools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

Json = dict[str, Any]


class Upstream:
    """The provider, as an ASGI application."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.batches = itertools.count(1)
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        path = scope["path"].removeprefix("/v1")
        if path.startswith("/open/"):
            self.gates[path.removeprefix("/open/")].set()
            await answer(send, 200, {})
        elif path.startswith(("/files", "/batches")):
            await answer(send, 200, self.batch(scope["method"], path))
        else:
            request = json.loads(body)
            await self.call(send, path, request)

    async def call(self, send: Any, path: str, request: Json) -> None:
        told = told_by(request)
        self.attempts[told["id"]] += 1
        await asyncio.sleep(told.get("delay", 0))
        if "gate" in told:
            await self.gates[told["gate"]].wait()
        failing = told.get("fail", 0)
        if failing < 0 or self.attempts[told["id"]] <= failing or request["model"] == "gpt-4.1":
            error = {"type": "server_error", "message": "The model is overloaded."}
            await answer(send, told.get("status", 500), {"type": "error", "error": error})
            return
        shape = SHAPES[path]
        usage = shape.usage(told)
        if request.get("stream"):
            await stream(send, shape.chunks(told, request, usage), told)
        else:
            await answer(send, 200, shape.answer(told, request, usage))

    def batch(self, method: str, path: str) -> Json:
        """A batch that is completed when it is looked at, of two calls."""
        if path == "/files":
            return {"id": "file-in", "object": "file", "bytes": 1, "created_at": 1, "filename": "a.jsonl",
                "purpose": "batch", "status": "processed"}  # fmt: skip
        if path.endswith("/content"):
            usage = CHAT.usage({"tokens": [1000, 100]})
            line = {"custom_id": "a", "response": {"status_code": 200, "body": {
                **CHAT.answer({"id": "b"}, {"model": "gpt-4o-mini"}, usage)}}}  # fmt: skip
            return {"lines": [line, line]}
        name = path.removeprefix("/batches").strip("/") or f"batch_{next(self.batches)}"
        batch = {"id": name, "object": "batch",
            "endpoint": "/v1/chat/completions", "input_file_id": "file-in", "completion_window": "24h",
            "created_at": 1, "request_counts": {"total": 2, "completed": 2, "failed": 0}}  # fmt: skip
        if method == "POST":
            return {**batch, "status": "validating"}
        return {**batch, "status": "completed", "output_file_id": "file-out", "completed_at": 2}


def told_by(request: Json) -> Json:
    if "messages" in request:
        content = request["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
    else:
        given = request["input"]
        text = given if isinstance(given, str) else given[0]
        text = text if isinstance(text, str) else text["content"]
        text = text if isinstance(text, str) else text[0]["text"]
    told: Json = {"tokens": [100, 20]}
    try:
        told |= json.loads(text)
    except ValueError:
        told["id"] = text
    return told


class Chat:
    """OpenAI's Chat Completions."""

    def usage(self, told: Json) -> Json:
        given, made = told["tokens"]
        usage: Json = {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
        }
        usage["prompt_tokens_details"] = {"cached_tokens": told.get("cached", 0)}
        return {
            **usage,
            "completion_tokens_details": {"reasoning_tokens": told.get("reasoning", 0)},
        }

    def answer(self, told: Json, request: Json, usage: Json) -> Json:
        message = {"role": "assistant", "content": "Hello, world"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {**self._head(told, request, "chat.completion"), "choices": [choice], "usage": usage}

    def chunks(self, told: Json, request: Json, usage: Json) -> list[str]:
        head = self._head(told, request, "chat.completion.chunk")
        texts = [
            {**head, "choices": [{"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": "Hello "}}]}
            for _ in range(told.get("chunks", 3))
        ]  # fmt: skip
        last = {**head, "choices": [{"index": 0, "finish_reason": "stop", "delta": {}}]}
        chunks = [*texts, last]
        if (request.get("stream_options") or {}).get("include_usage"):
            chunks.append({**head, "choices": [], "usage": usage})
        return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]

    def _head(self, told: Json, request: Json, kind: str) -> Json:
        name = f"chatcmpl-{told['id']}"
        return {"id": name, "object": kind, "created": 1, "model": request["model"]}


class Messages:
    """Anthropic's Messages."""

    def usage(self, told: Json) -> Json:
        given, made = told["tokens"]
        written, long = told.get("written", 0), told.get("long", 0)
        return {
            "input_tokens": given,
            "output_tokens": made,
            "cache_read_input_tokens": told.get("cached", 0),
            "cache_creation_input_tokens": written,
            "cache_creation": {
                "ephemeral_5m_input_tokens": written - long,
                "ephemeral_1h_input_tokens": long,
            },
        }

    def answer(self, told: Json, request: Json, usage: Json) -> Json:
        content = [{"type": "text", "text": "Hello, world"}]
        return {
            **self._head(told, request),
            "content": content,
            "stop_reason": "end_turn",
            "usage": usage,
        }

    def chunks(self, told: Json, request: Json, usage: Json) -> list[str]:
        start = {**self._head(told, request), "content": [], "stop_reason": None,
            "usage": {**usage, "output_tokens": 1}}  # fmt: skip
        delta = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello "},
        }
        events: list[Json] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *[delta] * told.get("chunks", 3),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": usage["output_tokens"]}},
            {"type": "message_stop"},
        ]  # fmt: skip
        return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]

    def _head(self, told: Json, request: Json) -> Json:
        return {
            "id": f"msg_{told['id']}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
        }


class Embeddings(Chat):
    """OpenAI's Embeddings."""

    def usage(self, told: Json) -> Json:
        return {"prompt_tokens": told["tokens"][0], "total_tokens": told["tokens"][0]}

    def answer(self, told: Json, request: Json, usage: Json) -> Json:
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {"object": "list", "model": request["model"], "data": data, "usage": usage}


class Responses(Chat):
    """OpenAI's Responses."""

    def usage(self, told: Json) -> Json:
        given, made = told["tokens"]
        return {
            "input_tokens": given,
            "output_tokens": made,
            "total_tokens": given + made,
            "input_tokens_details": {"cached_tokens": told.get("cached", 0)},
            "output_tokens_details": {"reasoning_tokens": 0},
        }

    def answer(self, told: Json, request: Json, usage: Json) -> Json:
        text = {"type": "output_text", "text": "Hello, world", "annotations": []}
        message = {
            "type": "message",
            "id": "m",
            "status": "completed",
            "role": "assistant",
            "content": [text],
        }
        return {"id": f"resp_{told['id']}", "object": "response", "created_at": 1, "status": "completed",
            "model": request["model"], "output": [message], "usage": usage, "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None,
            "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0}  # fmt: skip

    def chunks(self, told: Json, request: Json, usage: Json) -> list[str]:
        whole = self.answer(told, request, usage)
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0,
            "content_index": 0, "delta": "Hello "}  # fmt: skip
        events: list[Json] = [
            {"type": "response.created", "response": begun},
            *[delta] * told.get("chunks", 3),
            {"type": "response.completed", "response": whole},
        ]
        return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


CHAT = Chat()
SHAPES: dict[str, Any] = {
    "/chat/completions": CHAT,
    "/messages": Messages(),
    "/embeddings": Embeddings(),
    "/responses": Responses(),
}


async def answer(send: Any, status: int, body: Json) -> None:
    if "lines" in body:
        content, kind = "\n".join(json.dumps(line) for line in body["lines"]), b"application/jsonl"
    else:
        content, kind = json.dumps(body), b"application/json"
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content.encode()})


async def stream(send: Any, chunks: list[str], told: Json) -> None:
    async def paced() -> AsyncIterator[str]:
        for number, chunk in enumerate(chunks):
            if number == told.get("cut"):
                raise ConnectionError("cut")
            yield chunk
            await asyncio.sleep(told.get("pause", 0))

    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for chunk in paced():
        await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(Upstream(), port=int(sys.argv[1]), log_level="error", access_log=False)
