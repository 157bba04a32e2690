"""Invitations: by mail, good once, for one address, no longer than who invited may, and told to nobody else."""

import asyncio
import json
import logging
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.mail_box import link_in, token_in

from fettle.identity import invitations, mailing
from fettle.identity.invitations import MAILS_AN_HOUR
from fettle.identity.permissions import permissions_of

NEW = "quite another phrase"


@pytest_asyncio.fixture(scope="module")
async def settings(settings, box):
    return box.settings(settings)


@pytest.fixture
async def admin(make_person, bearer, tenant):
    return await bearer(await make_person({tenant: "tenant_admin"}), tenant)


def somebody() -> str:
    return f"{uuid4().hex}@example.org"


async def invite(client, headers, email=None, role="operator", **more):
    body = {"email": email or somebody(), "role": role, **more}
    answer = await client.post("/api/v1/invitations", headers=headers, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def mailed(platform, box, email):
    """Send what is due, and return the token in the last mail to an address."""
    while await mailing.deliver_due(platform):
        pass
    return token_in(box.to(email)[-1])


async def accept(client, token, headers=None, **body):
    return await client.post(
        "/api/v1/auth/invitations/accept", json={"token": token, **body}, headers=headers or {}
    )


async def look(client, token):
    return await client.post("/api/v1/auth/invitations/look", json={"token": token})


async def sign_in_as(client, email, password):
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
    client.cookies.clear()
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def everything_stored(platform):
    """Return every row of every table as text, to look for what must not be there."""
    async with platform.database.raw_system() as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND has_table_privilege(oid, 'SELECT')"
        )
        texts = [
            await connection.fetchval(f"SELECT string_agg(t::text, ' ') FROM {row['relname']} t")
            for row in tables
        ]
    return "\n".join(text for text in texts if text)


def logged(caplog) -> str:
    """Return what was logged, but for what the mail server of the tests says of itself."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name != "mail.log")


async def test_somebody_new_is_invited_makes_an_account_and_may_do_what_the_role_says(
    client, platform, box, admin, tenant
):
    email = somebody()
    made = await invite(client, admin, email.upper(), name="New Person")
    assert made["mailed"] is True
    assert made["link"] is None
    assert made["email"] == email
    token = await mailed(platform, box, email)
    assert link_in(box.to(email)[-1]).startswith("https://fettle.example.org/invitation#token=")
    assert (await look(client, token)).json() == {
        "tenant": "alder-clinic",
        "email": email,
        "name": "New Person",
        "role": "operator",
        "has_account": False,
    }
    answer = await accept(client, token, password=NEW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["account_created"] is True
    assert "token" not in answer.text
    assert "set-cookie" not in answer.headers
    headers = await sign_in_as(client, email, NEW)
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert (me["name"], [t["id"] for t in me["tenants"]]) == ("New Person", [str(tenant)])
    assert set(me["permissions"]) == permissions_of("operator")
    listed = (await client.get("/api/v1/invitations", headers=admin)).json()["items"]
    assert made["id"] not in {item["id"] for item in listed}


async def test_a_link_is_good_once_even_when_it_is_opened_twice_at_once(client, platform, box, admin):
    email = somebody()
    await invite(client, admin, email)
    token = await mailed(platform, box, email)
    answers = await asyncio.gather(*(accept(client, token, name=f"N{n}", password=NEW) for n in range(4)))
    assert sorted(a.status_code for a in answers) == [200, 404, 404, 404], [a.text for a in answers]
    assert (await accept(client, token, name="N", password=NEW)).status_code == 404
    assert (await look(client, token)).status_code == 404


async def test_two_invitations_of_one_new_address_make_one_account(
    client, platform, box, make_person, bearer, tenant, other_tenant
):
    email, tokens = somebody(), []
    for where in (tenant, other_tenant):
        headers = await bearer(await make_person({where: "tenant_admin"}), where)
        await invite(client, headers, email)
        tokens.append(await mailed(platform, box, email))
    answers = await asyncio.gather(*(accept(client, token, name="N", password=NEW) for token in tokens))
    assert 200 in {a.status_code for a in answers}
    for answer, token in zip(answers, tokens, strict=True):
        if answer.status_code != 200:
            assert answer.status_code == 409
            assert (await accept(client, token, name="N", password=NEW)).status_code == 200
    me = (await client.get("/api/v1/me", headers=await sign_in_as(client, email, NEW))).json()
    assert {t["id"] for t in me["tenants"]} == {str(tenant), str(other_tenant)}


async def test_an_account_joins_by_its_password_or_signed_in_and_by_nothing_else(
    client, platform, box, make_person, bearer, admin, tenant, other_tenant
):
    person, stranger = await make_person({other_tenant: "viewer"}), await make_person()
    await invite(client, admin, person.email)
    token = await mailed(platform, box, person.email)
    assert (await look(client, token)).json()["has_account"] is True
    nothing = await accept(client, token)
    wrong = await accept(client, token, password=NEW, name="Taken Over")
    assert [a.status_code for a in (nothing, wrong)] == [422, 422]
    assert nothing.json()["errors"][0]["pointer"] == "/password"
    as_other = await accept(client, token, await bearer(stranger), password=person.password)
    assert as_other.status_code == 403
    forged = await accept(client, token, {"Authorization": "Bearer nonsense"}, password=person.password)
    assert forged.status_code == 401
    headers = await bearer(person)
    assert (await client.get("/api/v1/me", headers=headers)).json()["name"] == "Ann Example"
    assert (await accept(client, token, headers)).status_code == 200
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert {t["id"]: t["role"] for t in me["tenants"]} == {
        str(tenant): "operator",
        str(other_tenant): "viewer",
    }
    assert me["name"] == "Ann Example", "an invitation changes nothing of an account"


async def test_the_password_of_an_account_is_not_guessed_through_an_invitation(
    client, platform, box, make_person, admin
):
    person = await make_person()
    await invite(client, admin, person.email)
    token = await mailed(platform, box, person.email)
    statuses = [(await accept(client, token, password=f"guess number {n}")).status_code for n in range(7)]
    assert statuses[:5] == [422] * 5
    assert statuses[-1] == 429
    assert (await accept(client, token, password=person.password)).status_code == 429


async def test_sending_again_makes_the_link_before_worthless(client, platform, box, admin):
    email = somebody()
    made = await invite(client, admin, email)
    first = await mailed(platform, box, email)
    path = f"/api/v1/invitations/{made['id']}/resend"
    assert (await client.post(path, headers=admin)).status_code == 200
    assert (await look(client, first)).status_code == 404
    second = await mailed(platform, box, email)
    assert first != second
    assert (await look(client, second)).status_code == 200
    statuses = [(await client.post(path, headers=admin)).status_code for _ in range(MAILS_AN_HOUR)]
    assert statuses[-1] == 429


async def test_many_invitations_at_once_do_not_outrun_what_a_day_allows(client, admin, monkeypatch):
    monkeypatch.setattr(invitations, "A_DAY_AT_MOST", 2)
    await invite(client, admin)
    bodies = [{"email": somebody(), "role": "viewer"} for _ in range(12)]
    answers = await asyncio.gather(
        *(client.post("/api/v1/invitations", headers=admin, json=body) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [429] * 11


async def test_an_invitation_that_is_revoked_expired_or_whose_address_is_disabled_is_not_good(
    client, platform, box, make_person, admin, tenant
):
    revoked, expired, disabled = somebody(), somebody(), (await make_person()).email
    made = await invite(client, admin, revoked)
    tokens = [await mailed(platform, box, revoked)]
    assert (await client.delete(f"/api/v1/invitations/{made['id']}", headers=admin)).status_code == 204
    assert (await client.delete(f"/api/v1/invitations/{made['id']}", headers=admin)).status_code == 404
    for email, sql in (
        (expired, "UPDATE invitations SET expires_at = now() WHERE email = $1"),
        (disabled, "UPDATE users SET disabled_at = now() WHERE email = $1"),
    ):
        await invite(client, admin, email)
        tokens.append(await mailed(platform, box, email))
        async with platform.database.raw_system() as connection:
            await connection.execute(sql, email)
    never = "fti_" + "A" * 43
    answers = [await look(client, token) for token in [*tokens, never, "", "x", "fti_' OR true --"]]
    answers += [await accept(client, token, name="N", password=NEW) for token in [*tokens, never]]
    assert {a.status_code for a in answers} == {404, 422}
    assert {a.json()["detail"] for a in answers if a.status_code == 404} == {answers[0].json()["detail"]}
    # One whose time is over does not stand in the way of another.
    await invite(client, admin, expired)
    again = await client.post("/api/v1/invitations", headers=admin, json={"email": expired, "role": "viewer"})
    assert again.status_code == 409


async def test_an_invitation_does_not_outlive_the_rights_of_who_made_it(
    client, platform, box, make_person, bearer, admin, tenant
):
    for what in ("demoted", "removed", "disabled"):
        inviter = await make_person({tenant: "tenant_admin"})
        email = somebody()
        await invite(client, await bearer(inviter, tenant), email, role="tenant_admin")
        token = await mailed(platform, box, email)
        if what == "demoted":
            await client.patch(f"/api/v1/users/{inviter.id}", headers=admin, json={"role": "viewer"})
        elif what == "removed":
            await client.delete(f"/api/v1/users/{inviter.id}", headers=admin)
        else:
            async with platform.database.raw_system() as connection:
                await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", inviter.id)
        assert (await accept(client, token, name="N", password=NEW)).status_code == 403, what
        async with platform.database.raw_system() as connection:
            assert await connection.fetchval("SELECT count(*) FROM users WHERE email = $1", email) == 0
        # Somebody who may can send it again.
        [waiting] = [
            i
            for i in (await client.get("/api/v1/invitations", headers=admin)).json()["items"]
            if i["email"] == email
        ]
        await client.post(f"/api/v1/invitations/{waiting['id']}/resend", headers=admin)
        token = await mailed(platform, box, email)
        assert (await accept(client, token, name="N", password=NEW)).status_code == 200, what


async def test_a_role_that_came_to_hold_more_is_not_given_by_who_holds_less(
    client, platform, box, make_person, bearer, admin, tenant
):
    small = {"name": "people", "description": "", "permissions": ["users:read", "users:write"]}
    await client.post("/api/v1/roles", headers=admin, json=small)
    inviter = await bearer(await make_person({tenant: "people"}), tenant)
    grows = {"name": "grows", "description": "", "permissions": ["users:read"]}
    await client.post("/api/v1/roles", headers=admin, json=grows)
    email = somebody()
    await invite(client, inviter, email, role="grows")
    token = await mailed(platform, box, email)
    body = {"description": "", "permissions": ["packs:write"]}
    assert (await client.put("/api/v1/roles/grows", headers=admin, json=body)).status_code == 200
    assert (await accept(client, token, name="N", password=NEW)).status_code == 403


async def test_invitations_of_another_tenant_are_as_if_they_were_not(
    client, make_person, bearer, admin, other_tenant
):
    email = somebody()
    made = await invite(client, admin, email)
    other = await bearer(await make_person({other_tenant: "tenant_admin"}), other_tenant)
    assert email not in (await client.get("/api/v1/invitations", headers=other)).text
    assert (await client.delete(f"/api/v1/invitations/{made['id']}", headers=other)).status_code == 404
    assert (await client.post(f"/api/v1/invitations/{made['id']}/resend", headers=other)).status_code == 404
    assert email in (await client.get("/api/v1/invitations", headers=admin)).text


async def test_inviting_does_not_tell_whether_an_address_has_an_account(client, make_person, admin):
    known, unknown = (await make_person()).email, somebody()
    answers = [await invite(client, admin, email) for email in (known, unknown)]
    shapes = [
        {k: v for k, v in a.items() if k not in {"id", "email", "created_at", "expires_at"}} for a in answers
    ]
    assert shapes[0] == shapes[1]


async def test_a_member_is_not_invited_again(client, make_person, admin, tenant):
    member = await make_person({tenant: "viewer"})
    body = {"email": member.email, "role": "viewer"}
    assert (await client.post("/api/v1/invitations", headers=admin, json=body)).status_code == 409


async def test_a_partner_invites_people_who_then_reach_all_its_tenants(
    client, platform, box, make_person, bearer, tenant
):
    owner = await bearer(await make_person(is_platform_admin=True))
    body = {"name": "Northwind IT", "slug": uuid4().hex}
    partner = (await client.post("/api/v1/partners", headers=owner, json=body)).json()["id"]
    await client.patch(f"/api/v1/tenants/{tenant}", headers=owner, json={"partner_id": partner})
    email, path = somebody(), f"/api/v1/partners/{partner}/invitations"
    made = await client.post(path, headers=owner, json={"email": email, "role": "partner_admin"})
    assert made.status_code == 201, made.text
    token = await mailed(platform, box, email)
    assert (await look(client, token)).json()["tenant"] == "Northwind IT"
    assert (await accept(client, token, name="Pat", password=NEW)).json()["partner_id"] == partner
    headers = await sign_in_as(client, email, NEW)
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert [(t["id"], t["via"]) for t in me["tenants"]] == [(str(tenant), "partner")]
    again = await client.post(path, headers=headers, json={"email": somebody(), "role": "viewer"})
    assert again.status_code == 201
    listed = (await client.get(path, headers=headers)).json()["items"]
    assert [i["id"] for i in listed] == [again.json()["id"]]
    assert (await client.delete(f"{path}/{again.json()['id']}", headers=headers)).status_code == 204
    async with platform.database.tenant(tenant) as session:
        from_tenant = await session.connection()
        rows = await from_tenant.exec_driver_sql("SELECT count(*) FROM invitations")
        assert rows.scalar() == 0


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.org\r\nBcc: eve@evil.example",
        "ann@example.org,eve@evil.example",
        "ann@example.org\x00",
        '"ann\\" <eve@evil.example>"@example.org',
        "ann",
        "a@b\u2028c",
    ],
)
async def test_an_address_that_could_be_two_is_refused(client, admin, email):
    body = {"email": email, "role": "viewer"}
    assert (await client.post("/api/v1/invitations", headers=admin, json=body)).status_code == 422


async def test_hostile_names_stay_text_in_the_mail(client, platform, box, make_person, bearer, tenant):
    name = "<a href='https://evil.example'>Click</a> https://evil.example/x\u202e"
    person = await make_person({tenant: "tenant_admin"})
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE tenants SET name = $2 WHERE id = $1", tenant, name)
        await connection.execute("UPDATE users SET name = $2 WHERE id = $1", person.id, name)
    email = somebody()
    await invite(client, await bearer(person, tenant), email)
    await mailed(platform, box, email)
    mail = box.to(email)[-1]
    link_in(mail)  # the only one there is
    html = mail.get_body(("html",)).get_content()
    assert html.count("<a ") == 1
    assert "evil.example" not in mail.as_string()


async def test_a_mail_that_does_not_go_is_tried_again_and_its_end_is_told(client, platform, box, admin):
    email = somebody()
    made = await invite(client, admin, email)
    box.refuse = "451 busy"
    try:
        await mailing.deliver_due(platform)
    finally:
        box.refuse = None

    async def shown():
        items = (await client.get("/api/v1/invitations", headers=admin)).json()["items"]
        return next((i["delivery"], i["delivery_error"]) for i in items if i["id"] == made["id"])

    state, error = await shown()
    assert state == "queued"
    assert "451" in error
    await make_due(platform)
    token = await mailed(platform, box, email)
    assert await shown() == ("sent", None)
    assert (await look(client, token)).status_code == 200
    async with platform.database.raw_system() as connection:
        tokens = await connection.fetchval(
            "SELECT count(*) FROM link_tokens WHERE invitation_id = $1::uuid", made["id"]
        )
    assert tokens == 1, "what went nowhere opens nothing"


async def test_a_mail_that_can_never_go_fails_at_once_and_is_in_the_audit(client, platform, box, admin):
    email = somebody()
    made = await invite(client, admin, email)
    box.refuse = "550 no such user"
    try:
        await mailing.deliver_due(platform)
    finally:
        box.refuse = None
    [shown] = [
        i
        for i in (await client.get("/api/v1/invitations", headers=admin)).json()["items"]
        if i["id"] == made["id"]
    ]
    assert shown["delivery"] == "failed"
    audit = (await client.get("/api/v1/audit", headers=admin)).json()["items"]
    failed = next(i for i in audit if i["action"] == "mail.failed")
    assert failed["target_id"] == made["id"]
    assert email not in json.dumps(failed)


async def test_what_is_revoked_before_it_goes_is_not_sent(client, platform, box, admin):
    email = somebody()
    made = await invite(client, admin, email)
    await client.delete(f"/api/v1/invitations/{made['id']}", headers=admin)
    while await mailing.deliver_due(platform):
        pass
    assert box.to(email) == []


async def test_several_senders_send_each_mail_once(client, platform, box, admin):
    emails = [somebody() for _ in range(6)]
    for email in emails:
        await invite(client, admin, email)
    await asyncio.gather(*(mailing.deliver_due(platform) for _ in range(4)))
    assert [len(box.to(email)) for email in emails] == [1] * 6


async def test_a_sender_that_died_is_followed_after_its_lease(client, platform, box, admin):
    email = somebody()
    await invite(client, admin, email)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE outgoing_mails SET owner = gen_random_uuid(), attempts = 1, "
            "due_at = now() + interval '1 minute' WHERE state = 'queued'"
        )
    assert await mailing.deliver_due(platform) == 0
    await make_due(platform)
    assert await mailed(platform, box, email)


async def test_no_token_stands_in_database_logs_events_or_audit(client, platform, box, admin, caplog):
    caplog.set_level(logging.DEBUG)
    email = somebody()
    await invite(client, admin, email)
    token = await mailed(platform, box, email)
    stored = await everything_stored(platform)
    await accept(client, token, name="N", password=NEW)
    await accept(client, token, name="N", password=NEW)
    stored += await everything_stored(platform)
    for secret in (token, token.removeprefix("fti_"), NEW):
        assert secret not in stored
        assert secret not in logged(caplog)
    assert box.url().rpartition("@")[0].rpartition(":")[2] not in logged(caplog)


async def test_without_a_mail_server_the_link_is_shown_once_and_says_so(
    client, platform, box, admin, monkeypatch
):
    monkeypatch.setattr(
        platform, "settings", platform.settings.model_copy(update={"smtp_url": None, "public_url": None})
    )
    email, key = somebody(), {"Idempotency-Key": uuid4().hex}
    body = {"email": email, "role": "viewer"}
    answer = await client.post(
        "/api/v1/invitations", headers=admin | key | {"Host": "evil.example"}, json=body
    )
    made = answer.json()
    assert made["mailed"] is False
    assert made["delivery"] == "none"
    assert made["link"].startswith("http://127.0.0.1:8321/invitation#token=fti_")
    again = await client.post("/api/v1/invitations", headers=admin | key, json=body)
    assert again.status_code == 409
    token = made["link"].partition("#token=")[2]
    assert token not in (await client.get("/api/v1/invitations", headers=admin)).text
    assert token not in await everything_stored(platform)
    assert (await accept(client, token, name="N", password=NEW)).status_code == 200


async def make_due(platform):
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE outgoing_mails SET due_at = now() WHERE state = 'queued'")
