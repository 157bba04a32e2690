"""Runbooks on this machine: they mend what they declare, and nothing leads out of the host's folder."""

import asyncio
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from fettle.kernel.ids import new_id
from fettle.packs.active import ActivePacks, PackSet
from fettle.tools.catalogue import make_registry
from fettle.tools.providers import processes, runbook
from fettle.tools.providers.local_runbook import Journal, LocalRunbook
from fettle.tools.providers.sandbox import Sandbox
from fettle.tools.registry import OutcomeUnknown, ToolCall, ToolError

GOOD = "remote_access = denied\n"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "host"
    for name in ("service", "managed", "pristine", "bin", "run"):
        (folder / name).mkdir(parents=True)
    (folder / "service/app.conf").write_text("listen = 1\n")
    (folder / "service/app.conf").chmod(0o666)
    (folder / "managed/policy.txt").write_text("changed\n")
    (folder / "managed/policy.txt").chmod(0o640)
    (folder / "pristine/policy.txt").write_text(GOOD)
    (tmp_path / "outside.txt").write_text("outside\n")
    return folder


def book(*steps, **more):
    return {
        "id": "RB-T", "platform": "linux", "executor": "local", "steps": list(steps), "timeout_seconds": 10,
        "paths": ["service/*", "managed/policy.txt", "pristine/policy.txt", "bin/*", "run/*"], **more,
    }  # fmt: skip


async def do(root, runbook, parameters=None, key="k", dry=False):
    journal = Journal(root.parent / "journal", key)
    with Sandbox(str(root), runbook["paths"]) as sandbox:
        execution = LocalRunbook(runbook, runbook["steps"], sandbox, parameters or {}, journal)
        return execution.preview() if dry else await execution.execute()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_mode_is_set_once_and_a_file_restored_whole(root):
    steps = [
        {"action": "set_mode", "path": "service/app.conf", "mode": "0640"},
        {"action": "restore_file", "path": "managed/policy.txt", "from": "pristine/policy.txt"},
        {
            "action": "write_file",
            "path": "service/new.conf",
            "content": "port = ${{ params.port }}\n",
            "mode": "0600",
        },
    ]
    first = await do(root, book(*steps), {"port": 8080})
    assert [step["changed"] for step in first] == [True, True, True]
    assert first[0] | {"before": "0666", "mode": "0640"} == first[0]
    assert mode(root / "service/app.conf") == 0o640
    assert (root / "managed/policy.txt").read_text() == GOOD
    assert mode(root / "managed/policy.txt") == 0o640
    assert (root / "service/new.conf").read_text() == "port = 8080\n"
    assert mode(root / "service/new.conf") == 0o600
    again = await do(root, book(*steps), {"port": 8080})
    assert [step["changed"] for step in again] == [False, False, False]


async def test_when_a_step_fails_the_files_are_put_back(root):
    steps = [
        {"action": "set_mode", "path": "service/app.conf", "mode": "0640"},
        {"action": "restore_file", "path": "managed/policy.txt", "from": "pristine/policy.txt"},
        {"action": "write_file", "path": "service/new.conf", "content": "x"},
        {"action": "command", "command": "fails"},
    ]
    commands = [{"id": "fails", "argv": ["false"]}]
    with pytest.raises(ToolError, match="ended with 1"):
        await do(root, book(*steps, commands=commands))
    assert mode(root / "service/app.conf") == 0o666
    assert (root / "managed/policy.txt").read_text() == "changed\n"
    assert not (root / "service/new.conf").exists()


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(root):
    steps = [
        {"action": "set_mode", "path": "service/app.conf", "mode": "0640"},
        {"action": "command", "command": "touch"},
    ]
    commands = [{"id": "touch", "argv": ["touch", "service/${{ params.name }}"]}]
    said = await do(root, book(*steps, commands=commands), {"name": "made"}, dry=True)
    assert said[1]["argv"] == ["touch", "service/made"]
    assert mode(root / "service/app.conf") == 0o666
    assert not (root / "service/made").exists()


@pytest.mark.parametrize(
    "path",
    ["../outside.txt", "/etc/passwd", "service/../../outside.txt", "service//app.conf", "./service/app.conf", "",
     "service/app.conf\x00", "other/file", "service/deep/file", ".", "service/", "managed/other.txt"],
)  # fmt: skip
async def test_only_declared_paths_below_the_folder_are_touched(root, path):
    for action in ({"action": "set_mode", "mode": "0777"}, {"action": "write_file", "content": "x"}):
        with pytest.raises(ToolError) as caught:
            await do(root, book({**action, "path": "${{ params.p }}"}), {"p": path})
        assert caught.value.code in ("path", "argument")
    assert (root.parent / "outside.txt").read_text() == "outside\n"


@pytest.mark.parametrize("how", ["file", "folder", "hard", "fifo"])
async def test_links_and_devices_are_left_alone(root, how):
    outside, target = root.parent / "outside.txt", root / "service/link"
    outside.chmod(0o600)
    path = "service/link"
    if how == "file":
        target.symlink_to(outside)
    elif how == "hard":
        os.link(outside, target)
    elif how == "fifo":
        os.mkfifo(target)
    else:
        (root / "bin").rmdir()
        (root / "bin").symlink_to(root.parent)
        path = "bin/outside.txt"
    for step in (
        {"action": "set_mode", "path": path, "mode": "0666"},
        {"action": "write_file", "path": path, "content": "x"},
        {"action": "restore_file", "path": path, "from": "pristine/policy.txt"},
        {"action": "restore_file", "path": "managed/policy.txt", "from": path},
    ):
        with pytest.raises(ToolError):
            await do(root, book(step))
    assert (outside.read_text(), mode(outside)) == ("outside\n", 0o600)
    assert (root / "managed/policy.txt").read_text() == "changed\n"


@pytest.mark.parametrize(
    "value",
    ["; touch pwned", "$(touch pwned)", "`touch pwned`", "a b", "&& touch pwned", "| tee pwned", "\n touch pwned",
     "'", '"', "*", "${HOME}", "%s"],
)  # fmt: skip
async def test_data_is_one_argument_and_never_shell_text(root, value):
    commands = [{"id": "say", "argv": ["printf", "%s|", "${{ params.x }}", "end"]}]
    done = await do(
        root, book({"action": "command", "command": "say"}, commands=commands), {"x": value}, key=value
    )
    assert done[0]["stdout"] == f"{value}|end|"
    assert not list(root.rglob("pwned"))


@pytest.mark.parametrize(
    "value", ["-rf", "--help", "/etc/passwd", "~root", "../../etc/passwd", "a/../../b", "x=../y"]
)
async def test_data_cannot_become_an_option_or_lead_out(root, value):
    commands = [{"id": "say", "argv": ["echo", "${{ params.x }}"]}]
    with pytest.raises(ToolError, match="refused"):
        await do(root, book({"action": "command", "command": "say"}, commands=commands), {"x": value})


async def test_the_program_is_never_data_and_the_environment_is_clean(root, monkeypatch):
    monkeypatch.setenv("FETTLE_CANARY", "s3cr3t")
    data = [{"id": "x", "argv": ["${{ params.x }}"]}]
    with pytest.raises(ToolError, match="must not come from data"):
        await do(root, book({"action": "command", "command": "x"}, commands=data), {"x": "id"})
    commands = [{"id": "env", "argv": ["env"]}]
    done = await do(root, book({"action": "command", "command": "env"}, commands=commands))
    names = {line.partition("=")[0] for line in done[0]["stdout"].splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "PWD", "SHLVL", "_", "LC_CTYPE"}


async def test_a_command_that_hangs_or_floods_is_ended(root):
    program = root / "bin/spin"
    program.write_text("#!/bin/sh\nsleep 300 &\necho $! > run/child.pid\nwait\n")
    program.chmod(0o750)
    commands = [{"id": "spin", "argv": ["bin/spin"]}, {"id": "flood", "argv": ["seq", "1", "200000"]}]
    hang = book({"action": "command", "command": "spin"}, commands=commands, timeout_seconds=0.5)
    with pytest.raises(ToolError, match="took longer"):
        await do(root, hang)
    child = int((root / "run/child.pid").read_text())
    for _ in range(200):
        if not processes.alive(child, str(root)):
            break
        await asyncio.sleep(0.01)
    assert not processes.alive(child, str(root))
    done = await do(root, book({"action": "command", "command": "flood"}, commands=commands), key="f")
    assert len(done[0]["stdout"]) == processes.MAX_OUTPUT_BYTES


async def test_a_process_is_started_once_and_outlives_its_starter(root):
    program = root / "bin/beat"
    program.write_text('#!/bin/sh\ncd "$(dirname "$0")/.." || exit 1\nexec sleep 300\n')
    program.chmod(0o750)
    commands = [{"id": "beat", "argv": ["bin/beat"]}]
    step = {"action": "start_process", "command": "beat", "pidfile": "run/beat.pid"}
    first = await do(root, book(step, commands=commands))
    again = await do(root, book(step, commands=commands))
    assert (first[0]["changed"], again[0]["changed"]) == (True, False)
    pid = int((root / "run/beat.pid").read_text())
    assert again[0]["pid"] == pid
    assert parent_of(pid) != os.getpid()
    stopped = await do(root, book({"action": "stop_process", "pidfile": "run/beat.pid"}))
    assert stopped[0]["changed"] is True
    assert not processes.alive(pid, str(root))


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_pidfile_that_names_somebody_elses_process_is_not_believed(root):
    (root / "run/beat.pid").write_text(f"{os.getpid()}\n")
    stopped = await do(root, book({"action": "stop_process", "pidfile": "run/beat.pid"}))
    assert stopped[0]["changed"] is False


async def test_after_a_crash_a_command_is_neither_repeated_nor_guessed(root):
    commands = [{"id": "add", "argv": ["tee", "-a", "service/log"]}, {"id": "say", "argv": ["echo", "done"]}]
    book_ = book({"action": "command", "command": "say"}, commands=commands)
    first = await do(root, book_, key="run:step")
    again = await do(root, book_, key="run:step")
    assert again[0]["stdout"] == first[0]["stdout"]
    assert again[0]["repeated"] is False
    Journal(root.parent / "journal", "other:step").begin(0)
    with pytest.raises(OutcomeUnknown, match="process that died"):
        await do(root, book_, key="other:step")


class Hosts:
    def __init__(self, **host):
        self.host = SimpleNamespace(**host) if host else None

    async def find(self, tenant_id, name):
        return self.host


@pytest.mark.parametrize(
    ("host", "more", "code"),
    [
        ({}, {}, "no_host"),
        ({"executor": "agent"}, {}, "no_executor"),
        ({}, {"executor": "winrm"}, "no_executor"),
        ({"platform": "windows"}, {}, "platform"),
        ({"sandbox_root": None}, {}, "no_sandbox"),
    ],
)
async def test_what_cannot_run_here_says_why(root, monkeypatch, host, more, code, tmp_path):
    known = {"platform": "linux", "executor": "local", "sandbox_root": root}
    hosts = Hosts(**{**known, **host}) if host or more else Hosts()
    with pytest.raises(ToolError) as caught:
        await call(hosts, book({"action": "set_mode", "path": "service/app.conf", "mode": "0640"}, **more),
                   monkeypatch, tmp_path)  # fmt: skip
    assert caught.value.code == code


async def test_the_tool_runs_a_packs_runbook_on_a_declared_host(root, monkeypatch, tmp_path):
    hosts = Hosts(platform="linux", executor="local", sandbox_root=root)
    fix = book(
        {"action": "set_mode", "path": "service/app.conf", "mode": "${{ params.mode }}"},
        parameters={"mode": {"type": "string", "pattern": "^0[0-7]{3}$", "default": "0640"}},
    )
    done = await call(hosts, fix, monkeypatch, tmp_path)
    assert done["changed"] is True
    assert mode(root / "service/app.conf") == 0o640
    with pytest.raises(ToolError, match="do not fit RB-T at mode"):
        await call(hosts, fix, monkeypatch, tmp_path, {"mode": "4755"})
    with pytest.raises(ToolError, match="no active pack"):
        await call(hosts, {**fix, "id": "RB-OTHER"}, monkeypatch, tmp_path)


async def call(hosts, document, monkeypatch, tmp_path, parameters=None):
    packs = PackSet([])
    packs.runbooks[document["id"]] = document

    async def active(*_):
        return ActivePacks(packs)

    monkeypatch.setattr(runbook, "active_packs", active)
    platform = SimpleNamespace(parts={"hosts": hosts}, settings=SimpleNamespace(home=tmp_path))
    given = {"runbook_id": "RB-T", "host": "h", "parameters": parameters or {}}
    return await make_registry().call(
        "runbook.run", None,
        ToolCall(tenant_id=new_id(), run_id=new_id(), incident_id=None, step_id="fix", attempt=1,
                 idempotency_key=str(new_id()), input=given, secrets=None, platform=platform),
    )  # fmt: skip
