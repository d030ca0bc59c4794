"""Fixtures for every room."""

from kafka import broker, topic

__all__ = ["broker", "topic"]
