"""Makes the page ``docs/permissions.md`` from the one list of permissions and roles."""

from fettle.identity.permissions import KEY_SCOPES, PERMISSIONS, ROLES


def permissions_page() -> str:
    """Return ``docs/permissions.md``."""
    names = [role.name for role in ROLES.values()]
    lines = [
        "# Permissions",
        "",
        "Made from `src/fettle/identity/permissions.py`, and held so by a test, with",
        "`python -m fettle.identity.permissions_page > docs/permissions.md`.",
        "",
        "Every route asks for one permission. A person has those of their role in the tenant, and of their role at",
        "the partner that looks after it; an API key has those that it was given, of the ones marked `key`. A tenant",
        "defines roles of its own from the same ones, and nobody gives what they do not hold.",
        "",
        "## What may be done",
        "",
        f"| permission | what it lets one do | key | {' | '.join(f'`{name}`' for name in names)} |",
        f"| --- | --- | --- |{' --- |' * len(names)}",
    ]
    for name, description in PERMISSIONS.items():
        marks = [
            "yes" if held else ""
            for held in (name in KEY_SCOPES, *(name in r.permissions for r in ROLES.values()))
        ]
        lines.append(f"| `{name}` | {description} | {' | '.join(marks)} |")
    lines += ["", "## The built-in roles", "", "| role | who it is for |", "| --- | --- |"]
    lines += [f"| `{role.name}` | {role.description} |" for role in ROLES.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(permissions_page(), end="")  # noqa: T201 - the page is what the command is for
