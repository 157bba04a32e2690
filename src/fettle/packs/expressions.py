"""Finds the templates in a pack's texts and asks the kernel's expression language whether they compile."""

import re

from fettle.kernel.expressions import ExpressionError, compile_template

_TEMPLATE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def templates(text: str) -> list[str]:
    """Return the expressions between ``${{`` and ``}}`` in a text."""
    return [found.strip() for found in _TEMPLATE.findall(text)]


def template_error(text: str) -> str | None:
    """Return why a text's templates do not compile, or None."""
    try:
        compile_template(text)
    except ExpressionError as error:
        return str(error)
    return None
