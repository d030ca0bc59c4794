"""Pipelines inside stream engines, on the session's broker."""

from runner.conftest import pipeline, pipeline_on

__all__ = ["pipeline", "pipeline_on"]
