"""A tenant's sources: set up, changed, tried, their mappings edited, previewed on what was received, and undone."""

import json
from datetime import timedelta
from uuid import UUID

from tests.hooks.senders import SOURCES, sender

from fettle.incidents.hooks import standing
from fettle.incidents.hooks.standing import Sources
from fettle.incidents.hooks.tasks import forget
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

OWN = {
    "set": {
        "check_type": "own_check",
        "summary": "${{ upper(payload.title) }}",
        "dedup_key": "${{ payload.id }}",
    }
}


async def ask(api, method, path, body=None, role="tenant_admin"):
    return await api.client.request(method, f"{SOURCES}{path}", headers=api.alder.headers(role), json=body)


async def test_every_kind_says_what_to_do_and_can_be_tried(api):
    kinds = (await ask(api, "GET", "/kinds", role="analyst")).json()["items"]
    assert {
        "alertmanager", "grafana", "cloudevents", "pagerduty", "github", "sns", "json", "zabbix", "datadog",
        "cloudwatch", "sentry", "uptime-kuma", "email",
    } <= {kind["id"] for kind in kinds}  # fmt: skip
    for kind in kinds:
        assert any("{url}" in step for step in kind["setup"]), kind["id"]
        topic = {"topic": "arn:aws:sns:eu-central-1:123456789012:x"} if kind["format"] == "sns" else {}
        body = {"name": f"try-{kind['id']}", "kind": kind["id"], **topic}
        made = (await ask(api, "POST", "", body)).json()
        assert made["secret"] is None or kind["secret_from"] == "fettle", kind["id"]
        tried = (await ask(api, "POST", f"/{made['id']}/test", {})).json()
        assert tried["error"] is None
        assert tried["exceptions"], kind["id"]
        shown = (await ask(api, "GET", f"/{made['id']}", role="auditor")).json()
        assert not {"secret", "url"} & shown.keys()
        assert (shown["accepted"], shown["received_at"]) == (0, None), "trying sends nothing"


async def test_a_mapping_is_edited_previewed_and_undone(api):
    program = await sender(api, "json")
    for number in range(3):
        await program.send({"title": f"press {number}", "id": number})
    path = f"/{program.id}/mapping"
    held = (await ask(api, "GET", path)).json()
    assert (held["mapping"], held["mapping_version"], held["can_undo"]) == (None, 0, False)
    preview = (await ask(api, "POST", f"{path}/preview", {"mapping": OWN})).json()
    assert (len(preview["items"]), preview["changed"], preview["failing"]) == (3, 3, 0)
    found = {
        change["pointer"]: (change["before"], change["after"]) for change in preview["items"][0]["changes"]
    }
    assert found["/0/check_type"] == ("webhook_report", "own_check")
    assert found["/0/summary"] == ("press 2", "PRESS 2")
    same = (await ask(api, "POST", f"{path}/preview", {"mapping": None})).json()
    assert same["changed"] == 0
    failing = {"set": {"check_type": "${{ payload.title.x }}"}}
    assert (await ask(api, "POST", f"{path}/preview", {"mapping": failing})).json()["failing"] == 3
    saved = await ask(api, "PUT", path, {"mapping": OWN, "mapping_version": 0})
    assert saved.json()["can_undo"], saved.text
    assert (await ask(api, "PUT", path, {"mapping": OWN, "mapping_version": 0})).status_code == 409
    await program.send({"title": "press 9", "id": 9})
    assert (await program.exceptions())[-1]["summary"] == "PRESS 9"
    second = {"set": {"check_type": "second"}}
    version = saved.json()["mapping_version"]
    later = (await ask(api, "PUT", path, {"mapping": second, "mapping_version": version})).json()
    back = (await ask(api, "POST", f"{path}/undo", {"mapping_version": later["mapping_version"]})).json()
    assert back["mapping"] == OWN
    first = (await ask(api, "POST", f"{path}/undo", {"mapping_version": back["mapping_version"]})).json()
    assert (first["mapping"], first["can_undo"]) == (None, False)
    nothing = await ask(api, "POST", f"{path}/undo", {"mapping_version": first["mapping_version"]})
    assert nothing.status_code == 409
    assert len(first["history"]) == 4


async def test_a_mapping_that_cannot_be_used_is_refused_with_the_place_and_the_mending(api):
    program = await sender(api, "json")
    for mapping, pointer in (
        ({}, "/mapping"),
        ({"set": {"check_type": "x", "evil": 1}}, "/mapping/set"),
        ({"set": {"check_type": "${{ payload. }}"}}, "/mapping/set/check_type"),
        ({"set": {"check_type": "${{ nobody.knows }}"}}, "/mapping/set/check_type"),
        ({"set": {"check_type": "x"}, "when": "1 +"}, "/mapping/when"),
        (
            {"set": {"check_type": "x"}, "let": [{"name": "a", "value": "__import__('os')"}]},
            "/mapping/let/0/value",
        ),
        ({"set": {"check_type": "x"}, "each": "payload.__class__.__mro__("}, "/mapping/each"),
    ):
        body = {"mapping": mapping, "mapping_version": 0}
        answer = await ask(api, "PUT", f"/{program.id}/mapping", body)
        assert answer.status_code == 422, mapping
        faults = answer.json()["errors"]
        assert any(fault["pointer"].startswith(pointer) for fault in faults), (mapping, faults)


async def test_what_a_mapping_cannot_read_is_refused_kept_and_readable_once_it_is_mended(api):
    program = await sender(api, "zabbix")
    sent = {"event_value": ["1"], "event_id": "7"}
    answer = await program.send(sent)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/let/0/value"
    shown = await program.shown()
    assert (shown["refused"], shown["accepted"]) == (1, 0)
    [kept] = await program.payloads()
    assert (kept["outcome"], kept["payload"]) == ("refused", sent)
    mended = {"set": {"check_type": "zabbix_problem", "dedup_key": "${{ payload.event_id }}"}}
    preview = (await ask(api, "POST", f"/{program.id}/mapping/preview", {"mapping": mended})).json()
    assert (preview["items"][0]["error_before"] is None, preview["items"][0]["exceptions_after"]) == (
        False,
        1,
    )


async def test_what_is_kept_is_redacted_bounded_and_forgotten(api):
    program = await sender(api, "json")
    await program.send({"title": "x", "password": "hunter2-hunter2", "note": "mail ada@example.org"})
    text = json.dumps((await program.payloads())[0])
    assert "hunter2" not in text
    assert "ada@example.org" not in text
    for number in range(55):
        await program.send({"title": str(number)})
    kept = await program.payloads()
    assert len(kept) == 50
    assert kept[0]["payload"]["title"] == "54"
    async with api.platform.database.raw_system() as connection:
        await connection.execute("UPDATE hook_payloads SET received_at = $1", utcnow() - timedelta(days=8))
    await forget(api.platform)
    assert await program.payloads() == []
    quiet = await sender(api, "json", keep_days=0)
    await quiet.send({"title": "x"})
    assert (await quiet.shown())["accepted"] == 1
    assert await quiet.payloads() == []


async def test_only_administrators_set_sources_up(api):
    program = await sender(api, "json")
    for role, may_read in (
        ("operator", True),
        ("analyst", True),
        ("auditor", True),
        ("viewer", False),
        ("agent", False),
    ):
        assert (await ask(api, "GET", "", role=role)).status_code == (200 if may_read else 403), role
        assert (await ask(api, "POST", "", {"name": "x", "kind": "json"}, role=role)).status_code == 403
        assert (await ask(api, "DELETE", f"/{program.id}", role=role)).status_code == 403


async def test_a_renamed_source_ends_what_it_opened_and_a_deleted_one_takes_nothing(api):
    program = await sender(api, "json")
    await program.send({"title": "x", "key": "k"})
    change = {"name": f"renamed-{program.id[-6:]}", "version": program.source["version"]}
    renamed = (await ask(api, "PATCH", f"/{program.id}", change)).json()
    assert (renamed["name"], renamed["origin"]) == (change["name"], program.source["name"])
    await program.send({"title": "x", "key": "k", "status": "ok"})
    first, second = await program.exceptions()
    assert (first["source"], first["dedup_key"]) == (second["source"], second["dedup_key"])
    assert (await ask(api, "PATCH", f"/{program.id}", change)).status_code == 409
    assert (await ask(api, "DELETE", f"/{program.id}")).status_code == 204
    assert (await program.send({"title": "x"})).status_code == 403
    async with api.platform.database.raw_system() as connection:
        for table in ("hook_secrets", "hook_payloads", "hook_receipts", "hook_figures"):
            left = await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE source_id::text = $1", program.id
            )
            assert left == 0, table


async def test_ids_that_somebody_makes_up_push_out_no_source(api, monkeypatch):
    monkeypatch.setattr(standing, "FRESH_SECONDS", 3_600.0)
    monkeypatch.setattr(standing, "_MOST", 2)
    monkeypatch.setattr(standing, "_MOST_STRANGERS", 2)
    source_id = UUID((await sender(api, "json")).id)
    known = Sources(api.platform)
    found = await known.find(source_id)
    made_up = [new_id() for _ in range(5)]
    for one in made_up:
        assert await known.find(one) is None
    assert await known.find(source_id) is found, "it is not looked up anew"
    known.forget(source_id)
    again = await known.find(source_id)
    assert again == found
    assert again is not found
