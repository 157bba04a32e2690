"""What people do on incidents, over the API: assign, comment, link, merge, split, related, by every role."""

import asyncio
from uuid import UUID, uuid4

import pytest
from tests.incidents.desk import Desk, member

from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State

HOSTILE = '<img src=x onerror="alert(1)">{{7*7}}${x}\u202e\'; DROP TABLE incidents; --'


@pytest.fixture
def desk(api_at_work):
    return Desk(api_at_work)


async def test_an_incident_is_taken_given_away_and_put_down(desk):
    incident = await desk.opened()
    path = f"/incidents/{incident['id']}"
    operator = await member(desk, "operator")
    await desk.done("POST", f"{path}/assign", {"assignee": "me"}, owner=True)
    taken = await desk.show(incident["id"])
    assert taken["assignee"] is not None
    await desk.done("POST", f"{path}/assign", {"assignee": operator["id"], "version": taken["version"]})
    assert (await desk.show(incident["id"]))["assignee"] == operator["id"]
    stale = await desk.ask(
        "POST", f"{path}/assign", {"assignee": "me", "version": taken["version"]}, owner=True
    )
    assert stale.status_code == 409
    assert "incident.assigned" in stale.json()["detail"]
    mine = await desk.done("GET", f"/incidents?assignee={operator['id']}")
    assert [one["id"] for one in mine["items"]] == [incident["id"]]
    await desk.done("POST", f"{path}/unassign", {})
    assert (await desk.show(incident["id"]))["assignee"] is None
    assert (await desk.done("GET", f"/incidents?assignee={operator['id']}"))["items"] == []


async def test_only_who_works_incidents_here_can_have_one(desk):
    incident = await desk.opened()
    path = f"/incidents/{incident['id']}/assign"
    viewer, operator = await member(desk, "viewer"), await member(desk, "operator")
    assert (await desk.ask("POST", path, {"assignee": viewer["id"]})).status_code == 422
    assert (await desk.ask("POST", path, {"assignee": str(uuid4())})).status_code == 422
    assert (await desk.ask("POST", path, {"assignee": "me"})).status_code == 422, "a program has no hands"
    people = {person["id"] for person in (await desk.done("GET", "/incidents/people"))["items"]}
    assert operator["id"] in people
    assert viewer["id"] not in people


async def test_more_of_the_same_does_not_make_a_look_stale_and_a_change_does(desk):
    incident = await desk.opened()
    await desk.done("POST", "/exceptions", incident["body"])
    await desk.api.eventually(
        f"/api/v1/incidents/{incident['id']}",
        desk.api.alder.headers(),
        lambda answer: answer["occurrences"] == 2,
    )
    seen = {"version": incident["version"], "reason": "Mended"}
    await desk.done("POST", f"/incidents/{incident['id']}/resolve", seen)
    again = await desk.ask("POST", f"/incidents/{incident['id']}/close", seen)
    assert again.status_code == 409
    assert "incident.resolved" in again.json()["detail"]
    future = await desk.ask("POST", f"/incidents/{incident['id']}/close", {**seen, "version": 4_000})
    assert future.status_code == 409


async def test_comments_are_redacted_edited_and_deleted_by_their_author_alone(desk):
    incident = await desk.opened()
    path = f"/incidents/{incident['id']}/comments"
    secret = "ghp_" + uuid4().hex + "abcd"
    person = await member(desk, "analyst")
    comment = await desk.done("POST", path, {"body": f"The token {secret} leaks", "mentions": [person["id"]]})
    assert secret not in comment["body"]
    assert comment["mine"] is True
    assert comment["mentions"] == [person["id"]]
    theirs = await desk.ask("PATCH", f"{path}/{comment['id']}", {"body": "No"}, role="operator")
    assert theirs.status_code == 403
    assert (await desk.ask("DELETE", f"{path}/{comment['id']}", role="operator")).status_code == 403
    edited = await desk.done("PATCH", f"{path}/{comment['id']}", {"body": HOSTILE, "version": 1})
    assert (edited["body"], edited["version"]) == (HOSTILE, 2)
    stale = await desk.ask("PATCH", f"{path}/{comment['id']}", {"body": "x", "version": 1})
    assert stale.status_code == 409
    await desk.done("DELETE", f"{path}/{comment['id']}")
    [left] = (await desk.done("GET", path))["items"]
    assert left["body"] == ""
    assert left["deleted_at"] is not None
    assert (await desk.ask("DELETE", f"{path}/{comment['id']}")).status_code == 409
    stored = (await desk.done("GET", f"/incidents/{incident['id']}/timeline?limit=200"))["items"]
    assert secret not in str(stored)
    stranger = await desk.ask("POST", path, {"body": "Look", "mentions": [str(uuid4())]})
    assert stranger.status_code == 422
    await desk.assert_folds(incident["id"])


async def test_a_reason_is_redacted_before_it_is_stored(desk):
    incident = await desk.opened()
    secret = "ghp_" + uuid4().hex + "abcd"
    await desk.done("POST", f"/incidents/{incident['id']}/resolve", {"reason": f"rotated {secret}"})
    assert secret not in str(await desk.show(incident["id"]))


async def test_links_are_shown_on_both_sides_once(desk):
    one, two = await desk.opened(), await desk.opened()
    path = f"/incidents/{one['id']}/links"
    link = await desk.done("POST", path, {"kind": "caused_by", "incident_id": two["id"]})
    assert link["says"] == "caused_by"
    [seen] = (await desk.done("GET", f"/incidents/{two['id']}/links"))["items"]
    assert (seen["says"], seen["incident"]["id"], seen["id"]) == ("causes", one["id"], link["id"])
    again = await desk.ask("POST", path, {"kind": "caused_by", "incident_id": two["id"]})
    assert again.status_code == 409
    await desk.done("POST", path, {"kind": "relates_to", "incident_id": two["id"]})
    back = {"kind": "relates_to", "incident_id": one["id"]}
    assert (await desk.ask("POST", f"/incidents/{two['id']}/links", back)).status_code == 409
    itself = await desk.ask("POST", path, {"kind": "relates_to", "incident_id": one["id"]})
    assert itself.status_code == 422
    await desk.done("DELETE", f"/incidents/{two['id']}/links/{link['id']}")
    assert [a["says"] for a in (await desk.done("GET", path))["items"]] == ["relates_to"]
    assert (await desk.ask("DELETE", f"{path}/{link['id']}")).status_code == 404
    assert (await desk.timeline(two["id"])).count("incident.linked") == 2
    await desk.assert_folds(one["id"], two["id"])


async def test_a_merged_incident_is_closed_and_what_is_reported_for_it_goes_to_the_other(desk):
    source, target = await desk.opened(2, severity="critical"), await desk.opened(severity="low")
    merge = {"into": target["id"], "reason": "The same disk", "version": source["version"]}
    await desk.done("POST", f"/incidents/{source['id']}/merge", merge)
    closed, whole = await desk.show(source["id"]), await desk.show(target["id"])
    assert (closed["state"], closed["merged_into"]) == ("closed", target["id"])
    assert (whole["occurrences"], whole["severity"], whole["state"]) == (3, "critical", "escalated")
    links = await desk.done("GET", f"/incidents/{target['id']}/links")
    assert [one["id"] for one in links["merged"]] == [source["id"]]
    reported = await desk.done("GET", f"/incidents/{target['id']}/exceptions")
    assert {one["id"] for one in reported["items"]} == {*source["exception_ids"], *target["exception_ids"]}
    later = (await desk.done("POST", "/exceptions", source["body"]))["id"]
    await desk.api.eventually(
        f"/api/v1/incidents/{target['id']}",
        desk.api.alder.headers(),
        lambda answer: answer["occurrences"] == 4,
    )
    assert (await desk.done("GET", f"/exceptions/{later}"))["incident_id"] == target["id"]
    reopened = await desk.ask("POST", f"/incidents/{source['id']}/reopen", {"reason": "no"})
    assert reopened.status_code == 409
    await desk.assert_folds(source["id"], target["id"])


async def test_a_merge_is_taken_back_and_a_split_in_between_forbids_it(desk):
    source, target = await desk.opened(2), await desk.opened(2)
    await desk.done("POST", f"/incidents/{source['id']}/merge", {"into": target["id"], "reason": "Same"})
    await desk.done("POST", f"/incidents/{source['id']}/unmerge", {"reason": "Not the same"})
    one, other = await desk.show(source["id"]), await desk.show(target["id"])
    assert (one["state"], one["merged_into"], one["occurrences"]) == ("escalated", None, 2)
    assert other["occurrences"] == 2
    again = await desk.ask("POST", f"/incidents/{source['id']}/unmerge", {"reason": "Once more"})
    assert again.status_code == 409
    await desk.done("POST", f"/incidents/{source['id']}/merge", {"into": target["id"], "reason": "Same"})
    split = {"exception_ids": target["exception_ids"][:1], "reason": "Another cause"}
    await desk.done("POST", f"/incidents/{target['id']}/split", split)
    refused = await desk.ask("POST", f"/incidents/{source['id']}/unmerge", {"reason": "Too late"})
    assert refused.status_code == 409
    assert "split" in refused.json()["detail"]
    await desk.assert_folds(source["id"], target["id"])


async def test_what_is_out_of_order_is_not_merged_into_what_is_over(desk):
    source, target = await desk.opened(), await desk.opened()
    await desk.done("POST", f"/incidents/{target['id']}/resolve", {"reason": "Done"})
    into = {"into": target["id"], "reason": "Same"}
    assert (await desk.ask("POST", f"/incidents/{source['id']}/merge", into)).status_code == 409
    itself = {"into": source["id"], "reason": "Same"}
    assert (await desk.ask("POST", f"/incidents/{source['id']}/merge", itself)).status_code == 422
    nothing = {"into": str(uuid4()), "reason": "Same"}
    assert (await desk.ask("POST", f"/incidents/{source['id']}/merge", nothing)).status_code == 404


async def test_what_a_run_has_in_hand_is_not_merged_away_and_may_take_another_over(desk):
    running, other = await desk.opened(), await desk.opened()
    tenant = desk.api.alder.id
    async with desk.api.platform.database.tenant(tenant) as session:
        move = Transition(
            incident_id=UUID(running["id"]), to=State.HEALING, type="test.taken_in_hand", actor="system:test"
        )
        await transition(session, tenant, [move])
    away = {"into": other["id"], "reason": "Same"}
    refused = await desk.ask("POST", f"/incidents/{running['id']}/merge", away)
    assert refused.status_code == 409
    assert "run" in refused.json()["detail"]
    await desk.done("POST", f"/incidents/{other['id']}/merge", {"into": running["id"], "reason": "Same"})
    whole = await desk.show(running["id"])
    assert (whole["state"], whole["occurrences"]) == ("healing", 2)
    await desk.assert_folds(running["id"], other["id"])


async def test_of_two_merges_that_cross_one_holds(desk):
    for _ in range(4):
        one, two = await desk.opened(), await desk.opened()
        answers = await asyncio.gather(
            desk.ask("POST", f"/incidents/{one['id']}/merge", {"into": two["id"], "reason": "a"}),
            desk.ask("POST", f"/incidents/{two['id']}/merge", {"into": one["id"], "reason": "b"}),
        )
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        pointers = [(await desk.show(each["id"]))["merged_into"] for each in (one, two)]
        assert len([pointer for pointer in pointers if pointer is not None]) == 1
        await desk.assert_folds(one["id"], two["id"])


async def test_what_arrives_while_it_is_merged_is_counted_once(desk):
    source, target = await desk.opened(), await desk.opened()
    sending = [desk.done("POST", "/exceptions", source["body"]) for _ in range(10)]
    merging = desk.ask("POST", f"/incidents/{source['id']}/merge", {"into": target["id"], "reason": "Same"})
    await asyncio.gather(*sending[:5], merging, *sending[5:])
    await desk.api.settle()
    await desk.assert_folds(source["id"], target["id"])
    whole = await desk.show(target["id"])
    assert whole["occurrences"] == 12
    reported = await desk.done("GET", f"/incidents/{target['id']}/exceptions?limit=200")
    assert len(reported["items"]) == 12


async def test_chosen_exceptions_become_an_incident_that_goes_to_a_person(desk):
    incident = await desk.opened(4, summary=HOSTILE)
    chosen = incident["exception_ids"][1:3]
    split = {"exception_ids": chosen, "reason": "The other disk", "title": HOSTILE}
    made = await desk.done("POST", f"/incidents/{incident['id']}/split", split)
    new, old = await desk.show(made["id"]), await desk.show(incident["id"])
    assert (new["state"], new["level"], new["occurrences"], new["title"]) == ("escalated", "L3", 2, HOSTILE)
    assert new["fingerprint"].startswith(incident["fingerprint"] + "~")
    assert new["host"] == incident["host"]
    assert old["occurrences"] == 2
    reported = await desk.done("GET", f"/incidents/{made['id']}/exceptions")
    assert {one["id"] for one in reported["items"]} == set(chosen)
    again = await desk.ask("POST", f"/incidents/{incident['id']}/split", split)
    assert again.status_code == 422, "they are somebody else's by now"
    rest = {"exception_ids": [incident["exception_ids"][0], incident["exception_ids"][3]], "reason": "All"}
    assert (await desk.ask("POST", f"/incidents/{incident['id']}/split", rest)).status_code == 422
    await desk.done("POST", "/exceptions", incident["body"])
    await desk.api.eventually(
        f"/api/v1/incidents/{incident['id']}",
        desk.api.alder.headers(),
        lambda answer: answer["occurrences"] == 3,
    )
    await desk.assert_folds(incident["id"], made["id"])
    await desk.done("POST", f"/incidents/{made['id']}/merge", {"into": incident["id"], "reason": "Undo"})
    assert (await desk.show(incident["id"]))["occurrences"] == 5


async def test_of_two_splits_of_the_same_exception_one_holds(desk):
    incident = await desk.opened(3)
    split = {"exception_ids": incident["exception_ids"][:1], "reason": "Mine"}
    answers = await asyncio.gather(
        *(desk.ask("POST", f"/incidents/{incident['id']}/split", split) for _ in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 422, 422]
    await desk.assert_folds(incident["id"])


async def test_related_says_what_is_shared(desk):
    site = f"site-{uuid4().hex[:6]}"
    one = await desk.opened(site=site, summary="Disk 7 of 8 is full")
    same_host = await desk.opened(host=one["host"])
    same_check = await desk.opened(check_type=one["check_type"], summary="Disk 2 of 8 is full")
    same_site = await desk.opened(site=site)
    await desk.opened()
    found = (await desk.done("GET", f"/incidents/{one['id']}/related"))["items"]
    shares = {item["incident"]["id"]: set(item["shares"]) for item in found}
    assert shares == {
        same_host["id"]: {"host"},
        same_check["id"]: {"check_type", "pattern"},
        same_site["id"]: {"site"},
    }
    assert found[0]["incident"]["id"] == same_check["id"]


async def test_filters_and_orders(desk):
    label = uuid4().hex[:8]
    low = await desk.opened(severity="low", labels={"room": f"{label} east=1"})
    grave = await desk.opened(severity="critical", labels={"room": f"{label} west"})
    middle = await desk.opened(severity="high", labels={"room": label})
    of = lambda answer: [item["id"] for item in answer["items"]]  # noqa: E731 - a name for a sentence
    assert of(await desk.done("GET", f"/incidents?label=room={label} west")) == [grave["id"]]
    assert of(await desk.done("GET", f"/incidents?label=room={label} east=1")) == [low["id"]]
    assert of(await desk.done("GET", f"/incidents?label=room={label}")) == [middle["id"]]
    ids = {low["id"], grave["id"], middle["id"]}
    for sort, first in (("severity", grave), ("seen", middle), ("opened", middle)):
        seen, cursor = [], ""
        while True:
            answer = await desk.done("GET", f"/incidents?sort={sort}&q={label}&limit=1{cursor}")
            seen += of(answer)
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"
        assert seen[0] == first["id"], sort
        assert (len(seen), set(seen)) == (3, ids), sort
    assert await desk.done("GET", f"/incidents/count?q={label}") == {"count": 3, "more": False}
    await desk.done("POST", f"/incidents/{low['id']}/assign", {"assignee": "me"}, owner=True)
    needs_me = await desk.done("GET", f"/incidents?needs_me=true&q={label}", owner=True)
    assert set(of(needs_me)) == ids
    needs_anyone = await desk.done("GET", f"/incidents?needs_me=true&q={label}")
    assert set(of(needs_anyone)) == ids - {low["id"]}
    assert of(await desk.done("GET", f"/incidents?assignee=me&q={label}", owner=True)) == [low["id"]]
    assert of(await desk.done("GET", f"/incidents?assignee=me&q={label}")) == []
    for bad in ("label=nothing", "assignee=everybody", "sort=title", f"q={label}&sort=seen&cursor=x"):
        assert (await desk.ask("GET", f"/incidents?{bad}")).status_code == 422, bad


@pytest.mark.parametrize("role", ["viewer", "auditor", "agent"])
async def test_who_may_not_work_incidents_changes_nothing(desk, role):
    incident, other = await desk.opened(), await desk.opened()
    path = f"/incidents/{incident['id']}"
    before = await desk.show(incident["id"])
    for sent, body in (
        ("assign", {"assignee": str(uuid4())}),
        ("unassign", {}),
        ("comments", {"body": "x"}),
        ("links", {"kind": "relates_to", "incident_id": other["id"]}),
        ("merge", {"into": other["id"], "reason": "x"}),
        ("unmerge", {"reason": "x"}),
        ("split", {"exception_ids": incident["exception_ids"], "reason": "x"}),
    ):
        assert (await desk.ask("POST", f"{path}/{sent}", body, role=role)).status_code == 403, sent
    bulk = {"action": "close", "ids": [incident["id"]], "reason": "x"}
    assert (await desk.ask("POST", "/incidents/bulk", bulk, role=role)).status_code == 403
    assert await desk.show(incident["id"]) == before
