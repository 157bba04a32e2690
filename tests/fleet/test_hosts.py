"""Hosts are declared per tenant; the local executor is a platform administrator's, below one folder alone."""

from uuid import uuid4

import pytest

from fettle.fleet.sandbox import Sandbox
from fettle.fleet.service import SANDBOXES, HostDirectory, declare_host, sandbox_within
from fettle.fleet.tools import register
from fettle.kernel.errors import Invalid
from fettle.tools.registry import ToolCall, ToolError, ToolRegistry


@pytest.fixture
def sandboxes(platform):
    folder = platform.settings.home / SANDBOXES
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def registry():
    made = ToolRegistry()
    register(made)
    return made


async def declared(platform, tenant, name="desk-1", executor="local", root=None):
    async with platform.database.tenant(tenant) as session:
        return await declare_host(
            session, tenant, name=name, platform="linux", executor=executor, sandbox_root=root,
            settings=platform.settings, actor="system:test",
        )  # fmt: skip


def check(platform, tenant, host, check_type):
    return ToolCall(
        tenant_id=tenant, run_id=uuid4(), incident_id=None, step_id="verify", attempt=1, idempotency_key="k",
        input={"host": host, "check_type": check_type}, secrets=None, platform=platform,
    )  # fmt: skip


async def test_a_host_is_found_by_its_tenant_alone(platform, tenant, other_tenant, sandboxes):
    await declared(platform, tenant, root=sandboxes / "a")
    directory = HostDirectory(platform)
    found = await directory.find(tenant, "desk-1")
    assert (found.executor, found.sandbox_root) == ("local", (sandboxes / "a").resolve())
    assert await directory.find(other_tenant, "desk-1") is None


async def test_declaring_a_name_again_changes_that_host(platform, tenant):
    first = await declared(platform, tenant)
    second = await declared(platform, tenant, executor="agent")
    assert (first.id, second.executor) == (second.id, "agent")


@pytest.mark.parametrize("path", ["/etc", "..", ".", "a/../../outside", "relative"])
async def test_a_sandbox_beyond_the_folder_is_refused(platform, tenant, sandboxes, path):
    root = sandboxes / path if path != "relative" else type(sandboxes)("relative")
    with pytest.raises(Invalid):
        await declared(platform, tenant, root=root)


async def test_a_link_out_of_the_folder_is_refused_when_declared_and_when_used(platform, tenant, sandboxes):
    (sandboxes / "way-out").symlink_to("/etc")
    assert not sandbox_within(platform.settings, sandboxes / "way-out" / "ssh")
    inside = sandboxes / "later"
    inside.mkdir()
    await declared(platform, tenant, name="desk-2", root=inside)
    inside.rmdir()
    inside.symlink_to("/etc")
    assert (await HostDirectory(platform).find(tenant, "desk-2")).sandbox_root is None


async def test_only_a_local_host_has_a_sandbox(platform, tenant, sandboxes):
    with pytest.raises(Invalid, match="executor 'local'"):
        await declared(platform, tenant, executor="agent", root=sandboxes / "b")


async def test_the_tool_runs_a_check_again(platform, tenant, sandboxes, registry):
    sandbox = Sandbox(sandboxes / "tool")
    sandbox.make()
    try:
        await declared(platform, tenant, name="desk-3", root=sandbox.root)
        call = check(platform, tenant, "desk-3", "sandbox_config_mode")
        assert (await registry.call("check.run", None, call))["result"] == "pass"
        sandbox.break_("sandbox_config_mode")
        assert (await registry.call("check.run", None, call))["result"] == "fail"
        nothing = check(platform, tenant, "desk-3", "no_such_check")
        assert (await registry.call("check.run", None, nothing))["result"] == "unknown"
    finally:
        sandbox.stop_process()


async def test_a_host_that_nothing_here_reaches_is_said_so(platform, tenant, registry):
    await declared(platform, tenant, name="far-away", executor="winrm")
    for name, code in (("far-away", "no_executor"), ("nobody", "no_host")):
        with pytest.raises(ToolError) as refused:
            await registry.call("check.run", None, check(platform, tenant, name, "disk_space"))
        assert refused.value.code == code


class TestApi:
    async def test_an_operator_declares_a_host_and_reads_it_again(self, api):
        headers = api.alder.headers("operator")
        body = {"name": "front-desk", "platform": "windows", "executor": "agent"}
        answer = await api.client.post("/api/v1/hosts", json=body, headers=headers)
        assert answer.status_code == 202
        read = (await api.client.get(answer.json()["href"], headers=headers)).json()
        assert (read["name"], read["sandbox_root"]) == ("front-desk", None)
        listed = (await api.client.get("/api/v1/hosts", headers=headers)).json()["items"]
        assert [host["name"] for host in listed] == ["front-desk"]
        birch = api.birch.headers("operator")
        assert (await api.client.get(answer.json()["href"], headers=birch)).status_code == 404

    async def test_the_same_idempotency_key_declares_once(self, api):
        headers = {**api.alder.headers("operator"), "Idempotency-Key": "one"}
        body = {"name": "back-desk", "platform": "linux"}
        first = await api.client.post("/api/v1/hosts", json=body, headers=headers)
        again = await api.client.post("/api/v1/hosts", json=body, headers=headers)
        other = await api.client.post("/api/v1/hosts", json={**body, "name": "third"}, headers=headers)
        assert (first.json(), other.status_code) == (again.json(), 409)

    async def test_the_local_executor_is_for_platform_administrators(self, api):
        body = {"name": "here", "platform": "linux", "executor": "local"}
        refused = await api.client.post("/api/v1/hosts", json=body, headers=api.alder.headers("tenant_admin"))
        accepted = await api.client.post("/api/v1/hosts", json=body, headers=api.owner(api.alder))
        assert (refused.status_code, accepted.status_code) == (403, 202)

    async def test_a_sandbox_elsewhere_is_a_problem_with_its_pointer(self, api):
        body = {"name": "here", "platform": "linux", "executor": "local", "sandbox_root": "/etc"}
        refused = await api.client.post("/api/v1/hosts", json=body, headers=api.owner(api.alder))
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/sandbox_root"

    async def test_a_viewer_declares_nothing(self, api):
        body = {"name": "mine", "platform": "linux"}
        refused = await api.client.post("/api/v1/hosts", json=body, headers=api.alder.headers("viewer"))
        assert refused.status_code == 403
