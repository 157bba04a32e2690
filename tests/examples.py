"""How hard property tests try: `make test` the same each time, `make fuzz` at random and ten times as much."""

from hypothesis import HealthCheck, settings

_USUAL = 100


def register_profiles() -> None:
    """Register both; neither takes a machine that is busy for code that is wrong."""
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("test", patient, max_examples=_USUAL, derandomize=True, database=None)
    settings.register_profile("fuzz", patient, max_examples=10 * _USUAL, print_blob=True)


def examples(count: int) -> settings:
    """Try so many examples, and accordingly more where all try more."""
    return settings(max_examples=count * settings().max_examples // _USUAL)
