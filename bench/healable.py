"""A tenant whose exceptions heal by one call of a tool: the smallest pack and policy that go the whole way."""

from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.packs.activation import activate
from fettle.packs.catalogue import install
from fettle.packs.loading import load_files
from fettle.packs.policies import put_policy

CHECK_TYPE = "bench_check"


async def let_heal(
    platform: Platform, tenant_id: UUID, tools: dict[str, str], *, pack_id: str = "bench"
) -> None:
    """Install a pack, let the tenant work with it, and let its rules act without an approval.

    Args:
        platform: The process's parts.
        tenant_id: The tenant.
        tools: For each check type, the tool that heals it.
        pack_id: The pack's id.
    """
    pack = load_files(_files(pack_id, tools), tools={*tools.values(), "noop"})
    async with platform.database.system() as session:
        await install(session, pack, origin="local", actor="system:bench")
    policy = {
        "id": "bench",
        "version": "1.0.0",
        "schema_version": 1,
        "title": "Act",
        "autonomy": "act",
        # What is killed on purpose, over and over, is to be taken up again and not to be left alone.
        "flapping": {"enabled": False},
        "breakers": {kind: {"failures": 50, "share": 1} for kind in ("tool", "host", "playbook", "tenant")},
    }
    async with platform.database.tenant(tenant_id) as session:
        await activate(session, tenant_id, pack.id, pack.version, actor="system:bench")
        await put_policy(session, tenant_id, policy, actor="system:bench")


def _files(pack_id: str, tools: dict[str, str]) -> dict[str, bytes]:
    names = sorted({*tools.values(), "noop"})
    manifest = f"""\
id: {pack_id}
version: "1.0.0"
schema_version: 1
title: Healed by one call
description: One step, and a check that passes.
tools: [{", ".join(names)}]
verify: {{tool: noop, with: {{result: pass}}}}
"""
    types = "".join(
        f"""\
- check_type: {check_type}
  title: Something
  description: Something is out of order.
  category: bench
  platforms: [linux]
  severity: high
"""
        for check_type in tools
    )
    rules = "".join(
        f"""\
- id: L1-{check_type.upper().replace("_", "-")}
  title: Heal {check_type}
  priority: 10
  conditions: [{{field: check_type, operator: eq, value: {check_type}}}]
  action: run_playbook
  playbook_id: PB-{check_type.upper().replace("_", "-")}
  cooldown_seconds: 0
  max_attempts: 20
"""
        for check_type in tools
    )
    playbooks = "".join(
        f"""\
- id: PB-{check_type.upper().replace("_", "-")}
  version: 1
  title: Heal {check_type}
  steps:
    - {{id: fix, title: Mend it, tool: {tool}, with: {{echo: "${{{{ incident.host }}}}"}}}}
"""
        for check_type, tool in tools.items()
    )
    content = {
        "pack.yaml": manifest, "exception_types.yaml": types, "rules.yaml": rules, "playbooks/all.yaml": playbooks,
    }  # fmt: skip
    return {name: text.encode() for name, text in content.items()}
