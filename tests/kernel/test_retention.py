"""The page on what is kept names every table, each once, and no scheduled work that is not there."""

import re
from pathlib import Path

from fettle.central.features import schedules

PAGE = Path(__file__).parents[2] / "docs" / "retention.md"


async def test_every_table_says_who_forgets_it(database):
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace "
            "AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'"
        )
    tables = {row["relname"] for row in rows}
    said = re.findall(r"`([a-z_]+)`", PAGE.read_text(encoding="utf-8"))
    named = [name for name in said if name in tables]
    assert sorted(tables - set(named)) == [], "say in docs/retention.md who forgets them, and when"
    assert sorted({name for name in named if named.count(name) > 1}) == []


def test_what_forgets_is_scheduled():
    said = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", PAGE.read_text(encoding="utf-8")))
    assert said - set(schedules()) == set()
