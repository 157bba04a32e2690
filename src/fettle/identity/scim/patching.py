"""The operations of PATCH (RFC 7644, section 3.5.2) on a resource, also as Entra ID and Okta send them; pure."""

import copy
from collections.abc import Mapping
from typing import Any, Final

from fettle.identity.scim.errors import ScimProblem, invalid_value
from fettle.identity.scim.filters import Path, get, parse_path

PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MOST_OPERATIONS: Final = 1_000


def patched(resource: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resource after all operations; it is not changed itself.

    Args:
        resource: As it is.
        body: A ``PatchOp`` message.

    Raises:
        ScimProblem: The message is none, or an operation cannot be applied.
    """
    operations, schemas = get(body, "Operations"), body.get("schemas")
    if (
        not isinstance(schemas, list)
        or PATCH not in schemas
        or not isinstance(operations, list)
        or not operations
    ):
        raise ScimProblem(400, f"Send the schema {PATCH} and a list of Operations.", "invalidSyntax")
    if len(operations) > MOST_OPERATIONS:
        raise ScimProblem(413, f"Send at most {MOST_OPERATIONS} operations at a time.", "tooMany")
    result = copy.deepcopy(dict(resource))
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise ScimProblem(400, "An operation is an object with op, path and value.", "invalidSyntax")
        _apply(result, operation)
    return result


def _apply(resource: dict[str, Any], operation: Mapping[str, Any]) -> None:
    name = str(get(operation, "op") or "").lower()
    path, value = get(operation, "path"), get(operation, "value")
    if name not in {"add", "replace", "remove"}:
        raise ScimProblem(400, "op is add, replace or remove.", "invalidSyntax")
    if path is None or path == "":
        if name == "remove":
            raise ScimProblem(400, "remove needs a path.", "noTarget")
        if not isinstance(value, Mapping):
            raise invalid_value("Without a path the value is an object of attributes.")
        for key, one in value.items():
            # Both providers send whole paths as keys: {"name.givenName": "Ann"}.
            where = Path((key,)) if isinstance(one, Mapping) else parse_path(str(key))
            _set(resource, where, one, adds=name == "add")
        return
    if not isinstance(path, str):
        raise ScimProblem(400, "path is a text.", "invalidPath")
    where = parse_path(path)
    if name == "remove":
        _remove(resource, where, value)
    else:
        _set(resource, where, value, adds=name == "add")


def _set(resource: dict[str, Any], path: Path, value: Any, *, adds: bool) -> None:
    holder, key = _holder(resource, path)
    if path.chosen is not None:
        _set_chosen(holder, key, path, value)
    elif isinstance(holder.get(key), list) and (adds or isinstance(value, Mapping)):
        fresh = value if isinstance(value, list) else [value]
        kept = list(holder[key]) if adds else []
        there = {_value_of(one) for one in kept} - {None}
        holder[key] = kept + [one for one in fresh if _value_of(one) not in there]
    elif isinstance(holder.get(key), dict) and isinstance(value, Mapping):
        holder[key] = {**holder[key], **value} if adds else dict(value)
    else:
        holder[key] = value


def _set_chosen(holder: dict[str, Any], key: str, path: Path, value: Any) -> None:
    assert path.chosen is not None
    listed = holder.get(key)
    listed = listed if isinstance(listed, list) else []
    chosen = [one for one in listed if isinstance(one, dict) and path.chosen(one)]
    if not chosen:
        if path.equal is None:
            raise ScimProblem(400, "No value is what the path asks for.", "noTarget")
        # Entra ID sets emails[type eq "work"].value where there is no such address yet.
        chosen = [{path.equal[0]: path.equal[1]}]
        listed = [*listed, *chosen]
    for one in chosen:
        if path.sub is not None:
            one[path.sub] = value
        elif isinstance(value, Mapping):
            one.update(value)
        else:
            raise invalid_value("A chosen value is replaced by an object.")
    holder[key] = listed


def _remove(resource: dict[str, Any], path: Path, value: Any) -> None:
    holder, key = _holder(resource, path)
    listed = holder.get(key)
    if path.chosen is not None:
        if not isinstance(listed, list):
            return
        for one in [one for one in listed if isinstance(one, dict) and path.chosen(one)]:
            if path.sub is not None:
                one.pop(path.sub, None)
            else:
                listed.remove(one)
    elif isinstance(listed, list) and value is not None:
        # Entra ID names the members to take out in the value and not in the path.
        gone = {_value_of(one) for one in (value if isinstance(value, list) else [value])}
        holder[key] = [one for one in listed if _value_of(one) not in gone]
    else:
        holder.pop(key, None)


def _holder(resource: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """Return the object that a path's last name is in, made where it is missing, and the key as it is written."""
    holder = resource
    for name in path.names[:-1]:
        key = _key(holder, name)
        if not isinstance(holder.get(key), dict):
            holder[key] = {}
        holder = holder[key]
    return holder, _key(holder, path.names[-1])


def _key(holder: Mapping[str, Any], name: str) -> str:
    lowered = name.lower()
    return next((key for key in holder if key.lower() == lowered), name)


def _value_of(value: Any) -> Any:
    found = value.get("value") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else None
