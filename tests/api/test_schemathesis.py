"""Every operation of the description against generated input, good and bad: no 5xx, and what is described."""

import asyncio

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.examples import examples
from tests.populated import Alder, populate

for archive in ("application/zip", "application/gzip", "application/x-tar"):
    schemathesis.serializer.alias(archive, "application/octet-stream")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDLESS = {"/api/v1/events/stream"}
# Of each operation: more operations, not more tries of one, are what grew; all in all over two thousand requests.
EXAMPLES = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 3}


def problem_if_error(response) -> None:
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers
    body = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == response.status_code
    assert body["type"].startswith("urn:fettle:problem:")
    assert [body["instance"]] == response.headers["x-request-id"]
    assert "Traceback" not in response.text


def try_operation(operation, mode, values, url, session, answered) -> None:
    """Call one operation with generated input, half of the time about an object that there is."""
    named = {p.name for p in operation.path_parameters}
    real = {name: value for name, value in values.items() if name in named}
    strategy = operation.as_strategy(generation_mode=mode)
    if real and mode is GenerationMode.POSITIVE:
        strategy |= operation.as_strategy(generation_mode=mode, path_parameters=real)

    @settings(
        examples(EXAMPLES[mode]),
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def check(case) -> None:
        response = case.call(base_url=url, session=session, timeout=60)
        problem_if_error(response)
        if response.status_code < 300:
            answered.add(operation.label)
        case.validate_response(response, checks=CHECKS)

    check()


def try_all(document, alder: Alder, url: str, headers) -> tuple[set[str], list[str]]:
    """Try every operation and return which ever did what it is for, and what was wrong with which."""
    faults, answered = [], set()
    schema = schemathesis.openapi.from_dict(document)
    with requests.Session() as session:
        session.headers.update(headers)
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path in ENDLESS:
                continue
            for mode in EXAMPLES:
                takes = any(True for _ in operation.iter_parameters()) or bool(operation.body)
                if mode is GenerationMode.NEGATIVE and not takes:
                    continue
                try:
                    try_operation(operation, mode, alder.values, url, session, answered)
                except Unsatisfiable as unable:
                    # Some operations take whatever text there is, so nothing that they take is wrong.
                    if mode is GenerationMode.POSITIVE:
                        faults.append(f"{operation.label}: no good input is possible: {unable}")
                except (AssertionError, FailureGroup) as failure:
                    faults.append(f"{operation.label} {mode.value}: {_told(failure)}")
    return answered, faults


def _told(failure) -> str:
    if isinstance(failure, FailureGroup):
        return "; ".join(f"{one.title}: {one.message}"[:500] for one in failure.exceptions)
    return str(failure)[:500]


async def show_second_factor(api) -> None:
    """Let the owner in whatever policy is generated for the tenant."""
    async with api.platform.database.raw_system() as connection:
        await connection.execute("UPDATE refresh_sessions SET methods = '{password,totp}'")


@pytest.mark.hypothesis
async def test_no_generated_input_breaks_anything(api_at_work):
    api = api_at_work
    alder = await populate(api)
    document = (await api.client.get("/api/v1/openapi.json")).json()
    headers = api.owner(api.alder)
    await show_second_factor(api)
    answered, faults = await asyncio.to_thread(try_all, document, alder, api.url, headers)
    assert "\n".join(faults) == ""
    assert len(answered) > 40, "input that is always refused proves little"
    assert (await api.client.get("/health")).json()["status"] != "down"
