"""The labelled set: incidents of our own making with what heals each, and a memory that cannot know the answer."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from fettle.healing.planner.answers import AnswerError, fitted
from fettle.healing.planner.candidates import candidates
from fettle.healing.planner.confidence import ALIKE, CALIBRATED, Curve, Memory, fit_curve, standing
from fettle.healing.planner.guidance import NONE, Guidance
from fettle.healing.planner.memory import Remembered
from fettle.healing.planner.retrieval import Recalling
from fettle.healing.planner.vectors import embed, gist, likeness, sealed, similarity, words
from fettle.healing.planner.vocabulary import vocabulary_of
from fettle.healing.planner.words import Candidate, Question
from fettle.healing.signature import pattern_signature
from fettle.packs.active import ActivePacks
from fettle.packs.files import MAX_FILE_BYTES
from fettle.packs.loading import load_folder
from fettle.packs.problems import refuse
from fettle.packs.shipped import shipped_folder, shipped_packs
from fettle.packs.yaml_reader import read_yaml

FOLDER: Final = "evaluation"
KINDS: Final = ("plain", "ambiguous", "hostile", "nothing_fits")
NOBODY: Final = UUID(int=0)
"""Whose incidents they are."""

POLICY: Final[Mapping[str, Any]] = {
    "allowed_tools": ["*"],
    "planner": {"enabled": True, "playbooks": ["*"], "highest_risk": "medium"},
}
_HEALED_BEFORE: Final = 25
_SAME_WORDS: Final = 0.9


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled incident.

    Attributes:
        id: Its name.
        pack: Of which pack.
        kind: `plain`, or what makes it difficult: `ambiguous`, `hostile`, `nothing_fits`.
        incident: As it is triaged.
        expected: Key of the choice that heals it; None where a person has to look.
        parameters: That the choice needs.
        choices: What may be chosen.
        guidance: What the pack says of incidents like it.
    """

    id: str
    pack: str
    kind: str
    incident: Mapping[str, Any]
    expected: str | None
    parameters: Mapping[str, Any]
    choices: Sequence[Candidate]
    guidance: Guidance = NONE


@dataclass(frozen=True, slots=True)
class _Lesson:
    signature: str
    vector: Sequence[float]
    told: frozenset[str]
    key: str
    origins: Mapping[str, Any] | None
    case: str


@dataclass(frozen=True, slots=True)
class _Parts:
    packs: ActivePacks

    @property
    def runbooks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.packs.runbooks

    @property
    def playbooks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.packs.playbooks

    def exception_type(self, check_type: str) -> Any:
        return self.packs.exception_type(check_type)


def read_cases(names: Iterable[str] = ()) -> list[Case]:
    """Return the labelled incidents of shipped packs.

    Args:
        names: Of packs; all that have some without them.

    Raises:
        PackInvalid: There are none of that name, or a label names what the pack does not hold.
    """
    files = {path.stem: path for path in sorted((shipped_folder() / FOLDER).glob("*.yaml"))}
    wanted = list(names) or list(files)
    unknown = [name for name in wanted if name not in files]
    if unknown:
        raise refuse(
            f"{FOLDER}/{unknown[0]}.yaml",
            "There is no labelled set of this name.",
            f"Known: {', '.join(files)}.",
        )
    return [case for name in wanted for case in _cases(name, files[name])]


def vocabulary() -> frozenset[str]:
    """Return the words of all shipped packs."""
    return vocabulary_of(ActivePacks.of(shipped_packs()))


def _cases(pack: str, file: Path) -> list[Case]:
    active = ActivePacks.of([load_folder(shipped_folder() / pack)])
    document = read_yaml(f"{FOLDER}/{file.name}", file.read_bytes()[:MAX_FILE_BYTES])
    return [_case(pack, entry, _Parts(active)) for entry in document.value]


def _case(pack: str, entry: Mapping[str, Any], parts: _Parts) -> Case:
    given = {**entry["given"], "source": "labelled"}
    incident = {**parts.packs.normalise(given), "id": entry["id"], "title": str(given["summary"])}
    choices = candidates(parts, POLICY, incident)
    expected = entry["expect"]
    if expected is not None and expected not in {one.key for one in choices}:
        raise refuse(
            f"{FOLDER}/{pack}.yaml", f"{entry['id']}: {expected} may not be chosen.", "Correct the label."
        )
    check_type = str(incident["check_type"])
    guidance = Guidance.of(parts.packs.guidance(check_type), check_type)
    return Case(
        entry["id"], pack, entry["kind"], incident, expected, entry.get("parameters", {}), choices, guidance
    )


class Rehearsed(Recalling):
    """The planner that recalls, with the other labelled incidents as its memories: what was right there, healed there.

    The memories of a question hold neither the incident itself nor any of its pattern, nor one that says the
    same in nearly the same words: it has to do with what is like it.

    Args:
        cases: All of them.
        curve: Calibrates its confidence.
    """

    def __init__(self, cases: Iterable[Case], curve: Curve = CALIBRATED) -> None:
        super().__init__(curve)
        self._lessons = [lesson for lesson in map(_lesson, cases) if lesson is not None]

    def recall(self, case: Case) -> list[Remembered]:
        """Return what is remembered of incidents like one, the likest first."""
        return self._like(case.incident, {one.key for one in case.choices})

    async def _recall(self, question: Question) -> list[Remembered]:
        return self._like(question.incident, {one.key for one in question.candidates})

    def _like(self, incident: Mapping[str, Any], keys: Collection[str]) -> list[Remembered]:
        text = gist(incident)
        vector, told = embed(text), words(sealed(text, NOBODY))
        signature = pattern_signature(incident)
        found = []
        for lesson in self._lessons:
            if lesson.key not in keys or lesson.signature == signature:
                continue
            if lesson.case == incident.get("id") or _says_the_same(told, lesson.told):
                continue
            alike = likeness(similarity(vector, lesson.vector), told, lesson.told)
            found.append(
                Remembered(Memory(alike, lesson.key, _HEALED_BEFORE, 0, lesson.case), lesson.origins)
            )
        return sorted(found, key=lambda one: -one.memory.likeness)


def standings(cases: Sequence[Case], planner: Rehearsed) -> list[tuple[float, bool]]:
    """Return how clearly the likest choice of each incident stands out, and whether it is the right one."""
    found = []
    for case in cases:
        likest: dict[str, float] = {}
        for one in planner.recall(case):
            likest[one.memory.key] = max(likest.get(one.memory.key, 0.0), one.memory.likeness)
        if not likest:
            continue
        key = max(sorted(likest), key=lambda name: likest[name])
        if likest[key] >= ALIKE:
            others = max((other for name, other in likest.items() if name != key), default=0.0)
            found.append((standing(likest[key], others), key == case.expected))
    return found


def fitted_curve(points: Sequence[tuple[float, bool]]) -> Curve:
    """Return the curve over standings; two outcomes that nobody saw, at its upper end, keep it from being certain."""
    top = standing(1.0, 0.0)
    curve = fit_curve([*points, (top, True), (top, False)])
    return Curve(tuple(round(x, 3) for x in curve.claimed), tuple(round(y, 3) for y in curve.true))


def _lesson(case: Case) -> _Lesson | None:
    if case.expected is None:
        return None
    choice = next(one for one in case.choices if one.key == case.expected)
    try:
        origins: Mapping[str, Any] | None = fitted(choice, case.parameters, case.incident)[1]
    except AnswerError:
        origins = None
    text = gist(case.incident)
    return _Lesson(
        pattern_signature(case.incident),
        embed(text),
        words(sealed(text, NOBODY)),
        case.expected,
        origins,
        case.id,
    )


def _says_the_same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) / max(1, len(one | other)) >= _SAME_WORDS
