"""Where metrics are served."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.serve import MetricsServer


def yes() -> bool:
    """All is well."""
    return True


def test_metrics_are_for_this_machine_unless_told_otherwise() -> None:
    """Without an address the loopback interface is listened on, and no other."""
    with MetricsServer(0, dict, yes, yes) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with urlopen(f"{server.address}/readyz", timeout=5) as answer:
            assert answer.read() == b"ok\n"


def test_an_address_that_is_not_of_this_machine_is_told() -> None:
    """The message names the address and both options."""
    with pytest.raises(EnvironmentFault, match=r"on 192\.0\.2\.1:0 .*--metrics-port.*--metrics-host"):
        MetricsServer(0, dict, yes, yes, "192.0.2.1")
