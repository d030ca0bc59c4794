"""The pipeline document: read with positions, checked, typed; its JSON Schema; its tests."""

from pointsman.spec.load import check, load

__all__ = ["check", "load"]
