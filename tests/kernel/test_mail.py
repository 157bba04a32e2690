"""Mail goes over TLS or not at all, and no text can add a header to it."""

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.mail_box import PASSWORD, mail_server

from fettle.identity.letters import invitation, plain
from fettle.kernel.mail import Mail, MailRefused, compose, is_address, send
from fettle.kernel.mail_server import is_loopback, read_mail_server
from fettle.kernel.settings import SettingsError, load_settings

MAIL = Mail("ann@example.org", "Hello", "text", "<p>text</p>", "1")
SENDER = {"smtp_from": "Fettle <fettle@example.org>"}


@pytest_asyncio.fixture(scope="module")
async def box(tmp_path_factory):
    async with mail_server(tmp_path_factory.mktemp("mail")) as running:
        yield running


def over(box, **chosen):
    return load_settings(smtp_url=SecretStr(box.url(**chosen)), **SENDER)


async def test_a_mail_arrives_encrypted_with_text_and_html(box):
    await send(over(box), MAIL)
    mail = box.mails[-1]
    assert (mail["to"], mail["from"], mail["subject"]) == (
        "ann@example.org",
        "Fettle <fettle@example.org>",
        "Hello",
    )
    assert mail.get_body(("plain",)).get_content().strip() == "text"
    assert mail.get_body(("html",)).get_content().strip() == "<p>text</p>"
    assert mail["auto-submitted"] == "auto-generated"
    assert box.ciphers[-1] is not None


async def test_a_server_that_nobody_vouches_for_gets_nothing(box):
    settings = load_settings(smtp_url=SecretStr(box.url().partition("&cafile")[0]), **SENDER)
    before = len(box.mails)
    with pytest.raises(MailRefused) as refused:
        await send(settings, MAIL)
    assert not refused.value.permanent
    assert len(box.mails) == before


async def test_where_tls_is_required_and_not_offered_no_password_is_sent(tmp_path):
    async with mail_server(tmp_path, tls=False) as bare:
        with pytest.raises(MailRefused):
            await send(over(bare), MAIL)
        assert (bare.mails, bare.sign_ins) == ([], [])
        await send(over(bare, options="starttls=none"), MAIL)  # on loopback nobody listens
        assert (len(bare.mails), len(bare.sign_ins)) == (1, 1)


async def test_a_wrong_password_is_said_without_it(box):
    with pytest.raises(MailRefused) as refused:
        await send(over(box, password="another-password"), MAIL)
    assert "credentials" in refused.value.reason
    assert "another-password" not in str(refused.value)


@pytest.mark.parametrize(("answer", "permanent"), [("550 no such user", True), ("451 try later", False)])
async def test_a_refused_recipient_is_told_from_a_busy_server(box, answer, permanent):
    box.refuse = answer
    try:
        with pytest.raises(MailRefused) as refused:
            await send(over(box), MAIL)
    finally:
        box.refuse = None
    assert refused.value.permanent is permanent
    assert "ann@example.org" not in refused.value.reason


async def test_nobody_there_is_to_be_tried_again():
    settings = load_settings(smtp_url=SecretStr("smtp://127.0.0.1:1"), **SENDER)
    with pytest.raises(MailRefused) as refused:
        await send(settings, MAIL)
    assert not refused.value.permanent


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:pw@mail.example.org?starttls=none",
        "smtp://user:pw@mail.example.org?starttls=maybe",
        "smtp://user:pw@mail.example.org?verify=no",
        "smtps://user:pw@mail.example.org?starttls=none",
        "http://mail.example.org",
        "smtp://",
        "smtp://user:pw@mail.example.org:99999",
        "smtp://user:pw@[mail.example.org",
        "smtp://mail.example.org/path",
        "mail.example.org:25",
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_and_shows_no_password(url):
    with pytest.raises(SettingsError, match="FETTLE_SMTP_URL") as error:
        load_settings(smtp_url=url)
    assert "pw" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("smtp://mail.example.org", "required"),
        ("smtp://mail.example.org?starttls=none", "none"),
        ("smtps://user:pw@mail.example.org", "smtps"),
        ("smtp://localhost:25", "offered"),
        ("smtp://user:pw@localhost:25?starttls=none", "none"),
        ("smtp://user:pw@[::1]:25", "offered"),
        ("smtp://user:pw@localhost.example.org", "required"),
        ("smtp://user:pw@127.0.0.1.example.org", "required"),
    ],
)
def test_tls_is_required_but_on_this_machine(url, tls):
    assert read_mail_server(url).tls == tls


def test_credentials_are_read_as_they_were_meant(box):
    assert read_mail_server(box.url()).password == PASSWORD
    assert is_loopback("127.9.9.9")
    assert not is_loopback("example.org")


@pytest.mark.parametrize(
    "address", ["https://x/path", "ftp://x", "javascript:alert(1)", "https://", "https://a@b"]
)
def test_a_public_address_that_is_none_stops_the_start(address):
    with pytest.raises(SettingsError, match="FETTLE_PUBLIC_URL"):
        load_settings(public_url=address)


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org\r\nBcc: eve@evil.example",
        "ann@example.org\nBcc: eve@evil.example",
        "ann@example.org, eve@evil.example",
        "ann@example.org>",
        "<ann@example.org>",
        '"a b"@example.org',
        "ann@[127.0.0.1]",
        "ann@example..org",
        ".ann@example.org",
        "ann@-example.org",
        "ann@exa mple.org",
        "ann@example.org\x00",
        "ann%eve@evil.example@example.org",
        "änn@example.org",
        f"{'a' * 65}@example.org",
        "",
    ],
)
def test_what_is_no_plain_address_gets_no_mail(address):
    assert not is_address(address)
    with pytest.raises(MailRefused):
        compose(load_settings(**SENDER), Mail(address, "s", "t", "h", "1"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_a_name_holds_the_mail_has_the_headers_that_it_should(place, inviter):
    letter = invitation(
        place=place, inviter=inviter, role="viewer", link="https://f.example/x#token=t", days=7
    )
    mail = compose(
        load_settings(**SENDER), Mail("a@example.org", letter.subject, letter.text, letter.html, "1")
    )
    head = mail.as_bytes().partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    names = sorted(line.partition(b":")[0].decode() for line in head.split(b"\r\n"))
    assert names == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]


@given(st.text(max_size=300))
def test_a_name_is_one_line_without_an_address(name):
    shown = plain(name)
    assert len(shown) <= 80
    assert not set("\r\n/\\:@") & set(shown)
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Alder Clinic", "Alder Clinic"),
        ("Dr. Ann e.V.", "Dr. Ann e. V."),
        ("Sign in at https://evil.example/x", "Sign in at https evil. example x"),
        ("a\r\nBcc: eve@evil.example", "a Bcc eve evil. example"),
        ("gnp\u202e.exe", "gnp .exe"),
    ],
)
def test_a_name_reads_as_no_link(name, shown):
    assert plain(name) == shown


def test_html_shows_a_name_and_runs_nothing():
    letter = invitation(place="<script>alert(1)</script>", inviter="<b>", role="x", link="https://f/", days=7)
    assert "<script" not in letter.html
    assert "<b>" not in letter.html
