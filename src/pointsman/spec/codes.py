"""Every code that a finding may carry: its cause, what to do, and a wrong and a right piece of a document.

The pieces stand over `examples/payments/pipeline.yaml`: merged over it as an overlay, the wrong one gives
exactly its code and the right one nothing. `docs/errors.md` is written from here.
"""

from __future__ import annotations

from typing import Final

from pointsman.spec.code import Code
from pointsman.spec.codes_document import DOCUMENT
from pointsman.spec.codes_keyed import KEYED
from pointsman.spec.codes_named import NAMED
from pointsman.spec.codes_tables import TABLES

__all__ = ["CATALOGUE", "CHAPTERS", "Code"]

CHAPTERS: Final = {
    "1": "The file",
    "2": "The document",
    "3": "Expressions",
    "4": "What the document names: models, Python, tables",
    "5": "What servers say",
}

CATALOGUE: Final[dict[str, Code]] = dict(
    sorted((DOCUMENT | NAMED | TABLES | KEYED).items(), key=lambda one: one[0][1:])
)
"""In the order of the codes."""
