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
from fettle.identity.scim.errors import MEDIA_TYPE, ScimProblem
from fettle.identity.scim.filters import Filter, parse
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


@router.get("/ServiceProviderConfig")
async def provider_config(_access: Provider) -> Response:
    """What is supported."""
    return _answer(discovery.CONFIG)


@router.get("/ResourceTypes")
async def resource_types(_access: Provider) -> Response:
    """Users and Groups."""
    return _listed(discovery.RESOURCE_TYPES)


@router.get("/ResourceTypes/{name}")
async def resource_type(name: str, _access: Provider) -> Response:
    """One of them."""
    return _answer(_named(discovery.RESOURCE_TYPES, name))


@router.get("/Schemas")
async def schemas(_access: Provider) -> Response:
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

    @router.post(path)
    async def create(
        request: Request, platform: CurrentPlatform, access: Provider, who: CurrentWho
    ) -> Response:
        body = await _body(request)
        async with _directory(platform, access, who) as directory:
            await directory.hold()
            kept = collection(directory)
            made = await kept.create(kept.read(body))
        return _resource(made, status=201)

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
            return _resource(await kept.change(_id(resource_id), given))

    @router.patch(f"{path}/{{resource_id}}")
    async def patch(
        resource_id: str,
        request: Request,
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
            return _resource(await kept.change(_id(resource_id), given))

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
