"""Every function by its CEL name: the Python function behind it and the kind of value it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pointsman.cel.functions import convert, mathematics, optional, strings, time

__all__ = ["FUNCTIONS", "Function"]


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Attributes:
        run: Takes the arguments, a method's target first; raises `EvalError`.
        result: The kind it always gives, or `dyn`.
    """

    run: Callable[..., Any]
    result: str = "dyn"


FUNCTIONS: Final[dict[str, Function]] = {
    **{name: Function(*entry) for name, entry in convert.FUNCTIONS.items()},
    **{name: Function(*entry) for name, entry in strings.FUNCTIONS.items()},
    **{name: Function(*entry) for name, entry in mathematics.FUNCTIONS.items()},
    **{name: Function(*entry) for name, entry in time.FUNCTIONS.items()},
    **{name: Function(*entry) for name, entry in optional.FUNCTIONS.items()},
}
