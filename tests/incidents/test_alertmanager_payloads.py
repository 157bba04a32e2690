"""What Alertmanager's notifications may hold: as it is documented, at random, and from somebody who means harm."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fettle.incidents.hooks.alertmanager import MAX_ALERTS, Notification, exceptions_of
from fettle.incidents.schemas import ExceptionIn

HOOK = "/api/v1/hooks/alertmanager"
NEVER = "0001-01-01T00:00:00Z"


def one(**fields):
    """Return an alert as its sender writes it."""
    return {
        "status": "firing",
        "labels": {"alertname": "X", "instance": "h"},
        "annotations": {},
        "startsAt": "2026-11-20T08:00:00Z",
        "endsAt": NEVER,
        "generatorURL": "",
        "fingerprint": "c5b1e4d2a9f60713",
    } | fields


def notice(*alerts, **fields):
    """Return a notification as its sender writes it."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="X"}',
        "status": "firing",
        "receiver": "fettle",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alerts.example",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
    } | fields


def read(document):
    return exceptions_of(Notification.model_validate(document))


def test_fields_that_are_not_known_are_passed_over():
    [exception] = read(notice(one(newInVersion9={"a": [1]}), alsoNew=True))
    assert exception.dedup_key == "c5b1e4d2a9f60713"


def test_an_end_of_the_year_one_is_no_end():
    [open_still] = read(notice(one()))
    assert (open_still.status, open_still.details.get("ends_at")) == ("firing", None)
    [ended] = read(notice(one(status="resolved", endsAt="2026-11-20T09:00:00+02:00")))
    assert ended.status == "resolved"
    assert ended.occurred_at == datetime(2026, 11, 20, 7, tzinfo=UTC)
    [ended_sometime] = read(notice(one(status="resolved", startsAt=NEVER)))
    assert (ended_sometime.status, ended_sometime.occurred_at) == ("resolved", None)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_that_has_no_utc_is_left_out(moment):
    [exception] = read(notice(one(status="resolved", startsAt=moment, endsAt=moment)))
    assert exception.occurred_at is None
    assert {"starts_at", "ends_at"}.isdisjoint(exception.details)


def test_alerts_without_a_fingerprint_are_told_apart_by_their_labels():
    keys = [read(notice(one(fingerprint="", labels={"alertname": "X", "n": n})))[0].dedup_key for n in "ab"]
    assert keys == ["alertname=X,n=a", "alertname=X,n=b"]
    [exception] = read(notice(one(fingerprint="", labels={})))
    assert exception.dedup_key == "unlabelled"


texts = st.text(max_size=300)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=zones).map(lambda moment: moment.isoformat()) | st.just(NEVER)
alerts = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved"])},
    optional={
        "labels": st.dictionaries(texts, texts, max_size=120),
        "annotations": st.dictionaries(st.sampled_from(["summary", "description"]) | texts, texts, max_size=4),
        "startsAt": moments,
        "endsAt": moments,
        "generatorURL": st.none() | texts,
        "fingerprint": texts,
        "unheard_of": anything,
    },
)  # fmt: skip
notices = st.fixed_dictionaries(
    {"version": st.just("4"), "status": st.just("firing"), "alerts": st.lists(alerts, min_size=1, max_size=4)},
    optional={"groupKey": texts, "receiver": texts, "truncatedAlerts": st.integers(), "unheard_of": anything},
)  # fmt: skip


@given(notices)
def test_whatever_is_a_notification_becomes_as_many_exceptions(document):
    exceptions = read(document)
    assert [exception.status for exception in exceptions] == [a["status"] for a in document["alerts"]]
    for exception in exceptions:
        assert ExceptionIn.model_validate(exception.model_dump()) == exception


@given(
    anything
    | st.tuples(notices, st.dictionaries(st.sampled_from(["version", "status", "alerts", "groupKey"]), anything))
    .map(lambda both: both[0] | both[1])
)  # fmt: skip
def test_whatever_else_is_refused_and_never_breaks(document):
    try:
        exceptions = read(document)
    except ValidationError:
        return
    assert exceptions


HOSTILE = {
    "of another version": (422, notice(one(), version="3")),
    "without a version": (422, {"status": "firing", "alerts": [one()]}),
    "without alerts": (422, notice()),
    "alerts that are no list": (422, notice(alerts={"0": one()})),
    "too many alerts": (422, notice(*[one(fingerprint=str(n)) for n in range(MAX_ALERTS + 1)])),
    "a status that is none": (422, notice(one(status="gone"))),
    "labels that are no texts": (422, notice(one(labels={"alertname": {"$ne": 1}}))),
    "a time without a zone": (422, notice(one(startsAt="2026-11-20T08:00:00"))),
    "a time that is none": (422, notice(one(startsAt="yesterday"))),
    "labels as large as a book": (413, notice(one(labels={f"l{n}": "x" * 3_900 for n in range(40)}))),
    "one good alert and one as large as a book": (413, notice(one(), one(annotations={"a": "x" * 70_000}))),
    "U+0000 in a label": (422, notice(one(labels={"alertname": "\x00"}))),
    "nesting without end": (422, notice(one(deep=json.loads("[" * 200 + "]" * 200)))),
    "a list": (422, [notice(one())]),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_notification_is_refused_and_nothing_is_written(api, kind):
    status, body = HOSTILE[kind]
    before = await api.count_rows()
    answer = await api.client.post(HOOK, headers=api.birch.headers(), json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert await api.count_rows() == before


@pytest.mark.parametrize("role", ["viewer", "auditor"])
async def test_a_key_without_the_scope_may_not_notify(api, role):
    answer = await api.client.post(HOOK, headers=api.birch.headers(role), json=notice(one()))
    assert answer.status_code == 403
    answer = await api.client.post(HOOK, json=notice(one()))
    assert answer.status_code == 401
