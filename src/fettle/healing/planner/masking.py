"""Takes out of what a model sees all that names a machine, a place or a person, and puts it back afterwards; pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from fettle.healing.planner.persons import AMBIGUOUS, known_words, unknown_words
from fettle.healing.planner.shapes import particulars
from fettle.kernel.clock import utcnow
from fettle.kernel.redaction import Redactor

WITHHELD: Final = "withheld"
MASKED: Final = "masked"
PROSE: Final = (WITHHELD, MASKED)
"""What becomes of free text: it stays here as a whole, or leaves with stand-ins."""

_KEPT: Final = re.compile(r"\[redacted:[^\]\n]{1,80}\]|\(shortened\)")
_TIME: Final = re.compile(
    r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)"
)
_STAND_IN: Final = re.compile(
    r"<(?:host|site|user|name|word|ip|mac|mail|phone|number|date|address|id|literal)-\d{1,6}>"
)
_TOLD_HERE: Final = re.compile(r"<(?:host|site|ip|mac|literal)-\d{1,6}>")
_KINDS: Final = {
    kind: frozenset(words.split())
    for kind, words in {
        "host": "host hostname fqdn computer server workstation laptop machine device instance node endpoint",
        "site": "site location practice branch",
        "user": "user users username usernames account accounts owner owners login logins principal upn",
        "name": """
            person persons people patient patients customer customers client clients resident residents member members
            employee employees contact contacts caller callers requester requesters reporter assignee assignees author
            authors sender recipient recipients attendee attendees participant participants doctor doctors physician
            nurse nurses dentist clinician manager technician staff guardian initials surname nickname family kin
            spouse mother father child children
        """,
        "address": "street city town zip zipcode postcode postal_code county neighbourhood",
    }.items()
}
_NAME_KEYS: Final = re.compile(
    r"(?:full|display|first|last|given|family|middle|maiden|user|person|contact|customer|employee|patient)_?names?$"
    r"|(?:by|to|with|for|who|whom)$"
)
_ADDRESS_KEYS: Final = re.compile(
    r"(?:postal|home|street|mailing|billing|work)_?address(?:es)?$|_?address_?line_?\d?$"
)
_KEY_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LIST: Final = re.compile(r"\s*(?:[,;/|\n&•]|\band\b|\bor\b)\s*")
_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
_COUNTS: Final = frozenset(
    """
    bytes byte size count total free used limit memory ms ns us seconds time timestamp epoch capacity quota bits rate kb
    mb gb threshold offset length
    """.split()  # noqa: SIM905 - as the words above
)
_NUMBERS: Final = frozenset({"number", "no", "nr", "num", "id", "code"})
_NUMBERED: Final = frozenset(
    """
    chart claim member subscriber insurance insured passport licence license badge card account acct patient client
    customer employee staff resident contact caller
    """.split()  # noqa: SIM905 - as the words above
)
"""With or without one of `_NUMBERS` behind it, a number there is somebody's."""
_FILED: Final = frozenset({"record", "policy", "case", "file"})
_LEAST_LENGTH: Final = 2
_LEAST_OF_A_NAME: Final = 3
_MOST_NAMES: Final = 500
_MOST_SHORT: Final = 4
_LONG_NUMBER: Final = 10**8
_DEEPEST: Final = 40
_SECRET: Final = "secret"  # noqa: S105 - the name of a kind
_GONE: Final = "[redacted:secret]"


class _Span(NamedTuple):
    start: int
    end: int
    kind: str


class Mask:
    """The stand-ins of one question. It stays here; only what it wrote leaves.

    What a redactor takes out is gone for good. What names a machine, a place or a person gets a stand-in
    such as `<host-1>`, because a plan may have to name it. A word leaves only when it is known to Fettle or to
    the tenant's packs and does not stand where a name would.

    Args:
        redactor: The tenant's.
        incident: The incident, whose own host, site and people are masked wherever they stand.
        prose: What becomes of free text, `withheld` or `masked`.
        shows: Kinds of addresses, of `ip` and `mac`, that are left as they are because the incident's pack says so;
            the incident's own host stays masked.
        vocabulary: Words that are known beside Fettle's own, in lower case, such as those of the packs.
        this_year: A date before the last year may be a date of birth; None takes it from the clock.
    """

    def __init__(
        self,
        redactor: Redactor,
        incident: Mapping[str, Any],
        *,
        prose: str = WITHHELD,
        vocabulary: Collection[str] = frozenset(),
        shows: Collection[str] = (),
        this_year: int | None = None,
    ) -> None:
        self._redactor = redactor
        self._withholds = prose != MASKED
        self._vocabulary = vocabulary
        self._shows = shows
        self._year = utcnow().year if this_year is None else this_year
        self._stand_ins: dict[tuple[str, Any], str] = {}
        self._originals: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._known: dict[str, str] = {}
        self._collect(incident, 0)
        self._names = self._pattern()

    def hide(self, value: Any) -> Any:
        """Return a JSON value as a model may see it."""
        # First what is secret, by the keys and shapes that tell it; what is left is then named by stand-ins.
        return self._walk(self._redactor.redact(value)[0], 0)

    def redact(self, text: str) -> str:
        """Return a text of ours without what a redactor takes out."""
        return self._redactor.redact_text(text)

    def reveal(self, value: Any) -> Any:
        """Return a JSON value with each stand-in that this mask gave out replaced by what it stands for."""
        if isinstance(value, str):
            if value in self._originals:
                return self._originals[value]
            return _STAND_IN.sub(lambda found: str(self._originals.get(found[0], found[0])), value)
        if isinstance(value, Mapping):
            return {str(name): self.reveal(child) for name, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(child) for child in value]
        return value

    def tell(self, text: str) -> str:
        """Return a model's sentence as people may read it: with machines and places, and without people."""
        told = _TOLD_HERE.sub(lambda found: str(self._originals.get(found[0], found[0])), text)
        return self._redactor.redact_text(told)

    def _pattern(self) -> re.Pattern[str] | None:
        names = sorted(self._known, key=lambda name: (-len(name), name))[:_MOST_NAMES]
        if not names:
            return None
        return re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), re.IGNORECASE)

    def _collect(self, value: Any, depth: int, kind: str | None = None) -> None:
        if depth > _DEEPEST:
            return
        if isinstance(value, Mapping):
            for name, child in value.items():
                self._collect(child, depth + 1, _kind_of(str(name)) or (kind if kind == "name" else None))
        elif isinstance(value, list | tuple):
            for child in value:
                self._collect(child, depth + 1, kind)
        elif isinstance(value, str):
            if kind is not None:
                self._remember(value.strip(), kind)
            self._remember_names(value)

    def _remember(self, text: str, kind: str) -> None:
        for part in (text, *_LIST.split(text)) if kind != "host" else (text,):
            if len(part) >= _LEAST_LENGTH and _KEPT.fullmatch(part) is None:
                self._known.setdefault(part.lower(), kind)
        if kind == "host":
            first = text.split(".", maxsplit=1)[0]
            if len(first) > _LEAST_LENGTH and not first.isdigit():
                self._known.setdefault(first.lower(), kind)
        elif kind != "site":
            self._remember_words(text, kind)

    def _remember_names(self, text: str) -> None:
        """Remember who is named in a text, so that a later mention without its context is found, too."""
        for found in unknown_words(text, self._vocabulary):
            if found.is_name:
                self._remember_words(text[found.start : found.end], "name")

    def _remember_words(self, text: str, kind: str) -> None:
        for word in _LETTERS.findall(text):
            lower = word.lower()
            if len(lower) >= _LEAST_OF_A_NAME and not self._is_plain(lower):
                self._known.setdefault(lower, kind)

    def _is_plain(self, word: str) -> bool:
        return (word in known_words() and word not in AMBIGUOUS) or word in self._vocabulary

    def _walk(self, value: Any, depth: int, key: str = "", *, tells: bool = False) -> Any:
        """Return a value with stand-ins; `tells` says that a number in it would tell whom it is about."""
        if depth > _DEEPEST:
            return "[redacted:too_deep]"
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {
                self._text(str(name)): self._walk(
                    child, depth + 1, str(name), tells=tells or _tells(str(name))
                )
                for name, child in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._walk(child, depth + 1, key, tells=tells) for child in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and not _is_count(key):
            is_long = abs(value) >= _LONG_NUMBER and value == value // 1
            return self._stand_in("number", value) if tells or is_long else value
        return value

    def _text(self, text: str) -> str:
        spans = self._spans(text)
        if self._withholds and self._is_prose(text, spans):
            return f"[withheld: {len(text.split())} words]"
        pieces: list[str] = []
        kept = 0
        for start, end, kind in spans:
            told = text[start:end] if not kind else self._stand_in(kind, text[start:end])
            pieces += [text[kept:start], told]
            kept = end
        return "".join([*pieces, text[kept:]])

    def _spans(self, text: str) -> list[_Span]:
        """Return what is replaced, in order; where two overlap, what is the more certain counts first."""
        taken: list[_Span] = [_Span(*found.span(), "") for found in _KEPT.finditer(text)]
        for source in (self._literals, self._named, self._shaped, _times, self._unknown):
            for span in source(text):
                taken += [_Span(start, end, span.kind) for start, end in _free(span, taken)]
        return sorted(span for span in taken if text[span.start : span.end].strip())

    def _literals(self, text: str) -> Iterator[_Span]:
        # A payload that holds a stand-in's form must not be able to name what another stands for.
        for found in _STAND_IN.finditer(text):
            yield _Span(*found.span(), "literal")

    def _named(self, text: str) -> Iterator[_Span]:
        for found in self._names.finditer(text) if self._names is not None else ():
            yield _Span(*found.span(), self._known.get(found[0].lower(), "name"))

    def _shaped(self, text: str) -> Iterator[_Span]:
        for found in particulars(text, self._year):
            yield _Span(found.start, found.end, "" if found.kind in self._shows else found.kind)

    def _unknown(self, text: str) -> Iterator[_Span]:
        for found in unknown_words(text, self._vocabulary):
            yield _Span(found.start, found.end, "name" if found.is_name else "word")

    def _is_prose(self, text: str, spans: list[_Span]) -> bool:
        words = _LETTERS.findall(text)
        if len(words) < _LEAST_LENGTH or not any(character.isspace() for character in text.strip()):
            return False
        is_told = any(span.kind for span in spans) or any(word.lower() in AMBIGUOUS for word in words)
        return is_told or len(words) > _MOST_SHORT

    def _stand_in(self, kind: str, original: Any) -> str:
        if kind == _SECRET:
            return _GONE
        known = self._stand_ins.get((kind, original))
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._stand_ins[kind, original] = f"<{kind}-{self._counts[kind]}>"
            self._originals[known] = original
        return known


def _times(text: str) -> Iterator[_Span]:
    for found in _TIME.finditer(text):
        yield _Span(*found.span(), "")


def _free(span: _Span, taken: list[_Span]) -> list[tuple[int, int]]:
    """Return the parts of a stretch that nothing else has taken."""
    free = [(span.start, span.end)]
    for other in taken:
        free = (
            [
                piece
                for start, end in free
                for piece in ((start, min(end, other.start)), (max(start, other.end), end))
                if piece[0] < piece[1]
            ]
            if any(start < other.end and other.start < end for start, end in free)
            else free
        )
    return free


def _kind_of(key: str) -> str | None:
    words = [word.lower() for word in _KEY_WORDS.findall(key)]
    if not words:
        return None
    joined = "_".join(words)
    for kind, names in _KINDS.items():
        if joined in names or (words[-1] in names and kind != "host"):
            return kind
    if _ADDRESS_KEYS.search(joined):
        return "address"
    return (
        "host"
        if joined in {"computer_name", "host_name", "server_name", "device_name"}
        else ("name" if _NAME_KEYS.search(joined) else None)
    )


def _tells(key: str) -> bool:
    """Say whether a number below a key names a person, an account or a place, as a text there would."""
    if _kind_of(key) in {"user", "name", "address"}:
        return True
    words = [word.lower() for word in _KEY_WORDS.findall(key)]
    named = len(words) > 1 and words[-1] in _NUMBERS
    last = words[-2] if named else "".join(words[-1:])
    return last in _NUMBERED or (named and last in _FILED)


def _is_count(key: str) -> bool:
    words = [word.lower() for word in _KEY_WORDS.findall(key)]
    return bool(words) and words[-1] in _COUNTS
