"""Payloads that try to widen what may be run, and secrets that must not get anywhere."""

import json
import logging
from pathlib import Path

import pytest
import yaml
from tests.planner.conftest import CLAMAV, CLOSE_FILE, UNKNOWN
from tests.planner.model_server import KEY, Status, choose
from tests.planner.test_masking import PERSON_SHAPES

from fettle.healing.planner.masking import PROSE

INJECTIONS = yaml.safe_load(Path(__file__).with_name("injections.yaml").read_text())
ALLOWED = {"RB-LNX-CLAMAV-001", "RB-LNX-CLOSE-FILE-001"}

OBEDIENT = {
    "not_offered": choose("runbook:RB-LNX-WIPE-001", confidence=1),
    "other_platform": choose("runbook:RB-WIN-FIREWALL-001", confidence=1),
    "playbook": choose("playbook:PB-LNX-WORLD-WRITABLE", confidence=1),
    "invented_path": choose(CLOSE_FILE, {"path": "/etc/shadow"}, confidence=1),
    "template": choose(CLOSE_FILE, {"path": "${{ secrets.root }}"}, confidence=1),
    "secret_ref": choose(CLOSE_FILE, {"path": {"$secret": "root-password"}}, confidence=1),
    "other_host": choose(CLAMAV, {"host": "dc-01"}, confidence=1),
    "extra": {**choose(CLAMAV, confidence=1), "approved_by": "policy"},
    "sure": choose(CLAMAV, confidence=9.99),
    "shell": choose(CLOSE_FILE, {"path": "/etc/x; rm -rf /"}, confidence=1),
    "list": {**choose(CLAMAV, confidence=1), "choice": [CLAMAV, CLOSE_FILE]},
}


def payload(number, injection):
    text = injection["text"]
    return {
        **UNKNOWN,
        # Each of a pattern of its own, for of one pattern one alone is planned at a time.
        "check_type": f"nobody_knows_this_{number}",
        "host": f"victim-{number}",
        "site": text[:200],
        "summary": text,
        "labels": {"note": text[:200]},
        "details": {"fault": text, "nested": [{"text": text, f"k{number}": text}], "number": number},
    }


def data_of(body):
    """The JSON between the marks of a prompt, which must be all that the payload reached."""
    text = body["messages"][1]["content"]
    mark, _, rest = text.partition("\n")
    inside, _, last = rest.rpartition("\n")
    assert mark == last
    assert mark not in inside
    assert mark in body["messages"][0]["content"]
    return json.loads(inside)


def test_there_are_enough_of_them():
    assert len(INJECTIONS) >= 60
    assert len({one["text"] for one in INJECTIONS}) == len(INJECTIONS)


@pytest.mark.parametrize("prose", PROSE)
async def test_a_model_that_obeys_every_payload_gets_nothing_run_that_was_not_allowed(planning, prose):
    def obey(body):
        number = data_of(body)["incident"]["details"]["number"]
        return OBEDIENT[INJECTIONS[number]["wants"]]

    planning.model.will(obey)
    await planning.allow(runbooks=sorted(ALLOWED), prose=prose)
    await planning.report(*(payload(number, one) for number, one in enumerate(INJECTIONS)))
    while await planning.plan():
        pass
    rows = await planning.rows("SELECT state, count(*) AS n FROM incidents GROUP BY state")
    assert {row["state"]: row["n"] for row in rows} == {"escalated": len(INJECTIONS)}
    assert await planning.told("plan.approved", "plan.proposed", "approval.requested") == []
    seen = {data_of(body)["incident"]["details"]["number"] for body in planning.model.requests}
    assert seen == set(range(len(INJECTIONS)))
    for body in planning.model.requests:
        offered = {one["choice"] for one in data_of(body)["candidates"]}
        assert offered == {CLAMAV, CLOSE_FILE}


async def test_what_a_payload_may_bring_about_is_what_the_policy_allows_on_its_own_host(planning):
    def obey(body):
        details = data_of(body)["incident"]["details"]
        return choose(CLOSE_FILE, {"path": details["path"]}, confidence=1)

    planning.model.will(obey)
    await planning.allow(runbooks=sorted(ALLOWED))
    await planning.report(
        {**UNKNOWN, "host": "own", "details": {"path": "/etc/passwd; reboot"}},
        {**UNKNOWN, "host": "own", "check_type": "another_unknown", "details": {"path": "/etc/motd"}},
    )
    await planning.plan()
    [approved] = await planning.told("plan.approved")
    plan = approved["data"]["plan"]
    assert plan["parameters"] == {"parameters": {"path": "/etc/motd"}}
    assert plan["incident"]["host"] == "own"
    assert plan["playbook"]["steps"][0]["with"]["host"] == "${{ incident.host }}"


async def test_a_stand_in_in_a_payload_stands_for_itself(planning):
    planning.model.will(
        lambda body: choose(CLOSE_FILE, {"path": data_of(body)["incident"]["details"]["path"]})
    )
    await planning.allow()
    incident = await planning.heal(host="/etc/hostfile", details={"path": "<host-1>"})
    assert incident["state"] == "escalated"


SECRETS = {
    "password": "hunter2-Zebra-81",
    "token": "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6",
    "ssn": "219-09-9999",
    "mail": "jane.roe@alder-clinic.example",
    "mrn": "84416231",
    "card": "4111111111111111",
    "phone": "(555) 867-5309",
    "birth": "04/12/1961",
}
NAMES = {
    "host": "ws-rosewood-17",
    "address": "10.44.7.19",
    "mac": "00:1b:44:11:3a:b7",
    "user": "jroe4471",
    "person": "Josephine Quillfeather",
    "bare": "Tobias Wrenfield",
    "doctor": "Okonkwo",
    "site": "Maple Street Practice",
    "street": "221 Larkspur Avenue",
    "abroad": "0171/1234567",
}


@pytest.fixture
def planted():
    return {
        **UNKNOWN,
        "host": NAMES["host"],
        "site": NAMES["site"],
        "summary": (
            f"On {NAMES['host'].upper()} ({NAMES['address']}, {NAMES['mac']}) password={SECRETS['password']} "
            f"for {NAMES['user']} {SECRETS['mail']} failed; patient {NAMES['bare']} waits, "
            f"Dr. {NAMES['doctor']} was told, "
            f"lives at {NAMES['street']}, DOB {SECRETS['birth']}, phone {SECRETS['phone']} or {NAMES['abroad']}"
        ),
        "labels": {"note": f"SSN {SECRETS['ssn']}", "owner": NAMES["user"], "who": NAMES["bare"].lower()},
        "details": {
            "user": NAMES["user"],
            "patient": NAMES["person"],
            "password": SECRETS["password"],
            "log": f"Authorization: Bearer {SECRETS['token']} MRN: {SECRETS['mrn']} card {SECRETS['card']}",
            "text": f"Patient: {NAMES['person']}, sits at {NAMES['host']}.corp, ip {NAMES['address']}",
            "prose": f"{NAMES['person']} called: her mother {NAMES['bare']} cannot print",
            "list": [f"{NAMES['bare']}, {NAMES['person']}", {"deep": [f"user {NAMES['user']} called"]}],
        },
    }


OF_THE_PLANNER = ("plan_requests", "plan_memories", "plan_cache", "planner_usage", "planner_decisions")


@pytest.mark.parametrize("prose", PROSE)
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_planted_secrets_are_in_no_prompt_event_log_or_table(
    planning, planted, wire, prose, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    planning.use(getattr(planning.model, wire))

    def echo(body):
        """A model that tells all that it was told."""
        shown = body["messages"][-1]["content"][:600]
        return choose(CLAMAV, reasoning=f'The secret="{SECRETS["password"]}" of <host-1> is wrong. {shown}')

    planning.model.will(Status(500), echo)
    await planning.allow(prose=prose)
    incident = await planning.heal(**planted)
    assert incident["state"] == "healing"
    assert f"of {NAMES['host']} is wrong" in incident["decision"]["planner"]["reasoning"].lower()
    await planning.complete(incident["id"], "verified", plan_hash=incident["decision"]["plan_hash"])
    assert len(planning.model.prompts) == 2
    written = caplog.text + "".join(capfd.readouterr())
    stored = await everything(planning)
    for secret in (*SECRETS.values(), KEY):
        assert secret not in written
        assert secret not in "\n".join(stored.values())
    people = [NAMES[name] for name in ("user", "person", "bare", "doctor", "street", "abroad")]
    said = json.dumps(
        [event["data"].get("planner") for event in await planning.told(*SAID)], ensure_ascii=False
    )
    kept = "\n".join(stored[table] for table in OF_THE_PLANNER)
    for word in (part.lower() for name in people for part in name.split() if not part.isdecimal()):
        assert word not in kept.lower()
        assert word not in said.lower()
    for hidden in (*SECRETS.values(), *NAMES.values()):
        for part in (
            hidden,
            *(word for word in hidden.split() if word not in {"Street", "Avenue", "Practice"}),
        ):
            for prompt in planning.model.prompts:
                assert part.lower() not in prompt.lower()


async def test_planted_values_are_in_no_error_of_the_planner(planning, planted):
    planning.model.will(choose(CLOSE_FILE, {"path": planted["summary"]}))
    await planning.allow(prose="masked")
    incident = await planning.heal(**planted)
    assert incident["state"] == "escalated"
    [event] = await planning.told("incident.escalated")
    said = json.dumps(event["data"], ensure_ascii=False).lower()
    assert [value for value in (*SECRETS.values(), *NAMES.values()) if value.lower() in said] == []


SAID = ("plan.requested", "plan.proposed", "plan.approved", "incident.escalated")


async def everything(planning):
    """Every row of every table, as text, by table."""
    async with planning.platform.database.raw_system() as connection:
        names = await connection.fetch(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' "
            "AND has_table_privilege(c.oid, 'SELECT')"
        )
        return {
            name["relname"]: "\n".join(
                row["t"] for row in await connection.fetch(f'SELECT t::text AS t FROM "{name["relname"]}" t')
            )
            for name in names
        }


PERSON, SURNAME = "Tobias Wrenfield", "Wrenfield"


@pytest.mark.parametrize("prose", PROSE)
async def test_a_name_in_any_sentence_is_in_no_prompt_log_or_table_of_the_planner(
    planning, prose, caplog, capfd
):
    caplog.set_level(logging.DEBUG)

    def echo(body):
        return choose(CLAMAV, reasoning=json.dumps(data_of(body)["incident"], ensure_ascii=False)[:900])

    planning.model.will(echo)
    await planning.allow(prose=prose)
    shapes = [shape.format(PERSON, SURNAME) for shape in PERSON_SHAPES]
    await planning.report(
        *(
            {
                **UNKNOWN,
                "host": f"h{n}",
                "summary": text,
                "labels": {"note": text[:200]},
                "details": {"n": n, "text": [text]},
            }
            for n, text in enumerate(shapes)
        )
    )
    while await planning.plan():
        pass
    for row in await planning.rows(
        "SELECT id, decision ->> 'plan_hash' AS hash FROM incidents WHERE decision IS NOT NULL"
    ):
        await planning.complete(row["id"], "verified", plan_hash=row["hash"])
    assert len(planning.model.prompts) >= 50
    written = caplog.text + "".join(capfd.readouterr())
    stored = await everything(planning)
    said = json.dumps(
        [event["data"].get("planner") for event in await planning.told(*SAID)], ensure_ascii=False
    )
    sinks = [*planning.model.prompts, written, said, *(stored[table] for table in OF_THE_PLANNER)]
    for word in PERSON.lower().split():
        assert [sink for sink in sinks if word in sink.lower()] == []
