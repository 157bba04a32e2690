"""What the mails to people say, as text and as HTML; names of others are shown so that none reads as a link."""

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_LONGEST_NAME: Final = 80
_DOT_IN_WORD: Final = re.compile(r"(?<=\w)[.\u2024\u3002\uff0e\uff61](?=\w)")
_OF_ADDRESSES: Final = str.maketrans({"/": " ", "\\": " ", ":": " ", "@": " "})


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail's words."""

    subject: str
    text: str
    html: str


def invitation(*, place: str, inviter: str | None, role: str, link: str, days: int) -> Letter:
    """Return the letter that asks somebody in.

    Args:
        place: The tenant's or the partner's name.
        inviter: The name of who asks; None for a program.
        role: The role that waits.
        link: Where to accept.
        days: How long it is good.
    """
    place = plain(place)
    asks = f"{plain(inviter)} invites you" if inviter else "You are invited"
    return _letter(
        f"Invitation to {place}",
        f"{asks} to work with {place} on Fettle, in the role {plain(role)}.",
        ("Accept the invitation", link),
        f"The link is good once and for {days} days. If you did not expect it, leave it be: nothing happens.",
    )


def password_reset(*, link: str, minutes: int) -> Letter:
    """Return the letter by which somebody sets a new password.

    Args:
        link: Where to.
        minutes: How long it is good.
    """
    return _letter(
        "Set a new password",
        "Somebody asked to set a new password for your account on Fettle.",
        ("Set a new password", link),
        f"The link is good once and for {minutes} minutes. If it was not you, leave it be: your password stays "
        "as it is, and a second factor is asked for as always.",
    )


def password_changed(*, console: str) -> Letter:
    """Return the letter that tells somebody that their password was set anew.

    Args:
        console: Where to sign in.
    """
    return _letter(
        "Your password was changed",
        "The password of your account on Fettle was set anew, and all its sessions were ended.",
        ("Sign in", console),
        "If it was not you, tell your administrator at once.",
    )


def second_factors_reset(*, console: str) -> Letter:
    """Return the letter that tells somebody that an administrator removed their second factors.

    Args:
        console: Where to sign in.
    """
    return _letter(
        "Your second factors were removed",
        "An administrator removed the authenticator app, the passkeys and the recovery codes of your account on "
        "Fettle, and all its sessions were ended.",
        ("Sign in and add a new one", console),
        "If you did not ask for it, tell your administrator at once.",
    )


def plain(name: str) -> str:
    """Return a name as one short line in which no mail program sees a link or an address."""
    kept = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in name)
    line = " ".join(_DOT_IN_WORD.sub(". ", kept.translate(_OF_ADDRESSES)).split())
    return (
        line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )


def _letter(subject: str, opening: str, link: tuple[str, str], closing: str) -> Letter:
    label, address = link
    return Letter(
        subject=subject,
        text=f"{opening}\n\n{label}:\n{address}\n\n{closing}\n",
        html=(
            '<!doctype html><html lang="en"><body style="font:16px/1.5 sans-serif;max-width:36rem;margin:2rem auto">'
            f'<p>{html.escape(opening)}</p><p><a href="{html.escape(address)}">{html.escape(label)}</a></p>'
            f'<p style="overflow-wrap:anywhere">{html.escape(address)}</p><p>{html.escape(closing)}</p></body></html>'
        ),
    )
