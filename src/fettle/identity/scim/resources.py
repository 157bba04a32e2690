"""Users and Groups as SCIM writes them, and what is taken of those that are sent; pure."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fettle.identity.scim.errors import ScimProblem, invalid_value
from fettle.identity.scim.filters import get
from fettle.kernel.clock import rfc3339
from fettle.kernel.jsonio import dumps

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BASE: Final = "/api/v1/scim/v2"

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST: Final = 254
_KEPT: Final = (
    "name", "displayName", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone", "emails",
)  # fmt: skip
_ALWAYS: Final = ("schemas", "id", "meta")
_NAME_PARTS: Final = ("formatted", "familyName", "givenName", "middleName")
_MOST_MEMBERS: Final = 50_000


@dataclass(frozen=True, slots=True)
class UserIn:
    """What a provider says of a person.

    Attributes:
        user_name: The account's address, in lower case.
        attributes: What is kept of the rest.
    """

    user_name: str
    external_id: str | None
    active: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what people call the person."""
        name = self.attributes.get("name", {})
        parts = " ".join(name[part] for part in ("givenName", "familyName") if name.get(part))
        chosen = self.attributes.get("displayName") or name.get("formatted") or parts or self.user_name
        return str(chosen)[:200]


@dataclass(frozen=True, slots=True)
class GroupIn:
    """What a provider says of a group.

    Attributes:
        members: Ids of its users.
    """

    display_name: str
    external_id: str | None
    members: Sequence[UUID]


def user_in(body: Mapping[str, Any]) -> UserIn:
    """Read a User.

    Raises:
        ScimProblem: It lacks a userName that is an address, or an attribute has the wrong type.
    """
    user_name = _text(get(body, "userName"), "userName") or ""
    if _EMAIL.fullmatch(user_name) is None:
        raise invalid_value(
            "userName must be an e-mail address: map it to the user's principal name or mail."
        )
    kept = {name: _kept(name, get(body, name)) for name in _KEPT}
    attributes = {name: value for name, value in kept.items() if value not in (None, {}, [])}
    extension = get(body, ENTERPRISE)
    if isinstance(extension, Mapping):
        texts = {key: value for key, value in extension.items() if isinstance(value, str)}
        attributes[ENTERPRISE] = {key: value[:_LONGEST] for key, value in list(texts.items())[:20]}
    return UserIn(
        user_name.lower(),
        _text(get(body, "externalId"), "externalId"),
        _active(get(body, "active")),
        attributes,
    )


def group_in(body: Mapping[str, Any]) -> GroupIn:
    """Read a Group.

    Raises:
        ScimProblem: It lacks a displayName, or a member is no user's id.
    """
    name = _text(get(body, "displayName"), "displayName")
    if not name or not name.strip():
        raise invalid_value("displayName is missing.")
    listed = get(body, "members") or []
    if not isinstance(listed, list) or len(listed) > _MOST_MEMBERS:
        raise invalid_value(f"members is a list of at most {_MOST_MEMBERS}.")
    return GroupIn(
        name.strip(),
        _text(get(body, "externalId"), "externalId"),
        list(dict.fromkeys(_member(one) for one in listed)),
    )


def user_out(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user as a resource.

    Args:
        row: Of `directory`.
    """
    body = {
        "schemas": [USER, *([ENTERPRISE] if ENTERPRISE in row["attributes"] else [])],
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "userName": row["user_name"],
        **row["attributes"],
        "active": row["active"],
        "groups": [
            {**one, "$ref": f"{BASE}/Groups/{one['value']}", "type": "direct"} for one in row["groups"]
        ],
        "roles": [{"value": row["role"], "primary": True}] if row["role"] else [],
    }
    return _with_meta(body, "User", row["created_at"], row["updated_at"])


def group_out(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group as a resource."""
    body = {
        "schemas": [GROUP],
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "displayName": row["display_name"],
        "members": [
            {**one, "$ref": f"{BASE}/Users/{one['value']}", "type": "User"} for one in row["members"]
        ],
    }
    return _with_meta(body, "Group", row["created_at"], row["updated_at"])


def chosen(resource: Mapping[str, Any], attributes: str | None, excluded: str | None) -> Mapping[str, Any]:
    """Return the attributes that were asked for, and those that always are there (RFC 7644, section 3.9)."""
    if attributes:
        wanted = _asked_for(attributes)
        kept = {key: _with(value, wanted.get(key.lower())) for key, value in resource.items()}
    elif excluded:
        unwanted = _asked_for(excluded)
        kept = {key: _without(value, unwanted.get(key.lower())) for key, value in resource.items()}
    else:
        return resource
    always = {key: resource[key] for key in _ALWAYS}
    return {key: value for key, value in (kept | always).items() if value not in (None, {}, [])}


def role_named(display_name: str) -> str:
    """Return the role's name that a group's name stands for: "Fettle Tenant Admin" is tenant_admin."""
    words = re.sub(r"[^a-z0-9]+", "_", display_name.lower()).strip("_")
    return words.removeprefix("fettle_")


def _with_meta(body: dict[str, Any], kind: str, created: datetime, updated: datetime) -> dict[str, Any]:
    body = {key: value for key, value in body.items() if value not in (None, [])}
    version = f'W/"{hashlib.sha256(dumps(body)).hexdigest()[:16]}"'
    meta = {
        "resourceType": kind,
        "created": rfc3339(created),
        "lastModified": rfc3339(updated),
        "location": f"{BASE}/{kind}s/{body['id']}",
        "version": version,
    }
    return {**body, "meta": meta}


def _kept(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "name":
        if not isinstance(value, Mapping):
            raise invalid_value("name is an object.")
        parts = {part: _text(get(value, part), f"name.{part}") for part in _NAME_PARTS}
        return {part: text for part, text in parts.items() if text}
    if name == "emails":
        if not isinstance(value, list):
            raise invalid_value("emails is a list.")
        return [_address(one) for one in value[:10] if isinstance(one, Mapping) and get(one, "value")]
    return _text(value, name)


def _address(one: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _text(get(one, "value"), "emails.value")}
    if isinstance(kind := get(one, "type"), str):
        found["type"] = kind[:_LONGEST]
    if get(one, "primary") is not None:
        found["primary"] = _active(get(one, "primary"))
    return found


def _active(value: Any) -> bool:
    """Read a boolean, which Entra ID sends as the text "False" unless it is told otherwise."""
    if value is None or value is True:
        return True
    if value is False:
        return False
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise invalid_value("active is true or false.")


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise invalid_value(f"{name} is a text of at most {_LONGEST} characters.")
    return value


def _member(one: Any) -> UUID:
    value = get(one, "value") if isinstance(one, Mapping) else None
    try:
        return UUID(str(value))
    except ValueError:
        raise ScimProblem(400, f"{str(value)[:50]!r} is no user of this tenant.", "invalidValue") from None


def _asked_for(names: str) -> dict[str, set[str]]:
    """Return the attributes of a list of paths, each with the parts of it that are meant; "" is all of it."""
    found: dict[str, set[str]] = {}
    extension = ENTERPRISE.lower()
    for name in names.lower().split(","):
        path = name.strip()
        if path == extension or path.startswith(f"{extension}:"):
            top, part = extension, path[len(extension) + 1 :]
        else:
            top, _, part = path.rpartition(":")[2].partition(".")
        found.setdefault(top, set()).add(part)
    return found


def _with(value: Any, parts: set[str] | None) -> Any:
    if parts is None:
        return None
    return value if "" in parts else _narrowed(value, lambda name: name in parts)


def _without(value: Any, parts: set[str] | None) -> Any:
    if parts is None:
        return value
    return None if "" in parts else _narrowed(value, lambda name: name not in parts)


def _narrowed(value: Any, keeps: Callable[[str], bool]) -> Any:
    """Return of an object, or of each of a list of them, the parts that are kept."""
    if isinstance(value, list):
        return [part for one in value if (part := _narrowed(one, keeps)) not in (None, {})]
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if keeps(name.lower())}
    return None
