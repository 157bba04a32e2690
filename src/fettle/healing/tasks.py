"""Healing's scheduled work: approvals that nobody decided expire."""

from fettle.healing.approvals import expire_due
from fettle.kernel.jobs import Schedule

SCHEDULE = [Schedule("healing.expire_approvals", every_seconds=30, run=expire_due)]
