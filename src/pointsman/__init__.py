"""Event-driven dynamic model selection on Apache Kafka."""

__version__ = "0.1.0"
