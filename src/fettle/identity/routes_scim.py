"""SCIM 2.0 over HTTP; the bearer is an API key with the scope ``scim:write``."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from fettle.identity.access import Access, CurrentPlatform, CurrentWho, require
from fettle.identity.audit import Who
from fettle.identity.authentication import authenticator
from fettle.identity.scim import discovery, errors
from fettle.identity.scim.directory import Collection, Directory, check_version
from fettle.identity.scim.errors import MEDIA_TYPE, ScimProblem, invalid_value
from fettle.identity.scim.filters import Filter, get, parse
from fettle.identity.scim.groups import Groups
from fettle.identity.scim.patching import patched
from fettle.identity.scim.resources import chosen
from fettle.identity.scim.users import Users
from fettle.kernel.errors import NotFound, Problem
from fettle.kernel.http.problems import as_problem
from fettle.kernel.http.routes import Handler, StrictRoute
from fettle.kernel.jsonio import dumps
from fettle.kernel.platform import Platform

LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MOST_AT_ONCE: Final = 200
_MOST_PATHS: Final = 100
_LONGEST_PATH: Final = 250


class ScimRoute(StrictRoute):
    """A route whose errors are SCIM's own."""

    def get_route_handler(self) -> Handler:
        """Return the handler with its errors told as RFC 7644 wants them."""
        handle = super().get_route_handler()

        async def telling(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, HTTPException, RequestValidationError) as error:
                problem = as_problem(error)
                if isinstance(error, RequestValidationError):
                    problem = invalid_value(problem.detail)
                return _answer(errors.document(problem), status=problem.status, headers=problem.headers)

        return telling


# The description of the API is of JSON and problem documents; SCIM describes itself, under /Schemas.
router = APIRouter(prefix="/scim/v2", route_class=ScimRoute, tags=["scim"], include_in_schema=False)

Provider = Annotated[Access, Depends(require("scim:write"))]
IfMatch = Annotated[str | None, Header()]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list or a resource was asked for."""

    wanted: Filter | None
    start: int
    count: int
    attributes: str | None
    excluded: str | None


async def asked_for(
    filter: Annotated[str | None, Query()] = None,  # noqa: A002 - the name is SCIM's
    start: Annotated[int, Query(alias="startIndex")] = 1,
    count: Annotated[int, Query()] = 100,
    attributes: Annotated[str | None, Query(max_length=2_000)] = None,
    excluded: Annotated[str | None, Query(alias="excludedAttributes", max_length=2_000)] = None,
) -> Asked:
    """Return what a request's query asks for; numbers out of bounds are brought within (section 3.4.2.4)."""
    return Asked(
        parse(filter) if filter else None,
        max(1, start),
        min(max(0, count), MOST_AT_ONCE),
        attributes,
        excluded,
    )


Wanted = Annotated[Asked, Depends(asked_for)]


async def unfiltered(
    filter: Annotated[str | None, Query()] = None,  # noqa: A002 - the name is SCIM's
) -> None:
    """Refuse a filter on what describes the provider (section 4)."""
    if filter is not None:
        raise ScimProblem(403, "What describes this provider is not filtered; ask without a filter.")


Whole = Annotated[None, Depends(unfiltered)]


@router.get("/ServiceProviderConfig")
async def provider_config(_access: Provider, _whole: Whole) -> Response:
    """What is supported."""
    return _answer(discovery.CONFIG)


@router.get("/ResourceTypes")
async def resource_types(_access: Provider, _whole: Whole) -> Response:
    """Users and Groups."""
    return _listed(discovery.RESOURCE_TYPES)


@router.get("/ResourceTypes/{name}")
async def resource_type(name: str, _access: Provider) -> Response:
    """One of them."""
    return _answer(_named(discovery.RESOURCE_TYPES, name))


@router.get("/Schemas")
async def schemas(_access: Provider, _whole: Whole) -> Response:
    """The attributes of both."""
    return _listed(discovery.SCHEMAS)


@router.get("/Schemas/{name}")
async def schema(name: str, _access: Provider) -> Response:
    """The attributes of one."""
    return _answer(_named(discovery.SCHEMAS, name))


def _serve(path: str, collection: type[Collection[Any]], *, listed: str) -> None:
    """Let a kind of resource be listed, made, shown, replaced, patched and deleted.

    Args:
        path: Below which it stands.
        collection: What the directory holds of it.
        listed: What the audit calls a list of it.
    """
    Lister = Annotated[Access, Depends(require("scim:write", reads=listed))]  # noqa: N806 - a type

    @router.get(path)
    async def show_all(asked: Wanted, platform: CurrentPlatform, access: Lister, who: CurrentWho) -> Response:
        async with _directory(platform, access, who) as directory:
            found = await collection(directory).listed(asked.wanted.equal if asked.wanted else None)
        return _page(found, asked)

    @router.post(f"{path}/.search")
    async def search(
        request: Request, platform: CurrentPlatform, access: Lister, who: CurrentWho
    ) -> Response:
        asked = _searched(await _body(request))
        async with _directory(platform, access, who) as directory:
            found = await collection(directory).listed(asked.wanted.equal if asked.wanted else None)
        return _page(found, asked)

    @router.post(path)
    async def create(
        request: Request, asked: Wanted, platform: CurrentPlatform, access: Provider, who: CurrentWho
    ) -> Response:
        body = await _body(request)
        async with _directory(platform, access, who) as directory:
            await directory.hold()
            kept = collection(directory)
            made = await kept.create(kept.read(body))
        return _resource(made, asked, status=201)

    @router.get(f"{path}/{{resource_id}}")
    async def show(
        resource_id: str, asked: Wanted, platform: CurrentPlatform, access: Provider, who: CurrentWho
    ) -> Response:
        async with _directory(platform, access, who) as directory:
            return _resource(await collection(directory).one(_id(resource_id)), asked)

    @router.put(f"{path}/{{resource_id}}")
    async def replace(
        resource_id: str,
        request: Request,
        asked: Wanted,
        platform: CurrentPlatform,
        access: Provider,
        who: CurrentWho,
        if_match: IfMatch = None,
    ) -> Response:
        body = await _body(request)
        async with _directory(platform, access, who) as directory:
            await directory.hold()
            kept = collection(directory)
            given = kept.read(body)
            check_version(await kept.one(_id(resource_id)), if_match)
            return _resource(await kept.change(_id(resource_id), given), asked)

    @router.patch(f"{path}/{{resource_id}}")
    async def patch(
        resource_id: str,
        request: Request,
        asked: Wanted,
        platform: CurrentPlatform,
        access: Provider,
        who: CurrentWho,
        if_match: IfMatch = None,
    ) -> Response:
        body = await _body(request)
        async with _directory(platform, access, who) as directory:
            await directory.hold()
            kept = collection(directory)
            present = await kept.one(_id(resource_id))
            check_version(present, if_match)
            given = kept.read(patched(kept.as_changed(present), body))
            return _resource(await kept.change(_id(resource_id), given), asked)

    @router.delete(f"{path}/{{resource_id}}", status_code=204)
    async def delete(
        resource_id: str,
        platform: CurrentPlatform,
        access: Provider,
        who: CurrentWho,
        if_match: IfMatch = None,
    ) -> None:
        async with _directory(platform, access, who) as directory:
            await directory.hold()
            kept = collection(directory)
            check_version(await kept.one(_id(resource_id)), if_match)
            await kept.delete(_id(resource_id))


_serve("/Users", Users, listed="scim_users.listed")
_serve("/Groups", Groups, listed="scim_groups.listed")


@router.api_route("/Me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@router.post("/Bulk")
@router.post("/.search")
async def not_offered(
    _access: Provider,
    platform: CurrentPlatform,  # noqa: ARG001 - by it a repeated request is answered alike
) -> Response:
    """Nobody is the bearer, which is a program's key; changes and searches come one resource type at a time."""
    raise ScimProblem(501, "This provider has neither /Me nor /Bulk, and searches below /Users and /Groups.")


@router.api_route("/{_rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def unknown(
    _rest: str,
    _access: Provider,
    platform: CurrentPlatform,  # noqa: ARG001 - as above
) -> Response:
    """Say of what there is not that there is none, in SCIM's own words."""
    raise NotFound("There is no such endpoint. GET /ResourceTypes lists those that there are.")


@asynccontextmanager
async def _directory(platform: Platform, access: Access, who: Who) -> AsyncIterator[Directory]:
    """Lend the tenant's directory for one transaction; whoever lost something is forgotten after its commit."""
    revoked: set[UUID] = set()
    async with platform.database.system() as session:
        yield Directory(session, access.tenant_id, who, revoked)
    if revoked:
        await authenticator(platform).revoke(*(f"user:{account}" for account in revoked))


async def _body(request: Request) -> Mapping[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {MEDIA_TYPE, "application/json"}:
        raise ScimProblem(415, f"Send the body as {MEDIA_TYPE}.")
    body = await request.json()
    if not isinstance(body, Mapping):
        raise ScimProblem(400, "Send one JSON object.", "invalidSyntax")
    return body


def _searched(body: Mapping[str, Any]) -> Asked:
    """Read a search (section 3.4.3), which asks in a body for what a list asks for in its query."""
    wanted, start, count = get(body, "filter"), get(body, "startIndex"), get(body, "count")
    if wanted is not None and not isinstance(wanted, str):
        raise ScimProblem(400, "filter is a text.", "invalidFilter")
    for name, value in (("startIndex", start), ("count", count)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise invalid_value(f"{name} is an integer.")
    return Asked(
        parse(wanted) if wanted else None,
        max(1, 1 if start is None else start),
        min(max(0, MOST_AT_ONCE // 2 if count is None else count), MOST_AT_ONCE),
        _paths(body, "attributes"),
        _paths(body, "excludedAttributes"),
    )


def _paths(body: Mapping[str, Any], name: str) -> str | None:
    """Return a list of attributes as a query has it, with commas."""
    listed = get(body, name)
    if listed is None:
        return None
    if (
        not isinstance(listed, list)
        or len(listed) > _MOST_PATHS
        or not all(isinstance(one, str) for one in listed)
    ):
        raise invalid_value(f"{name} is a list of at most {_MOST_PATHS} texts.")
    return ",".join(one[:_LONGEST_PATH] for one in listed)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such resource.") from None


def _named(documents: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((one for one in documents if one["id"] == name), None)
    if found is None:
        raise NotFound("There is no such resource.")
    return found


def _page(resources: list[dict[str, Any]], asked: Asked) -> Response:
    found = [one for one in resources if asked.wanted is None or asked.wanted.matches(one)]
    page = found[asked.start - 1 :][: asked.count]
    return _answer(
        {
            "schemas": [LIST],
            "totalResults": len(found),
            "startIndex": asked.start,
            "itemsPerPage": len(page),
            "Resources": [chosen(one, asked.attributes, asked.excluded) for one in page],
        }
    )


def _listed(documents: list[dict[str, Any]]) -> Response:
    listed = {"schemas": [LIST], "totalResults": len(documents), "startIndex": 1}
    return _answer({**listed, "itemsPerPage": len(documents), "Resources": documents})


def _resource(resource: Mapping[str, Any], asked: Asked | None = None, *, status: int = 200) -> Response:
    shown = resource if asked is None else chosen(resource, asked.attributes, asked.excluded)
    meta = resource["meta"]
    headers = {"ETag": meta["version"], "Location": meta["location"]}
    return _answer(shown, status=status, headers=headers)


def _answer(
    body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(dumps(body), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)
