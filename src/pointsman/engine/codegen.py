"""The tools that generated code is written with: lines, slots for names, and guarded expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pointsman.cel.program import Inline, Program

__all__ = ["Code", "Slots", "Writer"]


class Writer:
    """Lines of Python with their indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`with write.block("if x:"):` indents what is written inside."""
        self(head)
        self.depth += 1
        yield
        self.depth -= 1

    def text(self) -> str:
        """The whole."""
        return "\n".join(self.lines) + "\n"


@dataclass(slots=True)
class Slots:
    """Which Python local holds which name of the expressions.

    Attributes:
        fields: Event field → local.
        metadata: Metadata field → local, in the order they are computed.
        whole_event: Whether some expression reads `event` as a whole.
        roots: Other roots that are read: `headers`, `key`, `topic`, `now`, tables.
    """

    fields: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    whole_event: bool = False
    roots: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        programs: Iterable[Program],
        metadata: Sequence[str],
        tables: Sequence[str],
    ) -> Slots:
        """The slots that `programs` read."""
        slots = cls(metadata={name: f"m{n}" for n, name in enumerate(metadata)})
        for program in programs:
            for path in sorted(program.reads):
                slots._add(path, tables)
        return slots

    def _add(self, path: str, tables: Sequence[str]) -> None:
        root, _, member = path.partition(".")
        if root == "event" and member:
            self.fields.setdefault(member, f"f{len(self.fields)}")
        elif root == "event":
            self.whole_event = True
        elif root in tables:
            self.roots[root] = f"t{tables.index(root)}"
        elif root in ("headers", "key", "topic", "now"):
            self.roots[root] = {"key": "kafka_key", "headers": "header_map"}.get(root, root)

    def paths(self, computed: int | None = None) -> dict[str, str]:
        """Path → local, for `Program.inline`.

        Args:
            computed: How many metadata fields have been computed by then; all by default.
        """
        found = {f"event.{name}": local for name, local in self.fields.items()}
        found |= {f"metadata.{name}": self.metadata[name] for name in list(self.metadata)[:computed]}
        return found | {"event": "whole", "metadata": self.metadata_map(computed)} | self.roots

    def metadata_map(self, computed: int | None = None) -> str:
        """An expression for the metadata map once `computed` fields are there."""
        names = tuple(self.metadata)[:computed]
        return f"present({names!r}, ({''.join(self.metadata[name] + ', ' for name in names)}))"

    def event_map(self) -> str:
        """An expression for the whole event."""
        return "whole" if self.whole_event else "decode_whole(raw)"


@dataclass(slots=True)
class Code:
    """A function being written: its text, and the objects its global names stand for."""

    slots: Slots
    write: Writer = field(default_factory=Writer)
    names: dict[str, Any] = field(default_factory=dict)

    def bind(self, name: str, value: Any) -> str:
        """Makes `value` known to the generated text as `name`."""
        self.names[name] = value
        return name

    def inline(self, program: Program, computed: int | None = None) -> Inline:
        """The expression's Python forms, its constants made known."""
        inline = program.inline(self.slots.paths(computed))
        self.names.update(inline.constants)
        return inline

    def guarded(
        self, fast: str | Sequence[str], exact: str | Sequence[str] | None, failed: Sequence[str]
    ) -> list[str]:
        """Lines for `fast`; if it raises, `exact`; if that raises or is None, `failed`, error in `x`."""
        lines = ["try:", *_indented(fast)]
        if exact is None:
            return [*lines, "except Exception as x:", *_indented(failed or ["pass"])]
        inner = ["try:", *_indented(exact), "except Exception as x:", *_indented(failed or ["pass"])]
        return [*lines, "except Exception:", *_indented(inner)]

    def assign(
        self, form: str, program: Program, failed: Sequence[str], *, computed: int | None = None
    ) -> None:
        """Writes `form` with the program's text for `{}`; where that raises, `failed` with the error `x`."""
        inline = self.inline(program, computed)
        exact = None if inline.exact is None else form.format(inline.exact)
        self.write(*self.guarded(form.format(inline.fast), exact, failed))


def _indented(lines: str | Sequence[str]) -> list[str]:
    return ["    " + line for line in ([lines] if isinstance(lines, str) else lines)]
