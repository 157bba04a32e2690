"""Identity's scheduled work: keys are told of and kept fresh, and what has had its time goes."""

from fettle.identity.api_keys import warn_of_expiry
from fettle.identity.audit import Who
from fettle.identity.audit_retention import forget_old_audit
from fettle.identity.authentication import authenticator
from fettle.identity.data_erasure import continue_erasures, sweep
from fettle.identity.data_export import forget_exports, run_export
from fettle.identity.forgetting import forget_expired
from fettle.identity.links import forget_links
from fettle.identity.signing_keys import KEYS_CHANGED, is_due, retire_due, rotate
from fettle.kernel.jobs import JobSpec, Schedule
from fettle.kernel.platform import Platform

JOBS = [JobSpec("identity.export_tenant", run_export)]


async def keep_token_keys(platform: Platform) -> None:
    """Let a new key sign access tokens when it is time, and retire those whose tokens have expired."""
    if await is_due(platform):
        await rotate(platform, Who("system:schedule"))
        await authenticator(platform).revoke(KEYS_CHANGED)
    if await retire_due(platform):
        await authenticator(platform).revoke(KEYS_CHANGED)


SCHEDULE = [
    Schedule("identity.warn_of_key_expiry", every_seconds=3600, run=warn_of_expiry),
    Schedule("identity.forget_old_audit", every_seconds=3600, run=forget_old_audit),
    Schedule("identity.continue_erasures", every_seconds=10, run=continue_erasures),
    Schedule("identity.sweep_erased", every_seconds=600, run=sweep),
    Schedule("identity.forget_exports", every_seconds=3600, run=forget_exports),
    Schedule("identity.keep_token_keys", every_seconds=600, run=keep_token_keys),
    Schedule("identity.forget_expired", every_seconds=3600, run=forget_expired),
    Schedule("identity.forget_links", every_seconds=3600, run=forget_links),
]
