"""A grown rule as it stands in the database, for who needs one there without waiting for it to grow."""

import json
from uuid import uuid4

from fettle.kernel.ids import new_id

_PROMOTION = """
INSERT INTO promotions (tenant_id, id, pattern, choice, rule_id, check_type, state, document, evidence, back_test,
                        changes, successes, ended_from)
VALUES ($1, $2, $3, 'runbook:RB-LNX-CLAMAV-001', $4, 'sandbox_process', $5, $6::text::jsonb, '{"eligible": true}',
        '{"days": 30, "considered": 0, "matched": 0, "won": 0, "decided_by_others": {}, "ended": {}, "examples": []}',
        '{"changes": [], "beside": []}', 20, $7)
"""
_CHOICE = """
INSERT INTO pattern_choices (tenant_id, pattern, choice, succeeded, recent, last_incident_id, changed_at)
VALUES ($1, $2, 'runbook:RB-LNX-CLAMAV-001', 20, '11111', $3, NULL)
"""


async def insert_promotion(database, tenant_id, state, title, *, ended_from=None) -> str:
    """Put in a grown rule in a stage; returns its id."""
    promotion_id, pattern = new_id(), f"v1:{title}:linux:-:{uuid4().hex[:16]}"
    rule_id = f"L1-GROWN-{uuid4().hex[:10].upper()}"
    document = {
        "id": rule_id,
        "title": title,
        "priority": 900,
        "conditions": [{"field": "host", "operator": "eq", "value": title}],
        "action": "execute_runbook",
        "runbook_id": "RB-LNX-CLAMAV-001",
        "source": "promoted",
    }
    async with database.raw_system() as connection:
        await connection.execute(
            _PROMOTION, tenant_id, promotion_id, pattern, rule_id, state, json.dumps(document), ended_from
        )
        await connection.execute(_CHOICE, tenant_id, pattern, new_id())
    return str(promotion_id)
