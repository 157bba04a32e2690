"""Packs and policies over HTTP and on the command line, against the running application."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fettle.cli.packs import pack_archive
from fettle.kernel.settings import Settings
from fettle.packs.catalogue import ensure_shipped, pack_stream
from fettle.packs.files import SIGNATURE_FILE, PackFiles
from fettle.packs.loading import load_files
from fettle.packs.service import PackCache, active_packs
from fettle.packs.shipped import shipped_folder, shipped_policy
from fettle.packs.signing import public_text, sign

from .content import small_pack

KEY = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)


def signed(**changes: str) -> PackFiles:
    files = small_pack(**changes)
    pack = load_files(files)
    return {**files, SIGNATURE_FILE: sign(pack.id, pack.version, pack.digest, KEY)}


def name() -> str:
    return f"p-{uuid4().hex[:12]}"


@pytest_asyncio.fixture(scope="module", autouse=True)
async def shipped(api) -> None:
    await ensure_shipped(api.platform)


@pytest.fixture(autouse=True)
def trusted(api) -> Iterator[None]:
    before: Settings = api.platform.settings
    keys = {"packs_trusted_keys": [public_text(KEY.public_key())]}
    api.platform.settings = before.model_copy(update=keys)
    yield
    api.platform.settings = before


async def post(api, path: str, headers: dict[str, str], **request: object) -> httpx.Response:
    return await api.client.post(f"/api/v1{path}", headers=headers, **request)


async def get(api, path: str, headers: dict[str, str], **request: object) -> httpx.Response:
    return await api.client.get(f"/api/v1{path}", headers=headers, **request)


async def install(api, files: PackFiles) -> httpx.Response:
    return await post(api, "/packs", api.owner(api.alder), content=pack_archive(files))


async def test_a_tenant_sees_the_shipped_pack(api):
    listed = (await get(api, "/packs", api.alder.headers("viewer"))).json()
    item = next(item for item in listed["items"] if item["id"] == "compliance-it")
    assert (item["active_version"], item["chosen"], item["origin"]) == (
        item["latest_version"],
        False,
        "shipped",
    )
    assert item["counts"]["rules"] >= 92
    shown = (await get(api, "/packs/compliance-it", api.alder.headers("viewer"))).json()
    assert len(shown["content"]["rules"]) == item["counts"]["rules"]


async def test_a_signed_pack_is_installed_activated_compared_tested_and_rolled_back(api):
    pack = name()
    for files in (signed(name=pack), signed(name=pack, version="1.1.0", title="Better")):
        answer = await install(api, files)
        assert answer.status_code == 202, answer.text
    assert answer.json() == {
        "id": f"{pack}@1.1.0",
        "status": "accepted",
        "href": f"/api/v1/packs/{pack}?version=1.1.0",
    }
    for version in ("1.0.0", "1.1.0"):
        answer = await post(api, f"/packs/{pack}/activate", api.alder.headers(), json={"version": version})
        assert answer.status_code == 202, answer.text
    versions = (await get(api, f"/packs/{pack}/versions", api.alder.headers("viewer"))).json()
    assert [(item["version"], item["active"]) for item in versions["items"]] == [
        ("1.1.0", True),
        ("1.0.0", False),
    ]
    assert [item["kind"] for item in versions["history"]] == ["activate", "activate"]
    compared = await get(api, f"/packs/{pack}/diff?from=1.0.0&to=1.1.0", api.alder.headers("viewer"))
    assert [change["pointer"] for change in compared.json()["manifest"]] == ["/title"]
    tested = await post(api, f"/packs/{pack}/test", api.alder.headers("viewer"))
    assert (tested.status_code, tested.json()["version"], tested.json()["passed"]) == (200, "1.1.0", True)
    answer = await post(api, f"/packs/{pack}/rollback", api.alder.headers())
    assert answer.status_code == 202
    shown = (await get(api, f"/packs/{pack}", api.alder.headers("viewer"))).json()
    assert (shown["version"], shown["title"], shown["chosen"]) == ("1.0.0", "Small", True)
    other = (await get(api, f"/packs/{pack}", api.birch.headers("viewer"))).json()
    assert (other["active_version"], other["chosen"]) == (None, False)


async def test_a_rollback_with_the_same_key_goes_one_step(api):
    pack = name()
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await install(api, signed(name=pack, version=version))
        await post(api, f"/packs/{pack}/activate", api.alder.headers(), json={"version": version})
    headers = {**api.alder.headers(), "Idempotency-Key": uuid4().hex}
    answers = [await post(api, f"/packs/{pack}/rollback", headers) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    shown = (await get(api, f"/packs/{pack}", api.alder.headers())).json()
    assert shown["active_version"] == "1.1.0"


@pytest.mark.parametrize("role", ["tenant_admin", "partner_admin", "operator", "viewer"])
async def test_only_the_platform_s_administrator_installs(api, role):
    before = await api.count_rows()
    answer = await post(api, "/packs", api.alder.headers(role), content=pack_archive(signed()))
    assert answer.status_code == 403
    assert (await api.count_rows())["pack_versions"] == before["pack_versions"]


@pytest.mark.parametrize(
    "files",
    [
        small_pack(name="unsigned"),
        {**signed(name="tampered"), "more.md": b"x"},
        {**small_pack(name="forged"), SIGNATURE_FILE: sign("forged", "1.0.0", "0" * 64, KEY)},
        {
            **small_pack(name="foreign"),
            SIGNATURE_FILE: sign(
                "foreign",
                "1.0.0",
                load_files(small_pack(name="foreign")).digest,
                Ed25519PrivateKey.from_private_bytes(b"\x04" * 32),
            ),
        },
    ],
    ids=["unsigned", "tampered", "forged", "foreign"],
)
async def test_what_nobody_trusted_vouches_for_is_not_installed(api, files):
    before = await api.count_rows()
    answer = await install(api, files)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    after = await api.count_rows()
    assert (after["pack_versions"], after["events"]) == (before["pack_versions"], before["events"])


async def test_an_operator_may_allow_unsigned_packs_but_never_wrong_signatures(api):
    api.platform.settings = api.platform.settings.model_copy(update={"packs_allow_unsigned": True})
    pack = name()
    assert (await install(api, small_pack(name=pack))).status_code == 202
    assert (await get(api, f"/packs/{pack}", api.owner(api.alder))).json()["origin"] == "local"
    assert (await install(api, {**signed(name=name()), "more.md": b"x"})).status_code == 422


async def test_a_trusted_key_that_is_none_is_the_operator_s_fault(api):
    api.platform.settings = api.platform.settings.model_copy(update={"packs_trusted_keys": ["nonsense"]})
    answer = await install(api, signed(name=name()))
    assert answer.status_code == 503
    assert "FETTLE_PACKS_TRUSTED_KEYS" in answer.json()["detail"]


async def test_a_fault_in_an_uploaded_pack_names_file_line_and_path(api):
    files = small_pack(name=name())
    files["rules.yaml"] = files["rules.yaml"].replace(b"operator: eq", b"operator: equals")
    answer = await install(api, files)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "pointer": "/rules.yaml:4/0/conditions/0/operator",
            "detail": answer.json()["errors"][0]["detail"],
        }
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"PK",
        b"PK\x03\x04" + b"\0" * 100,
        b"\x1f\x8b" + b"\xff" * 100,
        b"\0" * 10_240,
        b"\xff" * 2000,
    ],
)
async def test_what_is_no_archive_is_a_clear_422(api, body):
    answer = await post(api, "/packs", api.owner(api.alder), content=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/packs/no-such-pack", None, 404),
        ("GET", "/packs/No_Such", None, 422),
        ("GET", "/packs/compliance-it?version=99.0.0", None, 404),
        ("GET", "/packs/compliance-it?version=x", None, 422),
        ("GET", "/packs/compliance-it/diff", None, 422),
        ("GET", "/packs/compliance-it/diff?from=1.0.0&to=9.0.0", None, 404),
        ("POST", "/packs/compliance-it/activate", {"version": "99.0.0"}, 404),
        ("POST", "/packs/compliance-it/activate", {"version": 1}, 422),
        ("POST", "/packs/compliance-it/activate", {}, 422),
        ("POST", "/packs/no-such-pack/deactivate", None, 404),
        ("POST", "/packs/no-such-pack/test", None, 404),
        ("POST", "/packs/no-such-pack/rollback", None, 404),
        ("POST", "/packs/compliance-it/rollback", None, 409),
        ("PUT", "/policy", {"policy": {}}, 422),
        ("PUT", "/policy", {"policy": dict(shipped_policy("default")), "expected_version": 99}, 409),
    ],
)
async def test_a_request_that_is_wrong_changes_nothing(api, method, path, body, status):
    before = await api.count_rows()
    answer = await api.client.request(method, f"/api/v1{path}", headers=api.birch.headers(), json=body)
    assert answer.status_code == status, answer.text
    after = await api.count_rows()
    for table in ("events", "pack_versions", "pack_activations", "policy_packs"):
        assert after[table] == before[table]


async def test_a_policy_is_read_replaced_and_recorded(api):
    before = (await get(api, "/policy", api.birch.headers("viewer"))).json()
    assert (before["version"], before["policy"]["id"]) == (0, "default")
    wanted = {**before["policy"], "id": "ours", "autonomy": "suggest"}
    answer = await api.client.put(
        "/api/v1/policy", headers=api.birch.headers(), json={"policy": wanted, "expected_version": 0}
    )
    assert answer.status_code == 202, answer.text
    after = (await get(api, "/policy", api.birch.headers("viewer"))).json()
    assert (after["version"], after["policy"]) == (1, wanted)
    api.platform.parts["packs.cache"] = PackCache()
    assert (await active_packs(api.platform, api.birch.id)).policy["autonomy"] == "suggest"
    forbidden = await api.client.put(
        "/api/v1/policy", headers=api.birch.headers("operator"), json={"policy": wanted}
    )
    assert forbidden.status_code == 403
    templates = (await get(api, "/policy/templates", api.birch.headers("viewer"))).json()
    assert [item["id"] for item in templates["items"]] == ["default", "demo"]


async def test_every_choice_is_an_event_with_its_actor(api):
    pack = name()
    await install(api, signed(name=pack))
    await post(api, f"/packs/{pack}/activate", api.alder.headers(), json={"version": "1.0.0"})
    await post(api, f"/packs/{pack}/deactivate", api.alder.headers())
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        rows = await connection.fetch(
            "SELECT type, metadata FROM events WHERE tenant_id = $1 AND stream_id = $2 ORDER BY position",
            api.alder.id,
            pack_stream(pack),
        )
    assert [row["type"] for row in rows] == ["pack.installed", "pack.activated", "pack.deactivated"]
    assert all(row["metadata"]["actor"] and row["metadata"]["request_id"] for row in rows)


async def fettle(*arguments: str, home: Path, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fettle.cli.main",
        "packs",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "FETTLE_HOME": str(home), **environment},
        cwd=home,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def written(files: PackFiles, folder: Path) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


async def test_the_command_line_checks_a_folder_offline(tmp_path: Path):
    good = written(small_pack(), tmp_path / "good")
    status, out, _ = await fettle("validate", str(good), "--json", home=tmp_path)
    assert (status, json.loads(out)["valid"]) == (0, True)
    bad = written({**small_pack(), "rules.yaml": b"- {id: x}\n"}, tmp_path / "bad")
    status, out, _ = await fettle("validate", str(bad), "--json", home=tmp_path)
    document = json.loads(out)
    assert (status, document["valid"], document["problems"][0]["file"]) == (1, False, "rules.yaml")
    status, out, _ = await fettle("validate", str(bad), home=tmp_path)
    assert status == 1
    assert "rules.yaml:1 /0: error: 'action' is missing." in out
    assert (await fettle("validate", str(tmp_path / "none"), home=tmp_path))[0] == 2
    assert (await fettle("test", str(bad), home=tmp_path))[0] == 1
    assert (await fettle("test", str(shipped_folder() / "compliance-it"), home=tmp_path))[0] == 0
    other = written(small_pack(version="2.0.0", title="Other"), tmp_path / "other")
    status, out, _ = await fettle("diff", str(good), str(other), "--json", home=tmp_path)
    assert (status, json.loads(out)["manifest"][0]["after"]) == (1, "Other")
    assert (await fettle("diff", str(good), str(good), home=tmp_path))[0] == 0
    assert (
        json.loads((await fettle("schema", "policy-pack", home=tmp_path))[1])["title"] == "Fettle Policy Pack"
    )
    assert (await fettle("schema", "nothing", home=tmp_path))[0] == 2


async def test_the_command_line_signs_installs_activates_and_rolls_back(api, tmp_path: Path):
    pack = name()
    folder = written(small_pack(name=pack), tmp_path / "pack")
    pem = tmp_path / "key.pem"
    pem.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    status, out, err = await fettle("sign", str(folder), "--key", str(pem), "--json", home=tmp_path)
    assert status == 0, err
    assert json.loads(out)["public_key"] == public_text(KEY.public_key())
    tenant = {"FETTLE_URL": api.url, "FETTLE_API_KEY": api.alder.keys["tenant_admin"]}
    refused = await fettle("install", str(folder), home=tmp_path, **tenant)
    assert refused[0] == 4
    installed = await install(
        api, {**small_pack(name=pack), SIGNATURE_FILE: (folder / SIGNATURE_FILE).read_bytes()}
    )
    assert installed.status_code == 202, installed.text
    for arguments, wanted in (
        (["activate", pack, "1.0.0", "--json"], 0),
        (["rollback", pack], 0),
        (["rollback", pack], 6),
        (["activate", pack, "7.0.0"], 5),
    ):
        status, _, err = await fettle(*arguments, home=tmp_path, **tenant)
        assert status == wanted, err
    status, out, _ = await fettle("list", "--json", home=tmp_path, **tenant)
    assert status == 0
    assert pack in {item["id"] for item in json.loads(out)["items"]}
