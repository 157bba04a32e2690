"""People of the running application who sign in, with a session and, where wanted, a second factor or a passkey."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import pyotp
from tests.authenticator import Authenticator
from tests.fixtures_api import OWNER_PASSWORD

from fettle.identity.passwords import passwords
from fettle.kernel.ids import new_id

LOCALHOST = {"Host": "localhost"}
"""Passkeys belong to a name; an address is none."""


@dataclass
class Someone:
    """A person who is signed in."""

    id: UUID
    email: str
    headers: dict[str, str]


async def someone(api) -> Someone:
    """Make an account in alder and sign it in."""
    email, user_id = f"{uuid4().hex}@example.org", new_id()
    password_hash = await passwords(api.platform).hash(OWNER_PASSWORD)
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ann', $3)",
            user_id,
            email,
            password_hash,
        )
        await connection.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'viewer')",
            api.alder.id,
            user_id,
        )
    answer = await sign_in(api, email)
    return Someone(user_id, email, {"Authorization": f"Bearer {answer['access_token']}", **LOCALHOST})


async def sign_in(api, email) -> dict:
    """Sign in by the password, which everybody shares."""
    body = {"email": email, "password": OWNER_PASSWORD}
    answer = await api.client.post("/api/v1/auth/login", json=body, headers=LOCALHOST)
    api.client.cookies.clear()
    assert answer.status_code == 200, answer.text
    return answer.json()


async def begin_totp(api, person) -> str:
    """Return a code that would confirm the person's new authenticator app."""
    answer = await api.client.post("/api/v1/me/totp", headers=person.headers)
    assert answer.status_code == 200, answer.text
    return pyotp.TOTP(answer.json()["secret"]).now()


async def enrol(api, person) -> list[str]:
    """Give a person an authenticator app, and return the recovery codes."""
    body = {"code": await begin_totp(api, person)}
    answer = await api.client.post("/api/v1/me/totp/confirm", headers=person.headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["recovery_codes"]


async def passkey_to_add(api, person, device: Authenticator) -> dict:
    """Return what adds a person's passkey."""
    answer = await api.client.post("/api/v1/me/passkeys/options", headers=person.headers)
    assert answer.status_code == 200, answer.text
    options = answer.json()
    return {
        "name": "Laptop",
        "challenge_id": options["challenge_id"],
        "credential": device.make(options["public_key"]),
    }


async def passkey_to_use(api, device: Authenticator) -> dict:
    """Return what signs in with a passkey."""
    answer = await api.client.post("/api/v1/auth/passkeys/options", headers=LOCALHOST)
    options = answer.json()
    return {
        "challenge_id": options["challenge_id"],
        "credential": device.sign(options["public_key"]),
    }


async def own_things(api, user_id: str, canary: str) -> dict[str, str]:
    """Put in a session and a passkey of a person, and return their ids."""
    session_id, passkey_id = new_id(), new_id()
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO refresh_sessions (id, user_id, agent, expires_at) "
            "VALUES ($1, $2, $3, now() + interval '1 day')",
            session_id,
            UUID(user_id),
            canary,
        )
        await connection.execute(
            "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, transports) "
            "VALUES ($1, $2, $3, '', 0, $4, '{}')",
            passkey_id,
            UUID(user_id),
            passkey_id.bytes,
            canary,
        )
    return {"session_id": str(session_id), "passkey_id": str(passkey_id)}
