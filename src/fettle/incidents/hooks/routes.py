"""HTTP of webhooks in: the doors that programs send to, and the sources that a tenant sets up."""

from fastapi import APIRouter

from fettle.incidents.hooks import routes_doors, routes_mapping, routes_sources
from fettle.kernel.http.routes import StrictRoute

router = APIRouter(route_class=StrictRoute)
router.include_router(routes_doors.router)
router.include_router(routes_sources.router)
router.include_router(routes_mapping.router)
