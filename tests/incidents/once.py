"""A good request, and another, for each POST of the work on incidents."""

from typing import Any
from uuid import uuid4

from tests.incidents.desk import Desk, member


async def work_once(api) -> dict[str, tuple[Any, Any, dict[str, str]]]:
    """Return body, another body and the path's values, for each path; the consumers must be at work.

    Args:
        api: The running application, whose tenant alder works incidents.
    """
    desk, path = Desk(api), "/incidents/{incident_id}"
    one, two, part, whole = [await desk.opened() for _ in range(4)]
    many = await desk.opened(3)
    ada, eve = await member(desk, "operator"), await member(desk, "operator")
    of_one = {"incident_id": one["id"]}
    await desk.done("POST", f"/incidents/{part['id']}/merge", {"into": whole["id"], "reason": "Same"})
    await desk.done("POST", f"/incidents/{two['id']}/assign", {"assignee": ada["id"]})
    command = {"action": "comment", "ids": [two["id"]], "body": "tried"}
    done = await desk.done("POST", "/incidents/bulk", command)
    split = {"exception_ids": many["exception_ids"][:1], "reason": "tried"}
    view = {"name": f"Once {uuid4().hex[:6]}", "query": "state=open"}
    return {
        f"{path}/assign": ({"assignee": ada["id"]}, {"assignee": eve["id"]}, of_one),
        f"{path}/unassign": ({}, {"version": 1}, {"incident_id": two["id"]}),
        f"{path}/comments": ({"body": "tried"}, {"body": "tried otherwise"}, of_one),
        f"{path}/links": (
            {"kind": "caused_by", "incident_id": two["id"]},
            {"kind": "duplicates", "incident_id": two["id"]},
            of_one,
        ),
        f"{path}/unmerge": ({"reason": "tried"}, {"reason": "other"}, {"incident_id": part["id"]}),
        f"{path}/split": (split, split | {"reason": "other"}, {"incident_id": many["id"]}),
        f"{path}/merge": (
            {"into": two["id"], "reason": "tried"},
            {"into": two["id"], "reason": "other"},
            of_one,
        ),
        "/incidents/views": (view, view | {"name": "Another"}, {}),
        "/incidents/bulk": (command, command | {"body": "tried otherwise"}, {}),
        "/incidents/bulk/{bulk_id}/undo": (None, None, {"bulk_id": done["id"]}),
    }
