"""Writes the functions of one window definition, so that an event costs no loop over its aggregates.

What is known of a key is an entry: its newest event's time, its current sub-bucket (`k`, `c…`) and the key of
its record (`at`), the closed ones as rows of one array in order (`x`, each beginning with its number), and
what those inside the window give together (`p…`). In outline, for a sum:

    def see(when, counts, key, v0):
        e = live.get(key) or find(key)
        k = when // BUCKET
        if k > e.k: roll(e, k)               # closes the sub-bucket, brings p0 up to date
        elif k < e.k: return older(...)      # out of order: the same over a closed one
        e.c0 += v0
        changed[e.at] = encode((VERSION, e.k, e.newest, e.c0))
        return e.p0 + e.c0
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from pointsman.state.ddsketch import DDSketch, merged, quantile
from pointsman.state.hyperloglog import Distinct, distinct, united
from pointsman.state.window import Window, ahead, has_value, late, name_of, number_of
from pointsman.state.window_cells import HELPERS, Cell, cells_of
from pointsman.state.window_text import Writer

__all__ = ["Functions", "functions"]


@dataclass(frozen=True, slots=True)
class Functions:
    """What is generated for a window.

    Attributes:
        new: An entry without events, of the prefix of its records' keys.
        roll: `roll(e, k)` makes sub-bucket k, later than all that have events, the current one.
        fold: `fold(e, k)` brings `p…` up to date for an event of sub-bucket k.
        at: `at(e, k)`: an entry whose current sub-bucket is k, none later than e's; for looking only.
        look: `look(e, when)`: the value, with nothing counted.
        cells: `cells(e)`: what the current sub-bucket holds, as stored; sketches are left out.
        numbers: `numbers(e)`: the numbers of the closed sub-buckets, in order.
        sketches: `sketches(e)`: its sketches.
        close: `close(e, k, cells, sketches)` puts a closed sub-bucket, later than all others, into an entry.
        current: `current(e, k, cells, sketches)` makes sub-bucket k, later than all others, the current one.
        keep: `keep(e, changed, sketched)` notes what is stored of the current sub-bucket.
        bind: `bind(store)`: the function from an event to the value.
        text: The generated Python.
    """

    new: Callable[[bytes], Any]
    roll: Callable[[Any, int], None]
    fold: Callable[[Any, int], None]
    at: Callable[[Any, int], Any]
    look: Callable[[Any, int], Any]
    cells: Callable[[Any], tuple[Any, ...]]
    numbers: Callable[[Any], list[int]]
    sketches: Callable[[Any], tuple[Any, ...]]
    close: Callable[[Any, int, Sequence[Any], Sequence[Any]], None]
    current: Callable[[Any, int, Sequence[Any], Sequence[Any]], None]
    keep: Callable[[Any, dict[bytes, bytes], dict[bytes, Any]], None]
    bind: Callable[[Any], Callable[..., Any]]
    text: str


@cache
def functions(window: Window) -> Functions:
    """The functions of a window; those of equal windows are the same."""
    writer = Writer(window)
    text, row = writer.text(), writer.row
    names: dict[str, Any] = {
        **HELPERS,
        "Entry": _entry(cells_of(window)),
        "ROW": struct.Struct(f"{row}d").pack,
        "array": array,
        "bisect_left": bisect_left,
        "bisect_right": bisect_right,
        "DDSketch": DDSketch,
        "merged": merged,
        "quantile": quantile,
        "Distinct": Distinct,
        "distinct": distinct,
        "united": united,
        "SLOTS": [(k * window.parts).to_bytes(2, "big") for k in range(window.ring)],
        "encode": msgspec.msgpack.Encoder().encode,
        "ahead": ahead,
        "has_value": has_value,
        "late": late,
        "name_of": name_of,
        "number_of": number_of,
    }
    exec(compile(text, "<window>", "exec"), names)  # text of our own making; no name or value of an event
    made = {name: names[name] for name in Functions.__slots__ if name != "text"}
    return Functions(**made, text=text)


def _entry(cells: Sequence[Cell]) -> type[Any]:
    """The class of a key's entry. Its references make no circle, so the collector need not know of it."""
    fields = [field.name for cell in cells for field in cell.fields]
    sketched = [field.name for cell in cells if cell.sketch for field in cell.fields]
    names = ["at", "k", "newest", "low", "x"]
    names += [*(f"c{field}" for field in fields), *(f"p{field}" for field in fields)]
    names += [f"y{field}" for field in sketched]
    return msgspec.defstruct("Entry", [(name, Any) for name in names], gc=False)
