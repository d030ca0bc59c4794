"""What later versions bring: known already, so that a document that uses it is told so and not 'unknown key'.

Keys carry their step in their declaration; here are the components and words that have no file yet. A
component that is registered (by a file of this package or an entry point of another) is available, whatever
this table says.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMPONENTS", "STEP", "WORDS"]

STEP: Final = 3
"""The step of this version."""

COMPONENTS: Final[dict[str, dict[str, int]]] = {
    "enricher": {"window": 3, "quality": 3, "score": 3, "model": 3, "python": 3},
    "model": {
        "grpc": 2,
        "http": 2,
        "kafka": 2,
        "kafka_rest": 2,
        "kserve": 2,
        "mlflow": 2,
        "open_inference": 2,
        "openai": 2,
        "tensorflow_serving": 2,
    },
    "strategy": {
        "apprentice": 5,
        "canary": 5,
        "cascade": 5,
        "cheapest": 5,
        "choose": 5,
        "ensemble": 5,
        "epsilon_greedy": 5,
        "fastest": 5,
        "linucb": 5,
        "shadow": 5,
        "thompson": 5,
    },
    "table": {},
}
"""Role → the key that names a component → the step that brings it."""

WORDS: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("WantKeys", "status"): {"duplicate": 3},
}
"""Config and key → a word it will take → the step that brings it."""
