"""A model's endpoint on loopback: it speaks both wire protocols, checks what it is sent, and fails as told."""

import asyncio
import json
from contextlib import asynccontextmanager

KEY = "key-of-the-operator-4711"


def choose(choice, parameters=None, confidence=0.93, reasoning="It fits."):
    """An answer of the model."""
    given = [{"name": name, "value": value} for name, value in (parameters or {}).items()]
    return {"choice": choice, "parameters": given, "reasoning": reasoning, "confidence": confidence}


class Status:
    """Answer with a status instead."""

    def __init__(self, status, **headers):
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Slow:
    """Answer too late."""

    def __init__(self, seconds):
        self.seconds = seconds


class Raw:
    """Answer with this body."""

    def __init__(self, body):
        self.body = body


RESET = object()


class ModelServer:
    """What it was sent, and what it answers, in order; the last answer stays."""

    def __init__(self):
        self.answers = [choose(None, confidence=0.0)]
        self.requests = []
        self.prompts = []
        self.faults = []
        self.port = 0
        self.asked = asyncio.Event()

    def will(self, *answers):
        self.answers = list(answers)

    @property
    def openai(self):
        return f"openai:qwen3@http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic(self):
        return f"anthropic:claude-small@http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (part.partition(":") for part in rest)
            }
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            await self._answer(writer, line, headers, body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer, line, headers, body):
        method, path, _ = line.split()
        self.requests.append(body)
        self.asked.set()
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        fault = check(method, path, headers, body)
        if fault:
            self.faults.append(fault)
            told = Status(400)
        self.prompts.append(json.dumps(body, ensure_ascii=False))
        if isinstance(told, Slow):
            await asyncio.sleep(told.seconds)
            told = choose(None)
        if told is RESET:
            writer.transport.abort()
            return
        if isinstance(told, Status):
            await send(writer, told.status, {"error": {"type": "error", "message": "no"}}, told.headers)
        elif isinstance(told, Raw):
            await send(writer, 200, told.body, {})
        else:
            answer = told(body) if callable(told) else told
            await send(writer, 200, envelope(path, body["model"], answer), {})


def check(method, path, headers, body):  # noqa: PLR0911 - one for each fault
    """Return what the real endpoint would refuse, None for nothing."""
    if method != "POST" or headers.get("content-type") != "application/json":
        return "method or content type"
    if path == "/v1/chat/completions":
        if headers.get("authorization") != f"Bearer {KEY}":
            return "authorization"
        if [message["role"] for message in body["messages"]] != ["system", "user"]:
            return "messages"
        wanted = body["response_format"]
        if wanted["type"] != "json_schema" or wanted["json_schema"]["strict"] is not True:
            return "response_format"
        return strict(wanted["json_schema"]["schema"])
    if path == "/v1/messages":
        if headers.get("x-api-key") != KEY or headers.get("anthropic-version") != "2023-06-01":
            return "x-api-key or anthropic-version"
        if not isinstance(body["max_tokens"], int) or body["messages"][0]["role"] != "user":
            return "max_tokens or messages"
        if body["tool_choice"] != {"type": "tool", "name": body["tools"][0]["name"]}:
            return "tool_choice"
        return None if body["tools"][0]["input_schema"]["type"] == "object" else "input_schema"
    return "path"


def strict(schema):
    """Structured outputs want every object closed, and every property required."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(schema.get("properties", {}))
    ):
        return "an object of the schema is open"
    if any(name in schema for name in ("maxLength", "maxItems", "pattern", "format")):
        return "a keyword that is not supported"
    children = [*schema.get("properties", {}).values(), schema.get("items"), *schema.get("anyOf", ())]
    return next((fault for fault in map(strict, children) if fault), None)


def envelope(path, model, answer):
    if path == "/v1/messages":
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "answer", "input": answer}],
            "usage": {"input_tokens": 900, "output_tokens": 50},
        }
    message = {"role": "assistant", "content": json.dumps(answer), "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950},
    }


async def send(writer, status, body, headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    await writer.drain()


@asynccontextmanager
async def model_server():
    """Serve on loopback."""
    server = ModelServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    await listening.wait_closed()
