"""Pipelines inside stream engines, on the session's broker."""

import os
import sys

import pytest

from runner.conftest import pipeline, pipeline_on

__all__ = ["pipeline", "pipeline_on", "pytest_sessionfinish", "pytest_unconfigure"]

_ENDED: list[int] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Notes how the session ended."""
    _ENDED.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Ends at once where a Java machine is in this process: taking it down beside other threads can crash."""
    jpype = sys.modules.get("jpype")
    if jpype is not None and jpype.isJVMStarted():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ENDED[-1] if _ENDED else 1)
