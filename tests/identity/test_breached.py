"""No new password is one that was in a breach, by whichever way it comes."""

import hashlib

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from tests.identity.test_invitations import accept, invite, mailed, somebody
from tests.identity.test_password_reset import asked, reset

from fettle.identity.breached import lists
from fettle.kernel.settings import SettingsError, load_settings

BREACHED = "correct horse battery staple"
FINE = "quite another phrase"


def write_list(path, passwords, *, ending="\r\n", counts=True, upper=True):
    """Write a list as Have I Been Pwned does, or as others that made theirs from it do."""
    hashes = sorted(hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest() for word in passwords)
    lines = [
        (one.upper() if upper else one) + (f":{number}" if counts else "")
        for number, one in enumerate(hashes)
    ]
    path.write_bytes("".join(line + ending for line in lines).encode())


@pytest_asyncio.fixture(scope="module")
async def settings(settings, box, tmp_path_factory):
    path = tmp_path_factory.mktemp("breached") / "hashes.txt"
    write_list(path, [BREACHED, *(f"word {number}" for number in range(500))])
    return box.settings(settings).model_copy(update={"breached_passwords": path})


@given(
    known=st.sets(st.text(max_size=8), max_size=30),
    others=st.sets(st.text(max_size=8), max_size=30),
    ending=st.sampled_from(["\n", "\r\n"]),
    counts=st.booleans(),
    upper=st.booleans(),
)
def test_a_list_holds_what_is_in_it_and_nothing_else(known, others, ending, counts, upper, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "list-of-one-example.txt"
    write_list(path, known, ending=ending, counts=counts, upper=upper)
    assert all(lists(path, word) for word in known)
    assert not any(lists(path, word) for word in others - known)


def test_a_last_line_without_an_end_is_a_line(tmp_path):
    path = tmp_path / "list.txt"
    write_list(path, ["a", "b", "c"])
    path.write_bytes(path.read_bytes().removesuffix(b"\r\n"))
    assert all(lists(path, word) for word in "abc")


async def test_a_changed_password_is_refused(client, make_person, bearer, sign_in, tenant):
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person)
    sent = {"current_password": person.password, "new_password": BREACHED}
    answer = await client.post("/api/v1/auth/password", headers=headers, json=sent)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/new_password"
    assert "breach" in answer.json()["detail"]
    assert BREACHED not in answer.text
    assert (await sign_in(person)).status_code == 200
    sent["new_password"] = FINE
    assert (await client.post("/api/v1/auth/password", headers=headers, json=sent)).status_code == 204


async def test_a_reset_is_refused_and_its_link_stays_good(client, platform, box, make_person, tenant):
    person = await make_person({tenant: "viewer"})
    token = await asked(client, platform, box, person)
    assert (await reset(client, token, BREACHED)).status_code == 422
    assert (await reset(client, token, FINE)).status_code == 204


async def test_a_new_account_is_refused_and_its_invitation_stays_good(
    client, platform, box, make_person, bearer, tenant
):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    email = somebody()
    await invite(client, admin, email)
    token = await mailed(platform, box, email)
    assert (await accept(client, token, name="New", password=BREACHED)).status_code == 422
    assert (await accept(client, token, name="New", password=FINE)).status_code == 200


async def test_without_the_list_no_password_is_taken_unchecked(client, platform, make_person, bearer, tenant):
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person)
    sent = {"current_password": person.password, "new_password": FINE}
    path = platform.settings.breached_passwords
    away = path.rename(path.with_suffix(".away"))
    try:
        answer = await client.post("/api/v1/auth/password", headers=headers, json=sent)
    finally:
        away.rename(path)
    assert answer.status_code == 503
    assert "FETTLE_BREACHED_PASSWORDS" in answer.json()["detail"]
    assert (await client.post("/api/v1/auth/password", headers=headers, json=sent)).status_code == 204


def test_a_list_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SettingsError, match="FETTLE_BREACHED_PASSWORDS"):
        load_settings(breached_passwords=tmp_path / "missing.txt")
