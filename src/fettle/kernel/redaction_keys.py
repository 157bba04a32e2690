"""What a key's name alone says of its value: ``db_password`` holds a secret, ``password_max_days`` not."""

import re
from enum import Enum
from typing import Final, NamedTuple


class Holds(Enum):
    """Which values of a sensitive key are sensitive."""

    ANY = "any"
    """Text and numbers alike, also inside lists and objects."""

    TEXT = "text"
    """Text only: a number below such a key is a count (``expired_tokens: 3``)."""

    LONG_TEXT = "long_text"
    """Text of eight characters and more: a shorter one is a mere number of a session."""

    DIGITS = "digits"
    """Text and numbers with at least four digits (``phone: 555-0100`` and not ``phone: none``)."""

    NAME = "name"
    """Text that may be a person's name: no slash, as a repository's full name has."""

    TREE = "tree"
    """Text, and everything inside an object; a number is a count (``patients: 12``)."""


class KeyClass(NamedTuple):
    """What a sensitive key holds."""

    kind: str
    holds: Holds


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS_WORDS: Final = _words(
    """
    yes no true false on off enabled disabled enable disable none null nil set unset empty missing present
    absent required optional default locked unlocked expired expires valid invalid weak strong ok pass fail
    unknown changed unchanged rotated never always prohibit-password without-password n/a * ! - --
    """
)
"""Values that say something of a secret without being one."""

_SECRET_ENDINGS: Final = {
    "password": "password",
    "passwd": "password",
    "passphrase": "password",
    "pwd": "password",
    "passcode": "password",
    "secret": "secret",
    "token": "token",
    "jwt": "token",
    "apikey": "api_key",
    "secretkey": "api_key",
    "accesskey": "api_key",
    "privatekey": "private_key",
    "authorization": "authorization",
    "cookie": "cookie",
    "credential": "secret",
    "psk": "secret",
    "otp": "secret",
    "totp": "secret",
    "cvv": "credit_card",
    "cvc": "credit_card",
    "cardnumber": "credit_card",
}
_UNSPLIT_ENDINGS: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "privatekey",
    "accesstoken",
)

_KEY_OWNERS: Final = _words(
    """
    api access secret private signing encryption master account storage auth license product webhook shared
    session client recovery priv preshared decryption service
    """
)
_PASS_OWNERS: Final = _words("db user smtp mail root admin mysql ldap bind ftp ssh sudo proxy")
_PHONE_WORDS: Final = _words("phone mobile fax telephone cell cellphone msisdn phonenumber")

_PHRASES: Final[dict[tuple[str, ...], KeyClass]] = {
    tuple(phrase.split()): KeyClass(kind, holds)
    for kind, holds, phrases in (
        ("secret", Holds.ANY, "mfa code,verification code,community string,snmp community,ro community"),
        ("secret", Holds.ANY, "rw community,recovery code,backup code,nt hash,ntlm hash,lm hash"),
        ("secret", Holds.TEXT, "recovery codes,backup codes"),
        ("password", Holds.ANY, "password hash,hashed password"),
        ("cookie", Holds.LONG_TEXT, "session id,sessionid,phpsessid,jsessionid"),
        ("credit_card", Holds.DIGITS, "card number,credit card,card no,account number,iban,routing number"),
        ("ssn", Holds.DIGITS, "ssn,social security number,social security,social security no,tin,itin"),
        (
            "mrn",
            Holds.DIGITS,
            "mrn,medical record number,medical record no,medical record,patient id,patientid",
        ),
        (
            "mrn",
            Holds.DIGITS,
            "patient number,chart number,member id,subscriber id,nhs number,medicare number",
        ),
        ("date_of_birth", Holds.ANY, "dob,date of birth,birth date,birthdate,birthday,dateofbirth,born"),
        ("patient_name", Holds.NAME, "patient name,patientname,first name,firstname,last name,lastname"),
        ("patient_name", Holds.NAME, "middle name,given name,family name,full name,fullname,surname"),
        ("patient_name", Holds.NAME, "maiden name,next of kin,guardian name,subscriber name"),
        ("patient", Holds.TREE, "patient,patients,next of kin contact,guarantor,beneficiary"),
    )
    for phrase in phrases.split(",")
}
_LONGEST_PHRASE: Final = max(map(len, _PHRASES))
_LONGEST_KEY: Final = 128

_PLACEHOLDERS: Final = re.compile(r"\[redacted:[a-z0-9_.-]{1,64}\]")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def classify_key(key: str) -> KeyClass | None:
    """Return what a key's last words say about its value, or None where they say nothing.

    Args:
        key: In any spelling: ``dbPassword``, ``DB_PASSWORD``, ``db-password``, ``db.password``.
    """
    if "[redacted:" in key:
        key = _PLACEHOLDERS.sub(" redacted ", key)
    words = [word.lower() for word in _WORDS.findall(key[-_LONGEST_KEY:])]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return None
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        if (found := _PHRASES.get(tuple(words[-length:]))) is not None:
            return found
    return _classify_last_word(words)


def _classify_last_word(words: list[str]) -> KeyClass | None:
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last in _PHONE_WORDS or (last == "number" and before in _PHONE_WORDS):
        return KeyClass("phone", Holds.DIGITS)
    if last == "pass" and before in _PASS_OWNERS:
        return KeyClass("password", Holds.TEXT)
    if last in {"key", "keys"} and before in _KEY_OWNERS:
        kind = "private_key" if before in {"private", "priv"} else "api_key"
        return KeyClass(kind, Holds.ANY if last == "key" else Holds.TEXT)
    if (kind_of_last := _SECRET_ENDINGS.get(last)) is not None:
        return KeyClass(kind_of_last, Holds.ANY)
    if last.endswith("s") and (kind_of_last := _SECRET_ENDINGS.get(last[:-1])) is not None:
        return KeyClass(kind_of_last, Holds.TEXT)
    unsplit = next((ending for ending in _UNSPLIT_ENDINGS if last.endswith(ending)), None)
    return KeyClass(_SECRET_ENDINGS.get(unsplit, "token"), Holds.ANY) if unsplit else None
