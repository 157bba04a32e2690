"""Providers that are reached over HTTP: what an OpenAI-compatible and an Anthropic-compatible endpoint are sent."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import UUID

from fettle.healing.planner.endpoints import ANTHROPIC, OPENAI, Endpoint
from fettle.healing.planner.words import Prompt, ProviderError, Question, Reply, Usage
from fettle.kernel import jsonio
from fettle.kernel.egress import Egress, EgressFailed, EgressRefused, Outgoing
from fettle.kernel.errors import Problem
from fettle.kernel.settings import Settings

MOST_OUTPUT_TOKENS: Final = 1_000
_MOST_BYTES: Final = 262_144
_LEAST_CHARACTERS_PER_TOKEN: Final = 2
_OVERHEAD_TOKENS: Final = 400
_TOOL: Final = "answer"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_OK, _TOO_MANY, _SERVER = 200, 429, 500
_RETRYABLE: Final = frozenset({408, 409, 425, 429})
_LONGEST_WAIT_SECONDS: Final = 86_400.0


class HttpProvider(ABC):
    """What both wires have in common.

    Args:
        endpoint: Where it is.
        egress: The way out, which lets through listed endpoints alone.
        timeout_seconds: For one call.
    """

    def __init__(self, endpoint: Endpoint, egress: Egress, timeout_seconds: float) -> None:
        self._endpoint = endpoint
        self._egress = egress
        self._timeout = timeout_seconds

    @property
    def name(self) -> str:
        """What it is called in events."""
        return self._endpoint.name

    @property
    def model(self) -> str:
        """The model."""
        return self._endpoint.model

    @property
    def is_charged(self) -> bool:
        """It counts against the tenant's budget."""
        return True

    def most_cost(self, prompt: Prompt) -> Usage:
        """Return the most that a call may take."""
        characters = len(prompt.instructions) + len(prompt.data) + len(jsonio.dumps(dict(prompt.schema)))
        return self._usage(characters // _LEAST_CHARACTERS_PER_TOKEN + _OVERHEAD_TOKENS, MOST_OUTPUT_TOKENS)

    @abstractmethod
    async def ask(self, question: Question) -> Reply:
        """Send the question, and return the reply."""

    async def _post(
        self, path: str, headers: Mapping[str, str], body: Mapping[str, Any], tenant_id: UUID
    ) -> dict[str, Any]:
        outgoing = Outgoing(
            url=f"{self._endpoint.url}{path}",
            method="POST",
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
            body=jsonio.dumps(dict(body)),
            most_bytes=_MOST_BYTES,
            timeout_seconds=self._timeout,
        )
        try:
            reply = await self._egress.send(outgoing, tenant_id=tenant_id)
        except EgressRefused as error:
            raise ProviderError(
                "not_allowed", f"{error}. List it in FETTLE_PLANNER_ALLOW.", retryable=False
            ) from None
        except EgressFailed as error:
            retryable = error.code in {"unreachable", "protocol", "timeout"}
            raise ProviderError(error.code, error.message, retryable=retryable) from None
        if reply.status != _OK:
            raise _refusal(reply.status, reply.headers)
        try:
            value = jsonio.parse(reply.body)
        except Problem:
            raise ProviderError("malformed", "It answered what is no JSON.", retryable=True) from None
        if not isinstance(value, dict):
            raise ProviderError("malformed", "It answered no JSON object.", retryable=True)
        return value

    def _usage(self, input_tokens: int, output_tokens: int) -> Usage:
        return Usage(input_tokens, output_tokens, self._endpoint.price.of(input_tokens, output_tokens))

    def _counted(self, usage: Any, names: tuple[str, str]) -> Usage:
        counts = [usage.get(name) if isinstance(usage, dict) else None for name in names]
        first, second = (
            count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**31 else 0
            for count in counts
        )
        return self._usage(first, second)


class OpenAICompatible(HttpProvider):
    """`POST <url>/chat/completions` with `response_format: json_schema`: OpenAI, vLLM, Ollama, llama.cpp."""

    async def ask(self, question: Question) -> Reply:
        """Send the question, and return the reply."""
        prompt = question.prompt
        body = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": prompt.instructions},
                {"role": "user", "content": prompt.data},
            ],
            "temperature": 0,
            "max_tokens": MOST_OUTPUT_TOKENS,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": _TOOL, "strict": True, "schema": dict(prompt.schema)},
            },
        }
        headers = {"Authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {}
        value = await self._post("/chat/completions", headers, body, question.tenant_id)
        usage = self._counted(value.get("usage"), ("prompt_tokens", "completion_tokens"))
        try:
            choice = value["choices"][0]
            message = choice["message"]
            content = message.get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ProviderError("malformed", "It answered no message.", retryable=True, usage=usage) from None
        if message.get("refusal"):
            raise ProviderError("refused", "The model declined to answer.", retryable=False, usage=usage)
        if choice.get("finish_reason") == "length":
            raise ProviderError("malformed", "The answer was cut off.", retryable=False, usage=usage)
        if not isinstance(content, str):
            raise ProviderError("malformed", "It answered no text.", retryable=True, usage=usage)
        try:
            return Reply(jsonio.parse(content.encode(errors="replace")), usage)
        except Problem:
            raise ProviderError("malformed", "The answer is no JSON.", retryable=True, usage=usage) from None


class AnthropicCompatible(HttpProvider):
    """`POST <url>/v1/messages` with one tool that must be used, whose input is the answer."""

    async def ask(self, question: Question) -> Reply:
        """Send the question, and return the reply."""
        prompt = question.prompt
        body = {
            "model": self.model,
            "max_tokens": MOST_OUTPUT_TOKENS,
            "temperature": 0,
            "system": prompt.instructions,
            "messages": [{"role": "user", "content": prompt.data}],
            "tools": [
                {"name": _TOOL, "description": "Gives the answer.", "input_schema": dict(prompt.schema)}
            ],
            "tool_choice": {"type": "tool", "name": _TOOL},
        }
        headers = {"anthropic-version": _ANTHROPIC_VERSION}
        if self._endpoint.key:
            headers["x-api-key"] = self._endpoint.key
        value = await self._post("/v1/messages", headers, body, question.tenant_id)
        usage = self._counted(value.get("usage"), ("input_tokens", "output_tokens"))
        if value.get("stop_reason") == "refusal":
            raise ProviderError("refused", "The model declined to answer.", retryable=False, usage=usage)
        if value.get("stop_reason") == "max_tokens":
            raise ProviderError("malformed", "The answer was cut off.", retryable=False, usage=usage)
        parts = value.get("content")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") == "tool_use" and part.get("name") == _TOOL:
                return Reply(part.get("input"), usage)
        raise ProviderError("malformed", "It did not use the tool.", retryable=True, usage=usage)


def _refusal(status: int, headers: Mapping[str, str]) -> ProviderError:
    if status == _TOO_MANY:
        wait = retry_after_seconds(headers.get("retry-after"))
        return ProviderError(
            "rate_limited", "It asks to wait (429).", retryable=True, retry_after_seconds=wait
        )
    if status >= _SERVER or status in _RETRYABLE:
        wait = retry_after_seconds(headers.get("retry-after"))
        return ProviderError("server", f"It answered {status}.", retryable=True, retry_after_seconds=wait)
    code = "credentials" if status in {401, 403} else "rejected"
    return ProviderError(code, f"It answered {status}.", retryable=False)


def retry_after_seconds(value: str | None) -> float | None:
    """Return how long a Retry-After asks to wait, in seconds or until a date; None for what cannot be read."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return min(_LONGEST_WAIT_SECONDS, float(value.strip()[:9]))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(_LONGEST_WAIT_SECONDS, max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def egress_to_models(settings: Settings) -> Egress:
    """Return the way out to models, which lets through the endpoints that an operator listed, and no others.

    They are listed apart, so that no playbook reaches a model and no model's list is a tool's.
    """
    return Egress(settings.model_copy(update={"egress_allow": settings.planner_allow}))


def provider_of(entry: Endpoint, egress: Egress, settings: Settings) -> HttpProvider | None:
    """Return the provider behind an endpoint, None for an entry of the chain that is none."""
    if entry.kind == OPENAI:
        return OpenAICompatible(entry, egress, settings.planner_timeout_seconds)
    if entry.kind == ANTHROPIC:
        return AnthropicCompatible(entry, egress, settings.planner_timeout_seconds)
    return None
