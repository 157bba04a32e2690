"""What writes no longer do over: words of an unchanged text, parts of a known text, copies of a long decision."""

from alembic import op

revision = "0025_lighter_writes"
down_revision = "0024_escalation_feed"
branch_labels = None
depends_on = None

# Row-level security keeps `@@` from using an index, so that one only cost each move of an incident. The words held
# the rule's id, too, and so were found anew at each move; the rule is looked for by itself now.
_UPGRADE = [
    "DROP INDEX ix_incidents_search",
    "ALTER TABLE incidents DROP COLUMN search",
    """ALTER TABLE incidents ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (
         to_tsvector('simple', title || ' ' || check_type || ' ' || coalesce(host, '') || ' ' ||
                     coalesce(site, '') || ' ' || coalesce(summary, ''))
         || jsonb_to_tsvector('simple', labels, '["string"]')
       ) STORED""",
    # A plan is long and written once; beside its row, it is not copied at each move of the incident.
    "ALTER TABLE incidents ALTER COLUMN decision SET STORAGE EXTERNAL",
    "ALTER TABLE incidents SET (toast_tuple_target = 1024)",
    # The transaction's id is taken before the position, as ever (0001_kernel): CASE looks at its condition first.
    """ALTER TABLE events ALTER COLUMN position
         SET DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('event_position') END""",
    "DROP FUNCTION next_event_position()",
    # Who writes a bundle has these at hand; to find them in its text took longer than to store it.
    *(
        f"ALTER TABLE evidence_bundles ALTER COLUMN {name} DROP EXPRESSION, ALTER COLUMN {name} SET NOT NULL"
        for name in ("previous_hash", "signature", "key_id")
    ),
]

_DOWNGRADE = [
    """CREATE FUNCTION next_event_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS
       $$ BEGIN PERFORM pg_current_xact_id(); RETURN nextval('event_position'); END $$""",
    "ALTER TABLE events ALTER COLUMN position SET DEFAULT next_event_position()",
    "ALTER TABLE incidents RESET (toast_tuple_target)",
    "ALTER TABLE incidents ALTER COLUMN decision SET STORAGE EXTENDED",
    "ALTER TABLE evidence_bundles DROP COLUMN key_id, DROP COLUMN signature, DROP COLUMN previous_hash",
    """ALTER TABLE evidence_bundles
         ADD COLUMN previous_hash text GENERATED ALWAYS AS (bundle::jsonb ->> 'previous') STORED,
         ADD COLUMN signature text GENERATED ALWAYS AS (bundle::jsonb #>> '{proof,signature}') STORED,
         ADD COLUMN key_id text GENERATED ALWAYS AS (bundle::jsonb #>> '{proof,key_id}') STORED""",
    "ALTER TABLE incidents DROP COLUMN search",
    """ALTER TABLE incidents ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (
         to_tsvector('simple', title || ' ' || check_type || ' ' || coalesce(host, '') || ' ' ||
                     coalesce(site, '') || ' ' || coalesce(summary, '') || ' ' || coalesce(rule_id, ''))
         || jsonb_to_tsvector('simple', labels, '["string"]')
       ) STORED""",
    "CREATE INDEX ix_incidents_search ON incidents USING gin (search)",
]


def upgrade() -> None:
    """Rewrite the columns."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Write them as they were."""
    for statement in _DOWNGRADE:
        op.execute(statement)
