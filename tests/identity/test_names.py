"""What a person may do in a tenant is known however many people the tenant has."""

from tests.conftest import insert_tenant

from fettle.identity.names import permissions_of_person
from fettle.identity.permissions import permissions_of
from fettle.incidents.assigning import name_of_worker
from fettle.incidents.commands import By

MANY = """
WITH made AS (
  INSERT INTO users (id, email, name, password_hash)
  SELECT gen_random_uuid(), gen_random_uuid() || '@example.org', 'Person ' || lpad(n::text, 5, '0'), 'x'
  FROM generate_series(1, 1200) n RETURNING id, name
)
INSERT INTO memberships (tenant_id, user_id, role)
SELECT $1, id, CASE WHEN name = 'Person 01200' THEN 'operator' ELSE 'viewer' END FROM made RETURNING user_id, role
"""


async def test_whoever_comes_last_by_name_may_what_their_role_lets_them(database, tenant):
    async with database.raw_system() as connection:
        rows = await connection.fetch(MANY, tenant)
    [last] = [row["user_id"] for row in rows if row["role"] == "operator"]
    async with database.tenant(tenant) as session:
        assert await permissions_of_person(session, tenant, last) == permissions_of("operator")
        assert await name_of_worker(session, tenant, By("key:1", None, None), last) == "Person 01200"
    elsewhere = await insert_tenant(database, "birch")
    async with database.tenant(elsewhere) as session:
        assert await permissions_of_person(session, elsewhere, last) == frozenset()
