"""``fettle oncall`` against a running installation: people read lines, programs JSON, and a gap ends with status 1."""

import asyncio
import json
import sys
from uuid import uuid4


async def fettle(api, *words, role="tenant_admin"):
    """Run a command as a user does; returns its exit status and what it printed."""
    home = api.platform.settings.home
    environ = {"FETTLE_URL": api.url, "FETTLE_API_KEY": api.alder.keys[role], "FETTLE_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fettle.cli.main", "oncall", *words,
        env={**environ, "PATH": "/usr/bin"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


async def test_schedules_policies_messages_and_what_hangs_are_asked_and_changed(api, tmp_path):
    headers, name = api.alder.headers(), f"Main {uuid4().hex[:6]}"
    nobody = {"person": None, "begins": "2099-01-01T00:00:00Z", "ends": "2099-01-02T00:00:00Z"}
    rota = {"name": name, "time_zone": "Europe/Berlin", "layers": [], "overrides": [nobody]}
    made = await api.client.post("/api/v1/escalation/schedules", json=rota, headers=headers)
    assert made.status_code == 201, made.text
    mail = {"name": name, "settings": {"kind": "email", "to": ["ops@example.org"]}}
    channel = (await api.client.post("/api/v1/escalation/channels", json=mail, headers=headers)).json()["id"]
    step = {"targets": [{"channel_id": channel}, {"channel_id": channel, "schedule_id": made.json()["id"]}]}
    policy = {"name": name, "steps": [step]}
    assert (
        await api.client.post("/api/v1/escalation/policies", json=policy, headers=headers)
    ).status_code == 201
    status, told = await fettle(api, "now", "--json")
    assert status == 0
    assert {"schedule": name, "person": None}.items() <= json.loads(told)["items"][-1].items()
    status, told = await fettle(api, "preview", name, "--days", "7")
    assert (status, "nobody" in told) == (1, True)
    file = tmp_path / "on-call.ics"
    assert (await fettle(api, "export", name, "-o", str(file)))[0] == 0
    assert file.read_text(encoding="utf-8").startswith("BEGIN:VCALENDAR")
    status, told = await fettle(api, "import", name, str(file))
    assert (status, told.strip()) == (0, "1 shifts taken in")
    status, told = await fettle(api, "try", "--severity", "low", "--json")
    trial = json.loads(told)
    assert (status, trial["policy"]) == (0, name)
    assert [one["why_not"] for one in trial["items"][0]["told"]] == [None, "Nobody is on call then."]
    assert (await fettle(api, "test", name))[0] == 0
    status, told = await fettle(api, "messages", "--state", "queued", "--json")
    assert (status, {one["kind"] for one in json.loads(told)["items"]}) == (0, {"test"})
    assert (await fettle(api, "overdue"))[0] == 0
    status, told = await fettle(api, "test", "no such channel")
    assert (status, name in told) == (5, True)
    assert (await fettle(api, "test", name, role="viewer"))[0] == 4
