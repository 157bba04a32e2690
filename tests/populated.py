"""A tenant with one of everything: reported, decided, approved, run, resolved and sealed."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from tests.flywheel.rows import insert_promotion
from tests.muting.rows import insert_correlation
from tests.signed_in import own_things

from fettle.incidents.hooks.standing import bound_to, box
from fettle.kernel.ids import new_id

CANARY = f"canary-{uuid4().hex}"

SHARED = {"pack_id", "playbook_id", "name"}
"""Names that tenants may have in common: what one does under such a name must not touch the other."""

RULE = {
    "id": f"L1-OWN-{uuid4().hex[:8].upper()}",
    "title": CANARY,
    "conditions": [{"field": "host", "operator": "eq", "value": CANARY}],
    "action": "escalate",
    "reason": CANARY,
}

TEMPORAL_RULE = {
    "id": f"T-OWN-{uuid4().hex[:8].upper()}",
    "title": CANARY,
    "kind": "absence",
    "by": ["host"],
    "conditions": [{"field": "check_type", "operator": "eq", "value": "beat"}],
    "within_seconds": 604_800,
    "raises": {"check_type": "silent", "summary": CANARY},
}

PLAYBOOK = f"id: PB-OWN\ntitle: {CANARY}\nsteps:\n  - id: nothing\n    tool: noop\n"


@dataclass
class Alder:
    """What one tenant has: the value of each path parameter, and everything that must not be seen."""

    values: dict[str, str] = field(default_factory=dict)
    private: set[str] = field(default_factory=lambda: {CANARY})

    def put(self, **values: str) -> None:
        self.values |= values
        self.private |= {value for name, value in values.items() if name not in SHARED}


async def command(api, method, path, body, headers=None):
    answer = await api.client.request(
        method, f"/api/v1{path}", headers=headers or api.alder.headers(), json=body
    )
    assert answer.status_code in {200, 201, 202}, answer.text
    return answer.json()


async def populate(api) -> Alder:
    """Let the tenant alder come to have one of everything; the consumers must be at work."""
    mine = Alder()
    headers = api.alder.headers()
    key = await command(api, "POST", "/api-keys", {"name": CANARY, "scopes": ["incidents:read"]})
    person = {"email": f"{uuid4().hex}@example.org", "name": CANARY, "role": "viewer"}
    member = await command(api, "POST", "/users", person, api.owner(api.alder))
    partner = await _partner(api)
    asked = {"email": f"{uuid4().hex}@example.org", "name": CANARY, "role": "viewer"}
    invitation = await command(api, "POST", "/invitations", asked)
    own_role = {"name": "chosen-by-both", "description": CANARY, "permissions": ["incidents:read"]}
    await command(api, "POST", "/roles", own_role)
    rule = await command(api, "POST", "/rules", RULE)
    await command(api, "POST", "/playbooks", {"yaml": PLAYBOOK})
    await command(api, "POST", "/packs/compliance-it/test", {})
    host = await command(api, "POST", "/hosts", {"name": CANARY, "platform": "linux"})
    await command(api, "PUT", "/secrets/chosen-by-both", {"value": "alder's own"})
    asked = await command(api, "POST", f"/tenants/{api.alder.id}/export", {})
    mine.put(
        export_id=asked["id"],
        tenant_id=str(api.alder.id),
        key_id=key["id"],
        user_id=member["id"],
        account_id=member["id"],
        invitation_id=invitation["id"],
        partner_id=partner,
        rule_id=rule["id"],
        host_id=host["id"],
    )
    mine.put(**await _over_time(api))
    mine.put(**await _escalation(api, member["id"]))
    mine.put(**await _brakes(api))
    mine.put(**await _source(api))
    mine.put(mute_id=await _mute(api))
    mine.put(correlation_id=await insert_correlation(api.platform.database, api.alder.id, CANARY))
    for place in ("one", "two"):
        body = {
            "check_type": "sandbox_process",
            "platform": "linux",
            "host": f"{CANARY}-{place}",
            "summary": CANARY,
            "labels": {"canary": CANARY},
        }
        accepted = await command(api, "POST", "/exceptions", body)
    mine.put(exception_id=accepted["id"])
    found = await api.eventually(
        "/api/v1/approvals?state=pending", headers, lambda answer: len(answer["items"]) == 2
    )
    first, second = found["items"]
    mine.put(approval_id=second["id"], incident_id=second["incident_id"])
    verdict = {"reason": CANARY, "plan_hash": first["plan_hash"]}
    await command(api, "POST", f"/approvals/{first['id']}/approve", verdict)
    runs = await api.eventually("/api/v1/runs", headers, lambda answer: bool(answer["items"]))
    mine.put(run_id=runs["items"][0]["id"])
    incident = f"/incidents/{first['incident_id']}"
    await api.eventually(f"/api/v1{incident}", headers, lambda answer: answer["state"] == "escalated")
    await command(api, "POST", f"{incident}/resolve", {"reason": CANARY})
    sealed = await api.eventually("/api/v1/evidence", headers, lambda answer: bool(answer["items"]))
    mine.put(bundle_id=sealed["items"][0]["id"])
    mine.put(pack_id="compliance-it", playbook_id="PB-OWN", name="chosen-by-both")
    mine.put(letter_id=await _dead_letter(api), job_id=await _job(api))
    mine.put(**await _work(api, mine.values["incident_id"], first["incident_id"]))
    mine.put(**await own_things(api, member["id"], CANARY))
    named = {"name": CANARY, "issuer": "https://sign-on.example", "client_id": CANARY}
    provider = await command(api, "POST", "/identity-providers", named, api.owner(api.alder))
    mine.put(provider_id=provider["id"])
    await api.settle()
    mine.put(**await _flywheel(api))
    await _told(api)
    mine.put(message_id=await _message(api))
    return mine


async def _flywheel(api) -> dict[str, str]:
    """Have a pattern, a rule that grew, and a bundle of rules that was fetched by each tenant."""
    promotion = await insert_promotion(api.platform.database, api.alder.id, "shadow", CANARY)
    for tenant in (api.alder, api.birch):
        fetched = await api.client.get("/api/v1/flywheel/l1_rules.json", headers=tenant.headers())
        assert fetched.status_code == 200, fetched.text
    headers = api.alder.headers()
    met = await api.eventually("/api/v1/flywheel/patterns", headers, lambda answer: bool(answer["items"]))
    return {"promotion_id": promotion, "pattern": met["items"][0]["pattern"]}


async def _over_time(api) -> dict[str, str]:
    """Have a rule over time that remembers a key, and that found something once."""
    rule = await command(api, "POST", "/temporal-rules", TEMPORAL_RULE)
    await command(api, "POST", "/exceptions", {"check_type": "beat", "host": CANARY, "status": "resolved"})
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO temporal_firings (id, tenant_id, rule_id, key, is_over, at, count, exception_ids, is_linked) "
            "VALUES ($1, $2, $3, jsonb_build_object('host', $4::text), false, now(), 1, '{}', true)",
            new_id(), api.alder.id, rule["id"], CANARY,
        )  # fmt: skip
    seen = await api.eventually(
        f"/api/v1/temporal-rules/{rule['id']}/keys", api.alder.headers(), lambda answer: bool(answer["items"])
    )
    return {"temporal_rule_id": rule["id"], "temporal_key_id": seen["items"][0]["id"]}


async def _job(api) -> str:
    """Put in long work as it is after its end."""
    job_id = new_id()
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO jobs (id, tenant_id, name, arguments, state, progress, result, requested_by) VALUES "
            "($1, $2, 'test.nothing', '{}', 'succeeded', 1, jsonb_build_object('href', $3::text), 'system:test')",
            job_id,
            api.alder.id,
            f"/{CANARY}",
        )
    return str(job_id)


async def _work(api, incident_id, other_id) -> dict[str, str]:
    """Let people do everything that they do on incidents, and return what came of it."""
    path = f"/incidents/{incident_id}"
    comment = await command(api, "POST", f"{path}/comments", {"body": CANARY})
    related = {"kind": "relates_to", "incident_id": other_id}
    link = await command(api, "POST", f"{path}/links", related)
    saved = {"name": CANARY, "query": f"q={CANARY}", "shared": True}
    view = await command(api, "POST", "/incidents/views", saved)
    many = {"action": "comment", "ids": [incident_id, other_id], "body": CANARY}
    bulk = await command(api, "POST", "/incidents/bulk", many)
    return {
        "comment_id": comment["id"],
        "link_id": link["id"],
        "view_id": view["id"],
        "bulk_id": bulk["id"],
    }


async def _brakes(api) -> dict[str, str]:
    """Have a check that flapped, a breaker and a stop of the past, a run that was held, and a deputy."""
    suppression, delegation, run, stop = new_id(), new_id(), new_id(), new_id()
    other = {"kind": "host", "key": CANARY, "reason": CANARY}
    await command(api, "POST", "/brakes/breakers/open", other)
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO flap_suppressions (id, tenant_id, check_type, host, site, flaps, window_seconds, incident_id) "
            "VALUES ($1, $2, 'a_check', $3, '', 3, 3600, $1)",
            suppression,
            api.alder.id,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO healing_stops (id, tenant_id, reason, stopped_by, lifted_at, lifted_by, lift_reason) "
            "VALUES ($1, $2, $3, $3, now(), $3, $3)",
            stop,
            api.alder.id,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO flap_counts (tenant_id, check_type, host, site, last_at) "
            "VALUES ($1, 'a_check', $2, '', now())",
            api.alder.id,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO approval_delegations "
            "(id, tenant_id, from_user, to_user, begins_at, ends_at, reason, created_by) "
            "VALUES ($1, $2, $1, $3, now() - interval '1 day', now() + interval '1 day', $4, 'system:test')",
            delegation,
            api.alder.id,
            run,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO held_runs (tenant_id, run_id, playbook_id, host, reason, detail, until) "
            "VALUES ($1, $2, 'PB-OWN', $3, 'budget', $3, now())",
            api.alder.id,
            run,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO action_admissions (tenant_id, run_id, playbook_id, definition_hash, host, disruptive, canary) "
            "VALUES ($1, $2, 'PB-OWN', '', $3, false, false)",
            api.alder.id,
            run,
            CANARY,
        )
        await connection.execute(
            "INSERT INTO approval_votes (tenant_id, approval_id, voter, reason) VALUES ($1, $2, $3, $3)",
            api.alder.id,
            run,
            CANARY,
        )
    return {"suppression_id": str(suppression), "delegation_id": str(delegation)}


async def _escalation(api, user_id) -> dict[str, str]:
    """Have somebody on call, a channel that cannot send here, and a policy that tells it once."""
    nobody = {"person": None, "begins": "2026-01-05T09:00:00Z", "ends": "2026-01-06T09:00:00Z"}
    rota = {"name": CANARY, "time_zone": "Europe/Berlin", "layers": [], "overrides": [nobody]}
    schedule = await command(api, "POST", "/escalation/schedules", rota)
    by_mail = {"name": CANARY, "settings": {"kind": "email", "to": ["on-call@example.org"]}}
    channel = await command(api, "POST", "/escalation/channels", by_mail)
    step = {"targets": [{"channel_id": channel["id"]}], "wait_seconds": 0}
    policy = await command(api, "POST", "/escalation/policies", {"name": CANARY, "steps": [step]})
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO oncall_contacts (tenant_id, user_id, document, updated_by) VALUES ($1, $2, $3, 'system:test')",
            api.alder.id,
            user_id,
            f'{{"slack": "{CANARY}"}}',
        )
        await connection.execute(
            "INSERT INTO escalation_callbacks (tenant_id, channel_id, key) VALUES ($1, $2, $3)",
            api.alder.id,
            channel["id"],
            CANARY,
        )
        await connection.execute(
            "INSERT INTO overdue_items (id, tenant_id, kind, state, subject_id, is_for_person, due_at, moved_at, "
            "incident_id) VALUES ($1, $2, 'run', 'running', $1, false, now(), now(), $1)",
            new_id(),
            api.alder.id,
        )
    feed = await command(api, "POST", "/escalation/feeds", {"name": CANARY}, api.owner(api.alder))
    return {
        "schedule_id": schedule["id"],
        "channel_id": channel["id"],
        "policy_id": policy["id"],
        "feed_id": feed["id"],
    }


async def _mute(api) -> str:
    """Set a silence that mutes nothing, and change it once."""
    matchers = [{"name": "host", "op": "=", "value": f"{CANARY}-nowhere"}]
    mute = {"kind": "silence", "title": CANARY, "matchers": matchers, "ends_at": "2099-01-01T00:00:00Z"}
    made = await command(api, "POST", "/mutes", {"mute": mute})
    await command(api, "PUT", f"/mutes/{made['id']}", {"mute": mute, "version": 1})
    return str(made["id"])


async def _message(api) -> str:
    """Return a message that alder's people were told, or were to be told."""
    answer = await api.client.get("/api/v1/escalation/deliveries", headers=api.alder.headers())
    return str(answer.json()["items"][0]["id"])


async def _source(api) -> dict[str, str]:
    """Have a source with a mapping of its own, something received, and a topic that wishes to send."""
    source = await command(api, "POST", "/hook-sources", {"name": CANARY, "kind": "json"})
    path = f"/hook-sources/{source['id']}/mapping"
    own = {"set": {"check_type": "own", "summary": CANARY}}
    await command(api, "PUT", path, {"mapping": own, "mapping_version": 0})
    proof = {"Authorization": f"Bearer {source['secret']}", "Webhook-Id": CANARY}
    sent = await api.client.post(
        f"/api/v1/hooks/{source['id']}",
        headers=proof | {"Idempotency-Key": CANARY},
        json={"title": CANARY, "state": "ok"},
    )
    assert sent.status_code == 202, sent.text
    wish = new_id()
    address = f"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token={CANARY}"
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO hook_subscriptions (id, tenant_id, source_id, topic, sealed_address) "
            "VALUES ($1, $2, $3, $4, $5)",
            wish,
            api.alder.id,
            UUID(source["id"]),
            CANARY,
            box(api.platform).encrypt(address.encode(), bound_to(UUID(source["id"]))),
        )
    return {"source_id": source["id"], "subscription_id": str(wish), "token": f"ftl_src_{'A' * 43}"}


async def _told(api) -> None:
    """Wait until nobody is still to be told anything."""
    headers = api.alder.headers()
    for state in ("queued", "sending"):
        path = f"/api/v1/escalation/deliveries?state={state}"
        await api.eventually(path, headers, lambda answer: not answer["items"])


async def _partner(api) -> str:
    """Put alder into the care of a partner that has one person."""
    named = {"name": CANARY, "slug": f"partner-{uuid4().hex[:12]}"}
    partner = (await command(api, "POST", "/partners", named, api.owner()))["id"]
    person = {"email": f"{uuid4().hex}@example.org", "name": CANARY, "role": "partner_admin"}
    await command(api, "POST", f"/partners/{partner}/members", person, api.owner())
    await command(api, "PATCH", f"/tenants/{api.alder.id}", {"partner_id": partner}, api.owner())
    return str(partner)


async def _dead_letter(api) -> str:
    """Park one of alder's events as dead, for a consumer that there is not."""
    letter_id = new_id()
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO parked_events (id, tenant_id, consumer_group, position, lane, stream_id, type, state, "
            "attempts, last_error) SELECT $1, tenant_id, 'test.nobody', position, lane, stream_id, type, 'dead', "
            "9, $3 FROM events WHERE tenant_id = $2 ORDER BY position LIMIT 1",
            letter_id,
            api.alder.id,
            CANARY,
        )
    return str(letter_id)
