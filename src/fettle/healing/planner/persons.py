"""Finds the words of a text that may name somebody: those not known, and those that stand where names do; pure."""

import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


AMBIGUOUS: Final = _set(
    """
    art baker banks bell best bill bishop black bond branch bridge brook brown bush butler case cash castle chance
    chase church close constant cook cooper cross dale dawn day dean dot drew english eve faith field fields fisher
    forest fox frank frost gene good grace grant gray green guy hall hand head hill holder hope hunter hunt iris jack
    journey joy judge key keys kid king knight lake lane law lead link little lock long love low major mark marks
    marsh mason max may mercy miles miller mount noble page park parker parks pass pat patience penny pope pool porter
    post potter power price prince quick race ray reader rice rich rob robin rock root rose ruby rusty sage salt
    sandy seal seals shell shepherd short small smart snow sol sparks stack stone storm strange strong sue summer
    swift taylor tern trace true turner van victor violet walker ward waters weaver wells west white will winner
    winter wise wolf wood woods word worth wright young
    """
)
"""Ordinary words that are names, too."""

ROLES: Final = _set(
    """
    patient patients pt client resident member guest employee user users username login caller customer contact nurse
    doctor physician dentist hygienist therapist surgeon clinician receptionist secretary assistant manager director
    supervisor owner technician engineer colleague coworker boss mother father mom dad mum husband wife spouse son
    daughter child brother sister guardian parent uncle aunt grandmother grandfather friend neighbour neighbor applicant
    student teacher professor driver visitor subscriber beneficiary insured named name names dear hi hello hey regards
    sincerely cheers thanks signed attn attention cc provider pharmacist midwife veterinarian attorney lawyer pastor
    captain agent admin administrator operator assignee requester reporter author sender recipient attendee attendees
    participants staff team carer caregiver baby infant tenant
    """
)
"""A name may follow."""

TITLES: Final = _set(
    """
    mr mrs ms miss mx dr prof sir madam rev fr sr capt sgt lt herr frau monsieur mme madame señor señora sra don
    signora
    """
)
"""A name does follow."""

_POINTERS: Final = _set(
    "by from for with to of about regarding re on behalf ask call tell email notify told asked called emailed texted"
    " contacted phoned informed and or cc via per against near beside behind is was am i'm meet met saw see"
)
_VERBS: Final = _set(
    """
    called calls said says reported reports complained complains asked asks wrote writes emailed phoned texted requested
    opened noticed claims claimed confirmed mentioned tells told thinks needs wants cannot can't could couldn't has had
    logged signed clicked rebooted tried forgot lost left died visited takes received arrived works lives born is was
    will would and who whose replied answered rang came went saw sees stood spoke waits waiting typed
    """
)
_SAID: Final = _set(
    """
    said says called calls reported complained complains asked wrote emailed phoned texted told mentioned noticed
    forgot clicked typed logged replied thinks rang
    """
)
_FILLERS: Final = _set(
    "the a an our her his their its is was called named name id account no number mr mrs ms dr"
)
_PARTICLES: Final = _set(
    "van der den de la le du di da dos del al el bin ibn von zu ter ten st san mc mac o ap ben"
)

_WORD: Final = re.compile(r"[^\W_](?:[^\W_]|['\u2019](?=[^\W_]))*")
_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+|[0-9a-f]{0,3}\d[0-9a-f]{0,3}")
_NEAR: Final = re.compile(
    r"[ \t]{1,3}|[ \t]?[,:=(\"“'\u2018-][ \t]?|\.[ \t]?|[ \t]?(?:&|/|[+])[ \t]?|[ \t]?[-\u2013\u2014>]+[ \t]?"
)
_SENTENCE_END: Final = re.compile(r"[.!?:;\n|>\"“”()\[\]•*-]\s*$")
_SHORTEST: Final = 3
_LOOK_BACK: Final = 4
_LONGEST_NAME: Final = 4


class Found(NamedTuple):
    """A stretch of words.

    Attributes:
        is_name: It stands or is written as a name; otherwise it is merely not known.
    """

    start: int
    end: int
    is_name: bool


class _Token(NamedTuple):
    start: int
    end: int
    word: str
    is_capital: bool
    is_known: bool
    begins: bool


@cache
def known_words() -> frozenset[str]:
    """Return the words of Fettle's own packs, pages and program, and common ones beside them."""
    text = Path(__file__).with_name("known_words.txt").read_text(encoding="ascii")
    return frozenset(text.split()) | AMBIGUOUS | ROLES | TITLES | _POINTERS | _VERBS | _FILLERS


def unknown_words(text: str, vocabulary: Collection[str] = ()) -> Iterator[Found]:
    """Yield what may name somebody or something, in order, neighbours together.

    A word may leave only if it is known and does not stand where a name would: by that, a name that nobody
    ever listed is found, and an unusual word is found with it.

    Args:
        text: Any text.
        vocabulary: Further words that are known, in lower case.
    """
    tokens = _tokens(text, vocabulary)
    marked = [_is_unknown(token) for token in tokens]
    names = [marked[index] and token.is_capital for index, token in enumerate(tokens)]
    for index in range(len(tokens)):
        _mark_after_cue(text, tokens, index, marked, names)
    for index, token in enumerate(tokens):
        if not marked[index] and _stands_as_name(text, tokens, index, marked):
            marked[index] = names[index] = True
        if marked[index] and index + 1 < len(tokens) and tokens[index + 1].word in _VERBS:
            names[index] = True
        if (
            token.is_capital
            and not marked[index]
            and not token.begins
            and _touches(text, tokens, index, names)
        ):
            marked[index] = names[index] = True
    yield from _joined(text, tokens, marked, names)


def _tokens(text: str, vocabulary: Collection[str]) -> list[_Token]:
    known = known_words()
    tokens = []
    for found in _WORD.finditer(text):
        word = found[0]
        lower = word.lower().removesuffix("'s").removesuffix("\u2019s")
        is_known = all(
            (len(piece) < _SHORTEST and piece.isascii() and (piece.islower() or len(word) == 1))
            or _is_in(piece.lower(), known, vocabulary)
            for piece in _PIECE.findall(word)
        )
        before = text[max(0, found.start() - _LOOK_BACK) : found.start()]
        begins = (len(before) < _LOOK_BACK and not before.strip()) or _SENTENCE_END.search(before) is not None
        tokens.append(
            _Token(
                found.start(),
                found.end(),
                lower,
                word[0].isupper(),
                is_known or _is_in(lower, known, vocabulary),
                begins,
            )
        )
    return tokens


def _is_in(word: str, known: Collection[str], vocabulary: Collection[str]) -> bool:
    return (
        word in known
        or word in vocabulary
        or (word.endswith("s") and (word[:-1] in known or word[:-1] in vocabulary))
    )


def _is_unknown(token: _Token) -> bool:
    return not token.is_known and _HEX.fullmatch(token.word) is None and not token.word.isdecimal()


def _mark_after_cue(
    text: str, tokens: list[_Token], index: int, marked: list[bool], names: list[bool]
) -> None:
    word = tokens[index].word
    if word not in ROLES and word not in TITLES and word not in _POINTERS:
        return
    following = index + 1
    while (
        following < len(tokens) and tokens[following].word in _FILLERS and _is_near(text, tokens, following)
    ):
        following += 1
    most = following + _LONGEST_NAME
    first = True
    while following < min(most, len(tokens)) and _is_near(text, tokens, following):
        token = tokens[following]
        is_initial = token.is_capital and token.end - token.start == 1
        fits = (
            marked[following]
            or is_initial
            or (token.word in AMBIGUOUS and (token.is_capital or word not in _POINTERS))
        )
        if not fits and first and word in TITLES and token.is_capital:
            fits = True
        if not fits and token.word in _PARTICLES and following + 1 < len(tokens) and marked[following + 1]:
            fits = True
        if not fits:
            return
        marked[following] = names[following] = True
        first = False
        following += 1


def _stands_as_name(text: str, tokens: list[_Token], index: int, marked: list[bool]) -> bool:
    token = tokens[index]
    touches = _touches(text, tokens, index, marked)
    if token.word in _PARTICLES or (
        token.end - token.start == 1 and token.is_capital and token.word not in {"a", "i"}
    ):
        return touches
    if token.word not in AMBIGUOUS:
        return False
    if not token.is_capital:
        return touches or _speaks(tokens, index)
    if not token.begins or touches:
        return True
    return index + 1 < len(tokens) and (
        tokens[index + 1].word in _VERBS
        or (tokens[index + 1].word in AMBIGUOUS and tokens[index + 1].is_capital)
    )


def _speaks(tokens: list[_Token], index: int) -> bool:
    """Say whether what follows is what people do: `will young said`, `mark hill called`."""
    following = index + 1
    while following < len(tokens) and tokens[following].word in AMBIGUOUS:
        following += 1
    return following < len(tokens) and tokens[following].word in _SAID


def _touches(text: str, tokens: list[_Token], index: int, marked: list[bool]) -> bool:
    before = index > 0 and marked[index - 1] and _is_near(text, tokens, index)
    after = index + 1 < len(tokens) and marked[index + 1] and _is_near(text, tokens, index + 1)
    return before or after


def _is_near(text: str, tokens: list[_Token], index: int) -> bool:
    return _NEAR.fullmatch(text, tokens[index - 1].end, tokens[index].start) is not None


def _joined(text: str, tokens: list[_Token], marked: list[bool], names: list[bool]) -> Iterator[Found]:
    index = 0
    while index < len(tokens):
        if not marked[index]:
            index += 1
            continue
        last = index
        while (
            last + 1 < len(tokens)
            and marked[last + 1]
            and text[tokens[last].end : tokens[last + 1].start] in {" ", "-", ". ", "."}
        ):
            last += 1
        yield Found(tokens[index].start, tokens[last].end, any(names[index : last + 1]))
        index = last + 1
