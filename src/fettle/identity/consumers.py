"""What identity runs beside the consumers of a worker: the delivery of mail."""

from fettle.identity.mailing import deliver_mail
from fettle.kernel.bus import ConsumerSpec

CONSUMERS: list[ConsumerSpec] = []

SERVICES = [deliver_mail]
