"""What a person does to rules of a tenant's own, of whatever kind: each change with its record in the audit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.own_rules import Kind, OwnRules, Past
from fettle.identity.access import Access
from fettle.identity.audit import Who, record
from fettle.kernel.http.pages import PageParams
from fettle.packs.diff import changes
from fettle.packs.schemas import FieldChangeOut


@dataclass(frozen=True, slots=True)
class RuleEdits(Generic[Kind]):
    """The changes of one request.

    Attributes:
        rules: The kind of rules.
        session: With the tenant bound; all is done in its transaction.
        access: Whose rules, and who may change them.
        who: Who is named in the audit.
    """

    rules: OwnRules[Kind]
    session: AsyncSession
    access: Access
    who: Who

    async def create(self, document: Mapping[str, Any]) -> int:
        """Add a rule as it was sent; returns its version.

        Raises:
            Invalid: It cannot be used.
            Conflict: The tenant has a rule of this id, or too many.
        """
        rule = self.rules.checked(document)
        version = await self.rules.create(self.session, self.access.tenant_id, rule, actor=self.access.actor)
        await self._record("created", rule.id, after=document)
        return version

    async def change(self, rule_id: str, document: Mapping[str, Any], *, version: int) -> int:
        """Replace a rule that nobody changed since it was read; returns its version.

        Raises:
            NotFound: The tenant has no such rule.
            Invalid: It cannot be used, or names another id.
            Conflict: It has another version by now.
        """
        tenant_id = self.access.tenant_id
        before = await self.rules.read(self.session, tenant_id, rule_id)
        rule = self.rules.checked(document)
        changed = await self.rules.change(
            self.session, tenant_id, rule_id, rule, version=version, actor=self.access.actor
        )
        await self._record("changed", rule_id, before=before.rule.document, after=document)
        return changed

    async def delete(self, rule_id: str, *, version: int) -> None:
        """Delete a rule that nobody changed since it was read.

        Raises:
            NotFound: The tenant has no such rule.
            Conflict: It has another version by now.
        """
        tenant_id = self.access.tenant_id
        before = await self.rules.read(self.session, tenant_id, rule_id)
        await self.rules.delete(self.session, tenant_id, rule_id, version=version, actor=self.access.actor)
        await self._record("deleted", rule_id, before=before.rule.document)

    async def switch(
        self,
        rule: Kind,
        *,
        enabled: bool,
        version: int | None,
        of_packs: Mapping[str, Mapping[str, Any]],
    ) -> int | None:
        """Switch a rule on or off; see `OwnRules.set_enabled`."""
        switched = await self.rules.set_enabled(
            self.session,
            self.access.tenant_id,
            rule,
            enabled=enabled,
            version=version,
            actor=self.access.actor,
            of_packs=of_packs,
        )
        await self._record("switched", rule.id, before={"enabled": rule.enabled}, after={"enabled": enabled})
        return switched

    async def restore(self, rule_id: str, *, to: int, version: int | None) -> int:
        """Let a rule be again what it was in a version; returns its version.

        Raises:
            NotFound: The rule never had that version.
            Conflict: It has another version by now.
        """
        tenant_id = self.access.tenant_id
        before = (await self.rules.all(self.session, tenant_id)).get(rule_id)
        restored = await self.rules.restore(
            self.session, tenant_id, rule_id, to=to, version=version, actor=self.access.actor
        )
        after = await self.rules.read(self.session, tenant_id, rule_id)
        await self._record(
            "restored",
            rule_id,
            before=None if before is None else before.rule.document,
            after=after.rule.document,
        )
        return restored

    async def _record(
        self,
        done: str,
        rule_id: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        noun = self.rules.kept.noun
        await record(
            self.session,
            self.who,
            f"{noun}.{done}",
            tenant_id=self.access.tenant_id,
            target=(noun, rule_id),
            before=before,
            after=after,
        )


async def versions_page(
    rules: OwnRules[Kind], session: AsyncSession, access: Access, rule_id: str, paging: PageParams
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of what a rule of the tenant's own was, newest first, and the cursor of the next."""
    after = paging.after(int)
    rows = await rules.history(
        session, access.tenant_id, rule_id, before=after[0] if after else None, limit=paging.limit + 1
    )
    page, cursor = paging.cut(rows, lambda row: [row.version])
    return [_past(row) for row in page], cursor


def _past(row: Past) -> dict[str, Any]:
    found = changes(row.before or {}, row.document or {})
    return {
        "version": row.version,
        "rule": None if row.document is None else dict(row.document),
        "changes": [FieldChangeOut.model_validate(change.document()) for change in found],
        "changed_by": row.changed_by,
        "changed_at": row.changed_at,
    }
