"""What secrets and personal data look like inside text: one detector each, in linear-time patterns."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from fettle.kernel.redaction_keys import HARMLESS_WORDS

PLACEHOLDER: Final = re2.compile(rb"\[redacted:[a-z0-9_.-]{1,64}\]")


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of thing that must not be kept.

    Attributes:
        kind: What is found, the word in its placeholder.
        pattern: RE2 source. What is replaced is its first group that matched, or all of it without groups.
        accept: A last look at what was found, for what a regular expression cannot say.
        replacement: What is stored instead.
        anchored: It speaks of the ends of a whole text in a way that (?m) does not change, so it must
            see each text by itself.
    """

    kind: str
    pattern: str
    accept: Callable[[bytes], bool] | None = None
    replacement: bytes = b""
    anchored: bool = False

    @property
    def placeholder(self) -> bytes:
        """What is stored instead."""
        return self.replacement or b"[redacted:%s]" % self.kind.encode()


class PatternError(ValueError):
    """A pack's pattern is not RE2, or would match everything."""


def _passes_luhn(found: bytes) -> bool:
    digits = [byte - 48 for byte in found if 48 <= byte <= 57]  # noqa: PLR2004 - ASCII digits
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]  # noqa: PLR2004 - Luhn
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_basic_credential(found: bytes) -> bool:
    try:
        decoded = base64.b64decode(found + b"=" * (-len(found) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded


def _looks_random(found: bytes) -> bool:
    return len(found) >= 20 or any(48 <= byte <= 57 for byte in found)  # noqa: PLR2004 - ASCII digits


def _says_something(found: bytes) -> bool:
    if found.startswith(b"//") or PLACEHOLDER.fullmatch(found) is not None:
        return False
    return found.decode(errors="replace").strip().rstrip(".").lower() not in HARMLESS_WORDS


def _is_person(found: bytes) -> bool:
    local, _, domain = found.lower().rpartition(b"@")
    unit = domain.rpartition(b".")[2]
    return unit not in _UNIT_TYPES and local not in _SYSTEM_ACCOUNTS


_UNIT_TYPES: Final = frozenset(
    b"service socket device mount automount swap target path timer slice scope".split()
)
_SYSTEM_ACCOUNTS: Final = frozenset({b"root", b"git"})

_CONFIDENTIAL: Final = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|psk|otp|cvv|cvc"
    r"|(?:api|access|secret|private|account|shared|signing|encryption|master|auth|recovery)[ _.-]?key"
    r"|community[ _-]string)"
)
_CARD: Final = (
    r"\b(?:"
    r"4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}(?:\d{3})?|4\d{12}"
    r"|(?:5[1-5]\d{2}|2[2-7]\d{2}|6011|6[45]\d{2}|35\d{2}|62\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}"
    r"|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}"
    r"|3[0689]\d{2}[ -]?\d{6}[ -]?\d{4}"
    r")\b"
)
_TOKEN_SHAPES: Final = (
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bgl(?:pat|dt|rt|ptt|soat|ft|imt|agent|cbt)-[A-Za-z0-9_.-]{16,}",
    r"\bxox[abceoprs]-[A-Za-z0-9-]{10,}",
    r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{10,})",
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"\bwhsec_[A-Za-z0-9+/=]{16,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bya29\.[A-Za-z0-9_-]{20,}",
    r"\bGOCSPX-[A-Za-z0-9_-]{20,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\bSK[0-9a-f]{32}\b",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{40,}",
    r"\bdop_v1_[a-f0-9]{40,}",
    r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}",
    r"\bdapi[a-f0-9]{32}",
    r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{40,}",
    r"\bftl_[A-Za-z0-9_-]{16,}",
)
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE: Final = (
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/. ]\d{{1,2}}[-/. ]\d{{2,4}}|\d{{8}}"
    rf"|{_MONTH}\.? +\d{{1,2}},? +\d{{4}}|\d{{1,2}}\.? +{_MONTH}\.?,? +\d{{4}})"
)

DETECTORS: Final[Sequence[Detector]] = (
    Detector(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)|PuTTY-User-Key-File-[23]:(?s:.*)",
    ),
    Detector("token", r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){2,4}"),
    Detector("api_key", "|".join(_TOKEN_SHAPES)),
    Detector(
        "authorization",
        r"(?i)\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?"
        r"((?:(?:basic|bearer|digest|negotiate|ntlm|token|apikey|hawk|signature|aws4-hmac-sha256) +)?"
        r"[^\s\"',]+(?:, ?[a-z_]+=[^\s,]+)*)",
        accept=_says_something,
    ),
    Detector(
        "authorization", r"(?i)\b(?:bearer|apikey|negotiate) +([a-z0-9._~+/=-]{8,})", accept=_looks_random
    ),
    Detector("authorization", r"(?i)\bbasic +([a-z0-9+/=]{8,})", accept=_is_basic_credential),
    Detector(
        "cookie",
        r"(?i)\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?([^\s\"'=;]+=[^\s\"';]+(?:; ?[^\s\"';]+)*)",
        accept=_says_something,
    ),
    Detector(
        "password",
        r"(?i)\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'<>]*:([^\s/\"'<>]+)@",
        accept=_says_something,
    ),
    Detector("password", r"\$(?:1|2[abxy]|5|6|7|y|gy|argon2(?:id|i|d)|scrypt)\$[A-Za-z0-9./$+=,]{16,}"),
    Detector(
        "secret",
        rf"(?i){_CONFIDENTIAL}\\?[\"']?\s*(?:=>|:=|[:=])\s*"
        r"(?:\\?\"([^\"]+)\"|\\?'([^']+)'|([^\s\"',;&|<>]+))",
        accept=_says_something,
    ),
    Detector(
        "secret",
        r"(?i)(?:^|\s)--?(?:[a-z]+-)?(?:password|passwd|pass|token|secret|api-?key)\s+([^\s-]\S*)",
        accept=_says_something,
    ),
    Detector("secret", r"(?i)[?&][a-z0-9_-]{0,20}(?:sig|signature|auth|code)=([^&\s\"'#]{8,})"),
    Detector("password", r"(?:\s-u|--user)\s+[^\s:]+:([^\s\"']+)", accept=_says_something),
    Detector("password", r"(?i)\bidentified by\s+'([^']+)'", accept=_says_something),
    Detector("secret", r"\b\d{6}(?:-\d{6}){7}\b"),
    Detector("credit_card", _CARD, accept=_passes_luhn),
    Detector("ssn", r"\b(?:00[1-9]|0[1-9]\d|[1-57-9]\d{2}|6[0-57-9]\d|66[0-57-9])-\d{2}-\d{4}\b"),
    Detector(
        "ssn", r"(?i)\b(?:ssn|social security(?: (?:number|no\.?|#))?)\b[\s:#=]*(\d{3}[- ]?\d{2}[- ]?\d{4})\b"
    ),
    Detector(
        "mrn",
        r"(?i)\b(?:mrn|medical record(?: (?:number|no\.?|#))?|chart (?:number|no\.?|#))[\s:#=]*"
        r"([a-z]{0,4}-?\d[a-z0-9-]{3,19})\b",
    ),
    Detector(
        "date_of_birth",
        r"(?i)\b(?:dob|d\.o\.b\.?|date[ _]of[ _]birth|birth[ _]?date|birthday|born)\b"
        rf"(?: on)?[\s:#=\"']*({_DATE})",
    ),
    Detector(
        "email",
        r"[\pL\pN.!#$%&'*+/=?^_`{|}~-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL\pL+",
        accept=_is_person,
    ),
    Detector("phone", r"(?:^|[^\w+/=.-])(\+[1-9](?:[ .()-]{0,2}\d){8,13})\b"),
    Detector(
        "phone", r"(?:^|[^\w+.-])((?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4})\b"
    ),
    Detector("phone", r"(?i)\b(?:phone|mobile|tel|fax|cell)\b\.?[\s:#=]*(\(?\d[\d ().-]{5,18}\d)\b"),
    Detector(
        "patient_name",
        r"\b[Pp]atient(?: [Nn]ame)?(?:\s*[:=]\s*|\s+)(?:(?:Mr|Mrs|Ms|Dr)\.? )?"
        r"(\p{Lu}[\pL'-]+,? (?:\p{Lu}\.? )?\p{Lu}[\pL'-]+)",
    ),
)
"""In the order in which they are applied: whole keys and headers before what may stand inside them."""


_SPEAKS_OF_WHOLE_TEXT: Final = re2.compile(r"\\A|\\z|\(\?[a-zA-Z]*-")


def pack_detector(declared: Mapping[str, Any]) -> Detector:
    """Return the detector that a pack declares.

    Args:
        declared: ``id``, ``pattern`` (RE2) and, optionally, ``replacement``.

    Raises:
        PatternError: The pattern is not RE2, or matches the empty text and so everything.
    """
    source = str(declared["pattern"])
    try:
        compiled = re2.compile(f"(?m:{source})", QUIET)
    except re2.error as error:
        raise PatternError(f"redaction {declared['id']}: not an RE2 pattern: {error}") from None
    if compiled.search("") is not None:
        raise PatternError(f"redaction {declared['id']}: matches the empty text, so everything; ask for more")
    return Detector(
        kind=str(declared["id"]).lower(),
        pattern=source,
        replacement=str(declared.get("replacement") or "").encode(),
        anchored=_SPEAKS_OF_WHOLE_TEXT.search(source) is not None,
    )


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


QUIET: Final = _quiet()
