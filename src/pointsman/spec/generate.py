"""`python -m pointsman.spec.generate`: writes JSON Schemas and reference pages from the declarations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pointsman.spec.records import dead_letter_schema, decision_schema, request_schema, result_schema
from pointsman.spec.reference import errors_page, reference_page
from pointsman.spec.schema import pipeline_schema

__all__ = ["derived", "main"]

ROOT = Path(__file__).parents[3]
"""The repository; a wheel has no use for this file."""


def derived() -> dict[str, str]:
    """Every derived file's content, by path in the repository."""
    schemas = {
        "pipeline": pipeline_schema(),
        "decision": decision_schema(),
        "request": request_schema(),
        "result": result_schema(),
        "dead-letter": dead_letter_schema(),
    }
    files = {"docs/reference.md": reference_page(), "docs/errors.md": errors_page()}
    for name, schema in schemas.items():
        for folder in ("schemas", "src/pointsman/schemas"):
            files[f"{folder}/{name}.schema.json"] = _json(schema)
    return files


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Writes what is stale and says which files those were."""
    for name, content in derived().items():
        path = ROOT / name
        if path.is_file() and path.read_text("utf-8") == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
