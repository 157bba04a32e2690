"""Exports of incidents: what a spreadsheet opens and what a program reads, whole and of one tenant alone."""

import csv
import io
import json

import pytest
from tests.incidents.desk import Desk

from fettle.kernel.jsonio import dumps

HOSTILE = "=cmd|'/C calc'!A0"


@pytest.fixture
def desk(api_at_work):
    return Desk(api_at_work)


async def exported(desk, query="", *, form="csv", headers=None):
    answer = await desk.ask("GET", f"/incidents/export?format={form}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="incidents.{form}"'
    return answer.text


async def test_csv_and_json_hold_each_incident_that_the_filter_lets_through(desk):
    first = await desk.opened(summary='A "quoted" text,\nin two lines: \u00e9\u4f60', severity="high")
    second = await desk.opened(times=2, severity="high")
    await desk.opened(severity="low")
    rows = list(csv.DictReader(io.StringIO(await exported(desk, "&severity=high"), newline="")))
    items = json.loads(await exported(desk, "&severity=high", form="json"))
    assert [row["id"] for row in rows] == [item["id"] for item in items] == [second["id"], first["id"]]
    assert [(row["check_type"], row["host"]) for row in rows] == [
        (one["check_type"], one["host"]) for one in (second, first)
    ]
    assert rows[1]["summary"] == items[1]["summary"] == first["body"]["summary"]
    assert (rows[0]["occurrences"], items[0]["occurrences"]) == ("2", 2)
    assert list(rows[0]) == list(items[0])


async def test_no_cell_is_a_formula_and_json_keeps_the_text_as_it_came(desk):
    incident = await desk.opened(summary=HOSTILE, site="+49 30 1234")
    query = f"&host={incident['host']}"
    (row,) = csv.DictReader(io.StringIO(await exported(desk, query), newline=""))
    (item,) = json.loads(await exported(desk, query, form="json"))
    assert (row["summary"], row["site"]) == (f"'{HOSTILE}", "'+49 30 1234")
    assert (item["summary"], item["site"]) == (HOSTILE, "+49 30 1234")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


async def test_nothing_found_is_a_head_line_and_an_empty_list(desk):
    (head,) = csv.reader(io.StringIO(await exported(desk, "&host=nobody")))
    assert head[:3] == ["id", "number", "title"]
    assert await exported(desk, "&host=nobody", form="json") == dumps([]).decode()


async def test_another_tenant_exports_nothing_of_it(desk):
    await desk.opened()
    text = await exported(desk, headers=desk.api.birch.headers("tenant_admin"))
    assert len(text.splitlines()) == 1
