"""Each completed incident joins its tenant's chain once, and what was exported holds."""

import asyncio
import contextlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from fettle.evidence import consumers as evidence_consumers
from fettle.evidence import keys, service
from fettle.evidence.canonical import canonical
from fettle.evidence.content import _plain_form, bundle_content, plain_form
from fettle.evidence.export import verify_export
from fettle.incidents import consumers as incident_consumers
from fettle.incidents import queries
from fettle.incidents.accepting import Acceptor
from fettle.incidents.queries import IncidentFilter
from fettle.incidents.schemas import ExceptionIn
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel.bus import run_consumers
from fettle.kernel.bus_groups import wait_until_idle
from fettle.kernel.clock import utcnow
from fettle.kernel.events import Event
from fettle.kernel.ids import new_id

GROUPS = ["incidents.intake", "evidence.seal"]


@pytest.fixture
async def pipeline(platform):
    """Intake and sealing, running."""
    specs = [*incident_consumers.CONSUMERS, *evidence_consumers.CONSUMERS]
    task = asyncio.create_task(run_consumers(platform, specs))
    yield lambda: wait_until_idle(platform, GROUPS, timeout=timedelta(seconds=60))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def incidents_of(platform, tenant, count):
    bodies = [
        ExceptionIn(check_type="unheard_of", host=f"h{n}", details={"big": 2**60, "x": 0.1})
        for n in range(count)
    ]
    await Acceptor(platform).accept(tenant, bodies, actor="key:test")


async def move(platform, tenant, to, kind):
    async with platform.database.tenant(tenant) as session:
        rows = [row async for row in queries.each(session, tenant, IncidentFilter())]
        await transition(
            session,
            tenant,
            [
                Transition(incident_id=row.id, to=to, type=kind, data={"resolution": "x"}, actor="user:u")
                for row in rows
            ],
        )


async def bundles(platform, tenant):
    return await service.list_bundles(platform.database, tenant, incident_id=None, before=None, limit=100)


async def export(platform, tenant, path):
    path.write_bytes(b"".join([piece async for piece in service.export_lines(platform, tenant)]))
    return path


async def test_what_was_sealed_holds_offline_and_a_change_is_found(
    platform, tenant, other_tenant, pipeline, tmp_path
):
    await incidents_of(platform, tenant, 5)
    await incidents_of(platform, other_tenant, 2)
    assert await pipeline()
    for owner in (tenant, other_tenant):
        await move(platform, owner, State.RESOLVED, "incident.resolved")
    assert await pipeline()
    assert [row["sequence"] for row in await bundles(platform, tenant)] == [5, 4, 3, 2, 1]
    assert len(await bundles(platform, other_tenant)) == 2
    file = await export(platform, tenant, tmp_path / "e.jsonl")
    public, _ = await keys.public_keys(platform)
    found = verify_export(file, keys=[public[0]["public_key"]])
    assert (found.report.ok, found.report.checked) == (True, 5)
    lines = file.read_bytes().splitlines()
    content = json.loads(lines[3])["content"]
    assert content["incident"]["details"]["big"] == str(2**60)
    assert [entry["type"] for entry in content["timeline"]] == [
        "incident.opened", "incident.triaged", "incident.resolved",
    ]  # fmt: skip
    lines[3] = lines[3].replace(b'"host":"h', b'"host":"g')
    file.write_bytes(b"\n".join(lines))
    failure = verify_export(file).report.failure
    assert (failure.sequence, failure.fault) == (3, "altered")


async def test_closing_what_was_sealed_seals_nothing_more_but_reopening_does(platform, tenant, pipeline):
    await incidents_of(platform, tenant, 1)
    assert await pipeline()
    await move(platform, tenant, State.RESOLVED, "incident.resolved")
    assert await pipeline()
    await incidents_of(platform, tenant, 1)
    assert await pipeline()
    await move(platform, tenant, State.RESOLVED, "incident.resolved")
    assert await pipeline()
    await move(platform, tenant, State.CLOSED, "incident.closed")
    assert await pipeline()
    assert [row["sequence"] for row in await bundles(platform, tenant)] == [2, 1]
    async with platform.database.tenant(tenant) as session:
        [row] = [row async for row in queries.each(session, tenant, IncidentFilter())]
        whole = await queries.one(session, tenant, row.id)
    assert whole.bundle_id == (await bundles(platform, tenant))[0]["id"]


async def test_a_new_key_seals_on_and_the_old_export_still_holds(platform, tenant, pipeline, tmp_path):
    await incidents_of(platform, tenant, 1)
    assert await pipeline()
    await move(platform, tenant, State.CLOSED, "incident.closed")
    assert await pipeline()
    public, _ = await keys.public_keys(platform)
    await keys.rotate(platform)
    await incidents_of(platform, tenant, 1)
    assert await pipeline()
    async with platform.database.tenant(tenant) as session:
        triaged = IncidentFilter(states=(State.TRIAGED,))
        rows = [row async for row in queries.each(session, tenant, triaged)]
        await transition(
            session,
            tenant,
            [Transition(incident_id=rows[0].id, to=State.CLOSED, type="incident.closed", actor="u")],
        )
    assert await pipeline()
    report = verify_export(
        await export(platform, tenant, tmp_path / "e.jsonl"), keys=[public[0]["public_key"]]
    ).report
    assert (report.ok, report.checked) == (True, 2)


async def test_a_new_key_seals_though_the_clock_was_set_back(platform):
    before, _ = await keys.public_keys(platform)
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE evidence_keys SET created_at = created_at + interval '1 hour'")
    made = await keys.rotate(platform)
    assert (await keys.signer(platform)).key_id == made
    after, _ = await keys.public_keys(platform)
    assert [key["key_id"] for key in after] == [*(key["key_id"] for key in before), made]


async def test_bundles_can_be_neither_changed_nor_deleted_by_the_application(platform, tenant, pipeline):
    await incidents_of(platform, tenant, 1)
    assert await pipeline()
    await move(platform, tenant, State.CLOSED, "incident.closed")
    assert await pipeline()
    for statement in ("UPDATE evidence_bundles SET bundle = '{}'", "DELETE FROM evidence_bundles"):
        with pytest.raises(Exception, match="permission denied"):
            async with platform.database.raw_tenant(tenant) as connection:
                await connection.execute(statement)


async def test_the_private_key_is_not_stored_in_the_clear(platform):
    signer = await keys.signer(platform)
    seed = signer.private_key.private_bytes_raw()
    async with platform.database.raw_system() as connection:
        for row in await connection.fetch("SELECT sealed_private_key FROM evidence_keys"):
            assert seed not in row["sealed_private_key"]


def test_a_very_long_timeline_is_told_by_its_ends_and_one_hash_of_its_middle():
    tenant_id, incident, moment = new_id(), new_id(), utcnow()
    timeline = [
        Event(
            id=new_id(), tenant_id=tenant_id, stream_type="incident", stream_id=incident, version=number,
            type="incident.occurrence_added", schema_version=1, data={"count": 1}, metadata={"actor": "a"},
            occurred_at=moment, position=number,
        )
        for number in range(1, 5001)
    ]  # fmt: skip
    content = bundle_content(timeline)
    assert content["occurrences"] == 5000
    assert len(content["timeline"]) == 2001
    assert content["timeline"][1000]["omitted"] == 3000
    timeline[2500] = timeline[2500]._replace(data={"count": 2})
    assert bundle_content(timeline)["timeline"][1000] != content["timeline"][1000]
    assert len(canonical(content)) < 1_000_000


_LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_JSON = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@examples(300)
@given(st.dictionaries(st.text(max_size=4), _JSON, max_size=4))
def test_the_short_way_to_a_plain_form_is_the_long_one(value):
    assert canonical(plain_form(value)) == canonical(_plain_form(value))
