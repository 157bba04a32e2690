"""Brings every sealed secret in the database under the current master key, a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fettle.kernel.database import Database, DriverConnection
from fettle.kernel.secrets import FORMAT, HEAD_BYTES, SecretBox, SecretUnreadable

_BATCH: Final = 500
_LOCK: Final = 0x66_74_6D_6B  # any number that no other advisory lock of ours has

SEALED_COLUMNS: Final = """
SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND a.atttypid = 'bytea'::regtype AND a.attname LIKE 'sealed%'
ORDER BY 1, 2
"""
"""Where sealed secrets are: each column of bytes whose name begins with ``sealed``, in whatever table."""

# What belonged to a secret of the first format, from which it is sealed anew; nothing else was sealed then.
_BELONGED: Final = {
    ("tenant_secrets", "sealed"): "'tenant_secrets:' || tenant_id || ':' || name",
    ("token_keys", "sealed_private_key"): "'token_keys:' || id",
    ("evidence_keys", "sealed_private_key"): "'evidence-key:' || id",
}


@dataclass(frozen=True, slots=True)
class SealedBy:
    """How many secrets of one column one master key sealed.

    Attributes:
        key_id: In hexadecimal digits.
        is_first_format: They are of the first format.
    """

    table: str
    column: str
    key_id: str
    is_first_format: bool
    count: int


async def sealed_by(database: Database) -> list[SealedBy]:
    """Count the sealed secrets by column and master key."""
    found = []
    async with database.raw_system() as connection:
        for table, column in await _columns(connection):
            rows = await connection.fetch(
                f"SELECT substring({column} FROM 1 FOR {HEAD_BYTES}) AS head, count(*) AS n "  # noqa: S608 - names of the catalog
                f"FROM {table} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1"
            )
            found += [
                SealedBy(table, column, row["head"][1:].hex(), row["head"][:1] != FORMAT, row["n"])
                for row in rows
            ]
    return found


def due(counts: list[SealedBy], box: SecretBox) -> int:
    """Return how many secrets are not yet as the current master key would seal them."""
    current = box.keys.current().id.hex()
    return sum(one.count for one in counts if one.key_id != current or one.is_first_format)


async def rewrap_all(database: Database, box: SecretBox, told: Callable[[int], None]) -> int:
    """Wrap the key of every sealed secret by the current master key; again after a crash, it goes on.

    Each batch is a transaction of its own, and whatever was brought over is not looked at again. Secrets that
    are sealed meanwhile are sealed by the current key already.

    Args:
        database: Through whose system role the secrets are read.
        box: With the master keys; their first is the one to come under.
        told: Called with the number of each batch.

    Returns:
        How many were brought over.

    Raises:
        SecretUnreadable: One cannot be opened with the keys that there are; what came before it is done.
    """
    done = 0
    async with database.raw_system() as guard:
        await guard.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            for table, column in await _columns(guard):
                while moved := await _rewrap_batch(database, box, table, column):
                    done += moved
                    told(moved)
        finally:
            await guard.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return done


async def check_keys(database: Database, box: SecretBox) -> str | None:
    """Return one line that says which master key is missing; None where every sealed secret can be opened."""
    known = {key.id.hex() for key in box.keys.all()}
    missing = sorted({one.key_id for one in await sealed_by(database)} - known)
    if not missing:
        return None
    where = "FETTLE_MASTER_KEY" if box.keys.file is None else str(box.keys.file)
    return (
        f"{where}: stored secrets are sealed by the master key {', '.join(missing)}, which is not here. "
        "Put that key back, or add it to FETTLE_OLD_MASTER_KEYS."
    )


async def _rewrap_batch(database: Database, box: SecretBox, table: str, column: str) -> int:
    current = FORMAT + box.keys.current().id
    belonged = _BELONGED.get((table, column), "NULL")
    async with database.raw_system() as connection, connection.transaction():
        # By the row's place, which nobody moves while it is locked; a table need not have a key of one column.
        rows = await connection.fetch(
            f"SELECT ctid, {column} AS sealed, ({belonged})::text AS belonged FROM {table} "  # noqa: S608 - names of the catalog
            f"WHERE {column} IS NOT NULL AND substring({column} FROM 1 FOR {HEAD_BYTES}) <> $1 "
            f"LIMIT {_BATCH} FOR UPDATE",
            current,
        )
        for row in rows:
            try:
                fresh = _brought_over(box, row["sealed"], row["belonged"])
            except SecretUnreadable as error:
                raise SecretUnreadable(f"{table}.{column}: {error}") from None
            await connection.execute(
                f"UPDATE {table} SET {column} = $2 WHERE ctid = $1",  # noqa: S608 - as above
                row["ctid"],
                fresh,
            )
    return len(rows)


def _brought_over(box: SecretBox, sealed: bytes, belonged: str | None) -> bytes:
    if sealed.startswith(FORMAT) or belonged is None:
        return box.rewrap(sealed)
    aad = belonged.encode()
    return box.encrypt(box.decrypt(sealed, aad), aad)


async def _columns(connection: DriverConnection) -> list[tuple[str, str]]:
    return [(row["table_name"], row["column_name"]) for row in await connection.fetch(SEALED_COLUMNS)]
