"""Identity over HTTP: the routes of each of its areas."""

from fastapi import APIRouter

from fettle.identity import (
    routes_api_keys,
    routes_audit,
    routes_data,
    routes_invitations,
    routes_oidc,
    routes_partners,
    routes_people,
    routes_scim,
    routes_security,
    routes_sign_in,
)
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)
router.include_router(routes_sign_in.router)
router.include_router(routes_security.router)
router.include_router(routes_oidc.router)
router.include_router(routes_people.router)
router.include_router(routes_partners.router)
router.include_router(routes_invitations.router)
router.include_router(routes_api_keys.router)
router.include_router(routes_audit.router)
router.include_router(routes_scim.router)
router.include_router(routes_data.router)
