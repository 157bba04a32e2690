"""HTTP of healing: rules, those who write them and policies, and approvals."""

from fastapi import APIRouter

from fettle.healing import routes_approvals, routes_authoring, routes_rules

router = APIRouter()
# First what stands at a fixed address, as /rules/schema, and then the rules by their ids.
router.include_router(routes_authoring.router)
router.include_router(routes_rules.router)
router.include_router(routes_approvals.router)
