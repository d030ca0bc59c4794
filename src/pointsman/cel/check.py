"""The library that parses and type-checks CEL text: `cel-expr-python`, Google's C++ CEL.

Only this file knows it. It is handed text within limits: it recurses, and its evaluator is not used at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pointsman.base.errors import PointsmanError
from pointsman.cel.tree import Tree, read

__all__ = ["Checker", "Overload", "Rejected"]

Overload = tuple[str, str, tuple[str, ...], str, bool]
"""A function's declaration: name, id, parameter types, result type, whether it is a method."""

_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


class Rejected(PointsmanError):
    """The library refuses the text.

    Attributes:
        complaints: (offset in characters, or -1; the library's words), in its order.
    """

    def __init__(self, complaints: Sequence[tuple[int, str]]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(words for _, words in complaints))


class Checker:
    """Checks texts against one set of names.

    Args:
        variables: Name → type, spelt as `list(int)`; `dyn` where it is not certain before the value is there.
        container: The namespace that names are looked up in.
        macros: Whether `has`, `all` and their like are macros.
        functions: Declarations beyond the standard and extension functions.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        container: str = "",
        macros: bool = True,
        functions: Sequence[Overload] = (),
    ) -> None:
        self._env = _environment(tuple(sorted(variables.items())), container, macros, tuple(functions))

    def check(self, text: str) -> Tree:
        """Returns the checked tree; raises `Rejected`."""
        return self._compile(text, False)

    def parse(self, text: str) -> Tree:
        """Returns the tree without checking types and names; raises `Rejected`."""
        return self._compile(text, True)

    def _compile(self, text: str, disable_check: bool) -> Tree:
        try:
            compiled = self._env.compile(text, disable_check=disable_check)
        except Exception as error:  # the binding raises RuntimeError, and others for odd text
            raise Rejected(_complaints(text, str(error))) from None
        return read(compiled.serialize())


def _complaints(text: str, message: str) -> list[tuple[int, str]]:
    starts = [0]
    starts.extend(found.end() for found in re.finditer("\n", text))
    complaints = []
    for found in _ERROR.finditer(message):
        line, column = int(found[1]), int(found[2])
        known = 0 < line <= len(starts) and column > 0
        offset = min(starts[line - 1] + column - 1, len(text)) if known else -1
        complaints.append((offset, found[3].removesuffix(" [INVALID_ARGUMENT]")))
    return complaints or [(-1, message.splitlines()[0] if message else "unreadable")]


@lru_cache(maxsize=256)
def _environment(
    variables: tuple[tuple[str, str], ...], container: str, macros: bool, functions: tuple[Overload, ...]
) -> Any:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_config(macros, functions)),
        variables={name: cel.Type(_signature(spelt)) for name, spelt in variables},
        extensions=[
            ext_bindings.ExtBindings(),
            ext_encoders.ExtEncoders(),
            ext_math.ExtMath(),
            ext_optional.ExtOptional(),
            ext_strings.ExtStrings(),
        ],
        container=container or None,
    )


def _config(macros: bool, functions: Sequence[Overload]) -> str:
    """Returns what only the library's YAML can say: two-variable macros, functions with type parameters."""
    lines = ['extensions: [{name: "two-var-comprehensions"}]']
    if not macros:
        lines.append("stdlib: {disable_macros: true}")
    if functions:
        lines.append("functions:")
    for name, identity, parameters, result, member in functions:
        types = [_signature(parameter) for parameter in parameters]
        target = f"{types.pop(0)}." if member else ""
        overload = {
            "id": identity,
            "signature": f"{target}{name}({','.join(types)})",
            "return": _signature(result),
        }
        lines.append("  - " + json.dumps({"name": name, "overloads": [overload]}))
    return "\n".join(lines)


def _signature(spelt: str) -> str:
    """Returns a type spelt as `map(string,list(int))` in the library's own spelling."""
    text = spelt.replace("abstract:", "").replace("param:", "~").replace("(", "<").replace(")", ">")
    return "null_type" if text == "null" else text
