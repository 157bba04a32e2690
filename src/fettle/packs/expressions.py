"""Finds the templates in a pack's texts and asks the kernel's expression language whether they compile."""

import importlib
import importlib.util
import re

_TEMPLATE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def templates(text: str) -> list[str]:
    """Return the expressions between ``${{`` and ``}}`` in a text."""
    return [found.strip() for found in _TEMPLATE.findall(text)]


def expression_error(expression: str) -> str | None:
    """Return why an expression does not compile, or None."""
    if importlib.util.find_spec("fettle.kernel.expressions") is None:
        return None
    language = importlib.import_module("fettle.kernel.expressions")
    try:
        language.compile(expression)
    except ValueError as error:
        return f"{error}."
    return None


def template_error(text: str) -> str | None:
    """Return why a text's templates do not compile, or None."""
    if text.count("${{") != len(_TEMPLATE.findall(text)):
        return "a ${{ is not closed by }}."
    return next(
        (reason for found in templates(text) if (reason := expression_error(found)) is not None), None
    )
