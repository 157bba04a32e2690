"""What a list of incidents is narrowed to and in which order it stands; the one reader of its query strings."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Text, Uuid, bindparam, text
from sqlalchemy.types import TypeEngine

from fettle.incidents.schemas import Level, Severity
from fettle.incidents.states import State
from fettle.kernel.errors import FieldError, Invalid

ATTENTION: Final = (State.AWAITING_APPROVAL, State.ESCALATED)
"""States in which nothing goes on until a person does something."""

SETTLED_STATES: Final = (State.RESOLVED.value, State.CLOSED.value)

Sort = Literal["opened", "seen", "severity"]
Word = Annotated[str, StringConstraints(max_length=200)]
Label = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^=]{1,200}=")]
Assignee = UUID | Literal["me", "none", "anyone"]

_WORD: Final = re.compile(r"\w")
_NUMBER: Final = re.compile(r"#?([0-9]{1,18})", re.ASCII)
_MOST_VALUES: Final = 20


class FilterIn(BaseModel):
    """The filter as a query string says it; what is not set lets everything through."""

    model_config = ConfigDict(extra="forbid")

    state: Annotated[list[State], Field(max_length=_MOST_VALUES)] = []
    severity: Annotated[list[Severity], Field(max_length=_MOST_VALUES)] = []
    level: Annotated[list[Level], Field(max_length=_MOST_VALUES)] = []
    check_type: Annotated[str, StringConstraints(max_length=100)] | None = None
    host: Word | None = None
    site: Word | None = None
    rule_id: Word | None = None
    label: Annotated[list[Label], Field(max_length=10)] = []
    assignee: Assignee | None = None
    needs_me: bool = False
    q: Word | None = None
    opened_after: AwareDatetime | None = None
    opened_before: AwareDatetime | None = None
    sort: Sort = "opened"

    def wanted(self, me: UUID | None) -> "IncidentFilter":
        """Return the filter for one person.

        Args:
            me: Who asks; None for a program.
        """
        return IncidentFilter(
            states=tuple(self.state),
            severities=tuple(self.severity),
            levels=tuple(self.level),
            check_type=self.check_type,
            host=self.host,
            site=self.site,
            rule_id=self.rule_id,
            labels=tuple(self.label),
            assignee=self.assignee,
            needs_me=self.needs_me,
            text=self.q,
            opened_after=self.opened_after,
            opened_before=self.opened_before,
            sort=self.sort,
            me=me,
        )


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list of incidents is narrowed to; every field that is set must hold.

    Attributes:
        labels: ``name=value`` each.
        assignee: A person, ``me``, ``none`` or ``anyone``.
        needs_me: What only a person can move on, and nobody else has in hand.
        sort: Newest opened, last seen, or gravest first.
        me: Who asks.
    """

    states: tuple[State, ...] = ()
    severities: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    check_type: str | None = None
    host: str | None = None
    site: str | None = None
    rule_id: str | None = None
    labels: tuple[str, ...] = ()
    assignee: UUID | str | None = None
    needs_me: bool = False
    text: str | None = None
    opened_after: datetime | None = None
    opened_before: datetime | None = None
    sort: Sort = "opened"
    me: UUID | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as conditions of the engine's queries."""
        return [condition.of_engine(place) for place, condition in enumerate(self.narrowing())]

    def narrowing(self, *without: str) -> "list[Condition]":
        """Return the filter as conditions of a statement.

        Args:
            *without: Columns that the statement looks after by itself.
        """
        found = [condition for condition in self._of_columns() if condition.column not in without]
        for label in self.labels:
            found += _labelled(label)
        if self.assignee is not None:
            found.append(self._in_hand(self.assignee))
        if self.needs_me:
            found.append(self._needs_me())
        if self.text:
            found.append(_says(self.text))
        return found

    def _of_columns(self) -> "list[Condition]":
        any_of = (
            ("state", tuple(state.value for state in self.states)),
            ("severity", self.severities),
            ("level", self.levels),
        )
        exactly = (
            ("check_type", self.check_type),
            ("host", self.host),
            ("site", self.site),
            ("rule_id", self.rule_id),
        )
        found = [
            Condition(f"{column} = ANY({{}})", (list(values),), column) for column, values in any_of if values
        ]
        found += [
            Condition(f"{column} = {{}}", (value,), column) for column, value in exactly if value is not None
        ]
        if self.opened_after is not None:
            found.append(Condition("opened_at >= {}", (self.opened_after,)))
        if self.opened_before is not None:
            found.append(Condition("opened_at < {}", (self.opened_before,)))
        return found

    def _in_hand(self, assignee: UUID | str) -> "Condition":
        if assignee == "none":
            return Condition("assignee IS NULL")
        if assignee == "anyone":
            return Condition("assignee IS NOT NULL")
        person = self.me if assignee == "me" else assignee
        return Condition("false") if person is None else Condition("assignee = {}", (person,))

    def _needs_me(self) -> "Condition":
        waiting = f"state IN {_in(ATTENTION)} AND assignee IS NULL"
        if self.me is None:
            return Condition(waiting)
        return Condition(f"({waiting} OR assignee = {{}} AND state NOT IN {_in(SETTLED_STATES)})", (self.me,))


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on incidents, in SQL.

    Attributes:
        sql: A constant, with ``{}`` where each value stands and columns named as they are.
        values: What stands there.
        column: The column that it is about, where it is about one alone.
    """

    sql: str
    values: tuple[Any, ...] = ()
    column: str | None = None

    def numbered(self, first: int) -> str:
        """Return the condition for the driver, its parameters numbered from the given one."""
        return self.sql.format(*(f"${first + place}" for place in range(len(self.values))))

    def of_engine(self, place: int) -> ColumnElement[bool]:
        """Return the condition for the engine, as the one at this place of its query."""
        names = [f"narrow_{place}_{index}" for index in range(len(self.values))]
        bound = [
            bindparam(name, value, type_=_type_of(value))
            for name, value in zip(names, self.values, strict=True)
        ]
        clause = text(self.sql.format(*(f":{name}" for name in names))).bindparams(*bound)
        return cast("ColumnElement[bool]", clause.self_group())


def read_query(query: str) -> FilterIn:
    """Read a filter as it stands in an address.

    Args:
        query: Such as ``state=open&severity=high&severity=critical``.

    Raises:
        Invalid: It names something that is no filter, or a value that is none.
    """
    try:
        named = parse_qs(query, keep_blank_values=True, max_num_fields=100, strict_parsing=bool(query))
    except ValueError:
        fault = FieldError("/query", "is not a list of name=value joined by &")
        raise Invalid("The filter cannot be read.", errors=[fault]) from None
    given: dict[str, Any] = {}
    for name, values in named.items():
        field = FilterIn.model_fields.get(name)
        given[name] = values if field is not None and isinstance(field.default, list) else values[-1]
    return filter_of(given)


def filter_of(given: Mapping[str, Any]) -> FilterIn:
    """Read a filter of its parts.

    Raises:
        Invalid: One of them is none.
    """
    try:
        return FilterIn.model_validate(given)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
        raise Invalid("The filter cannot be read. Correct what is named.", errors=faults) from None


def write_query(wanted: FilterIn) -> str:
    """Return a filter as the query string that says the same, always in the same order."""
    said = wanted.model_dump(mode="json", exclude_defaults=True)
    return urlencode(
        [
            (name, _plain(one))
            for name, value in said.items()
            for one in (value if isinstance(value, list) else [value])
        ]
    )


def _says(words: str) -> Condition:
    """Look for words, for a rule by its id, or for an incident's number; ``#7`` is the number alone."""
    found = "search @@ websearch_to_tsquery('simple', {})"
    number = _NUMBER.fullmatch(words)
    if number is None:
        return Condition(f"({found} OR lower(rule_id) = {{}})", (words, words.strip().lower()))
    if words.startswith("#"):
        return Condition("number = {}", (int(number[1]),))
    return Condition(f"(number = {{}} OR {found})", (int(number[1]), words))


def _labelled(label: str) -> list[Condition]:
    name, _, value = label.partition("=")
    found = [Condition("labels ->> {} = {}", (name, value))]
    if _WORD.search(value):
        # The words of each label's value are at hand, and cheaper to look at than the labels themselves.
        found.append(Condition("search @@ plainto_tsquery('simple', {})", (value,)))
    return found


def _in(states: Iterable[str]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"


def _type_of(value: Any) -> TypeEngine[Any]:
    if isinstance(value, list):
        return ARRAY(Text())
    kinds: dict[type, TypeEngine[Any]] = {
        UUID: Uuid(), datetime: DateTime(timezone=True), int: BigInteger(), str: Text(),
    }  # fmt: skip
    return next(of_kind for kind, of_kind in kinds.items() if isinstance(value, kind))


def _fault(fault: Mapping[str, Any]) -> FieldError:
    path = "/".join(str(part) for part in fault["loc"])
    return FieldError(f"/query/{path}", str(fault["msg"]))


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
