"""`fettle up` with real processes: ready, refused in one line, healing, recovering, stopping, coming back."""

import dataclasses
import json
import os
import signal
import tempfile
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from tests.cli.running import Fettle, eventually
from tests.ports import free_port

from fettle.central.embedded import running_parts
from fettle.central.opening import opened_platform
from fettle.central.processes import StartError
from fettle.central.supervisor import _plain_errors
from fettle.fleet.sandbox import SANDBOX_CHECKS
from fettle.identity.tenants import ensure_tenant
from fettle.kernel import jobs
from fettle.kernel.settings import load_settings


@pytest_asyncio.fixture(scope="module")
async def fettle():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        platform = Fettle(Path(folder), free_port())
        ready = await platform.up()
        platform.ready = ready
        yield platform
        await platform.down()


def modes_of_etc():
    return {path: path.stat().st_mode for path in Path("/etc").glob("*") if path.is_file()}


async def healthy(fettle):
    async with httpx.AsyncClient(base_url=fettle.url, timeout=60) as client:
        try:
            return (await client.get("/health/ready")).status_code == 200
        except httpx.HTTPError:
            return False


async def test_the_owner_signs_in_with_the_password_that_was_shown_once(fettle):
    login = {"email": fettle.ready["owner"], "password": fettle.ready["one_time_password"]}
    async with httpx.AsyncClient(base_url=fettle.url, timeout=60) as client:
        answer = await client.post("/api/v1/auth/login", json=login)
        page = await client.get("/")
    assert answer.status_code == 200
    assert answer.json()["must_change_password"] is True
    assert "<html" in page.text
    logs = "".join(path.read_text(errors="replace") for path in (fettle.home / "logs").glob("*.log"))
    assert fettle.ready["one_time_password"] not in logs


async def test_the_demo_breaks_the_sandbox_and_the_platform_heals_it(fettle):
    before = modes_of_etc()
    status, _, err = await fettle.demo(rounds=20)
    assert status == 0, err

    async def healed():
        items = (await fettle.json("incidents", "list", "--limit", "100"))["items"]
        states = {item["check_type"]: item["state"] for item in items}
        return all(states.get(check) in {"resolved", "closed"} for check in SANDBOX_CHECKS)

    await eventually(healed)
    assert modes_of_etc() == before


async def test_an_incident_shows_its_way_from_exception_to_evidence(fettle):
    items = (await fettle.json("incidents", "list", "--check-type", "sandbox_config_mode"))["items"]

    async def told():
        shown = await fettle.json("incidents", "show", str(items[0]["number"]))
        types = [event["type"] for event in shown["timeline"]]
        return types if "evidence.sealed" in types else None

    types = await eventually(told)
    wanted = ["incident.opened", "plan.approved", "step.succeeded", "playbook.completed", "incident.resolved"]
    assert set(wanted) <= set(types)


async def test_the_figures_of_the_worker_are_shown_by_the_api(fettle):
    """What the worker handled, decided and called is counted in a process that serves nothing."""
    async with httpx.AsyncClient(base_url=fettle.url, timeout=60) as client:
        shown = (await client.get("/metrics")).text
    for name in (
        'fettle_events_handled_total{group="healing.decide",outcome="handled"}',
        'fettle_decisions_total{level="L1",outcome="plan.approved"}',
        'fettle_tool_calls_total{outcome="succeeded",tool="runbook.run"}',
        "fettle_healing_seconds_count",
        'fettle_consumer_lag_events{group="healing.decide"}',
    ):
        assert f"\n{name} " in shown, name


async def test_commands_of_the_api_answer_programs_and_people(fettle):
    rules = await fettle.json("rules", "list")
    assert len(rules["items"]) >= 92
    explained = await fettle.json(
        "rules", "explain", "-", given='{"check_type": "sandbox_process", "platform": "linux"}'
    )
    assert explained["winner"] == "L1-DEMO-PROCESS-001"
    lag = await fettle.json("events", "lag")
    assert "incidents.intake" in {group["group"] for group in lag["groups"]}
    assert await fettle.json("events", "dead-letters") == {"items": []}
    assert await fettle.json("events", "replay", "--all") == {"replayed": []}
    exported = (await fettle.call("incidents", "export", "--format", "csv"))[1].splitlines()
    assert "number" in exported[0]
    status, out, _ = await fettle.call("incidents", "list")
    assert status == 0
    assert "sandbox_process" in out
    status, _, err = await fettle.call("incidents", "show", "999999", "--json")
    assert (status, "999999" in err) == (5, True)


async def test_all_healing_is_stopped_from_the_machine_itself_and_lifted_again(fettle):
    assert (await fettle.json("platform", "show"))["stop"] is None
    await fettle.json("platform", "stop", "--reason", "Something is wrong.")
    stop = (await fettle.json("platform", "show"))["stop"]
    assert (stop["reason"], stop["stopped_by"]) == ("Something is wrong.", "system:cli")
    status, _, err = await fettle.call("platform", "stop", "--reason", "Again.")
    assert (status, "pressed already" in err) == (6, True)
    await fettle.json("platform", "resume", "--reason", "It was nothing.")
    assert (await fettle.call("platform", "show"))[1].count("not stopped") == 1


async def test_a_person_closes_reopens_and_looks_at_what_was_done(fettle):
    (newest,) = (await fettle.json("incidents", "list", "--limit", "1"))["items"]
    number = str(newest["number"])
    assert (await fettle.json("incidents", "close", number, "--reason", "seen"))["status"] == "accepted"
    assert (await fettle.json("incidents", "show", number))["state"] == "closed"
    assert (await fettle.json("incidents", "reopen", number, "--reason", "again"))["status"] == "accepted"
    shown = await fettle.json("incidents", "show", number)
    assert shown["state"] == "escalated"
    assert shown["timeline"][0]["type"] == "exception.ingested"
    runs = (await fettle.json("runs", "list"))["items"]
    run = await fettle.json("runs", "show", runs[0]["id"])
    assert run["steps"]
    stored = (await fettle.json("events", "list", "--type", "incident.reopened"))["items"]
    assert stored[-1]["data"]["reason"] == "again"
    assert (await fettle.json("evidence", "keys"))["keys"]
    assert "items" in await fettle.json("jobs", "list")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("incidents", "show", "no-number"), 2, "neither a number nor an id"),
        (("incidents", "list", "--state", "broken"), 6, "/query/state/0 Input should be"),
        (
            ("incidents", "export", "-o", "/no/such/folder/out.csv"),
            9,
            "/no/such/folder/out.csv: No such file",
        ),
        (("events", "replay"), 2, "--all"),
        (("runs", "cancel", "01890000-0000-7000-8000-000000000000", "--reason", "r"), 5, "no such run"),
        (("jobs", "show", "01890000-0000-7000-8000-000000000000"), 5, "no such job"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(fettle, arguments, status, said):
    found, out, err = await fettle.call(*arguments)
    assert (found, out) == (status, "")
    assert said in err
    assert len(err.splitlines()) == 1


async def test_a_key_that_does_not_hold_is_said_so(fettle):
    wrong = dataclasses.replace(fettle, more={"FETTLE_API_KEY": "ftl_nobody_knows"})
    status, _, err = await wrong.call("incidents", "list")
    assert (status, "FETTLE_API_KEY" in err) == (4, True)


async def test_a_start_tells_of_the_fixes_that_the_embedded_database_misses(fettle):
    missing = (await fettle.json("components"))["missing_fixes"]
    told = [
        one["text"] for one in fettle.told if one["event"] == "note" and "misses the fixes" in one["text"]
    ]
    assert [missing is not None and missing in one for one in told] == [True] * (missing is not None)


async def test_all_that_a_start_tells_a_program_is_json(fettle):
    assert fettle.told
    assert fettle.untold == []


async def test_a_job_goes_through_the_outbox_and_celery_to_its_end(fettle):
    running = running_parts(load_settings(home=fettle.home))
    async with opened_platform(running) as platform:
        tenant = await ensure_tenant(platform, "demo", "Demo")
        async with platform.database.tenant(tenant) as session:
            job_id = await jobs.submit(session, tenant, "nobody.knows", {}, actor="system:test")

        async def ended():
            async with platform.database.tenant(tenant) as session:
                return (await jobs.status(session, tenant, job_id)).error

        assert await eventually(ended) == "No worker knows the job nobody.knows."


async def test_doctor_finds_nothing_wrong(fettle):
    found = await fettle.json("doctor")
    parts = {finding["part"]: finding["state"] for finding in found["findings"]}
    assert parts["schema"] == parts["redis"] == parts["worker"] == parts["packs"] == "ok"


async def test_a_second_instance_is_refused_in_one_line(fettle):
    status, _, err = await Fettle(fettle.home, free_port()).call("up")
    assert status == 7
    assert err.count("\n") == 1
    assert "runs already" in err


async def test_a_port_in_use_is_said_in_one_line(fettle):
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        status, _, err = await Fettle(Path(folder), fettle.port).call("up")
    assert status == 7
    assert err.count("\n") == 1
    assert f"port {fettle.port} on 127.0.0.1 is in use" in err


@pytest.mark.parametrize("part", ["run api", "run worker", "run celery", "run beat"])
async def test_a_part_that_is_killed_is_started_again(fettle, part):
    before = fettle.pids(part)
    os.kill(min(before), signal.SIGKILL)

    async def another():
        return [pid for pid in fettle.pids(part) if pid not in before]

    await eventually(another)
    await eventually(lambda: healthy(fettle))


async def test_a_database_that_is_killed_recovers_and_is_served_from_again(fettle):
    (postmaster,) = fettle.pids("bin/postgres -D")
    os.kill(postmaster, signal.SIGKILL)
    await fettle.until_told(lambda told: "PostgreSQL ended" in told.get("text", ""))

    async def listed():
        status, out, _ = await fettle.call("incidents", "list", "--json")
        return status == 0 and json.loads(out)["items"]

    assert await eventually(listed)


async def test_a_database_that_does_not_start_again_is_tried_until_it_does(fettle):
    chosen = fettle.home / "postgres" / "postgresql.auto.conf"
    before = chosen.read_text()
    chosen.write_text("no_such_setting = on\n")
    (postmaster,) = fettle.pids("bin/postgres -D")
    os.kill(postmaster, signal.SIGKILL)
    told = await fettle.until_told(lambda told: "It does not start" in told.get("text", ""))
    assert "tried again in 5 s" in told["text"]
    assert fettle.process.returncode is None
    chosen.write_text(before)
    await eventually(lambda: healthy(fettle))


async def test_it_stops_cleanly_and_a_second_start_keeps_the_data(fettle):
    assert await fettle.down() == 0
    assert fettle.pids("central.run") == fettle.pids("bin/postgres") == fettle.pids("redis-server") == []
    fettle.settings |= {"FETTLE_API_PROCESSES": "2", "FETTLE_WORKER_PROCESSES": "2"}
    ready = await fettle.up()
    assert ready["one_time_password"] is None
    assert (len(fettle.pids("run api")), len(fettle.pids("run worker"))) == (2, 2)
    assert (await fettle.json("incidents", "list"))["items"]
    fettle.settings = {
        name: value for name, value in fettle.settings.items() if not name.endswith("_PROCESSES")
    }


async def test_a_killed_supervisor_leaves_no_process_behind(fettle):
    fettle.process.kill()
    await fettle.process.wait()

    async def all_gone():
        return not (fettle.pids("central.run") or fettle.pids("bin/postgres") or fettle.pids("redis-server"))

    await eventually(all_gone)
    await fettle.up()


async def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(fettle):
    broken = Fettle(fettle.home, "many")
    status, _, err = await broken.call("up")
    assert (status, err.count("\n")) == (8, 1)
    assert "FETTLE_PORT" in err


async def test_a_folder_that_cannot_be_used_is_said_in_one_line(fettle):
    file = fettle.home / "a-file"
    file.write_text("")
    status, _, err = await Fettle(file / "home", free_port()).call("up")
    assert (status, err.count("\n")) == (7, 1)
    assert "cannot be used as FETTLE_HOME" in err


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with (
        pytest.raises(StartError, match="is full; make room"),
        _plain_errors(tmp_path),
        Path("/dev/full").open("w", buffering=1) as full,
    ):
        full.write("one line\n")
