"""The JSON Schemas (draft 2020-12) of Domain Packs and Policy Packs, from which docs/schemas is made."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jsonschema_rs

from fettle.packs import schema_parts as parts
from fettle.packs.schema_policy import policy_pack
from fettle.packs.schema_sources import source_mapping
from fettle.packs.schema_temporal import temporal_rule

DOMAIN_PACK_ID: Final = "urn:fettle:schema:domain-pack:1"
POLICY_PACK_ID: Final = "urn:fettle:schema:policy-pack:1"
SOURCE_MAPPING_ID: Final = "urn:fettle:schema:source-mapping:1"
TEMPORAL_RULE_ID: Final = "urn:fettle:schema:temporal-rule:1"

SECTIONS: Final = {
    "exception_types": "exception_type",
    "rules": "rule",
    "temporal_rules": "temporal_rule",
    "playbooks": "playbook",
    "runbooks": "runbook",
    "sources": "source",
    "tests": "test",
}
"""The sections of a pack that have files of their own, and the definition that each of their items meets."""

ITEM_KEYS: Final = {
    "exception_types": "check_type",
    "rules": "id",
    "temporal_rules": "id",
    "playbooks": "id",
    "runbooks": "id",
    "sources": "id",
    "tests": "name",
}
"""The field by which an item of a section is told from its neighbours."""


@cache
def domain_pack_schema() -> dict[str, Any]:
    """Return the schema of a whole Domain Pack: the manifest's fields and every section as one document."""
    definitions = parts.definitions()
    manifest = definitions["manifest"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": DOMAIN_PACK_ID,
        "title": "Fettle Domain Pack",
        "description": (
            "A Domain Pack is a folder: pack.yaml meets #/$defs/manifest; exception_types, rules, temporal_rules, "
            "playbooks, runbooks, sources and tests each stand in <section>.yaml or in files of a folder of that name, "
            "as one item or a list of items. This schema describes the pack as one document."
        ),
        "type": "object",
        "required": manifest["required"],
        "additionalProperties": False,
        "properties": {
            **manifest["properties"],
            **{
                section: {"type": "array", "items": {"$ref": f"#/$defs/{definition}"}}
                for section, definition in SECTIONS.items()
            },
        },
        "$defs": definitions,
    }


@cache
def policy_pack_schema() -> dict[str, Any]:
    """Return the schema of a Policy Pack."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": POLICY_PACK_ID,
        "title": "Fettle Policy Pack",
        "description": "A tenant's own choices over its Domain Packs.",
        **policy_pack(),
    }


@cache
def item_validator(definition: str) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of one definition of the Domain Pack schema, such as ``rule``."""
    document = {"$ref": f"#/$defs/{definition}", "$defs": domain_pack_schema()["$defs"]}
    return _validator(document)


@cache
def mapping_schema() -> dict[str, Any]:
    """Return the schema of a source's mapping alone, as a tenant edits it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SOURCE_MAPPING_ID,
        "title": "Fettle source mapping",
        **source_mapping(),
    }


@cache
def mapping_validator() -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a mapping alone."""
    return _validator(mapping_schema())


@cache
def temporal_rule_schema() -> dict[str, Any]:
    """Return the schema of a rule over time alone, as a tenant writes it."""
    definitions = parts.definitions()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": TEMPORAL_RULE_ID,
        "title": "Fettle rule over time",
        **temporal_rule(),
        "$defs": {"condition": definitions["condition"]},
    }


@cache
def policy_validator() -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a Policy Pack."""
    return _validator(policy_pack_schema())


def published() -> dict[str, str]:
    """Return the published schemas by name, as the text of their files under ``docs/schemas``."""
    documents = {
        "domain-pack": domain_pack_schema(),
        "policy-pack": policy_pack_schema(),
        "source-mapping": mapping_schema(),
        "temporal-rule": temporal_rule_schema(),
    }
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def _validator(document: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        dict(document), pattern_options=jsonschema_rs.RegexOptions(), offline=True
    )
