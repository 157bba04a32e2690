"""Every POST of the API under an `Idempotency-Key`: done once, answered alike, refused with another request."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.api.once import people_once, written_once
from tests.authenticator import Authenticator
from tests.fixtures_api import OWNER_PASSWORD
from tests.flywheel.rows import insert_promotion
from tests.incidents.once import work_once
from tests.muting.rows import insert_correlation
from tests.packs.content import small_pack
from tests.populated import RULE, Alder, command, populate
from tests.signed_in import LOCALHOST, begin_totp, enrol, passkey_to_add, passkey_to_use, sign_in, someone

from fettle.central.app import create_api
from fettle.central.openapi import operations_of
from fettle.cli.packs import pack_archive
from fettle.identity.owner import OWNER_EMAIL
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.http.idempotency import HEADER, LONGEST_KEY

SECRETS = ("access_token", '"secret"', "one_time_password", "recovery_codes", "challenge_id", '"link"')
PROVIDER = {"name": "Once", "issuer": "https://sign-on.example", "client_id": "once"}
SENT = {"check_type": "sandbox_process", "host": "idempotent"}
NOTICE = {
    "version": "4",
    "status": "firing",
    "alerts": [{"status": "firing", "labels": {"alertname": "X"}, "fingerprint": "f1"}],
}
SIGNED_BY_SENDER = {
    "/hooks/escalation/{channel_id}/slack",
    "/hooks/escalation/{channel_id}/pagerduty",
    "/hooks/{source_id}",
    "/hooks/{source_id}/{token}",
}
"""Their senders know no such key; a replay is told by what they sign (tests/escalation, tests/hooks)."""

NOT_AUDITED = {
    *(
        "/exceptions",
        "/exceptions/batch",
        "/hooks/alertmanager",
    ),  # what programs report is in the event store
    *("/policy/check", "/auth/invitations/look"),  # only say whether what was sent is good
    # Begin what is in the audit once it is finished; a forgotten password asks the same of everybody.
    *("/auth/password/forgot", "/auth/passkeys/options", "/me/totp", "/me/passkeys/options"),
    "/identity-providers/{provider_id}/confirm-domains",  # confirms none here, where no domain waits
}

CASE = {"id": "L1-ONCE", "conditions": [{"field": "host", "operator": "eq", "value": "never"}],
        "action": "escalate", "reason": "tried"}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A request that is good, and another that is good as well.

    Attributes:
        body: JSON, or bytes, or None where the operation takes none.
        other: Another body; None where the other request differs by its query alone.
        values: For the path.
        owner: Whether the platform's owner sends it.
        headers: Of whoever else sends it.
    """

    body: Any = None
    other: Any = None
    values: Mapping[str, str] | None = None
    owner: bool = False
    headers: Mapping[str, str] | None = None


@pytest_asyncio.fixture(scope="module")
async def alder(api_at_work) -> Alder:
    """A tenant with one of everything, on a platform that takes packs without a signature."""
    platform = api_at_work.platform
    platform.settings = platform.settings.model_copy(update={"packs_allow_unsigned": True})
    return await populate(api_at_work)


@pytest_asyncio.fixture(scope="module")
async def cases(api_at_work, alder) -> dict[str, Case]:
    """One case for each POST, ready to be done."""
    api, reason, other = api_at_work, {"reason": "tried"}, {"reason": "tried otherwise"}
    versions = await two_versions(api)
    approvals = await pending(api, 2)
    incidents = [
        await incident_that_is(api, state)
        for state in ("escalated", "escalated", "resolved", "escalated", "escalated", "escalated")
    ]
    partner = alder.values["partner_id"]
    verdicts = [{**reason, "plan_hash": approval["plan_hash"]} for approval in approvals]
    new_password = {"current_password": OWNER_PASSWORD, "new_password": OWNER_PASSWORD + " more"}
    person = {"name": "Once", "role": "viewer"}
    return {
        "/auth/login": Case(credentials(), credentials("wrong, and it does not matter")),
        "/auth/refresh": Case(),
        "/auth/logout": Case(),
        "/tenants": Case({"name": "Once", "slug": "once"}, {"name": "Twice", "slug": "twice"}, owner=True),
        "/users": Case(
            person | {"email": "once@example.org"}, person | {"email": "twice@example.org"}, owner=True
        ),
        "/api-keys": Case(
            {"name": "once", "scopes": ["incidents:read"]}, {"name": "twice", "scopes": ["incidents:read"]}
        ),
        "/exceptions": Case(SENT, SENT | {"host": "other"}),
        "/exceptions/batch": Case({"items": [SENT]}, {"items": [SENT, SENT]}),
        "/hooks/alertmanager": Case(NOTICE, NOTICE | {"receiver": "other"}),
        "/incidents/{incident_id}/resolve": Case(reason, other, {"incident_id": incidents[0]}),
        "/incidents/{incident_id}/close": Case(reason, other, {"incident_id": incidents[1]}),
        "/incidents/{incident_id}/reopen": Case(reason, other, {"incident_id": incidents[2]}),
        "/rules": Case(CASE, CASE | {"id": "L1-TWICE"}),
        "/rules/explain": Case({"incident": {"host": "a"}}, {"incident": {"host": "b"}}),
        "/rules/dry-run": Case({"rule": CASE}, {"rule": CASE | {"id": "L1-TWICE"}}),
        "/rules/{rule_id}/dry-run": Case(values={"rule_id": RULE["id"]}),
        "/approvals/{approval_id}/approve": Case(
            verdicts[0], verdicts[0] | other, {"approval_id": approvals[0]["id"]}
        ),
        "/approvals/{approval_id}/reject": Case(
            verdicts[1], verdicts[1] | other, {"approval_id": approvals[1]["id"]}
        ),
        "/playbooks/{playbook_id}/dry-run": Case({"incident": {"host": "a"}}, {"incident": {"host": "b"}}),
        "/hosts": Case({"name": "once", "platform": "linux"}, {"name": "twice", "platform": "linux"}),
        "/events/dead-letters/{letter_id}/replay": Case(),
        "/packs": Case(pack_archive(small_pack()), pack_archive(small_pack(version="9.9.9")), owner=True),
        "/packs/{pack_id}/activate": Case({"version": "1.0.0"}, {"version": "1.1.0"}, {"pack_id": versions}),
        "/packs/{pack_id}/deactivate": Case(values={"pack_id": versions}),
        "/packs/{pack_id}/rollback": Case(values={"pack_id": versions}),
        "/packs/{pack_id}/test": Case(values={"pack_id": versions}),
        **{path: Case(*case) for path, case in (await work_once(api)).items()},
        **{path: Case(*case) for path, case in (await written_once(api, incidents[3], CASE)).items()},
        **{path: Case(*case, owner=True) for path, case in (await people_once(api, partner)).items()},
        **await of_ones_own(api),
        **await of_escalation(api, alder, incidents[4:]),
        **await of_brakes(api),
        **of_sources(),
        **await of_muting(api),
        **await of_flywheel(api),
        "/identity-providers": Case(PROVIDER, PROVIDER | {"name": "Other"}, owner=True),
        "/identity-providers/{provider_id}/confirm-domains": Case(owner=True),
        # The last: the owner's other sessions end with it.
        "/auth/password": Case(new_password, new_password | {"new_password": "else " * 5}, owner=True),
    }


async def of_brakes(api) -> dict[str, Case]:
    """Return the cases of brakes; the switches are lifted again at once."""
    one, two = {"reason": "tried"}, {"reason": "tried otherwise"}
    name = {"kind": "host", "key": "once", "reason": "tried"}
    people = [
        await command(
            api,
            "POST",
            "/users",
            {"email": f"{uuid4().hex}@example.org", "name": "Once", "role": "operator"},
            api.owner(api.alder),
        )
        for _ in range(2)
    ]
    begins, ends = rfc3339(utcnow()), rfc3339(utcnow() + timedelta(days=9))
    deputy = {
        "from_user": people[0]["id"],
        "to_user": people[1]["id"],
        "begins_at": begins,
        "ends_at": ends,
        "reason": "tried",
    }
    return {
        "/brakes/stop": Case(one, two),
        "/brakes/resume": Case(one, two),
        "/platform/stop": Case(one, two, owner=True),
        "/platform/resume": Case(one, two, owner=True),
        "/brakes/flaps/{suppression_id}/clear": Case(one, two),
        "/brakes/breakers/open": Case(name, name | {"key": "twice"}),
        "/brakes/breakers/reset": Case(name, name | {"key": "twice"}),
        "/delegations": Case(deputy, deputy | two),
        "/delegations/{delegation_id}/end": Case(),
    }


async def of_escalation(api, alder, incidents) -> dict[str, Case]:
    """Return the cases of who is told what."""
    worker = {"email": f"{uuid4().hex}@example.org", "name": "Once", "role": "operator"}
    person = await command(api, "POST", "/users", worker, api.owner(api.alder))
    rota = {"name": "Once", "time_zone": "Europe/Berlin", "layers": [], "overrides": []}
    mail = {"name": "Once", "settings": {"kind": "email", "to": ["on-call@example.org"]}}
    told = {"name": "Once", "steps": [{"targets": [{"channel_id": alder.values["channel_id"]}]}]}
    taken, given = [{"incident_id": incident} for incident in incidents]
    to = {"to": person["id"], "reason": "tried"}
    calendar = {"ics": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:once\r\nEND:VCALENDAR\r\n", "version": 1}
    return {
        "/escalation/schedules": Case(rota, rota | {"name": "Twice"}),
        "/escalation/schedules/preview": Case(rota, rota | {"name": "Twice"}),
        "/escalation/schedules/{schedule_id}/calendar": Case(calendar, calendar | {"version": 2}),
        "/escalation/policies": Case(told, told | {"name": "Twice"}),
        "/escalation/policies/try": Case({"severity": "high"}, {"severity": "low"}),
        "/escalation/feeds": Case({"name": "Once"}, {"name": "Twice"}, owner=True),
        "/escalation/channels": Case(mail, mail | {"name": "Twice"}),
        "/escalation/channels/{channel_id}/test": Case(),
        "/incidents/{incident_id}/acknowledge": Case({}, {"take": False}, taken),
        "/incidents/{incident_id}/unacknowledge": Case(values=taken),
        "/incidents/{incident_id}/hand-over": Case(to, to | {"reason": "tried otherwise"}, given),
    }


async def of_flywheel(api) -> dict[str, Case]:
    """Return the cases of grown rules, each of a rule of its own."""
    path, moves = "/flywheel/promotions/{promotion_id}", {"reason": "tried", "version": 1}
    states = {"promote": ("shadow", None), "retire": ("shadow", None), "restore": ("dismissed", "proposed")}
    return {
        f"{path}/{move}": Case(
            moves,
            moves | {"reason": "tried otherwise"},
            {
                "promotion_id": await insert_promotion(
                    api.platform.database, api.alder.id, state, "once", ended_from=before
                )
            },
        )
        for move, (state, before) in states.items()
    }


async def of_muting(api) -> dict[str, Case]:
    """Return the cases of what mutes."""
    mute = {"kind": "silence", "title": "Once", "matchers": [{"name": "host", "op": "=", "value": "nowhere"}],
            "ends_at": "2099-01-01T00:00:00Z"}  # fmt: skip
    twice = mute | {"title": "Twice"}
    ended, undone = [(await command(api, "POST", "/mutes", {"mute": mute}))["id"] for _ in range(2)]
    await command(api, "PUT", f"/mutes/{undone}", {"mute": twice, "version": 1})
    groups = [
        await insert_correlation(api.platform.database, api.alder.id, f"once {number}") for number in range(2)
    ]
    return {
        "/mutes": Case({"mute": mute}, {"mute": twice}),
        "/mutes/preview": Case({"mute": mute}, {"mute": twice}),
        **{
            f"/correlations/{{correlation_id}}/{verdict}": Case(
                {"version": 1}, {"version": 2}, {"correlation_id": one}
            )
            for verdict, one in zip(("confirm", "dismiss"), groups, strict=True)
        },
        "/mutes/{mute_id}/end": Case({"version": 1}, {"version": 2}, {"mute_id": ended}),
        "/mutes/{mute_id}/undo": Case({"version": 2}, {"version": 3}, {"mute_id": undone}),
    }


def of_sources() -> dict[str, Case]:
    """Return the cases of the sources of webhooks."""
    made, path = {"name": "Once", "kind": "json"}, "/hook-sources/{source_id}"
    own = {"mapping": {"set": {"check_type": "once"}}}
    return {
        "/hook-sources": Case(made, made | {"name": "Twice"}),
        f"{path}/secret": Case({"overlap_hours": 1}, {"overlap_hours": 2}),
        f"{path}/test": Case({}, {"payload": {"title": "x"}}),
        f"{path}/mapping/preview": Case(own, {"mapping": None}),
        f"{path}/mapping/undo": Case({"mapping_version": 1}, {"mapping_version": 2}),
        f"{path}/subscriptions/{{subscription_id}}/confirm": Case(),
        f"{path}/subscriptions/{{subscription_id}}/reject": Case(),
    }


async def of_ones_own(api) -> dict[str, Case]:
    """Return the cases of how people sign in, each of a person of its own."""
    fresh, begun, enrolled, leaves = [await someone(api) for _ in range(4)]
    devices = Authenticator(), Authenticator()
    code = {"code": await begin_totp(api, begun)}
    codes, spare = await enrol(api, enrolled), await enrol(api, leaves)
    half = (await sign_in(api, enrolled.email))["challenge"]
    answer = {"challenge": half, "method": "recovery_code", "code": codes[0]}
    adds = await passkey_to_add(api, fresh, devices[0])
    to_use = await passkey_to_add(api, fresh, devices[1])
    added = await api.client.post("/api/v1/me/passkeys", headers=fresh.headers, json=to_use)
    assert added.status_code == 201, added.text
    uses = await passkey_to_use(api, devices[1])
    password = {"password": OWNER_PASSWORD}
    return {
        "/auth/mfa": Case(answer, answer | {"code": codes[1]}, headers=LOCALHOST),
        "/auth/passkeys/options": Case(headers=LOCALHOST),
        "/auth/passkeys/verify": Case(uses, uses | {"credential": {}}, headers=LOCALHOST),
        "/me/confirm": Case(password | {"code": codes[2]}, password, headers=enrolled.headers),
        "/me/recovery-codes": Case({}, password, headers=enrolled.headers),
        "/me/totp": Case({}, password, headers=fresh.headers),
        "/me/totp/confirm": Case(code, {"code": "000000"}, headers=begun.headers),
        "/me/totp/disable": Case({"code": spare[0]}, {"code": spare[1]}, headers=leaves.headers),
        "/me/passkeys/options": Case({}, password, headers=fresh.headers),
        "/me/passkeys": Case(adds, adds | {"name": "Other"}, headers=fresh.headers),
        "/me/sessions/end-others": Case(headers=fresh.headers),
    }


async def posts(api) -> dict[str, dict[str, Any]]:
    document = (await api.client.get("/api/v1/openapi.json")).json()
    return {
        path.removeprefix("/api/v1"): item["post"]
        for path, item in document["paths"].items()
        if "post" in item
    }


async def test_every_post_says_that_it_takes_a_key(api):
    for path, operation in (await posts(api)).items():
        named = [p for p in operation["parameters"] if p["name"].lower() == HEADER.lower()]
        assert [(p["in"], p["required"]) for p in named] == [("header", False)], path
        assert str(LONGEST_KEY) in named[0]["description"], path


async def test_every_post_has_where_to_keep_what_it_answered(platform):
    """Without a session or the platform a route would break under a key, and under a key alone."""
    without = [
        route.path_format
        for route in operations_of(create_api(platform))
        if "POST" in route.methods
        and not {"session", "platform"} & inspect.signature(route.original_route.endpoint).parameters.keys()
    ]
    assert without == []


async def test_what_a_key_keeps_holds_no_secret_that_was_ever_given_out(api):
    key = {HEADER: uuid4().hex}
    made = await api.client.post(
        "/api/v1/api-keys",
        headers=api.birch.headers() | key,
        json={"name": "mine", "scopes": ["incidents:read"]},
    )
    signed_in = await api.client.post("/api/v1/auth/login", headers=key, json=credentials(OWNER_PASSWORD))
    api.client.cookies.clear()
    async with api.platform.database.raw_system() as connection:
        rows = [row[0] for row in await connection.fetch("SELECT t::text FROM idempotency_keys t")]
    assert rows
    told = made.json()["secret"], signed_in.json()["access_token"]
    assert [row for row in rows if any(secret in row for secret in told)] == []


async def test_every_post_is_done_once_under_its_key_and_is_in_the_audit(api_at_work, alder, cases):
    api = api_at_work
    there = (await posts(api)).keys()
    assert there >= SIGNED_BY_SENDER
    missing = there - cases.keys() - SIGNED_BY_SENDER
    assert not missing, f"give {missing} a case above, so that it is tried"
    for path, case in cases.items():
        key, audited = uuid4().hex, await audit_records(api)
        first = await send(api, alder, path, case, key)
        assert first.status_code < 300, (path, first.text)
        assert await audit_records(api) > audited or path in NOT_AUDITED, path
        before = await api.count_rows()
        again = await send(api, alder, path, case, key)
        other = await send(api, alder, path, case, key, other=True)
        assert other.status_code == 409, (path, other.text)
        assert other.json()["type"] == "urn:fettle:problem:conflict", path
        if any(word in first.text for word in SECRETS):
            assert again.status_code == 409, (path, again.text)
            assert "secret" in again.json()["detail"], path
        else:
            assert (again.status_code, again.content) == (first.status_code, first.content), path
        after = await api.count_rows()
        assert after["idempotency_keys"] == before["idempotency_keys"], path


@pytest.mark.parametrize("key", ["", "x" * (LONGEST_KEY + 1), "two words"])
async def test_a_key_that_is_none_is_refused_by_every_post(api_at_work, key):
    api = api_at_work
    await api.settle()
    before = await api.count_rows()
    for path in ("/exceptions", "/exceptions/batch", "/hooks/alertmanager", "/rules", "/auth/login"):
        body = {"/exceptions": SENT, "/exceptions/batch": {"items": [SENT]}, "/rules": CASE,
                "/auth/login": credentials(OWNER_PASSWORD)}.get(path, NOTICE)  # fmt: skip
        answer = await api.client.post(
            f"/api/v1{path}", json=body, headers=api.alder.headers() | {HEADER: key}
        )
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["errors"][0]["pointer"] == f"/header/{HEADER}", path
    await api.settle()
    assert await api.count_rows() == before


async def audit_records(api) -> int:
    async with api.platform.database.raw_system() as connection:
        return await connection.fetchval("SELECT count(*) FROM audit_records")


async def send(api, alder, path, case, key, *, other=False):
    values = dict(alder.values) | dict(case.values or {})
    headers = api.owner(api.alder) if case.owner else api.alder.headers()
    headers = {**(headers if case.headers is None else case.headers), HEADER: key}
    body = case.other if other and case.other is not None else case.body
    content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
    if path in {"/auth/refresh", "/auth/logout"}:
        headers |= {"Cookie": await session_cookie(api, key)}
    answer = await api.client.post(
        f"/api/v1{path.format(**values)}",
        headers=headers,
        params={"other": "1"} if other and case.other is None else {},
        **content,
    )
    api.client.cookies.clear()
    return answer


def credentials(password=OWNER_PASSWORD):
    return {"email": OWNER_EMAIL, "password": password}


_sessions: dict[str, str] = {}


async def session_cookie(api, key):
    """Return one session's cookie for each key, as a browser sends the same one twice."""
    if key not in _sessions:
        answer = await api.client.post("/api/v1/auth/login", json=credentials())
        _sessions[key] = answer.headers["set-cookie"].partition(";")[0]
        api.client.cookies.clear()
    return _sessions[key]


async def two_versions(api):
    """Install two versions of a pack and choose them in turn, so that there is a choice to go back to."""
    name = f"once-{uuid4().hex[:8]}"
    for version in ("1.0.0", "1.1.0"):
        installed = await api.client.post(
            "/api/v1/packs",
            headers=api.owner(api.alder),
            content=pack_archive(small_pack(name=name, version=version)),
        )
        assert installed.status_code == 202, installed.text
        chosen = await api.client.post(
            f"/api/v1/packs/{name}/activate", headers=api.alder.headers(), json={"version": version}
        )
        assert chosen.status_code == 202, chosen.text
    return name


async def pending(api, count):
    for number in range(count):
        body = {"check_type": "sandbox_process", "platform": "linux", "host": f"waits-{number}-{uuid4().hex}"}
        await api.client.post("/api/v1/exceptions", headers=api.alder.headers(), json=body)
    found = await api.eventually(
        "/api/v1/approvals?state=pending",
        api.alder.headers(),
        lambda answer: sum(item["may_decide"] for item in answer["items"]) >= count,
    )
    return found["items"][:count]


async def incident_that_is(api, state):
    """Report what no rule knows, so that it goes to a person, and resolve it where that is asked for."""
    host, headers = f"once-{uuid4().hex}", api.alder.headers()
    body = {"check_type": "unheard_of_check", "host": host}
    await api.client.post("/api/v1/exceptions", headers=headers, json=body)
    found = await api.eventually(
        f"/api/v1/incidents?host={host}",
        headers,
        lambda answer: [item["state"] for item in answer["items"]] == ["escalated"],
    )
    incident = found["items"][0]["id"]
    if state == "resolved":
        done = await api.client.post(
            f"/api/v1/incidents/{incident}/resolve", headers=headers, json={"reason": "tried"}
        )
        assert done.status_code == 202, done.text
    return incident
