"""Playbooks: what their authors declare is what is done, in that order, and mistakes are named before any run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples
from tests.tools.simulation import CHECK, INCIDENT, Refused, Simulation, playbook, step

from fettle.tools.ledger import Outcome, Phase, Record, State
from fettle.tools.playbook_reader import parse_playbook
from fettle.tools.playbooks import MAX_NESTING, PlaybookError, collect


def checked(result):
    def tool(call):
        return {"result": result} if call.phase is Phase.VERIFY else {"value": call.path}

    return tool


def test_steps_run_in_order_and_see_what_came_before():
    run = Simulation(
        playbook(
            step("one", **{"with": {"host": "${{ incident.host }}"}}),
            step("two", **{"with": {"seen": "${{ steps.one.output.value }}", "p": "${{ params.size }}"}}),
            parameters={"size": {"type": "integer", "default": 3}},
        ),
        tool=checked("pass"),
    )
    assert run.run().outcome is Outcome.COMPLETED
    assert [call.input for call in run.calls] == [{"host": "web-1"}, {"seen": "one", "p": 3}]


@pytest.mark.parametrize(
    ("result", "outcome", "paths"),
    [
        ("pass", Outcome.VERIFIED, ["fix", "$verify"]),
        ("fail", Outcome.ROLLED_BACK, ["fix", "$verify", "$rollback/fix"]),
        ("unknown", Outcome.UNKNOWN, ["fix", "$verify"]),
        (None, Outcome.UNKNOWN, ["fix", "$verify"]),
    ],
)
def test_only_a_passing_check_verifies(result, outcome, paths):
    run = Simulation(
        playbook(step("fix", rollback={"tool": "demo.undo"}), verify=CHECK), tool=checked(result)
    )
    assert run.run().outcome is outcome
    assert run.paths == paths


def test_a_failure_undoes_what_succeeded_in_reverse_order_with_its_own_output():
    def tool(call):
        if call.path == "three":
            raise Refused
        return {"value": call.path}

    undo = {"tool": "demo.undo", "with": {"was": "${{ output.value }}", "of": "${{ input.n }}"}}
    run = Simulation(
        playbook(
            step("one", rollback=undo, **{"with": {"n": 1}}),
            step("two", for_each=[10, 20], rollback=undo, **{"with": {"n": "${{ item }}"}}),
            step("three", rollback=undo, **{"with": {"n": 3}}),
        ),
        tool=tool,
    )
    finish = run.run()
    assert finish.outcome is Outcome.ROLLED_BACK
    assert finish.path == "three"
    undone = [(call.path, call.input) for call in run.calls if call.phase is Phase.ROLLBACK]
    assert undone == [
        ("$rollback/two[1]", {"was": "two[1]", "of": 20}),
        ("$rollback/two[0]", {"was": "two[0]", "of": 10}),
        ("$rollback/one", {"was": "one", "of": 1}),
    ]


def test_a_rollback_that_fails_is_said_and_the_others_still_happen():
    def tool(call):
        if call.path in ("$rollback/two", "three"):
            raise Refused
        return {}

    undo = {"tool": "demo.undo"}
    run = Simulation(
        playbook(step("one", rollback=undo), step("two", rollback=undo), step("three")), tool=tool
    )
    finish = run.run()
    assert finish.outcome is Outcome.FAILED
    assert "could not be undone: two" in finish.reason
    assert "$rollback/one" in run.paths


def test_what_is_not_known_is_neither_repeated_nor_undone():
    def tool(call):
        if call.path == "two":
            raise LookupError
        return {}

    run = Simulation(
        playbook(step("one", rollback={"tool": "demo.undo"}), step("two", retry={"attempts": 5})), tool=tool
    )
    assert run.run().outcome is Outcome.UNKNOWN
    assert run.paths == ["one", "two"]


def test_retries_wait_twice_as_long_each_time_and_send_the_same_input():
    def tool(call):
        if call.attempt < 4:
            raise Refused(retryable=True)
        return {}

    run = Simulation(
        playbook(step("one", retry={"attempts": 4, "backoff_seconds": 2}, **{"with": {"a": 1}})), tool=tool
    )
    assert run.run().outcome is Outcome.COMPLETED
    assert run.slept == [2.0, 4.0, 8.0]
    assert [call.attempt for call in run.calls] == [1, 2, 3, 4]
    assert all(call.input == {"a": 1} for call in run.calls)


def test_what_cannot_succeed_by_repeating_is_not_repeated():
    def tool(call):
        raise Refused(retryable=False)

    run = Simulation(playbook(step("one", retry={"attempts": 4})), tool=tool)
    assert run.run().outcome is Outcome.FAILED
    assert len(run.calls) == 1


def test_conditions_pass_over_steps():
    run = Simulation(
        playbook(
            step("one", when="incident.severity == 'low'"),
            step("two", when="steps.one.state == 'skipped'"),
            step("three", when="incident.details.missing"),
        )
    )
    assert run.run().outcome is Outcome.COMPLETED
    assert run.paths == ["two"]
    assert run.ledger["one"].state is State.SKIPPED


def test_loops_call_once_for_each_item_and_collect_the_outputs():
    run = Simulation(
        playbook(
            step("each", for_each="${{ params.names }}", **{"with": {"n": "${{ index }}:${{ item }}"}}),
            step("after", **{"with": {"all": "${{ map(steps.each.output, o => o.echo.n) }}"}}),
            parameters={"names": {"type": "array"}},
        ),
        params={"names": ["a", "b"]},
    )
    assert run.run().outcome is Outcome.COMPLETED
    assert run.paths == ["each[0]", "each[1]", "after"]
    assert run.calls[-1].input == {"all": ["0:a", "1:b"]}


def test_a_loop_over_something_else_fails_the_step_with_its_reason():
    run = Simulation(playbook(step("each", for_each="${{ incident.host }}")))
    finish = run.run()
    assert (finish.outcome, run.calls) == (Outcome.FAILED, [])
    assert "needs a list" in finish.reason


def test_parallel_steps_start_together_and_are_seen_afterwards():
    run = Simulation(
        playbook(
            {"id": "both", "parallel": [step("left"), step("right")]},
            step("after", **{"with": {"l": "${{ steps.left.output.value }}"}}),
        ),
        tool=checked("pass"),
    )
    assert run.run().outcome is Outcome.COMPLETED
    assert run.widest == 2
    assert run.calls[-1].input == {"l": "left"}


def test_a_failed_sibling_is_waited_for_and_then_all_is_undone():
    document = playbook(
        {"id": "both", "parallel": [step("bad"), step("good", rollback={"tool": "demo.undo"})]}
    )
    run = Simulation(document)
    run.ledger = {
        "bad": Record("bad", State.FAILED, error={"message": "no", "retryable": False}),
        "good": Record("good", State.STARTED),
    }
    with pytest.raises(AssertionError, match="stalled"):
        run.run()
    assert run.calls == []
    run.ledger["good"] = Record("good", State.SUCCEEDED, output={})
    assert run.run().outcome is Outcome.ROLLED_BACK
    assert run.paths == ["$rollback/good"]


def test_a_sub_playbook_gets_its_parameters_verifies_and_gives_its_outputs():
    inner = playbook(
        step("deep", **{"with": {"x": "${{ params.x }}"}}),
        verify=CHECK,
        parameters={"x": {"type": "integer"}},
        name="PB-INNER",
    )
    outer = playbook(
        {"id": "sub", "playbook": "PB-INNER", "with": {"x": "${{ 1 + 1 }}"}},
        step("after", **{"with": {"got": "${{ steps.sub.output.deep.value }}"}}),
    )
    run = Simulation(outer, tool=checked("pass"), library={"PB-INNER": inner})
    assert run.run().outcome is Outcome.COMPLETED
    assert run.paths == ["sub/deep", "sub/$verify", "after"]
    assert run.calls[0].input == {"x": 2}
    assert run.calls[2].input == {"got": "sub/deep"}
    wrong = Simulation(
        playbook({"id": "sub", "playbook": "PB-INNER", "with": {"x": "two"}}), library={"PB-INNER": inner}
    )
    assert "/params/x" in wrong.run().reason


def test_a_wait_is_kept_by_the_ledger_and_an_approval_that_nobody_gives_is_a_no():
    run = Simulation(playbook({"id": "pause", "tool": "wait", "with": {"seconds": 90}}, step("after")))
    assert run.run().outcome is Outcome.COMPLETED
    assert run.slept == [90.0]
    asked = Simulation(
        playbook({"id": "ok", "approve": {"by": ["tenant_admin"], "expires_seconds": 60}}, step("after"))
    )
    finish = asked.run()
    assert (finish.outcome, asked.calls) == (Outcome.FAILED, [])
    asked = Simulation(asked.document, ledger={"ok": Record("ok", State.SUCCEEDED, output={"by": "user:1"})})
    assert asked.run().outcome is Outcome.COMPLETED


def test_data_cannot_name_a_secret():
    run = Simulation(
        playbook(
            step("send", **{"with": {"body": "${{ params.body }}", "token": {"$secret": "mail_token"}}}),
            parameters={"body": {}},
        )
    )
    run.params = {"body": "plain"}
    assert run.run().outcome is Outcome.COMPLETED
    assert run.calls[0].secrets == {"/token"}
    for hostile in ({"$secret": "mail_token"}, [{"a": {"$secret": "other"}}]):
        attack = Simulation(run.document, params={"body": hostile})
        finish = attack.run()
        assert (finish.outcome, attack.calls) == (Outcome.FAILED, [])
        assert "data named a secret" in finish.reason


def test_templates_in_data_stay_text():
    hostile = "${{ params.x }} {{ 7*7 }} ${{ 1"
    run = Simulation(
        playbook(step("one", **{"with": {"x": "${{ params.x }}", "y": "<${{ params.x }}>"}}),
                 step("two", **{"with": {"z": "${{ steps.one.output.echo.y }}"}}), parameters={"x": {}}),
        params={"x": hostile},
    )  # fmt: skip
    assert run.run().outcome is Outcome.COMPLETED
    assert run.calls[0].input == {"x": hostile, "y": f"<{hostile}>"}
    assert run.calls[1].input == {"z": f"<{hostile}>"}


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (playbook(), "/steps", "at least one step"),
        (playbook(step("A")), "/steps/0/id", "lower-case"),
        (playbook(step("a"), step("a")), "/steps/1/id", "twice"),
        (playbook({"id": "a"}), "/steps/0", "exactly one of"),
        (playbook({"id": "a", "tool": "x", "playbook": "Y"}), "/steps/0", "exactly one of"),
        (playbook(step("a", wen="true")), "/steps/0/wen", "is not known"),
        (playbook(step("a", when="incident.host")), None, None),
        (playbook(step("a", when="1 + 1")), "/steps/0/when", "compare it"),
        (playbook(step("a", when="steps.b.state == 'x'"), step("b")), "/steps/0/when", "no member `b`"),
        (playbook(step("a", **{"with": {"x": "${{ parms.y }}"}})), "/steps/0/with/x", "`parms` is not known"),
        (playbook(step("a", **{"with": {"x": "${{ params.y }}"}})), "/steps/0/with/x", "no member `y`"),
        (playbook(step("a", **{"with": {"x": "${{ item }}"}})), "/steps/0/with/x", "`item` is not known"),
        (playbook(step("a", retry={"attempts": 99})), "/steps/0/retry/attempts", "1 to 10"),
        (playbook(step("a", timeout_seconds="5")), "/steps/0/timeout_seconds", "number of seconds"),
        (playbook(step("a", "rm -rf")), "/steps/0/tool", "name of a tool"),
        (playbook({"id": "a", "approve": {"by": []}}), "/steps/0/approve/by", "at least one role"),
        (playbook({"id": "a", "parallel": [step("b"), step("c", when="steps.b.state == 'x'")]}),
         "/steps/0/parallel/1/when", "no member `b`"),
        (playbook(step("a", **{"with": {"t": {"$secret": "${{ incident.x }}"}}})),
         "/steps/0/with/t", "secret is named"),
        (playbook(step("a"), parameters={"x": {"type": "strin"}}), "/parameters", "no JSON Schema"),
        (playbook(step("a"), verify={"tool": "c", "when": "true"}), "/verify", "a call is an object"),
        ("text", "", "a playbook is an object"),
    ],
)  # fmt: skip
def test_every_mistake_is_named_with_its_path(document, path, words):
    if path is None:
        parse_playbook(document)
        return
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(document)
    assert [fault.path for fault in caught.value.faults] == [path]
    assert words in caught.value.faults[0].detail


def test_playbooks_in_a_circle_or_too_deep_are_refused():
    def calls(name, other):
        return playbook({"id": "sub", "playbook": other}, name=name)

    with pytest.raises(PlaybookError, match=r"circle: PB-A -> PB-B -> PB-A"):
        collect(calls("PB-A", "PB-B"), {"PB-A": calls("PB-A", "PB-B"), "PB-B": calls("PB-B", "PB-A")})
    with pytest.raises(PlaybookError, match="no playbook PB-X"):
        collect(calls("PB-A", "PB-X"), {})
    chain = {f"PB-{n}": calls(f"PB-{n}", f"PB-{n + 1}") for n in range(MAX_NESTING + 2)}
    with pytest.raises(PlaybookError, match="nest deeper"):
        collect(chain["PB-0"], chain)


STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["tool", "parallel", "loop", "skip", "wait", "sub"]),
            "fails": st.sampled_from([0, 0, 0, 1, 2, 9]),
            "rollback": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)


def build(plan):
    steps, failing = [], {}
    for number, item in enumerate(plan):
        name = f"s{number}"
        more = {"rollback": {"tool": "demo.undo"}} if item["rollback"] else {}
        more["retry"] = {"attempts": 3, "backoff_seconds": 1}
        failing[name] = item["fails"]
        if item["kind"] == "parallel":
            steps.append({"id": name, "parallel": [step(f"{name}a", **more), step(f"{name}b", **more)]})
            failing[f"{name}a"] = item["fails"]
        elif item["kind"] == "loop":
            steps.append(step(name, for_each=[1, 2], **more))
        elif item["kind"] == "skip":
            steps.append(step(name, when="false", **more))
        elif item["kind"] == "wait":
            steps.append({"id": name, "tool": "wait", "with": {"seconds": 5}})
        elif item["kind"] == "sub":
            steps.append({"id": name, "playbook": "PB-INNER"})
        else:
            steps.append(step(name, **more))
    return playbook(*steps, verify=CHECK), failing


@examples(150)
@given(STEPS, st.sampled_from(["pass", "fail"]))
def test_every_run_ends_and_undoes_exactly_what_succeeded(plan, result):
    document, failing = build(plan)

    def tool(call):
        if call.phase is Phase.VERIFY:
            return {"result": result}
        if call.phase is Phase.ACT and call.attempt <= failing.get(call.path.partition("[")[0], 0):
            raise Refused(retryable=True)
        return {}

    run = Simulation(document, tool=tool, library={"PB-INNER": playbook(step("deep"), name="PB-INNER")})
    finish = run.run()
    succeeded = [path for path, record in run.ledger.items() if record.state is State.SUCCEEDED]
    acted = {c.path for c in run.calls if c.phase is Phase.ACT and c.path in succeeded}
    undoable = {path for path in acted if has_rollback(document, path)}
    undone = {c.path.removeprefix("$rollback/") for c in run.calls if c.phase is Phase.ROLLBACK}
    if finish.outcome is Outcome.VERIFIED:
        assert undone == set()
    else:
        assert finish.outcome in (Outcome.ROLLED_BACK, Outcome.FAILED)
        assert undone == undoable
    assert INCIDENT["host"] == "web-1"


def has_rollback(document, path):
    name = path.partition("[")[0]
    flat = [inner for outer in document["steps"] for inner in (outer, *outer.get("parallel", []))]
    return any(item["id"] == name and "rollback" in item for item in flat)
