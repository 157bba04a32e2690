"""HTTP of a tenant's policy: what holds, what held, what is wrong with another, and back to an earlier one."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, TenantSession, require
from fettle.identity.audit import record
from fettle.kernel import context
from fettle.kernel.http.pages import Paging
from fettle.kernel.http.routes import StrictRoute
from fettle.packs import policies
from fettle.packs.diff import changes
from fettle.packs.models import PolicyVersion
from fettle.packs.problems import PackInvalid
from fettle.packs.schema import policy_pack_schema
from fettle.packs.schemas import (
    FieldChangeOut,
    PackAccepted,
    PastPolicy,
    PolicyCheck,
    PolicyHistory,
    PolicyIn,
    PolicyList,
    PolicyOut,
    PolicyProblem,
    PolicyRestore,
    PolicyText,
)
from fettle.packs.shipped import default_policy, shipped_policies
from fettle.packs.yaml_reader import pointer, read_yaml
from fettle.packs.yaml_writer import write_yaml

router = APIRouter(route_class=StrictRoute, tags=["packs"])

Reader = Annotated[Access, Depends(require("packs:read"))]
Writer = Annotated[Access, Depends(require("packs:write"))]

_FILE = "policy.yaml"
_MOST_PROBLEMS = 100


@router.get("/policy")
async def show_policy(access: Reader, session: TenantSession) -> PolicyOut:
    """Show the policy that holds."""
    row = await policies.current_policy(session, access.tenant_id)
    policy = _content(row)
    return PolicyOut(
        version=row.version if row else 0,
        policy=dict(policy),
        yaml=write_yaml(dict(policy)),
        changed_by=row.changed_by if row else None,
        changed_at=row.changed_at if row else None,
    )


@router.get("/policy/templates")
async def list_policies(access: Reader) -> PolicyList:  # noqa: ARG001 - asked for its permission
    """List the policies that come with Fettle, to begin with."""
    return PolicyList(items=[dict(policy) for policy in shipped_policies()])


@router.get("/policy/schema")
async def show_policy_schema(access: Reader) -> dict[str, Any]:  # noqa: ARG001 - asked for its permission
    """Show the JSON Schema of a policy."""
    return policy_pack_schema()


@router.get("/policy/history")
async def list_policy_versions(access: Reader, session: TenantSession, paging: Paging) -> PolicyHistory:
    """List what the policy was, newest first, each with what it changed."""
    after = paging.after(int)
    rows = await policies.past_policies(
        session, access.tenant_id, before=after[0] if after else None, limit=paging.limit + 2
    )
    page, cursor = paging.cut(rows[: paging.limit + 1], lambda row: [row.version])
    older: list[PolicyVersion | None] = [*rows[1:], None]
    return PolicyHistory(
        items=[_past(row, before) for row, before in zip(page, older, strict=False)], next_cursor=cursor
    )


@router.post("/policy/check")
async def check_policy(
    body: PolicyText,
    access: Reader,  # noqa: ARG001 - asked for its permission
    platform: CurrentPlatform,  # noqa: ARG001 - what is kept under an idempotency key goes through it
) -> PolicyCheck:
    """Say everything that is wrong with a policy, each with its line; stores nothing."""
    try:
        read = read_yaml(_FILE, body.yaml.encode())
    except PackInvalid as refused:
        problems = [PolicyProblem.model_validate(problem.document()) for problem in refused.problems]
        return PolicyCheck(valid=False, problems=problems, policy=None)
    problems = [
        PolicyProblem(line=read.line(path), pointer=pointer(path), message=message, fix=fix, level="error")
        for path, message, fix in policies.policy_problems(read.value)
    ]
    policy = read.value if isinstance(read.value, dict) else None
    return PolicyCheck(valid=not problems, problems=problems[:_MOST_PROBLEMS], policy=policy)


@router.put("/policy", status_code=202)
async def change_policy(
    body: PolicyIn, access: Writer, session: TenantSession, who: CurrentWho
) -> PackAccepted:
    """Replace the policy; the new one holds for every decision from a second later on."""
    before = _content(await policies.current_policy(session, access.tenant_id))
    version = await policies.put_policy(
        session,
        access.tenant_id,
        body.policy,
        actor=access.actor,
        expected_version=body.expected_version,
        request_id=context.request_id.get(),
    )
    await _audit(session, access, who, "policy.changed", before, body.policy)
    return PackAccepted(id=str(version), href="/api/v1/policy")


@router.post("/policy/restore", status_code=202)
async def restore_policy(
    body: PolicyRestore, access: Writer, session: TenantSession, who: CurrentWho
) -> PackAccepted:
    """Let the policy be again what it was in a version, as a new version."""
    before = _content(await policies.current_policy(session, access.tenant_id))
    version = await policies.restore_policy(
        session,
        access.tenant_id,
        body.to,
        actor=access.actor,
        expected_version=body.expected_version,
        request_id=context.request_id.get(),
    )
    after = _content(await policies.current_policy(session, access.tenant_id))
    await _audit(session, access, who, "policy.restored", before, after)
    return PackAccepted(id=str(version), href="/api/v1/policy")


def _content(row: PolicyVersion | None) -> Mapping[str, Any]:
    return default_policy() if row is None else row.content


def _past(row: PolicyVersion, before: PolicyVersion | None) -> PastPolicy:
    found = changes(dict(_content(before)), row.content)
    return PastPolicy(
        version=row.version,
        policy=row.content,
        yaml=write_yaml(row.content),
        changes=[FieldChangeOut.model_validate(change.document()) for change in found],
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )


async def _audit(
    session: TenantSession,
    access: Access,
    who: CurrentWho,
    action: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    await record(
        session,
        who,
        action,
        tenant_id=access.tenant_id,
        target=("policy", access.tenant_id),
        before=before,
        after=after,
    )
