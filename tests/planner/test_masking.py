"""What a model sees: whatever names somebody is planted in many sentences and every field, and must not be there."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from fettle.healing.planner.masking import MASKED, PROSE, WITHHELD, Mask
from fettle.healing.planner.vectors import sealed, words
from fettle.kernel.ids import new_id
from fettle.kernel.redaction import Redactor

REDACTOR = Redactor()

# {0} is somebody's full name, {1} the surname alone.
PERSON_SHAPES = [
    "For patient {0} the printer is offline",
    "patient {0} cannot sign in",
    "Patient name: {0}, room unknown",
    "the patient, {0}, is waiting",
    "pt {0} is asleep",
    "Dr. {0} called about the disk",
    "dr {1} cannot print",
    "Nurse {0} reported a failure",
    "Mrs {1} cannot open the portal",
    "user {0} called",
    "User: {0}",
    "reported by {0}",
    "Reported by: {0} at the front desk",
    "{0} called about outlook",
    "{0} says the screen is frozen",
    "{0} cannot log in",
    "{0}'s laptop is slow",
    "the laptop of {0} is slow",
    "call {0} back before noon",
    "please tell {0} that it works again",
    "ask {0} for the key",
    "Attendees: {0}, Priya Nakamura and Olu Adeyemi",
    "Waiting are Priya Nakamura, {0}",
    "On the list:\n- {0}\n- Priya Nakamura",
    "{1}, {0}",
    "Dear {0}, the backup failed",
    "Hello {0},\nthe disk is full",
    "Regards,\n{0}",
    "Signed: {0}",
    "My name is {0} and I cannot print",
    "This is {0} from accounting",
    "I am {0} and the disk is full",
    "on behalf of {0}",
    "assigned to {0} since Monday",
    "CC: {0}",
    "spoke with {0} today",
    "according to {0} it was fine yesterday",
    "moved from {0} to Priya Nakamura",
    "his mother {0} is on the phone",
    "guardian ({0}) was told",
    "employee {0} left in May",
    'the technician wrote: "{0} was here"',
    "file for {0} could not be opened",
    "opened the record of {0} by mistake",
    "{0} / {1} / unknown",
    "ticket 42; {0}; high",
    "It was {0} who rebooted the server",
    "We told {0} to wait",
    "Backup of {0} failed",
    "Chart of {0} is locked",
    "name={0}",
    '{{"who": "{0}"}}',
    "[{0}] disk is full",
    "<{0}> wrote that the disk is full",
    "Dr. {1} and Dr. Nakamura saw nothing",
    "The printer next to {0} is offline",
    "mail for {0} bounced",
    "{0} (in the lobby) reported it",
    "Prof. {0}, on call tonight",
    "requested by {0}; approved by Priya Nakamura",
]
PEOPLE = [
    "Josephine Quillfeather",
    "John Smith",
    "john smith",
    "JOHN SMITH",
    "Mark Hill",
    "Grace Young",
    "José García-Müller",
    "Siobhán O'Rourke",
    "Pieter van der Berg",
    "Nguyễn Thị Minh",
    "李 雷",
    "Владимир Иванов",
    "J. R. Tolliver",
    "Ana-Maria Popescu",
]
KINDS = {
    "mrn": ["MRN 84416231", "mrn: A-99812", "medical record number 5550123", "chart no. 44-1023"],
    "ssn": ["219-09-9999", "219 09 9999", "219099999", "SSN ending in 4410"],
    "mail": ["jane.roe@alder-clinic.example", "jroe+lab@mail.example.co.uk", "jane at example dot com"],
    "phone": [
        "(555) 867-5309",
        "555.867.5309",
        "+1 555 867 5309",
        "+44 20 7946 0958",
        "07700 900123",
        "+49 (0)30 901820",
        "0171/1234567",
        "01 23 45 67 89",
        "01.23.45.67.89",
        "+33 1 23 45 67 89",
        "98765 43210",
        "0412 345 678",
        "(11) 91234-5678",
        "03-1234-5678",
        "0041 44 668 18 00",
    ],
    "address": [
        "12 Oak Street, Springfield, IL 62704",
        "4400 N. Lamar Blvd Apt 12",
        "P.O. Box 7731",
        "221B Baker Street",
        "Hauptstraße 12, 10115 Berlin",
        "22 rue de la Paix, 75002 Paris",
        "Calle Mayor 14",
        "SW1A 2AA",
        "Via Roma 5",
        "K1A 0B1",
    ],
    "birth": [
        "DOB 4/12/61",
        "born on 12 April 1961",
        "born 04.12.61",
        "date of birth: 1961-04-12",
        "April 12, 1961",
        "12.04.1961",
        "birthday is March 3, 2021",
    ],
    "ip": ["10.44.7.19", "192.168.4.0/24", "2001:db8:44::19", "fe80::1b:44ff:fe11:3ab7"],
    "mac": ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7"],
    "key": [
        "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6",
        "password is Zebra-81!",
        "pwd: hunter2x",
        "d41d8cd98f00b204e9800998ecf8427e",
        "Qx7Lm2Tz9Kp4Vb8Nc3Wd6",
    ],
    "user": ["/home/jroe4471/.ssh", r"C:\Users\jroe4471\Desktop", "user jroe4471 called", "jroe4471"],
    "host": ["ws-rosewood-17.corp.example", "vpn.alder-clinic.example"],
}
SENTENCES = [
    "{0}",
    "It said {0} today.",
    "note ({0}), please look",
    "Log line: {0}; then it stopped",
    "{0} - is it known?",
]
# What of a value says nothing by itself.
HARMLESS = re.compile(
    r"(?i)^(?:mrn|medical|record|number|chart|no|ssn|ending|in|dob|born|on|date|of|birth|birthday|is|password|pwd|user|called|home|ssh"
    r"|users|desktop|at|dot|com|st|rue|de|la|via|van|der|\d{1,2}|n|p|o|box|c|apt|b|r|j|m|\w)$"
)


def shown(incident, prose, **more):
    mask = Mask(REDACTOR, incident, prose=prose, this_year=2026, **more)
    hidden = mask.hide(incident)
    return mask, hidden, json.dumps(hidden, ensure_ascii=False).lower()


def telling(value):
    """The parts of a value that tell something."""
    return [part for part in re.split(r"[^\w]+", value.lower()) if part and HARMLESS.match(part) is None]


def in_every_field(text):
    return {
        "host": "ws-1",
        "site": "lobby",
        "title": text,
        "summary": text,
        "labels": {"note": text, "list": [text, {"deep": text}]},
        "details": {"text": text, text[:80]: "key", "n": 3},
    }


def seen(word, told):
    return re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", told) is not None


@pytest.mark.parametrize("prose", PROSE)
@pytest.mark.parametrize("shape", PERSON_SHAPES)
def test_a_name_is_in_no_prompt_however_it_is_told(shape, prose):
    for person in PEOPLE:
        surname = person.split()[-1]
        _, _, told = shown(in_every_field(shape.format(person, surname)), prose)
        leaked = [word for word in telling(person) if seen(word, told)]
        assert leaked == [], f"{person}: {told}"


def test_there_are_enough_shapes():
    assert len(PERSON_SHAPES) >= 50


@pytest.mark.parametrize("prose", PROSE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_each_kind_is_in_no_prompt(kind, prose):
    for value in KINDS[kind]:
        for sentence in SENTENCES:
            _, _, told = shown(in_every_field(sentence.format(value)), prose)
            leaked = [part for part in telling(value) if seen(part, told)]
            assert leaked == [], f"{value}: {told}"


@pytest.mark.parametrize(
    "field",
    [
        "patient",
        "reported_by",
        "customer",
        "assignee",
        "contactName",
        "full_name",
        "members",
        "created-by",
        "caller",
    ],
)
def test_a_field_of_people_hides_them_wherever_they_stand(field):
    incident = {
        "host": "ws-1",
        "details": {
            field: ["Will Page", "Rose Field; Art Stone"],
            "log": "page and rose saw art in the stone lobby",
        },
    }
    _, _, told = shown(incident, MASKED)
    for name in ("will", "page", "rose", "field", "art", "stone"):
        assert not seen(name, told.replace(f'"{field.lower()}"', "")), told


@given(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12),
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12),
    st.sampled_from(PERSON_SHAPES),
    st.sampled_from([str.title, str.lower, str.upper]),
    st.sampled_from(PROSE),
)
@examples(300)
def test_made_up_names_are_found_without_a_list_of_them(first, last, shape, spelled, prose):
    first, last = f"{first}q{first[-1]}", f"{last}zx"  # no word of ours
    name = spelled(f"{first} {last}")
    _, _, told = shown(in_every_field(shape.format(name, spelled(last))), prose)
    assert first not in told
    assert last not in told


@given(
    st.sampled_from(PERSON_SHAPES),
    st.sampled_from(PEOPLE),
    st.sampled_from([v for k in KINDS.values() for v in k]),
)
@examples(150)
def test_masked_texts_come_back_unchanged_where_nothing_was_secret(shape, person, value):
    text = f"{shape.format(person, person)} {value}"
    mask = Mask(REDACTOR, {"summary": text}, prose=MASKED, this_year=2026)
    hidden = mask.hide({"summary": text})
    if "[redacted:" not in hidden["summary"]:
        assert mask.reveal(hidden) == {"summary": text}


def test_free_text_stays_here_unless_the_policy_lets_it_out():
    incident = {"summary": "The disk of the server is full since Monday", "details": {"state": "not running"}}
    _, hidden, _ = shown(incident, WITHHELD)
    assert hidden == {"summary": "[withheld: 9 words]", "details": {"state": "not running"}}
    _, hidden, _ = shown(incident, MASKED)
    assert hidden == incident
    assert Mask(REDACTOR, incident).hide(incident)["summary"].startswith("[withheld")


@pytest.mark.parametrize(
    "text",
    [
        "The disk of the server is full",
        "Backup failed at 2026-11-20T10:22:31Z",
        "KB5034441 failed with 0x80070643 on Windows Server 2019",
        "clamav-freshclam.service is not running",
        "536870912000 bytes free, 97 percent used",
        "certificate expires 2026-12-24",
        "version 10.0.19045.3693 is older than 10.0.19045.4000",
        "CVE-2026-14680 is exploitable",
    ],
)
def test_what_names_nobody_is_left_for_the_model_to_read(text):
    incident = {"summary": text}
    _, hidden, _ = shown(incident, MASKED)
    assert hidden == incident


def test_words_of_the_packs_may_leave():
    incident = {"details": {"service": "frobnicator"}}
    assert shown(incident, WITHHELD)[1] == {"details": {"service": "<word-1>"}}
    assert shown(incident, WITHHELD, vocabulary={"frobnicator"})[1] == incident


def test_a_large_number_comes_back_as_a_number():
    incident = {"details": {"caller_line": 5558675309, "free_bytes": 5558675309}}
    mask, hidden, _ = shown(incident, WITHHELD)
    assert hidden["details"]["free_bytes"] == 5558675309
    assert "5558675309" not in str(hidden["details"]["caller_line"])
    assert mask.reveal(hidden) == incident


def test_a_number_that_tells_whom_it_is_about_does_not_leave_although_it_is_no_text():
    told = {
        "patient": 1234567,
        "account": 47110815,
        "member": [7654321],
        "chart": 8812345,
        "policy_number": 99887766,
        "zip": 94110,
        "customer": {"ref": 5550123},
        "line": 4155551234.0,
    }
    kept = {"port": 8443, "exit_code": 1, "used_percent": 97.5, "is_member": True, "free_bytes": 5558675309}
    mask, hidden, _ = shown({"details": {**told, **kept}}, MASKED)
    text = str(hidden)
    for number in ("1234567", "47110815", "7654321", "8812345", "99887766", "94110", "5550123", "4155551234"):
        assert number not in text, number
    assert {name: hidden["details"][name] for name in kept} == kept
    assert mask.reveal(hidden) == {"details": {**told, **kept}}


def test_people_are_told_of_machines_and_not_of_people():
    incident = {"host": "ws-9", "details": {"patient_of": "x", "caller": "Olu Adeyemi"}}
    mask, hidden, _ = shown(incident, MASKED)
    told = mask.tell(f"Restart {hidden['host']} for {hidden['details']['caller']}.")
    assert told == "Restart ws-9 for <name-1>."


def test_what_is_kept_of_a_text_holds_no_name_and_still_compares():
    tenant = new_id()
    one = sealed("disk full for mark hill and josephine", tenant)
    other = sealed("josephine: the disk is full", tenant)
    assert not {"mark", "hill", "josephine"} & words(one)
    assert {"disk", "full"} < (words(one) & words(other))
    assert len(words(one) & words(other)) == 3
    assert sealed("josephine", new_id()) not in one
