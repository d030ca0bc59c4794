"""The pipeline document: read with positions, checked, typed; its JSON Schema; its tests."""

from pointsman.spec.load import check, examine, load

__all__ = ["check", "examine", "load"]
