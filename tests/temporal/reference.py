"""A second, naive implementation of each kind of rule over time: it keeps every exception and looks at all of them."""


class Naive:
    """One key of one rule; windows and times of quiet in milliseconds, exceptions as (at, id, mark)."""

    def __init__(self, rule):
        self.rule = rule
        self.seen = []
        self.quiet_until = None

    def _is_quiet(self, at):
        return self.quiet_until is not None and at <= self.quiet_until

    def _accept(self, moment):
        """Say whether an exception counts at all: not in a quiet time, not known, not two windows behind."""
        live = [one for one in self.seen if self.quiet_until is None or one[0] > self.quiet_until]
        if self._is_quiet(moment[0]) or any(one[1] == moment[1] for one in live):
            return False
        if live and moment[0] <= max(one[0] for one in live) - 2 * self.rule.within:
            return False
        latest = max([moment[0], *(one[0] for one in live)])
        self.seen = sorted([*(one for one in live if one[0] > latest - 2 * self.rule.within), moment])
        return True

    def _fire(self, found):
        self.quiet_until = found[-1][0] + self.rule.quiet
        return found[-1][0], tuple(one[1] for one in found)

    def count(self, moment):
        if not self._accept(moment):
            return None
        times = self.rule.matchers[0].times
        for start in range(len(self.seen) - times + 1):
            window = self.seen[start : start + times]
            if window[-1][0] - window[0][0] <= self.rule.within:
                return self._fire(window)
        return None

    def sequence(self, moment):
        if not self._accept(moment):
            return None
        wanted = [1 << place for place, one in enumerate(self.rule.matchers) for _ in range(one.times)]
        chains = [[one] for one in self.seen if one[2] & wanted[0]]
        for bit in wanted[1:]:
            chains = [
                [*chain, one]
                for chain in chains
                for one in self.seen
                if one > chain[-1] and one[2] & bit and one[0] - chain[0][0] <= self.rule.within
            ]
        return self._fire(min(chains)) if chains else None


def missing(began, ended, within):
    """Return when something was missing: begun, and within the window nothing came that ends it."""
    return [
        one[0] + within
        for one in sorted(began)
        if not any(one[:2] < end[:2] and end[0] <= one[0] + within for end in ended)
    ]


def absences(moments, within, until):
    """Return the times from which on nothing had been seen for the length of the window."""
    ordered = sorted(moments)
    return [
        one + within
        for one, following in zip(ordered, [*ordered[1:], None], strict=True)
        if (until if following is None else following) > one + within
    ]
