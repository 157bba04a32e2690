"""Each sender's own format by its own proof: firing opens, resolved ends, a stranger and a replay do nothing."""

import base64
import json
import time

import pytest
from tests.hooks.senders import SOURCES, digest, sender, standard

from fettle.packs.shipped import shipped_packs

KINDS = {kind["id"]: kind for pack in shipped_packs() for kind in pack.section("sources")}
SIGNED = {
    "github": None,
    "pagerduty": "the secret that PagerDuty made",
    "sentry": "the secret that Sentry made",
    "grafana": None,
}


def cases(kind):
    return [case for case in KINDS[kind]["tests"] if case["expect"]]


@pytest.mark.parametrize("kind", [name for name in KINDS if KINDS[name]["format"] == "json"])
async def test_what_a_program_is_documented_to_send_becomes_what_its_pack_says(api, kind):
    program = await sender(api, kind, secret=SIGNED.get(kind))
    expected = []
    for case in KINDS[kind]["tests"]:
        answer = await program.send(case["payload"], **case.get("headers", {}))
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == ("accepted" if case["expect"] else "passed_over")
        assert len(answer.json()["items"]) == len(case["expect"])
        expected += case["expect"]
    found = await program.exceptions()
    assert [one["check_type"] for one in found] == [
        one.get("check_type", found[number]["check_type"]) for number, one in enumerate(expected)
    ]
    assert [one.get("status") for one in expected if "status" in one] == [
        found[number]["status"] for number, one in enumerate(expected) if "status" in one
    ]
    shown = await program.shown()
    assert shown["accepted"] == len(cases(kind))
    assert shown["passed_over"] == len(KINDS[kind]["tests"]) - len(cases(kind))
    kept = await program.payloads()
    assert [one["payload"] is not None for one in kept] == [True] * len(KINDS[kind]["tests"])


async def test_firing_opens_and_resolved_ends_the_same_incident(api_at_work):
    api = api_at_work
    program = await sender(api, "uptime-kuma")
    down, up = KINDS["uptime-kuma"]["tests"][:2]
    for case in (down, down, up):
        monitor = case["payload"]["monitor"] | {"hostname": "opens-and-ends"}
        assert (await program.send(case["payload"] | {"monitor": monitor})).status_code == 202
    found = await api.eventually(
        "/api/v1/incidents?host=opens-and-ends",
        api.alder.headers(),
        lambda answer: bool(answer["items"]) and answer["items"][0]["state"] in {"resolved", "closed"},
    )
    [incident] = found["items"]
    assert (incident["occurrences"], incident["check_type"]) == (2, "uptime_monitor")


@pytest.mark.parametrize("kind", [*SIGNED, "json"])
async def test_a_signature_that_does_not_fit_lets_nothing_in(api, kind):
    fields = {"authentication": "standard_webhooks"} if kind == "json" else {}
    program = await sender(api, kind, secret=SIGNED.get(kind), **fields)
    case = cases(kind)[0]
    body = json.dumps(case["payload"]).encode()
    good = program.signed(body)
    name = next(name for name in good if name.endswith(("signature", "signature-256")))
    empty = (
        type(program)(api, program.source, "whsec_" if kind == "json" else "").signed(body)
        | good
        | {name: digest("", body)}
    )
    wrong = [
        {},
        good | {name: ""},
        good | {name: good[name][:-4] + "0000"},
        good | {name: good[name].replace("sha256=", "sha1=").replace("v1", "v0") + "x"},
        good | {name: "none"},
        empty,
        {"authorization": f"Bearer {program.secret}"},
    ]
    for headers in wrong:
        answer = await api.client.post(
            program.address, content=body, headers=headers | case.get("headers", {})
        )
        assert answer.status_code == 403, (headers, answer.text)
    altered = body.replace(b" ", b"  ", 1)  # the same JSON, serialised in another way
    answer = await api.client.post(program.address, content=altered, headers=good)
    assert answer.status_code == 403
    assert await program.exceptions() == []
    shown = await program.shown()
    assert (shown["accepted"], shown["refused"]) == (0, len(wrong) + 1)
    assert "signature" in shown["refusal"]
    sent = await api.client.post(program.address, content=body, headers=good | case.get("headers", {}))
    assert sent.json()["status"] == "accepted", sent.text


async def test_two_values_of_a_signature_are_one_too_many(api):
    program = await sender(api, "github")
    body = b"{}"
    good = program.signed(body)["x-hub-signature-256"]
    headers = [("x-hub-signature-256", "sha256=00"), ("x-hub-signature-256", good)]
    assert (await api.client.post(program.address, content=body, headers=headers)).status_code == 403


@pytest.mark.parametrize("seconds", [-301, 400])
async def test_a_stale_clock_is_refused_however_good_the_signature(api, seconds):
    at = int(time.time()) + seconds
    grafana = await sender(api, "grafana")
    body = json.dumps(cases("grafana")[0]["payload"]).encode()
    answer = await api.client.post(grafana.address, content=body, headers=grafana.signed(body, at=at))
    assert answer.status_code == 403
    assert "clock" in (await grafana.shown())["refusal"]
    hooks = await sender(api, "json", authentication="standard_webhooks")
    headers = standard(hooks.secret, "msg_1", str(at), body)
    assert (await api.client.post(hooks.address, content=body, headers=headers)).status_code == 403


@pytest.mark.parametrize("kind", [*SIGNED, "json"])
async def test_a_replay_does_nothing(api, kind):
    fields = {"authentication": "standard_webhooks"} if kind == "json" else {}
    program = await sender(api, kind, secret=SIGNED.get(kind), **fields)
    case = cases(kind)[0]
    body = json.dumps(case["payload"]).encode()
    headers = program.signed(body) | case.get("headers", {}) | {"content-type": "application/json"}
    first = await api.client.post(program.address, content=body, headers=headers)
    assert first.json()["status"] == "accepted", first.text
    for again in (headers, headers | {"x-github-delivery": "another", "user-agent": "another"}):
        answer = await api.client.post(program.address, content=body, headers=again)
        assert (answer.status_code, answer.json()["status"], answer.json()["items"]) == (202, "repeated", [])
    assert len(await program.exceptions()) == len(case["expect"])
    assert (await program.shown())["repeated"] == 2


async def test_a_source_whose_sender_makes_the_secret_takes_nothing_before_it_has_it(api):
    program = await sender(api, "sentry")
    assert program.source["secret"] is None
    body = json.dumps(cases("sentry")[0]["payload"]).encode()
    for headers in ({}, {"sentry-hook-signature": digest("", body)}):
        assert (await api.client.post(program.address, content=body, headers=headers)).status_code == 403
    assert "no secret yet" in (await program.shown())["refusal"]
    for short in ("", "short", " " * 20):
        answer = await api.client.post(
            f"{SOURCES}/{program.id}/secret", headers=api.alder.headers(), json={"secret": short}
        )
        assert answer.status_code == 422


async def test_a_secret_is_replaced_with_an_overlap(api):
    program = await sender(api, "alertmanager")
    case = cases("alertmanager")[0]
    old = program.secret
    path = f"{SOURCES}/{program.id}/secret"
    fresh = (await api.client.post(path, headers=api.alder.headers(), json={"overlap_hours": 1})).json()
    assert fresh["secret"] != old
    assert fresh["secrets"] == 2
    for token in (old, fresh["secret"]):
        assert (await program.send(case["payload"], authorization=f"Bearer {token}")).status_code == 202
    last = (await api.client.post(path, headers=api.alder.headers(), json={"overlap_hours": 0})).json()
    for token, status in ((old, 403), (fresh["secret"], 403), (last["secret"], 202)):
        answer = await program.send(case["payload"], authorization=f"Bearer {token}")
        assert answer.status_code == status, token


async def test_a_token_is_shown_in_any_way_that_senders_know_and_kept_as_a_digest(api):
    program = await sender(api, "json")
    basic = httpx_basic("anything", program.secret)
    for headers in ({"authorization": basic}, {"authorization": None, "x_fettle_token": program.secret}):
        assert (await program.send({"title": "x"}, **headers)).status_code == 202
    both = await program.send({"title": "x"}, x_fettle_token=program.secret)
    assert both.status_code == 403
    async with api.platform.database.raw_system() as connection:
        rows = [str(dict(row)) for row in await connection.fetch("SELECT * FROM hook_secrets")]
    assert not any(program.secret in row for row in rows)


async def test_a_token_in_the_address_is_good_there_alone_and_in_no_log(api, capfd):
    program = await sender(api, "json", authentication="path_token")
    assert program.source["url"].endswith(f"/{program.secret}")
    path = f"{program.address}/{program.secret}"
    assert (await program.send({"title": "x"}, path=path)).status_code == 202
    assert (await program.send({"title": "x"}, authorization=f"Bearer {program.secret}")).status_code == 403
    wrong = f"{program.address}/ftl_src_{'A' * 43}"
    assert (await program.send({"title": "x"}, path=wrong)).status_code == 403
    other = await sender(api, "json")
    assert (await program.send({"title": "x"}, path=f"{other.address}/{other.secret}")).status_code == 403
    await api.client.get(path)
    written = "".join(capfd.readouterr())
    assert program.secret not in written


async def test_no_source_an_unknown_one_and_one_that_is_off_answer_a_stranger_alike(api):
    program = await sender(api, "json")
    off = await sender(api, "json")
    change = {"enabled": False, "version": off.source["version"]}
    done = await api.client.patch(f"{SOURCES}/{off.id}", headers=api.alder.headers(), json=change)
    assert done.status_code == 200
    stranger = {"authorization": "Bearer ftl_src_nobody"}
    told = set()
    for address in (program.address, off.address, "/api/v1/hooks/0193aaaa-0000-7000-8000-000000000000"):
        answer = await api.client.post(address, json={}, headers=stranger)
        told.add((answer.status_code, answer.json()["detail"]))
    assert len(told) == 1
    assert (await off.send({"title": "x"})).status_code == 403


async def test_a_token_reaches_its_own_tenant_alone(api):
    alders, birchs = await sender(api, "json"), await sender(api, "json", tenant=api.birch)
    assert (
        await alders.send({"title": "x", "tenant_id": str(api.birch.id)}, X_Tenant_ID=str(api.birch.id))
    ).status_code == 202
    assert (await alders.send({"title": "x"}, path=birchs.address)).status_code == 403
    async with api.platform.database.raw_system() as connection:
        tenants = await connection.fetch(
            "SELECT DISTINCT tenant_id FROM events WHERE metadata ->> 'actor' = $1", f"source:{alders.id}"
        )
        secret_rows = await connection.fetchval(
            "SELECT count(*) FROM hook_secrets WHERE source_id = $1", birchs.source["id"]
        )
    assert [str(row["tenant_id"]) for row in tenants] == [str(api.alder.id)]
    assert secret_rows == 1
    seen = await api.client.get(f"{SOURCES}/{alders.id}", headers=api.birch.headers())
    assert seen.status_code == 404
    for answer in (
        await api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {alders.secret}"}),
        await api.client.get(SOURCES, headers={"Authorization": f"Bearer {alders.secret}"}),
    ):
        assert answer.status_code == 401


async def test_events_in_the_form_of_cloudevents(api):
    program = await sender(api, "cloudevents")
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "org.example.x.firing", "subject": "s"}
    structured = await program.send(
        event | {"data": {"message": "m"}, "newattribute": "passes"},
        content_type="application/cloudevents+json; charset=utf-8",
    )
    assert structured.json()["status"] == "accepted", structured.text
    binary = await program.send(
        {"message": "m"},
        ce_specversion="1.0",
        ce_id="2",
        ce_source="/a",
        ce_type="org.example.x.firing",
        ce_subject="s",
    )
    assert binary.json()["status"] == "accepted", binary.text
    unstorable = await program.send(
        {"message": "m"}, ce_specversion="1.0", ce_id="5", ce_source="/a", ce_type="t", ce_subject="a%00b"
    )
    assert unstorable.status_code == 400, unstorable.text
    assert "U+0000" in unstorable.json()["detail"]
    batch = [
        event | {"id": "3"},
        event | {"id": "4", "data_base64": "eyJtZXNzYWdlIjoibSJ9", "datacontenttype": "application/json"},
    ]
    many = await program.send(batch, content_type="application/cloudevents-batch+json")
    assert len(many.json()["items"]) == 2
    again = await program.send(event, content_type="application/cloudevents+json")
    assert again.json()["status"] == "repeated"
    assert {one["dedup_key"] for one in await program.exceptions()} == {"/a|s|org.example.x"}
    for body, kind, status in (
        ({**event, "specversion": "0.3"}, "application/cloudevents+json", 422),
        ({"specversion": "1.0", "id": "9"}, "application/cloudevents+json", 422),
        ({}, "application/json", 415),
        (event, "application/cloudevents-batch+json", 422),
    ):
        answer = await program.send(body, content_type=kind)
        assert answer.status_code == status, (body, answer.text)


MAIL = b"""From: Monitor <NAGIOS@mon.example.org>
To: fettle@ops.example.org
Subject: =?utf-8?q?**_PROBLEM_Service_Alert=3A_web-1/HTTP_is_CRITICAL_**?=
Date: Fri, 20 Nov 2026 09:00:00 +0100
Message-ID: <one@mon.example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p>CRITICAL <b>Socket</b> timeout</p><script>alert(1)</script>
--b
Content-Type: application/pdf; name="../../etc/passwd"
Content-Disposition: attachment; filename="../../etc/passwd"

%PDF
--b--
"""


async def test_an_e_mail_is_handed_over_as_it_is(api):
    program = await sender(api, "email")
    answer = await program.send(MAIL, content_type="message/rfc822")
    assert answer.json()["status"] == "accepted", answer.text
    again = await program.send(MAIL, content_type="message/rfc822")
    assert again.json()["status"] == "repeated"
    over = MAIL.replace(b"PROBLEM", b"RECOVERY").replace(b"CRITICAL", b"OK").replace(b"<one@", b"<two@")
    assert (await program.send(over, content_type="message/rfc822")).status_code == 202
    first, second = await program.exceptions()
    assert (first["status"], second["status"]) == ("firing", "resolved")
    assert first["dedup_key"] == second["dedup_key"]
    assert "Socket" in first["details"]["text"]
    assert "alert(1)" not in first["details"]["text"]
    assert (await program.send(b"no mail at all", content_type="message/rfc822")).status_code == 400
    assert (await program.send(MAIL, content_type="multipart/form-data; boundary=b")).status_code == 415


def httpx_basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
