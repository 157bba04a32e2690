"""Of two who add the last one that there is room for, one is refused; whoever adds elsewhere waits for nobody."""

import asyncio

import pytest
from tests.crosswise import somebody_waits

from fettle.healing.escalation import service as escalation
from fettle.healing.escalation.models import OnCallSchedule
from fettle.incidents import views
from fettle.incidents.hooks import service as hooks
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict

ROTA = {"document": {"time_zone": "UTC", "layers": [], "overrides": []}, "updated_by": "user:ann"}


async def add_source(session, tenant_id, name):
    fields = {"name": name, "kind": "json", "authentication": "token", "format": "json", "updated_by": "t"}
    await hooks.create(session, tenant_id, fields)


async def add_schedule(session, tenant_id, name):
    await escalation.create(session, OnCallSchedule, tenant_id, {"name": name, **ROTA})


async def add_view(session, tenant_id, name):
    await views.save(session, tenant_id, "user:ann", name=name, query="", shared=False)


@pytest.mark.parametrize(
    ("module", "limit", "add"),
    [(hooks, "MOST", add_source), (escalation, "MOST", add_schedule), (views, "MOST_OF_ONE", add_view)],
    ids=["sources", "schedules", "views"],
)
async def test_a_limit_holds_for_two_who_add_at_once(
    platform, tenant, other_tenant, monkeypatch, module, limit, add
):
    monkeypatch.setattr(module, limit, 1)

    async def add_alone(tenant_id, name):
        async with platform.database.tenant(tenant_id) as session:
            await add(session, tenant_id, name)

    async with platform.database.tenant(tenant) as session:
        await add(session, tenant, "first")
        second = asyncio.create_task(add_alone(tenant, "second"))
        await somebody_waits(await driver(session), second)
        await add_alone(other_tenant, "elsewhere")
    with pytest.raises(Conflict):
        await second
