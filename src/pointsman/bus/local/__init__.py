"""A real Apache Kafka on this machine, for people and tests without a cluster."""

from pointsman.bus.local.broker import LocalBroker
from pointsman.bus.local.paths import cache_dir

__all__ = ["LocalBroker", "cache_dir"]
