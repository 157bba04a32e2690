"""What numbers, addresses and dates of people and machines look like in text, and what stands before them; pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Particular(NamedTuple):
    """A stretch of a text that tells one thing from another.

    Attributes:
        kind: `mail`, `ip`, `date`, `phone`, `address`, ...; what its stand-in is called.
    """

    start: int
    end: int
    kind: str


_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin"
    r"|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto"
    r"|septiembre|octubre|noviembre|diciembre)"
)
_DATE: Final = (
    r"(?:(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d\d|\d{1,2}[-/]\d{1,2}[-/]\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\.? ?(?:of |de )?[- ]?{_MONTH}\.?,?[- ]?(?:of |de )?(?:(?:19|20)\d\d|['\u2019]?\d\d)"
    rf"|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? (?:(?:19|20)\d\d|['\u2019]\d\d))"
)
_LOOSE_DATE: Final = (
    rf"(?:{_DATE}|\d{{1,2}}\.\d{{1,2}}\.\d\d|(?:19|20)\d{{6}}|\d{{8}}|\d{{6}}"
    rf"|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}\.? {_MONTH}|(?:19|20)\d\d)"
)
_STREET: Final = (
    r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|court|ct|boulevard|blvd|way|place|pl|terrace|ter|square|sq"
    r"|parkway|pkwy|close|crescent|cres|highway|hwy|row|gardens|gdns|grove|mews|hill|walk|circle|cir|trail|trl|quay"
    r"|alley|loop|plaza|green|park|rise|view|wharf|embankment)"
)
_UNIT: Final = r"(?:,? *(?:apt|apartment|unit|suite|ste|flat|floor|fl|room|rm|no|nr|#)\.? *#?[\w-]{1,6})"
_TOWN: Final = (
    r"(?:,? *[^\W\d_][\w.'\u2019-]*(?: [^\W\d_][\w.'\u2019-]*){0,3},? +(?:[A-Z]{2}|[A-Z][a-z]+),?"
    r" +\d{5}(?:-\d{4})?)"
)
_ADDRESS: Final = "|".join(
    (
        rf"\d{{1,5}}[a-z]?(?:[-/]\d{{1,4}})?,? +(?:[\w.'\u2019-]+ +){{1,4}}?{_STREET}\b\.?{_UNIT}?{_TOWN}?",
        (
            r"(?:rue|avenue|av\.|boulevard|bd|place|calle|c/|avenida|avda\.?"
            r"|paseo|plaza|via|viale|piazza|corso|rua|travessa|ul\.|ulica|chemin|allée|quai|strada)"
            r" +(?:[^\W\d_][\w.'\u2019-]* *){1,5},? *\d{1,5}\b[a-z]?"
        ),
        (
            r"\d{1,5}(?: ?(?:bis|ter|[a-z]))?,? +(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|quai|impasse)"
            r"(?: +[^\W\d_][\w.'\u2019-]*){1,5}"
        ),
        (
            r"[^\W\d_][\w.-]*(?: [^\W\d_][\w.-]*)??[ -]?(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer"
            r"|damm|ring|laan|straat|plein"
            r"|gracht|gatan|vägen|vej|veien|gata|katu|tie) *\d{1,4} ?[a-z]?\b"
        ),
        r"p\.? ?o\.? ?box +#?\d{1,7}|postfach +\d[\d ]{0,8}|apartado +\d{1,7}",
        r"\b[a-z]{1,2}\d[a-z\d]? +\d[a-z]{2}\b",
        r"\b[a-z]\d[a-z][ -]?\d[a-z]\d\b",
        r"(?-i:\b[A-Z]{2}),? +\d{5}(?:-\d{4})?\b",
        r"\b(?:[A-Z]{1,2}-)?\d{4,5} +(?-i:[A-ZÄÖÜÉ][^\W\d_]{2,})(?:[ -](?-i:[A-ZÄÖÜÉ][^\W\d_]+))?",
        r"〒? ?\d{3}-\d{4}(?= )",
    )
)
_NUMBERED: Final = (
    r"(?:mrn|m\.r\.n\.?|medical record|chart|record|patient|pt|client|member|subscriber|policy|claim"
    r"|account|acct|case|nhs"
    r"|medicare|medicaid|hicn|mbi|npi|dea|ssn|social(?: security)?|sin|nino|national insurance"
    r"|insurance|tax|tin|passport"
    r"|license|licence|driver'?s|id|iban|card|badge|employee|staff|ext|extension|pin|room|bed|versichertennummer|personnummer"
    r"|dni|cpf|aadhaar|bsn|nir)"
)
_SHAPES: Final = re.compile(
    "|".join(
        (
            (
                r"(?P<secret>(?<![\w/.-])(?-i:(?=[\w+=-]*[A-Z])(?=[\w+=-]*[a-z])(?=[\w+=-]*\d)[A-Za-z0-9_+=-]{20,}(?!\w)"
                r"|(?<!\w)[0-9a-fA-F]{32,}(?!\w)))"
            ),
            (
                r"(?:\b(?:password|passwd|pwd|passphrase|passcode|pin|secret|token|api[ _-]?key"
                r"|credentials?)\b(?: (?:for|of|to) \S+)?"
                r"\s*(?:(?:is|was|now|set to|changed to|reset to|being)\s+|[:=→-]\s*)[\"'`(]*"
                r"(?P<password>(?=[^\s\"'`]*[^\sa-z\"'`.,;)])[^\s\"'`]*[^\s\"'`.,;)]))"
            ),
            (
                r"(?P<mail>[^\s@<>\"'(),;:\[\]]{1,64}@[^\s@<>\"'(),;:\[\]]+[\w]"
                r"|[\w.+-]+ ?(?:\(at\)|\[at\]| at ) ?[\w-]+ ?(?:\(dot\)|\[dot\]| dot ) ?\w+)"
            ),
            r"(?P<mac>\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b)",
            (
                r"(?P<ip>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w.]*\d)"
                r"|(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:%\w+)?(?:/\d{1,3})?(?![\w:.]))"
            ),
            r"(?P<guid>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\bS-1-5-[\d-]{4,})",
            (
                r"(?:\b(?:dob|d\.o\.b\.?|(?:date|day|year) of birth|birth ?(?:date|day)|birthday|born|geb(?:oren"
                r"|\.)?|née?"
                rf"|nacid[oa]|fecha de nacimiento)\b[^\w\n]{{0,4}}(?:(?:is|was|on|in|am|le|el"
                rf"|the)[ :]+)*(?P<birth>{_LOOSE_DATE}))"
            ),
            rf"(?P<date>(?<![\w.-]){_DATE}(?![\w-])(?!\.\d))",
            r"(?P<address>(?<![\w.])(?:" + _ADDRESS + r"))",
            (
                rf"(?:\b{_NUMBERED}(?:'s)?\b(?:[ _-]?(?:number|numbers|no|nr|num|id|code|#))?[^\w\n]{{0,4}}"
                r"(?:(?:is|was|number|no\.?|nr\.?|id|ending|ends|in|with|of|are|last|four|digits|4)\b[^\w\n]{0,3})*"
                r"(?P<number>(?-i:[A-Za-z]{0,4})[-/ ]?\d[\dA-Za-z/-]{2,}(?: \d{2,})*))"
            ),
            r"(?:\blast (?:four|4)(?: digits)?\b[^\w\n]{0,3}(?:(?:is|are|of)\b )?(?P<last>\d{4}))",
            (
                r"(?P<phone>(?<![\w.:/-])(?:\+|00)\d{1,3}[ .()/-]{0,3}\d(?:[ .()/-]{0,3}\d){5,12}(?!\w)"
                r"|(?<![\w.:/+-])\(?0?\d{1,5}\)?(?:[ /-]{1,3}\(?\d{1,8}\)?){1,6}(?![\w.]*\w)"
                r"|(?<![\w.])0\d(?:\.\d\d){4}\b|(?<![\w.])\d{3}\.\d{3}\.\d{4}\b"
                r")"
            ),
            (
                r"(?:\b(?:phone|mobile|tel|telephone|fax|cell|call|ring|dial|whatsapp|sms)\b[^\w\n]{0,3}(?:number|no\.?)?"
                r"[^\w\n]{0,3}(?P<dial>\(?\d[\d ().-]{4,18}\d))"
            ),
            r"(?P<long>(?<![\w.])(?!KB\d|CVE-)[a-z]{0,4}[-#]?\d{7,}(?![\w]*(?:[.]\w)))",
            r"(?P<people>(?:/home/|/users/|\\users\\|documents and settings\\|/var/mail/|~)[^\s/\\:*?\"<>|]+)",
            (
                r"(?P<fqdn>\b(?:[a-z0-9_-]{1,63}\.)+(?:com|org|net|edu|gov|io|dev|app|info|biz|health|local|lan|corp|internal|intranet"
                r"|home|example|test|invalid|localdomain|co|uk|de|fr|es|it|nl|eu|us|ca|au|ch|at|be|se|no|dk|jp|cn|in|br|clinic|dental)\b)"
            ),
        )
    ),
    re.IGNORECASE,
)
_TIME_AFTER: Final = re.compile(r"[T ]?\d{1,2}:\d\d")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_UNITS: Final = re.compile(
    r" ?(?:%|bytes?|[kmgt]i?b|[kmg]?bit|[mnµ]?s|ms|seconds?|minutes?|hours?|days?|percent)\b", re.IGNORECASE
)
_FEWEST_DIGITS: Final = 7
_RECENT_YEARS: Final = 2


def particulars(text: str, this_year: int) -> Iterator[Particular]:
    """Yield what has a shape of its own, in order and without overlaps.

    Args:
        text: Any text.
        this_year: A date of this year or the last is when something happened; an older one, or one of which
            something says that it is a birth, tells whom it happened to.
    """
    at = 0
    while (found := _SHAPES.search(text, at)) is not None:
        kind, start, end = _group(found)
        at = max(end, found.start() + 1)
        if kind == "date" and _is_recent(text, found, this_year):
            continue
        if kind == "phone" and not _is_phone(text[start:end]):
            at = found.start() + max(1, len(text[start:end].split(" ", maxsplit=1)[0]))
            continue
        if kind == "long" and _UNITS.match(text, end):
            continue
        if kind == "people":
            cut = max(text.rfind("/", start, end), text.rfind("\\", start, end), text.rfind("~", start, end))
            kind, start = "user", cut + 1
        if start < end:
            yield Particular(start, end, _CALLED.get(kind, kind))


_CALLED: Final = {
    "birth": "date",
    "last": "number",
    "long": "number",
    "guid": "id",
    "fqdn": "host",
    "password": "secret",
    "dial": "phone",
}


def _group(found: re.Match[str]) -> tuple[str, int, int]:
    kind = next(name for name, value in found.groupdict().items() if value is not None)
    return kind, found.start(kind), found.end(kind)


def _is_recent(text: str, found: re.Match[str], this_year: int) -> bool:
    year = _YEAR.search(found[0])
    if year is None:
        return False
    return int(year[0]) > this_year - _RECENT_YEARS or _TIME_AFTER.match(text, found.end()) is not None


def _is_phone(found: str) -> bool:
    return sum(character.isdigit() for character in found) >= _FEWEST_DIGITS
