"""Playbooks of a tenant's own over HTTP: written, refused with their lines, versioned, tried, and nobody else's."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.packs.yaml_reader import read_yaml
from fettle.packs.yaml_writer import write_yaml
from fettle.tools.playbooks import PlaybookError, collect

OWN = """\
# Ours, with a comment that stays
id: {id}
title: Look, then tell
parameters:
  times: {{type: integer, default: 1}}
steps:
  - id: look
    tool: noop
    with: {{n: "${{{{ params.times }}}}"}}
verify: {{tool: check.run, with: {{host: "${{{{ incident.host }}}}", check_type: "${{{{ incident.check_type }}}}"}}}}
"""

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner),
    max_leaves=20,
)


def name():
    return f"PB-{uuid4().hex[:8].upper()}"


async def test_a_playbooks_life(call, api):
    mine = name()
    source = OWN.format(id=mine)
    made = await call("POST", "playbooks", json={"yaml": source})
    assert (made.status_code, made.json()["version"]) == (202, 1), made.text
    assert (await call("POST", "playbooks", json={"yaml": source})).status_code == 409
    shown = (await call("GET", f"playbooks/{mine}", role="viewer")).json()
    assert (shown["yaml"], shown["source"], shown["version"], shown["faults"]) == (source, "tenant", 1, [])
    assert (await call("GET", f"playbooks/{mine}", tenant=api.birch)).status_code == 404
    listed = (await call("GET", "playbooks", tenant=api.birch)).json()["items"]
    assert mine not in [one["id"] for one in listed]

    second = source.replace("Look, then tell", "Tell, then look")
    changed = await call("PUT", f"playbooks/{mine}", json={"yaml": second, "version": 1})
    assert (changed.status_code, changed.json()["version"]) == (202, 2)
    stale = await call("PUT", f"playbooks/{mine}", json={"yaml": source, "version": 1})
    assert (stale.status_code, "version 2 by now" in stale.json()["detail"]) == (409, True)
    renamed = await call("PUT", f"playbooks/{mine}", json={"yaml": OWN.format(id=name()), "version": 2})
    assert (renamed.status_code, renamed.json()["errors"][0]["pointer"]) == (422, "/yaml/id")

    back = await call("POST", f"playbooks/{mine}/restore", json={"to": 1, "version": 2})
    assert (back.status_code, back.json()["version"]) == (202, 3)
    assert (await call("DELETE", f"playbooks/{mine}", params={"version": 3})).status_code == 202
    assert (await call("GET", f"playbooks/{mine}")).status_code == 404
    again = await call("POST", f"playbooks/{mine}/restore", json={"to": 2})
    assert (again.status_code, again.json()["version"]) == (202, 5)
    kept = (await call("GET", f"playbooks/{mine}/history", params={"limit": 3})).json()
    rest = (await call("GET", f"playbooks/{mine}/history", params={"cursor": kept["next_cursor"]})).json()
    past = kept["items"] + rest["items"]
    assert [one["version"] for one in past] == [5, 4, 3, 2, 1]
    assert [one["yaml"] for one in past] == [second, None, source, second, source]
    assert [one["before"] for one in past] == [None, source, second, source, None]
    theirs = await call("GET", f"playbooks/{mine}/history", tenant=api.birch)
    assert theirs.status_code == 404
    theft = await call("POST", f"playbooks/{mine}/restore", json={"to": 1}, tenant=api.birch)
    assert theft.status_code == 404


async def test_a_packs_playbook_is_replaced_and_comes_back(call):
    listed = (await call("GET", "playbooks")).json()["items"]
    pack = next(one for one in listed if one["source"] == "pack")
    shown = (await call("GET", f"playbooks/{pack['id']}")).json()
    copied = await call("POST", "playbooks", json={"yaml": shown["yaml"]})
    assert copied.status_code == 202, copied.text
    own = (await call("GET", f"playbooks/{pack['id']}")).json()
    assert (own["source"], own["replaces_pack"]) == ("tenant", True)
    assert own["definition"]["steps"] == shown["definition"]["steps"]
    assert (await call("DELETE", f"playbooks/{pack['id']}", params={"version": 1})).status_code == 202
    assert (await call("GET", f"playbooks/{pack['id']}")).json() == shown


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("id: PB-X\ntitle: x\nsteps: []\n", 3, "steps"),
        ("id: PB-X\ntitle: x\nsteps:\n  - id: a\n    tool: no.such\n", 5, "no tool 'no.such'"),
        ("id: PB-X\ntitle: x\nsteps:\n  - id: a\n    tool: noop\n    whenn: 'true'\n", 6, "whenn"),
        ("id: PB-X\ntitle: x\nsteps:\n  - id: a\n    tool: noop\n    when: 'incident.'\n", 6, "when"),
        ("id: PB-X\ntitle: x\nsteps:\n  - id: a\n    playbook: PB-X\n", 5, "circle"),
        ("id: PB-X\ntitle: x\nsteps:\n  - id: a\n    playbook: PB-NO\n", 5, "no playbook PB-NO"),
        ("id: schema\ntitle: x\nsteps:\n  - id: a\n    tool: noop\n", 1, "meaning"),
        ("id: [\n", 2, "cannot be read"),
        ("- a\n", 1, "mapping"),
        ("id: PB-X\nid: PB-Y\n", 2, "twice"),
        ("a: &a [x]\nb: *a\n", 1, "anchor"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", 1, "anchor"),
        ("a: !!python/object/apply:os.system ['id']\n", 1, "tag"),
        ("<<: {a: 1}\n", 1, "merge"),
        ("--- \na: 1\n--- \nb: 2\n", 3, "more than one document"),
        ("a: " + "[" * 300 + "]" * 300, 1, "levels deep"),
    ],
)
async def test_what_cannot_run_is_refused_with_its_line(call, source, line, words):
    checked = (await call("POST", "playbooks/check", json={"yaml": source})).json()
    assert checked["valid"] is False
    problem = next(one for one in checked["problems"] if one["level"] == "error")
    told = f"{problem['pointer']} {problem['message']} {problem['fix']}"
    assert words in told
    assert problem["line"] == line, checked
    refused = await call("POST", "playbooks", json={"yaml": source})
    assert refused.status_code == 422
    assert f"line {line}: " in refused.json()["errors"][0]["detail"]


async def test_what_is_huge_is_refused(call):
    assert (await call("POST", "playbooks", json={"yaml": "a" * 100_001})).status_code == 422
    many = "id: PB-X\ntitle: x\nsteps:\n" + "".join(f"  - {{id: s{n}, tool: noop}}\n" for n in range(101))
    assert (await call("POST", "playbooks/check", json={"yaml": many})).json()["valid"] is False


def test_playbooks_that_call_each_other_many_times_are_counted_and_refused_at_once():
    def steps(to):
        return [{"id": f"s{n}", "playbook": to} for n in range(100)]

    library = {f"P{n}": {"id": f"P{n}", "steps": steps(f"P{n + 1}")} for n in range(1, 4)}
    library["P4"] = {"id": "P4", "steps": [{"id": "s", "tool": "noop"}]}
    with pytest.raises(PlaybookError, match="more than 2000 steps"):
        collect({"id": "P0", "steps": steps("P1")}, library)
    library["P4"] = {"id": "P4", "steps": [{"id": "s", "playbook": "P1"}]}
    with pytest.raises(PlaybookError, match=r"circle|deeper"):
        collect({"id": "P0", "steps": steps("P1")}, library)


async def test_of_changes_at_once_one_wins(call):
    mine = name()
    source = OWN.format(id=mine)
    made = await asyncio.gather(*(call("POST", "playbooks", json={"yaml": source}) for _ in range(5)))
    assert sorted(one.status_code for one in made) == [202] + [409] * 4
    body = {"yaml": source.replace("tell", "say"), "version": 1}
    changed = await asyncio.gather(*(call("PUT", f"playbooks/{mine}", json=body) for _ in range(5)))
    assert sorted(one.status_code for one in changed) == [202] + [409] * 4
    past = (await call("GET", f"playbooks/{mine}/history")).json()["items"]
    assert [one["version"] for one in past] == [2, 1]


async def test_who_may_write(call):
    body = {"yaml": OWN.format(id=name())}
    for role in ("operator", "analyst", "auditor", "viewer", "agent"):
        assert (await call("POST", "playbooks", json=body, role=role)).status_code == 403, role
    assert (await call("POST", "playbooks/check", json=body, role="viewer")).status_code == 200
    tried = {**body, "parameters": {"times": 3}, "incident": {"host": "h", "check_type": "c"}}
    assert (await call("POST", "playbooks/dry-run", json=tried, role="viewer")).status_code == 403
    shown = (await call("POST", "playbooks/dry-run", json=tried, role="operator")).json()
    assert shown["steps"][0]["input"] == {"n": 3}
    wrong = await call("POST", "playbooks/dry-run", json={**tried, "parameters": {"times": "3"}})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/parameters/times")


async def test_a_tool_is_tried_for_show_and_really_only_by_who_may(call, api):
    shown = (await call("POST", "tools/noop/test", json={"input": {"echo": 1}}, role="operator")).json()
    assert (shown["dry_run"], shown["state"]) == (True, "succeeded")
    assert (await call("POST", "tools/noop/test", json={}, role="viewer")).status_code == 403
    real = {"input": {"echo": 1}, "dry_run": False}
    assert (await call("POST", "tools/noop/test", json=real, role="operator")).status_code == 403
    done = (await call("POST", "tools/noop/test", json=real)).json()
    assert (done["called"], done["state"]) == (True, "succeeded")
    wrong = await call("POST", "tools/wait/test", json={"input": {"seconds": "soon"}})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"].startswith("/input")) == (422, True)
    assert (await call("POST", "tools/no.such/test", json={})).status_code == 404
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        told = await connection.fetch(
            "SELECT action FROM audit_records WHERE target_type = 'tool' ORDER BY id"
        )
    assert [row["action"] for row in told][-2:] == ["tool.test_begun", "tool.tested"]
    assert (await call("PATCH", "tools/noop", json={"enabled": False})).status_code == 202
    async with asyncio.timeout(60):  # what is switched off is seen within a second
        while (await call("POST", "tools/noop/test", json=real)).status_code != 409:
            await asyncio.sleep(0.1)
    assert (await call("PATCH", "tools/noop", json={"enabled": True})).status_code == 202


@given(plain)
def test_what_is_written_as_yaml_is_read_back_the_same(value):
    assert read_yaml("x.yaml", write_yaml({"a": value}).encode()).value == {"a": value}
