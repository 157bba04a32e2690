"""The sandbox breaks and is mended, and nothing outside it is touched."""

import pytest

from fettle.fleet.checks import run_check
from fettle.fleet.sandbox import CONFIG, POLICY, SANDBOX_CHECKS, Sandbox


@pytest.fixture
def sandbox(tmp_path):
    made = Sandbox(tmp_path / "sandbox")
    made.make()
    yield made
    made.stop_process()


@pytest.mark.parametrize("check_type", SANDBOX_CHECKS)
async def test_each_check_passes_fails_when_broken_and_passes_when_made_again(sandbox, check_type):
    assert (await run_check(check_type, sandbox=sandbox)).result == "pass"
    assert sandbox.break_(check_type)
    assert (await run_check(check_type, sandbox=sandbox)).result == "fail"
    sandbox.make()
    assert (await run_check(check_type, sandbox=sandbox)).result == "pass"


def test_making_it_again_keeps_the_process(sandbox):
    before = sandbox.process()
    sandbox.make()
    assert before is not None
    assert sandbox.process() == before


def test_a_stopped_process_is_gone_for_good(sandbox):
    sandbox.stop_process()
    assert sandbox.process() is None


def test_a_note_that_names_somebody_elses_process_is_not_believed(sandbox):
    sandbox.stop_process()
    (sandbox.root / "run/heartbeat.pid").write_text("1")
    assert sandbox.process() is None


def test_a_file_that_is_a_link_out_of_the_sandbox_is_not_written_through(sandbox, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (sandbox.root / POLICY).unlink()
    (sandbox.root / POLICY).symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        sandbox.make()
    assert outside.read_text() == "mine"


def test_a_config_file_that_is_a_link_fails_its_check(sandbox, tmp_path):
    outside = tmp_path / "outside.conf"
    outside.write_text("mine")
    outside.chmod(0o640)
    (sandbox.root / CONFIG).unlink()
    (sandbox.root / CONFIG).symlink_to(outside)
    assert sandbox.inspect("sandbox_config_mode").result == "fail"


async def test_a_host_without_a_sandbox_does_not_know():
    assert (await run_check("sandbox_process")).result == "unknown"


def test_a_sandbox_that_is_gone_is_unknown_or_failed(tmp_path):
    gone = Sandbox(tmp_path / "gone")
    assert gone.inspect("sandbox_config_mode").result == "unknown"
    assert gone.inspect("sandbox_process").result == "fail"
