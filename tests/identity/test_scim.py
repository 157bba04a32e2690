"""SCIM as identity providers speak it, and what a provider's token must never reach."""

import asyncio
from uuid import UUID, uuid4

import pytest
from tests.identity.api_keys import key_headers

from fettle.identity.scim.patching import PATCH

BASE = "/api/v1/scim/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture
async def scim(client, platform, tenant):
    """Ask as the tenant's identity provider."""
    return await provider(client, platform, tenant)


async def provider(client, platform, tenant):
    headers = await key_headers(platform, tenant, scopes=["scim:write"])

    async def ask(method, path, body=None, status=200, **more):
        sent = headers | {"Content-Type": "application/scim+json"} | more.pop("headers", {})
        answer = await client.request(method, f"{BASE}{path}", headers=sent, json=body, **more)
        assert answer.status_code == status, (method, path, answer.text)
        if answer.content:
            assert answer.headers["content-type"] == "application/scim+json"
            return answer.json()
        return None

    return ask


def person(who="ann", **more):
    """Return a User in the shape in which Okta creates one."""
    return {
        "schemas": [USER],
        "userName": f"{who}-{uuid4().hex[:8]}@example.org",
        "name": {"givenName": who.title(), "familyName": "Example"},
        "emails": [{"primary": True, "value": f"{who}@example.org", "type": "work"}],
        "displayName": f"{who.title()} Example",
        "locale": "en-US",
        "externalId": uuid4().hex,
        "groups": [],
        "password": "never-kept-1mz050nq",
        "active": True,
        **more,
    }


def operations(*them):
    return {"schemas": [PATCH], "Operations": list(them)}


async def role_of(platform, tenant, resource):
    async with platform.database.raw_system() as connection:
        return await connection.fetchval(
            "SELECT role FROM memberships m JOIN scim_users s USING (tenant_id, user_id) "
            "WHERE s.tenant_id = $1 AND s.id = $2",
            tenant,
            UUID(resource["id"]),
        )


async def test_a_person_is_created_found_changed_and_taken_out(scim, platform, tenant):
    sent = person()
    made = await scim("POST", "/Users", sent, 201)
    assert (made["userName"], made["active"], made["externalId"]) == (
        sent["userName"],
        True,
        sent["externalId"],
    )
    assert made["meta"]["location"].endswith(made["id"])
    assert "password" not in made
    assert await role_of(platform, tenant, made) == "viewer"
    found = await scim("GET", "/Users", params={"filter": f'userName eq "{sent["userName"].upper()}"'})
    assert [one["id"] for one in found["Resources"]] == [made["id"]]
    replaced = await scim("PUT", f"/Users/{made['id']}", {**sent, "displayName": "Ann E."})
    assert replaced["displayName"] == "Ann E."
    await scim("DELETE", f"/Users/{made['id']}", status=204)
    error = await scim("GET", f"/Users/{made['id']}", status=404)
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == "404"


async def test_the_same_person_twice_is_a_conflict_of_uniqueness(scim):
    sent = person()
    await scim("POST", "/Users", sent, 201)
    error = await scim("POST", "/Users", sent, 409)
    assert error["scimType"] == "uniqueness"


async def test_entra_id_creates_and_changes_a_user(scim):
    sent = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": f"test-{uuid4().hex[:8]}@contoso.example",
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "a@contoso.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "given family", "familyName": "family", "givenName": "given"},
        "roles": [],
        ENTERPRISE: {"department": "bold"},
    }
    made = await scim("POST", "/Users", sent, 201)
    changed = await scim(
        "PATCH",
        f"/Users/{made['id']}",
        operations(
            {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "b@contoso.example"},
            {"op": "Add", "path": 'emails[type eq "home"].value', "value": "home@contoso.example"},
            {"op": "Replace", "path": "name.familyName", "value": "updated"},
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "sales"},
            {"op": "Replace", "value": {"displayName": "D", "name.givenName": "G"}},
        ),
    )
    assert [mail["value"] for mail in changed["emails"]] == ["b@contoso.example", "home@contoso.example"]
    assert changed["name"]["familyName"] == "updated"
    assert changed["name"]["givenName"] == "G"
    assert changed["displayName"] == "D"
    assert changed[ENTERPRISE]["department"] == "sales"
    off = operations({"op": "Replace", "path": "active", "value": "False"})
    assert (await scim("PATCH", f"/Users/{made['id']}", off))["active"] is False


async def test_okta_deactivates_without_a_path_and_activates_again(scim, platform, tenant):
    made = await scim("POST", "/Users", person(), 201)
    off = operations({"op": "replace", "value": {"active": False}})
    assert (await scim("PATCH", f"/Users/{made['id']}", off))["active"] is False
    assert await role_of(platform, tenant, made) is None
    again = await scim("GET", "/Users", params={"filter": f'externalId eq "{made["externalId"]}"'})
    assert again["Resources"][0]["active"] is False
    on = operations({"op": "replace", "value": {"active": True}})
    assert (await scim("PATCH", f"/Users/{made['id']}", on))["active"] is True
    assert await role_of(platform, tenant, made) == "viewer"


async def test_a_group_that_is_called_as_a_role_gives_it_and_takes_it(scim, platform, tenant):
    ann, ben = [await scim("POST", "/Users", person(n), 201) for n in ("ann", "ben")]
    group = await scim(
        "POST",
        "/Groups",
        {
            "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": uuid4().hex,
            "displayName": "Fettle Operator",
            "members": [{"value": ann["id"], "display": ann["userName"]}],
            "meta": {"resourceType": "Group"},
        },
        201,
    )
    assert await role_of(platform, tenant, ann) == "operator"
    path = f"/Groups/{group['id']}"
    added = await scim(
        "PATCH",
        path,
        operations({"op": "Add", "path": "members", "value": [{"$ref": None, "value": ben["id"]}]}),
    )
    assert {one["value"] for one in added["members"]} == {ann["id"], ben["id"]}
    assert await role_of(platform, tenant, ben) == "operator"
    shown = await scim("GET", f"/Users/{ben['id']}")
    assert [one["display"] for one in shown["groups"]] == ["Fettle Operator"]
    assert shown["roles"][0]["value"] == "operator"
    await scim(
        "PATCH", path, operations({"op": "Remove", "path": "members", "value": [{"value": ben["id"]}]})
    )
    assert await role_of(platform, tenant, ben) == "viewer"
    okta = operations({"op": "remove", "path": f'members[value eq "{ann["id"]}"]'})
    await scim("PATCH", path, okta)
    assert await role_of(platform, tenant, ann) == "viewer"
    okta = operations({"op": "replace", "path": "members", "value": [{"value": ann["id"]}]})
    await scim("PATCH", path, okta)
    await scim(
        "PATCH", path, operations({"op": "replace", "value": {"id": group["id"], "displayName": "Auditor"}})
    )
    assert await role_of(platform, tenant, ann) == "auditor"
    await scim("DELETE", path, status=204)
    assert await role_of(platform, tenant, ann) == "viewer"


@pytest.mark.parametrize("name", ["platform_admin", "Fettle Partner Admin", "partner-admin"])
async def test_no_group_gives_a_role_that_reaches_beyond_the_tenant(scim, platform, tenant, name):
    ann = await scim("POST", "/Users", person(roles=[{"value": "platform_admin"}]), 201)
    await scim(
        "POST", "/Groups", {"schemas": [GROUP], "displayName": name, "members": [{"value": ann["id"]}]}, 201
    )
    assert await role_of(platform, tenant, ann) == "viewer"
    async with platform.database.raw_system() as connection:
        assert not await connection.fetchval(
            "SELECT bool_or(is_platform_admin) FROM users WHERE email = $1", ann["userName"]
        )


async def test_a_role_that_a_person_was_given_by_hand_stays_until_a_group_gives_another(
    client, scim, platform, tenant, make_person
):
    hand = await make_person({tenant: "tenant_admin"})
    found = await scim("GET", "/Users", params={"filter": f'userName eq "{hand.email}"'})
    [known] = found["Resources"]
    group = {"schemas": [GROUP], "displayName": "Everybody", "members": [{"value": known["id"]}]}
    made = await scim("POST", "/Groups", group, 201)
    await scim("DELETE", f"/Groups/{made['id']}", status=204)
    assert await role_of(platform, tenant, known) == "tenant_admin"


async def test_the_last_administrator_of_a_tenant_is_neither_taken_out_nor_given_less(
    scim, platform, tenant, make_person
):
    by_hand = await make_person({tenant: "tenant_admin"})
    found = await scim("GET", "/Users", params={"filter": f'userName eq "{by_hand.email}"'})
    [admin] = found["Resources"]
    path = f"/Users/{admin['id']}"
    members = [{"value": admin["id"]}]
    fewer = {"schemas": [GROUP], "displayName": "Viewer", "members": members}
    refused = [
        await scim("PATCH", path, operations({"op": "replace", "path": "active", "value": False}), 409),
        await scim("PUT", path, person("eve"), 409),
        await scim("DELETE", path, status=409),
        await scim("POST", "/Groups", fewer, 409),
    ]
    assert {one["status"] for one in refused} == {"409"}
    assert all("last administrator" in one["detail"] for one in refused)
    assert (await scim("GET", path))["roles"][0]["value"] == "tenant_admin"

    ann = await scim("POST", "/Users", person(), 201)
    admins = {"schemas": [GROUP], "displayName": "Tenant Admin", "members": [{"value": ann["id"]}]}
    group = f"/Groups/{(await scim('POST', '/Groups', admins, 201))['id']}"
    await scim("DELETE", path, status=204)
    await scim("DELETE", group, status=409)
    await scim("PUT", group, admins | {"displayName": "Auditor"}, 409)
    await scim("PATCH", group, operations({"op": "remove", "path": "members"}), 409)
    assert await role_of(platform, tenant, ann) == "tenant_admin"


async def test_deprovisioning_ends_access_at_once_and_no_more_than_this_tenants(
    client, platform, scim, tenant, other_tenant, make_person, bearer
):
    alone = await make_person({tenant: "operator"})
    both = await make_person({tenant: "operator", other_tenant: "operator"})
    alone_headers, both_headers = await bearer(alone), await bearer(both)
    for who in (alone, both):
        found = await scim("GET", "/Users", params={"filter": f'userName eq "{who.email}"'})
        off = operations({"op": "replace", "path": "active", "value": False})
        await scim("PATCH", f"/Users/{found['Resources'][0]['id']}", off)
    assert (await client.get("/api/v1/me", headers=alone_headers)).status_code == 401
    here = both_headers | {"X-Tenant-ID": str(tenant)}
    there = both_headers | {"X-Tenant-ID": str(other_tenant)}
    assert (await client.get("/api/v1/me", headers=here)).status_code == 404
    assert (await client.get("/api/v1/me", headers=there)).status_code == 200


async def test_an_account_of_two_tenants_is_neither_renamed_nor_removed_by_one(
    client, platform, scim, tenant, other_tenant
):
    theirs = await provider(client, platform, other_tenant)
    sent = person()
    mine, other = await scim("POST", "/Users", sent, 201), await theirs("POST", "/Users", sent, 201)
    taken = person("ben")
    await theirs("POST", "/Users", taken, 201)
    renamed = {**sent, "userName": taken["userName"], "displayName": "Mallory"}
    await scim("PUT", f"/Users/{mine['id']}", renamed)
    kept = await theirs("GET", f"/Users/{other['id']}")
    assert (kept["userName"], kept["displayName"], kept["active"]) == (sent["userName"], "Ann Example", True)
    await scim("DELETE", f"/Users/{mine['id']}", status=204)
    assert (await theirs("GET", "/Users"))["totalResults"] == 2
    async with platform.database.raw_system() as connection:
        names = await connection.fetch("SELECT name FROM users WHERE email = $1", taken["userName"])
    assert [row["name"] for row in names] == ["Ben Example"]


async def test_an_account_of_this_tenant_alone_is_renamed_in_place(scim, platform):
    sent = person()
    made = await scim("POST", "/Users", sent, 201)
    fresh = f"new-{uuid4().hex[:8]}@example.org"
    rename = operations({"op": "replace", "path": "userName", "value": fresh.upper()})
    changed = await scim("PATCH", f"/Users/{made['id']}", rename)
    assert (changed["id"], changed["userName"]) == (made["id"], fresh)
    async with platform.database.raw_system() as connection:
        emails = await connection.fetch(
            "SELECT email FROM users WHERE email = ANY($1)", [fresh, sent["userName"]]
        )
    assert [row["email"] for row in emails] == [fresh]


async def test_two_tenants_that_take_one_address_at_once_share_its_account(
    client, platform, scim, tenant, other_tenant
):
    theirs = await provider(client, platform, other_tenant)
    for _ in range(5):
        made = [await ask("POST", "/Users", person(), 201) for ask in (scim, theirs)]
        fresh = f"new-{uuid4().hex[:8]}@example.org"
        rename = operations({"op": "replace", "path": "userName", "value": fresh})
        both = await asyncio.gather(
            *(
                ask("PATCH", f"/Users/{one['id']}", rename)
                for ask, one in zip((scim, theirs), made, strict=True)
            )
        )
        assert [one["userName"] for one in both] == [fresh, fresh]
        async with platform.database.raw_system() as connection:
            members = await connection.fetch(
                "SELECT m.tenant_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email = $1",
                fresh,
            )
        assert {row["tenant_id"] for row in members} == {tenant, other_tenant}


async def test_another_tenants_people_and_groups_are_not_there(client, platform, scim, other_tenant):
    theirs = await provider(client, platform, other_tenant)
    ann = await scim("POST", "/Users", person(), 201)
    group = await scim("POST", "/Groups", {"schemas": [GROUP], "displayName": "operator"}, 201)
    patch = operations({"op": "replace", "value": {"active": False}})
    for path in (f"/Users/{ann['id']}", f"/Groups/{group['id']}"):
        nothing = f"{path[:-36]}{uuid4()}"
        for method, body in (("GET", None), ("PATCH", patch), ("DELETE", None)):
            assert await theirs(method, path, body, 404) == await theirs(method, nothing, body, 404)
    full = {"schemas": [GROUP], "displayName": "x", "members": [{"value": ann["id"]}]}
    await theirs("POST", "/Groups", full, 400)
    assert (await theirs("GET", "/Users"))["totalResults"] == 0
    assert (await theirs("GET", "/Groups"))["totalResults"] == 0


async def test_versions_guard_changes(scim):
    made = await scim("POST", "/Users", person(), 201)
    path, first = f"/Users/{made['id']}", made["meta"]["version"]
    rename = operations({"op": "replace", "path": "title", "value": "Nurse"})
    changed = await scim("PATCH", path, rename, headers={"If-Match": first})
    assert changed["meta"]["version"] != first
    assert (await scim("PATCH", path, rename, 412, headers={"If-Match": first}))["status"] == "412"
    await scim("DELETE", path, status=412, headers={"If-Match": first})
    await scim("DELETE", path, status=204, headers={"If-Match": changed["meta"]["version"]})


async def test_lists_are_paged_filtered_and_cut_to_attributes(scim):
    for number in range(5):
        await scim("POST", "/Users", person(f"p{number}", title="odd" if number % 2 else "even"), 201)
    first = await scim("GET", "/Users", params={"startIndex": 1, "count": 2})
    second = await scim("GET", "/Users", params={"startIndex": 3, "count": 2})
    assert (first["totalResults"], first["itemsPerPage"], second["startIndex"]) == (5, 2, 3)
    assert not {one["id"] for one in first["Resources"]} & {one["id"] for one in second["Resources"]}
    odd = await scim("GET", "/Users", params={"filter": 'title eq "ODD" and not (userName sw "p1")'})
    assert odd["totalResults"] == 1
    counted = await scim("GET", "/Users", params={"count": 0})
    assert (counted["totalResults"], counted["Resources"]) == (5, [])
    few = await scim("GET", "/Users", params={"attributes": "userName", "count": 1})
    assert set(few["Resources"][0]) == {"schemas", "id", "userName", "meta"}
    fewer = await scim("GET", "/Users", params={"excludedAttributes": "emails,name", "count": 1})
    assert "emails" not in fewer["Resources"][0]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/Users?filter=userName%20xx%20%22a%22", None, 400),
        ("GET", "/Users?startIndex=x", None, 400),
        ("POST", "/Users/.search", {"schemas": [SEARCH], "filter": "userName"}, 400),
        ("POST", "/Users/.search", {"schemas": [SEARCH], "startIndex": "1"}, 400),
        ("POST", "/Groups/.search", {"schemas": [SEARCH], "attributes": "displayName"}, 400),
        ("GET", "/Schemas?filter=name%20eq%20%22User%22", None, 403),
        ("GET", "/Me", None, 501),
        ("PATCH", "/Me", {"schemas": [PATCH], "Operations": []}, 501),
        ("POST", "/Bulk", {"Operations": []}, 501),
        ("GET", "/Devices", None, 404),
        ("POST", "/Users", {"schemas": [USER], "userName": "no address"}, 400),
        ("POST", "/Users", {"schemas": [USER], "userName": 5}, 400),
        ("POST", "/Users", [], 400),
        ("POST", "/Groups", {"schemas": [GROUP]}, 400),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "x", "members": [{"value": "y"}]}, 400),
        ("GET", "/Users/not-an-id", None, 404),
        (
            "PATCH",
            "/Users/01900000-0000-7000-8000-000000000000",
            {"schemas": [PATCH], "Operations": [{"op": "add"}]},
            404,
        ),
    ],
)
async def test_errors_are_scims_own(scim, method, path, body, status):
    error = await scim(method, path, body, status)
    assert error["status"] == str(status)
    assert error["detail"]


async def test_only_the_scope_of_scim_opens_it(client, platform, tenant):
    for role in ("operator", "auditor", "viewer", "agent"):
        headers = await key_headers(platform, tenant, role)
        answer = await client.get(f"{BASE}/Users", headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/scim+json"
    token = await key_headers(platform, tenant, scopes=["scim:write"])
    for path in ("/users", "/api-keys", "/audit"):
        assert (await client.get(f"/api/v1{path}", headers=token)).status_code == 403


async def test_a_search_by_its_body_finds_what_a_list_does(scim):
    for number in range(3):
        await scim("POST", "/Users", person(f"p{number}", title="odd" if number % 2 else "even"), 201)
    asked = {
        "schemas": [SEARCH],
        "filter": 'title eq "even"',
        "startIndex": 2,
        "count": 1,
        "attributes": ["title"],
    }
    found = await scim("POST", "/Users/.search", asked)
    assert (found["totalResults"], found["startIndex"], found["itemsPerPage"]) == (2, 2, 1)
    assert [set(one) for one in found["Resources"]] == [{"schemas", "id", "meta", "title"}]
    whole = await scim("POST", "/Users/.search", {"schemas": [SEARCH]})
    assert whole == await scim("GET", "/Users")
    assert (await scim("POST", "/Groups/.search", {"schemas": [SEARCH]}))["totalResults"] == 0


async def test_parts_of_attributes_are_chosen_and_left_out_on_every_answer(scim):
    ann = person(
        "ann",
        name={"givenName": "Ann", "familyName": "Example"},
        **{ENTERPRISE: {"department": "IT", "division": "N"}},
    )
    only = {"attributes": f"name.givenName,{USER}:emails.value,{ENTERPRISE}:department"}
    made = await scim("POST", "/Users", ann, 201, params=only)
    path = f"/Users/{made['id']}"
    for answer in (made, await scim("GET", path, params=only), await scim("PUT", path, ann, params=only)):
        chosen = {key: value for key, value in answer.items() if key not in {"schemas", "id", "meta"}}
        assert chosen == {
            "name": {"givenName": "Ann"},
            "emails": [{"value": one["value"]} for one in ann["emails"]],
            ENTERPRISE: {"department": "IT"},
        }
    less = {"excludedAttributes": f"name.familyName,emails,id,{ENTERPRISE}:division"}
    left = await scim("GET", path, params=less)
    assert (left["id"], left["name"], left[ENTERPRISE]) == (
        made["id"],
        {"givenName": "Ann"},
        {"department": "IT"},
    )
    assert "emails" not in left
    assert ENTERPRISE not in await scim("GET", path, params={"excludedAttributes": ENTERPRISE})


async def test_what_is_not_offered_tells_nobody_without_the_scope(client, platform, tenant):
    headers = await key_headers(platform, tenant, "viewer")
    for path in ("/Me", "/Devices"):
        assert (await client.get(f"{BASE}{path}")).status_code == 401
        assert (await client.get(f"{BASE}{path}", headers=headers)).status_code == 403


async def test_it_describes_itself(scim):
    config = await scim("GET", "/ServiceProviderConfig")
    assert (config["bulk"]["supported"], config["filter"]["maxResults"]) == (False, 200)
    assert (await scim("GET", "/ServiceProviderConfig"))["patch"] == {"supported": True}
    assert (await scim("GET", "/Schemas"))["totalResults"] == 3
    assert (await scim("GET", f"/Schemas/{USER}"))["name"] == "User"
    assert (await scim("GET", "/ResourceTypes/Group"))["endpoint"] == "/Groups"


async def test_what_a_provider_does_is_in_the_audit(client, scim, platform, tenant):
    made = await scim("POST", "/Users", person(), 201)
    await scim("DELETE", f"/Users/{made['id']}", status=204)
    headers = await key_headers(platform, tenant)
    items = (await client.get("/api/v1/audit?target_type=scim_user", headers=headers)).json()["items"]
    assert [item["action"] for item in items] == ["scim_user.deleted", "scim_user.created"]
    assert {item["target_id"] for item in items} == {made["id"]}


async def test_of_two_members_added_at_once_both_stay(scim, platform, tenant):
    """A provider sends each of them as a patch of its own; none is made of what the other had not changed yet."""
    people = [await scim("POST", "/Users", person(name), 201) for name in ("ann", "bob")]
    group = await scim(
        "POST", "/Groups", {"schemas": [GROUP], "displayName": f"Night {uuid4().hex[:6]}"}, 201
    )

    async def add(one):
        change = {"op": "add", "path": "members", "value": [{"value": one["id"]}]}
        await scim("PATCH", f"/Groups/{group['id']}", operations(change))

    async with platform.database.raw_system() as gate, gate.transaction():
        await gate.execute("SELECT FROM scim_groups WHERE id = $1 FOR UPDATE", UUID(group["id"]))
        both = [asyncio.create_task(add(one)) for one in people]
        waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
        while await gate.fetchval(waiting) < 2:
            assert not any(task.done() for task in both)
            await asyncio.sleep(0.01)
    await asyncio.gather(*both)
    now = await scim("GET", f"/Groups/{group['id']}")
    assert {one["value"] for one in now["members"]} == {one["id"] for one in people}


@pytest.mark.parametrize("kind", ["Users", "Groups"])
@pytest.mark.parametrize("name", ["userName", "displayName", "externalId"])
@pytest.mark.parametrize("value", [r"a\u0000b", r"\ud800"])
async def test_a_filter_by_what_no_text_of_ours_can_be_is_refused(scim, kind, name, value):
    asked = {"filter": f'{name} eq "{value}"'}
    assert (await scim("GET", f"/{kind}", params=asked, status=400))["scimType"] == "invalidFilter"


@pytest.mark.parametrize("schemas", [5, True, {"a": 1}, PATCH, None, [[PATCH]]])
async def test_a_patch_whose_schemas_are_no_list_is_refused(scim, schemas):
    made = await scim("POST", "/Users", person(), status=201)
    sent = {"schemas": schemas, "Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert (await scim("PATCH", f"/Users/{made['id']}", sent, status=400))["scimType"] == "invalidSyntax"
