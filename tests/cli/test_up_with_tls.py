"""`fettle up` with a certificate of its own: people, programs and the command line come by https alone."""

import asyncio
import contextlib
import ssl
import tempfile
from pathlib import Path

import httpx
import pytest_asyncio
from tests.certificates import make_certificate
from tests.cli.running import Fettle
from tests.ports import free_port


@pytest_asyncio.fixture(scope="module")
async def fettle():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        own = make_certificate(Path(folder))
        platform = Fettle(Path(folder) / "home", free_port())
        platform.own = own
        platform.settings = {
            "FETTLE_TLS_CERTIFICATE": str(own.certificate),
            "FETTLE_TLS_KEY": str(own.key),
        }
        platform.ready = await platform.up()
        yield platform
        await platform.down()


async def served(fettle):
    """Return what the port is served with at this moment."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", fettle.port, ssl=trusted)
    with contextlib.closing(writer):
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def test_a_person_signs_in_by_https_and_looks_on_live(fettle):
    assert fettle.ready["url"] == f"https://127.0.0.1:{fettle.port}"
    login = {"email": fettle.ready["owner"], "password": fettle.ready["one_time_password"]}
    async with httpx.AsyncClient(
        base_url=fettle.ready["url"], verify=fettle.own.trusted(), timeout=60
    ) as client:
        page = await client.get("/")
        assert "<html" in page.text
        assert page.headers["strict-transport-security"].startswith("max-age=")
        answer = await client.post("/api/v1/auth/login", json=login)
        assert answer.status_code == 200
        cookies = answer.headers.get_list("set-cookie")
        assert cookies
        assert all("; secure" in cookie.lower() for cookie in cookies)
        changed = await client.post(
            "/api/v1/auth/password",
            json={"current_password": login["password"], "new_password": "several unrelated words"},
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        )
        assert changed.status_code == 204, changed.text
        again = await client.post("/api/v1/auth/login", json={**login, "password": "several unrelated words"})
        bearer = {"Authorization": f"Bearer {again.json()['access_token']}"}
        made = await client.post(
            "/api/v1/tenants", json={"name": "Alder Clinic", "slug": "alder"}, headers=bearer
        )
        watching = {**bearer, "X-Tenant-ID": made.json()["id"]}
        async with client.stream("GET", "/api/v1/events/stream", headers=watching) as stream:
            assert stream.status_code == 200, await stream.aread()
            async for line in stream.aiter_lines():
                if line.startswith("retry:"):
                    break


async def test_the_command_line_trusts_the_certificate_of_its_own_machine(fettle):
    status, _, err = await fettle.call("demo", "host", "--json", "--interval", "1", "--rounds", "1")
    assert status == 0, err
    assert len((await fettle.json("rules", "list"))["items"]) >= 92
    stranger = Fettle(fettle.home, fettle.port)
    status, _, err = await stranger.call("rules", "list")
    assert (status, err.count("\n")) == (3, 1)
    assert "has a certificate that does not hold here: self" in err


async def test_a_renewed_certificate_is_served_without_a_start(fettle):
    before = await served(fettle)
    make_certificate(fettle.own.certificate.parent)
    assert await served(fettle) != before
    found = {one["part"]: one for one in (await fettle.json("doctor"))["findings"]}
    assert found["tls"]["state"] == found["api"]["state"] == "ok", found


async def test_doctor_finds_a_key_that_others_can_read(fettle):
    fettle.own.key.chmod(0o644)
    status, out, _ = await fettle.call("doctor", "--json")
    fettle.own.key.chmod(0o600)
    assert status == 1
    assert "others can read" in out


async def test_a_certificate_that_cannot_be_served_with_stops_the_start_in_one_line(fettle):
    broken = Fettle(fettle.home.parent / "another", free_port())
    broken.settings = {**fettle.settings, "FETTLE_TLS_KEY": str(fettle.home / "none.pem")}
    status, _, err = await broken.call("up")
    assert (status, err.count("\n")) == (8, 1)
    assert "FETTLE_TLS_KEY" in err
