"""The one error of the expression language: where, what is wrong, and how to mend it."""


class ExpressionError(ValueError):
    """An expression or template that cannot be compiled, or cannot be evaluated on this data.

    The text never quotes data, only the expression's own words, so that it may be shown and logged.

    Attributes:
        problem: What is wrong.
        mend: What would be right.
        position: Offset in characters into the expression, where known.
        where: JSON pointer of the template inside a larger document, `""` for none.
    """

    def __init__(self, problem: str, mend: str, position: int | None = None, where: str = "") -> None:
        super().__init__(problem, mend, position, where)
        self.problem = problem
        self.mend = mend
        self.position = position
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        if self.position is not None:
            place += f"character {self.position + 1}: "
        return f"{place}{self.problem}; {self.mend}"

    def located(self, position: int) -> "ExpressionError":
        """Return this error with a position, unless it has one already."""
        if self.position is not None:
            return self
        return ExpressionError(self.problem, self.mend, position, self.where)

    def within(self, where: str, offset: int = 0) -> "ExpressionError":
        """Return this error as seen from the document that holds the expression.

        Args:
            where: JSON pointer of the string.
            offset: How far into the string the expression begins.
        """
        position = None if self.position is None else self.position + offset
        return ExpressionError(self.problem, self.mend, position, where)
