"""Fixtures for every room."""

from hypothesis import HealthCheck, settings

from kafka import broker, topic

__all__ = ["broker", "topic"]

# Shared machines are slow now and then: no deadline, and the same draws in every run.
settings.register_profile(
    "pointsman", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pointsman")
