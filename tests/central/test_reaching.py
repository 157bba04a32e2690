"""What `fettle up` asks a database and a Redis of the operator's own before anything stands on them."""

import asyncio

import asyncpg
import pytest
from pydantic import SecretStr
from tests.cli.running import Fettle
from tests.ports import free_port

from fettle.central.diagnosis import diagnose
from fettle.central.processes import StartError
from fettle.central.reaching import check_own_database, check_own_redis
from fettle.kernel.settings import SettingsError, load_settings

SECRET = "canary-secret"


async def check(settings) -> None:
    await check_own_database(settings)
    await check_own_redis(settings)


async def refusal(settings, **changed) -> str:
    changed_settings = settings.model_copy(
        update={name: SecretStr(url) if url else None for name, url in changed.items()}
    )
    with pytest.raises(StartError) as refused:
        await check(changed_settings)
    said = str(refused.value)
    assert "\n" not in said
    assert SECRET not in said
    return said


async def test_parts_that_are_there_and_bound_by_row_level_security_are_taken(settings):
    await check(settings)


async def test_embedded_parts_are_not_asked(tmp_path):
    await check(load_settings(home=tmp_path))


async def test_an_address_that_lacks_the_others_says_which(settings):
    said = await refusal(settings, database_app_url=None)
    assert said == "FETTLE_DATABASE_URL is set; FETTLE_DATABASE_APP_URL must be set with it."


@pytest.mark.parametrize("setting", ["database_url", "database_app_url", "database_system_url"])
async def test_a_database_that_does_not_answer_is_named_without_its_password(settings, setting):
    port = free_port()
    said = await refusal(settings, **{setting: f"postgresql://fettle:{SECRET}@127.0.0.1:{port}/fettle"})
    assert said.startswith(f"FETTLE_{setting.upper()}: 127.0.0.1:{port} does not answer as PostgreSQL")


async def test_what_is_no_database_is_said_so(settings):
    async def greet(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await refusal(settings, database_url=f"postgresql://fettle@127.0.0.1:{port}/fettle")
        assert "does not answer as PostgreSQL" in said
        said = await refusal(settings, redis_url=f"redis://:{SECRET}@127.0.0.1:{port}/0")
        assert said.startswith(f"FETTLE_REDIS_URL: 127.0.0.1:{port} does not answer as Redis")


async def test_a_database_that_refuses_says_why(settings, postgres):
    said = await refusal(settings, database_url=postgres.dsn("fettle_owner", "nowhere"))
    assert said.startswith("FETTLE_DATABASE_URL: ")
    assert 'database "nowhere" does not exist' in said


async def test_a_role_that_row_level_security_does_not_bind_is_refused(settings, postgres):
    said = await refusal(settings, database_app_url=postgres.superuser_url)
    assert "FETTLE_DATABASE_APP_URL: the role postgres is not bound by row-level security" in said
    assert "CREATE ROLE fettle_app LOGIN NOSUPERUSER NOBYPASSRLS" in said


async def test_roles_that_were_exchanged_are_refused(settings, postgres):
    said = await refusal(settings, database_app_url=postgres.system_url)
    assert "signs in as fettle_system; it must be the role fettle_app" in said
    said = await refusal(settings, database_system_url=postgres.owner_url)
    assert "signs in as fettle_owner; it must be the role fettle_system" in said


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("FETTLE_DATABASE_URL", SECRET),
        ("FETTLE_DATABASE_APP_URL", f"mysql://root:{SECRET}@127.0.0.1/fettle"),
        ("FETTLE_DATABASE_SYSTEM_URL", f"postgresql://fettle:{SECRET}@127.0.0.1:99999/fettle"),
        ("FETTLE_DATABASE_URL", f"postgresql://[{SECRET}/fettle"),
        ("FETTLE_REDIS_URL", f"http://:{SECRET}@127.0.0.1/0"),
        ("FETTLE_REDIS_URL", "redis://"),
    ],
)
def test_an_address_that_is_none_is_named_without_its_password(monkeypatch, setting, address):
    monkeypatch.setenv(setting, address)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"{setting}: ")
    assert SECRET not in str(refused.value)


async def test_the_start_says_it_in_one_line_and_starts_nothing(tmp_path):
    port = free_port()
    settings = {"FETTLE_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:{port}/0"}
    status, _, err = await Fettle(tmp_path, free_port(), settings=settings).call("up")
    assert (status, err.count("\n")) == (7, 1)
    assert f"FETTLE_REDIS_URL: 127.0.0.1:{port} does not answer" in err
    assert not (tmp_path / "postgres").exists()


async def found(settings):
    return {finding.part: finding async for finding in diagnose(settings)}


async def test_doctor_says_the_same_of_a_database_and_of_a_redis(settings):
    port = free_port()
    wrong = SecretStr(f"postgresql://fettle:{SECRET}@127.0.0.1:{port}/fettle")
    looked = await found(settings.model_copy(update={"database_app_url": wrong}))
    assert looked["database"].state == "wrong"
    assert looked["database"].seen.startswith(f"FETTLE_DATABASE_APP_URL: 127.0.0.1:{port} does not answer")
    wrong = SecretStr(f"redis://:{SECRET}@127.0.0.1:{port}/0")
    looked = await found(settings.model_copy(update={"redis_url": wrong}))
    assert looked["database"].state != "wrong"
    assert looked["redis"].seen.startswith(f"FETTLE_REDIS_URL: 127.0.0.1:{port} does not answer")
    assert SECRET not in "".join(finding.seen + finding.mend for finding in looked.values())


async def test_doctor_finds_a_schema_that_is_old(settings):
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    async with owner.transaction():
        (newest,) = await owner.fetchrow("SELECT version_num FROM alembic_version")
        await owner.execute("UPDATE alembic_version SET version_num = '0001_kernel'")
    looked = (await found(settings))["schema"]
    await owner.execute("UPDATE alembic_version SET version_num = $1", newest)
    await owner.close()
    assert (looked.state, looked.mend) == ("wrong", "fettle db upgrade")
    assert (await found(settings))["schema"].state == "ok"


async def test_doctor_finds_a_home_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    for home, said in ((tmp_path / "file", "is no folder"), (tmp_path / "file" / "home", "Not a directory")):
        looked = await found(load_settings(home=home))
        assert looked["home"].state == "wrong"
        assert said in looked["home"].seen
        assert looked["disk"].state == "ok"
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    assert (await found(load_settings(home=open_to_all)))["home"].mend == f"chmod 0700 {open_to_all}"
