"""The part of a Policy Pack's schema that says when what healed before becomes a rule, and what a heal is worth."""

from fettle.packs import schema_terms as terms
from fettle.packs.schema_terms import Schema


def flywheel() -> Schema:
    """Return the schema of `flywheel`."""
    return terms.mapping(
        {
            "enabled": {
                "type": "boolean",
                "description": "Rules are proposed; without it, they are. What heals is counted in any case.",
            },
            "promotion": terms.one_of(
                ("by_person", "by_itself"),
                "by_person: somebody promotes what is proposed; by_itself: it goes into shadow at once.",
            ),
            "least_successes": _whole("Fewer heals make no rule; without it, 5.", 5, 100_000),
            "lower_bound": _share("Lower end of Wilson's interval of the heals, at least; without it, 0.8."),
            "confidence": _share("Of that interval; without it, 0.95.", least=0.5, most=0.999),
            "clean_last": _whole("No failure among so many of the last; without it, 10.", 0, 50),
            "variety": _whole(
                "A field that had so many different values is left open; without it, 5.", 3, 12
            ),
            "ignored_fields": terms.many(
                {
                    "type": "string",
                    "pattern": "^(details|labels)\\.[A-Za-z0-9_.*-]{1,120}$",
                    "description": "Path of a field; '*' stands for any text.",
                },
                "Fields that say nothing of the fault, so that no rule looks at them.",
            ),
            "priority": _whole(
                "Of the rules that grow; those of packs come first. Without it, 900.", 1, 100_000
            ),
            "shadow_successes": _whole(
                "So often a rule must have been right in shadow before it acts; without it, 3.", 1, 1_000
            ),
            "canary_share": _share(
                "Share of the incidents that it acts on at first; without it, 0.25.", least=0.0625
            ),
            "canary_successes": _whole(
                "So often it must have healed there before it acts everywhere; without it, 3.", 1, 1_000
            ),
            "retire_failures": _whole(
                "So many failures among its last runs retire it; without it, 2.", 1, 50
            ),
            "retire_window": _whole("Its last runs: so many; without it, 10.", 1, 50),
            "pool": {
                "type": "boolean",
                "description": "Its figures by pattern and playbook go into the pool of at least five tenants, "
                "nothing else does, and it sees the pool's; without it, neither.",
            },
            "minutes_by_hand": _number(
                "Minutes that a person takes for such an incident; without it, FETTLE_MINUTES_PER_INCIDENT.",
                0,
                10_000,
            ),
            "cost_per_hour": _number("What that person's hour costs; without it, 60.", 0, 100_000),
            "currency": {
                "type": "string",
                "pattern": "^[A-Z]{3}$",
                "description": "Of that cost: three letters, such as EUR; without it, USD.",
            },
        },
        description="When what healed before becomes a rule, and what a heal is worth.",
    )


def _whole(description: str, least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def _share(description: str, *, least: float = 0, most: float = 1) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most, "description": description}


def _number(description: str, least: float, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most, "description": description}
