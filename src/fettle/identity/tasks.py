"""Identity's scheduled work: keys that expire soon are told of, and audit records go when their time is over."""

from fettle.identity.api_keys import warn_of_expiry
from fettle.identity.audit_retention import forget_old_audit
from fettle.identity.links import forget_expired
from fettle.kernel.jobs import JobSpec, Schedule

JOBS: list[JobSpec] = []

SCHEDULE = [
    Schedule("identity.warn_of_key_expiry", every_seconds=3600, run=warn_of_expiry),
    Schedule("identity.forget_old_audit", every_seconds=3600, run=forget_old_audit),
    Schedule("identity.forget_links", every_seconds=3600, run=forget_expired),
]
