"""Brakes on what heals by itself: flapping, circuit breakers, limits, the stop switch, and who may approve."""
