"""The first account: made once at the first start, with a password that is shown once and must be changed."""

from typing import Final

from sqlalchemy.dialects.postgresql import insert

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.models import User
from fettle.identity.passwords import new_one_time_password
from fettle.identity.sign_in import passwords
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

OWNER_EMAIL: Final = "owner@localhost"


async def ensure_owner(platform: Platform) -> str | None:
    """Create the owner's account, a platform administrator, where there is none yet.

    Returns:
        Its one-time password, which is nowhere else and never again to be had; None where the account exists.
    """
    one_time = new_one_time_password()
    password_hash = await passwords(platform).hash(one_time)
    async with platform.database.system() as session:
        created = await session.scalar(
            insert(User)
            .values(
                id=new_id(),
                email=OWNER_EMAIL,
                name="Owner",
                password_hash=password_hash,
                is_platform_admin=True,
                must_change_password=True,
            )
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(User.id)
        )
        if created is None:
            return None
        await audit.record(
            session, Who("system:setup"), "user.created", tenant_id=None, target=("user", created)
        )
    return one_time
