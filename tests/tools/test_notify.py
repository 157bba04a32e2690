"""Notifications: on the timeline once, and by e-mail to a real server on loopback, once."""

import asyncio
from email import message_from_bytes

import pytest
from pydantic import SecretStr
from tests.tools.rig import Rig, plan

MAIL = {"subject": "Disk\r\nBcc: x@y.z full", "message": "Look.", "to": ["ops@example.org"]}


class MailServer:
    """Speaks as much SMTP as a sender needs, and keeps what it is given; it can refuse, or break off."""

    def __init__(self):
        self.messages = []
        self.behaviour = "accept"

    async def serve(self, reader, writer):
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                if self.behaviour == "break":
                    writer.close()
                    return
                self.messages.append(message_from_bytes(content))
                writer.write(b"250 taken\r\n")
            elif word == b"MAIL" and self.behaviour == "refuse":
                writer.write(b"451 later\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                writer.close()
                return
            else:
                writer.write(b"250 ok\r\n")


@pytest.fixture
async def mail(platform):
    server = MailServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    platform.settings = platform.settings.model_copy(
        update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{port}"), "smtp_from": "fettle@example.org"}
    )
    yield server
    listening.close()


@pytest.fixture
def rig(platform, tenant):
    platform.parts.clear()
    return Rig(platform, tenant)


async def notify(rig, given, **more):
    (run_id,) = await rig.approve(plan({"id": "tell", "tool": "notify", "with": given, **more}))
    await rig.execute()
    run = await rig.run(run_id)
    told = await rig.rows(
        "SELECT type, data FROM events WHERE stream_type = 'notification' AND correlation_id = $1 ORDER BY position",
        run["incident_id"],
    )
    return run, [row["type"].partition(".")[2] for row in told], told


async def test_without_an_address_it_stands_on_the_timeline(rig):
    run, kinds, told = await notify(rig, {"subject": "Look at ${{ incident.host }}"})
    assert (run["outcome"], kinds, told[0]["data"]["subject"]) == (
        "completed",
        ["requested"],
        "Look at web-1",
    )


async def test_an_e_mail_is_sent_once_and_its_subject_stays_one_line(rig, mail):
    run, kinds, _ = await notify(rig, MAIL)
    assert (run["outcome"], kinds) == ("completed", ["requested", "sent"])
    (message,) = mail.messages
    assert (message["Subject"], message["Bcc"], message["To"]) == (
        "Disk Bcc: x@y.z full",
        None,
        "ops@example.org",
    )


async def test_a_server_that_refuses_is_asked_again(rig, mail):
    mail.behaviour = "refuse"
    run, kinds, _ = await notify(rig, MAIL, retry={"attempts": 2})
    assert (run["outcome"], mail.messages) == ("failed", [])
    assert kinds == ["requested", "failed", "requested", "failed"]


async def test_a_server_that_breaks_off_leaves_it_unknown(rig, mail):
    mail.behaviour = "break"
    run, kinds, _ = await notify(rig, MAIL, retry={"attempts": 3})
    assert (run["outcome"], kinds) == ("unknown", ["requested"])


async def test_without_a_mail_server_it_says_so(rig, platform):
    platform.settings = platform.settings.model_copy(update={"smtp_url": None})
    run, kinds, _ = await notify(rig, MAIL)
    assert (run["outcome"], kinds) == ("failed", [])
    assert "FETTLE_SMTP_URL" in run["reason"]
