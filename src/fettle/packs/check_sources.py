"""Checks a pack's sources: that the mapping compiles, and that how a sender proves itself fits what it sends."""

from collections.abc import Iterator, Mapping
from typing import Any

from fettle.kernel.expressions import ExpressionError
from fettle.packs.parts import Item, Parts, Problems
from fettle.packs.schema import mapping_schema, mapping_validator
from fettle.packs.schema_errors import findings
from fettle.packs.sources import SourceMapping
from fettle.packs.yaml_reader import pointer_path


def check_sources(parts: Parts) -> Problems:
    """Yield what is wrong with the sources of a pack."""
    for item in parts.section("sources").values():
        yield from _check_mapping(item)
        uses_sns = item.value["format"] == "sns"
        if uses_sns is not (item.value["authentication"] == ["sns"]):
            yield item.problem(
                ("authentication",),
                "Amazon SNS proves itself by its own signature, and nobody else does.",
                "Use format sns and authentication [sns] together, or neither.",
            )
        steps = " ".join(item.value["setup"])
        if "{url}" not in steps:
            yield item.problem(
                ("setup",), "No step says where the address goes.", "Write {url} where a person puts it."
            )


def mapping_findings(document: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield what is wrong with a mapping alone: path, message and fix."""
    found = list(findings(mapping_validator(), mapping_schema(), document))
    yield from found
    if found:
        return
    try:
        SourceMapping(document)
    except ExpressionError as error:
        yield pointer_path(error.where), error.problem, error.mend


def _check_mapping(item: Item) -> Problems:
    try:
        SourceMapping(mapping_of(item.value))
    except ExpressionError as error:
        yield item.problem(pointer_path(error.where), f"{error.problem}.", f"{error.mend}.")


def mapping_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a pack's source, as a tenant would edit it."""
    return {name: source[name] for name in ("each", "let", "when", "set") if name in source}
