"""What SCIM says of itself: the provider's configuration, resource types and schemas."""

from typing import Any, Final

from fettle.identity.scim.resources import BASE, ENTERPRISE, GROUP, USER

_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0"

CONFIG: Final[dict[str, Any]] = {
    "schemas": [f"{_CORE}:ServiceProviderConfig"],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 200},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": True},
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "An API key with the scope scim:write as a bearer token.",
            "primary": True,
        }
    ],
    "meta": {"resourceType": "ServiceProviderConfig", "location": f"{BASE}/ServiceProviderConfig"},
}

RESOURCE_TYPES: Final[list[dict[str, Any]]] = [
    {
        "schemas": [f"{_CORE}:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
        "schemaExtensions": [{"schema": ENTERPRISE, "required": False}] if name == "User" else [],
        "meta": {"resourceType": "ResourceType", "location": f"{BASE}/ResourceTypes/{name}"},
    }
    for name, schema in (("User", USER), ("Group", GROUP))
]


def _attribute(name: str, kind: str = "string", **other: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **other,
    }


def _list(name: str, *parts: str, mutability: str = "readWrite") -> dict[str, Any]:
    inner = [_attribute(part, "boolean" if part == "primary" else "string") for part in parts]
    return _attribute(name, "complex", multiValued=True, mutability=mutability, subAttributes=inner)


_EXTERNAL_ID: Final = _attribute("externalId", caseExact=True)
_NAME: Final = [_attribute(part) for part in ("formatted", "familyName", "givenName", "middleName")]
_PLAIN: Final = ("displayName", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone")

SCHEMAS: Final[list[dict[str, Any]]] = [
    {
        "schemas": [f"{_CORE}:Schema"],
        "id": identifier,
        "name": name,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": f"{BASE}/Schemas/{identifier}"},
    }
    for identifier, name, attributes in (
        (
            USER,
            "User",
            [
                _attribute("userName", required=True, uniqueness="server"),
                _EXTERNAL_ID,
                _attribute("name", "complex", subAttributes=_NAME),
                *(_attribute(plain) for plain in _PLAIN),
                _attribute("active", "boolean"),
                _list("emails", "value", "type", "primary"),
                _list("groups", "value", "display", "$ref", "type", mutability="readOnly"),
                _list("roles", "value", "primary", mutability="readOnly"),
            ],
        ),
        (
            GROUP,
            "Group",
            [
                _attribute("displayName", required=True, uniqueness="server"),
                _EXTERNAL_ID,
                _list("members", "value", "display", "$ref", "type"),
            ],
        ),
        (
            ENTERPRISE,
            "EnterpriseUser",
            [
                _attribute(plain)
                for plain in ("employeeNumber", "costCenter", "organization", "division", "department")
            ],
        ),
    )
]
