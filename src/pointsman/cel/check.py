"""The library that parses and type-checks CEL text: `cel-expr-python`, Google's C++ CEL.

Only this file knows it. It is handed text within limits: it recurses, and its evaluator is not used at all.
"""

from __future__ import annotations

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

    # Two-variable macros can be had by name only, through the configuration.
    config = 'extensions:\n - name: "two-var-comprehensions"\n'
    if not macros:
        config += "stdlib:\n  disable_macros: true\n"
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(config),
        variables={name: _type(cel.Type, spelt) for name, spelt in variables},
        extensions=[
            ext_bindings.ExtBindings(),
            ext_encoders.ExtEncoders(),
            ext_math.ExtMath(),
            ext_optional.ExtOptional(),
            ext_strings.ExtStrings(),
        ],
        container=container or None,
        functions=[_declaration(cel, *overload) for overload in functions] or None,
    )


def _declaration(
    cel: Any, name: str, identity: str, parameters: Sequence[str], result: str, member: bool
) -> Any:
    overload = cel.Overload(
        id=identity,
        return_type=_type(cel.Type, result),
        parameters=[_type(cel.Type, parameter) for parameter in parameters],
        is_member=member,
    )
    return cel.FunctionDecl(name, [overload])


def _type(types: Any, spelt: str) -> Any:
    """Returns the library's type for one spelt as `map(string,list(int))`."""
    head, _, rest = spelt.partition("(")
    inner = [_type(types, part) for part in _split(rest[:-1])] if rest else []
    match head:
        case "list":
            return types.List(inner[0]) if inner else types.LIST
        case "map":
            return types.Map(inner[0], inner[1]) if inner else types.MAP
        case "type":
            return types.Type(inner[0]) if inner else types.TYPE
        case (
            "bool"
            | "bytes"
            | "double"
            | "dyn"
            | "int"
            | "null"
            | "string"
            | "uint"
            | "duration"
            | "timestamp"
        ):
            return getattr(types, head.upper())
    if head.startswith("abstract:"):
        return types.AbstractType(head.removeprefix("abstract:"), inner)
    return types(spelt.removeprefix("param:"))


def _split(inner: str) -> list[str]:
    """Returns the parts between top-level commas."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(inner[start:at])
            start = at + 1
    return [*parts, inner[start:]]
