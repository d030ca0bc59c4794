"""Writes the text of the functions of one window definition; see `window_code`."""

from __future__ import annotations

from typing import Final

from pointsman.state.window import NEVER, Window
from pointsman.state.window_cells import Field, cells_of, formula

__all__ = ["VERSION", "Writer"]

VERSION: Final = 1
"""The version of the records; every record says its own."""

BEFORE: Final = NEVER << 1
"""The sub-bucket of an entry that has seen nothing."""


class Writer:
    """The text of a window's functions, one method each."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.cells = cells_of(window)
        self.fields: list[Field] = [field for cell in self.cells for field in cell.fields]
        self.plain = [field for cell in self.cells if not cell.sketch for field in cell.fields]
        self.sketched = [field for cell in self.cells if cell.sketch for field in cell.fields]

    def text(self) -> str:
        """All functions."""
        parts = [
            self.new(), self.roll(), self.fold(), self.at(), self.look(), self.stored(), self.bind(),
        ]  # fmt: skip
        return "\n\n\n".join("\n".join(lines) for lines in parts) + "\n"

    @property
    def row(self) -> int:
        """How many places of the array a closed sub-bucket takes."""
        return 1 + len(self.plain)

    def new(self) -> list[str]:
        """An entry without events."""
        empty = ", ".join([*(field.empty for field in self.fields), *self.nothing(), *self.none()])
        return [
            "def new(name):",
            f"    return Entry(name + b'\\0\\0', {BEFORE}, {NEVER}, 0, None, {empty})",
            "",
            "",
            "def rows(e):",
            "    if e.x is None:",
            "        e.x = array('d')",
            *(f"        e.y{field.name} = []" for field in self.sketched),
            "    return e.x",
        ]

    def nothing(self) -> list[str]:
        """What no closed sub-bucket gives, for each field."""
        return [
            "{}" if cell.kind == "quantile" else field.empty for cell in self.cells for field in cell.fields
        ]

    def none(self) -> list[str]:
        """The lists of sketches before there are any."""
        return ["None"] * len(self.sketched)

    def append(self, k: str) -> list[str]:
        """Lines that put the current sub-bucket behind the closed ones; `x` are their rows then."""
        return [
            "x = e.x",
            "if x is None:",
            "    x = rows(e)",
            f"x.frombytes(ROW({k}{''.join(f', e.c{field.name}' for field in self.plain)}))",
            *(f"e.y{field.name}.append(e.c{field.name})" for field in self.sketched),
        ]

    def reset(self) -> list[str]:
        """Lines that empty the current sub-bucket."""
        return [f"e.c{field.name} = {field.empty}" for field in self.fields]

    def roll(self) -> list[str]:
        """Makes another sub-bucket, one without events, the current one.

        It closes the one that was; forgets those that no event can see any more. Where nothing was counted
        in the current one yet, as it was but looked at, the other may be an earlier one.
        """
        window = self.window
        return [
            "def roll(e, k):",
            f"    last = e.newest // {window.bucket}",
            "    if last == e.k:",
            *(f"        {line}" for line in self.append("last")),
            f"        if x[0] <= last - {window.kept}:",
            f"            cut = bisect_right(x[::{self.row}], last - {window.kept})",
            f"            del x[:cut * {self.row}]",
            *(f"            del e.y{field.name}[:cut]" for field in self.sketched),
            "            e.low -= cut",
            f"        if x[e.low * {self.row}] > k - {window.buckets}:  # none has left the window",
            f"            e.k, e.at = k, {self.record_key('k')}",
            *(f"            {line}" for cell in self.cells for line in cell.extend()),
            *(f"            {line}" for line in self.reset()),
            "            return",
            *(f"        {line}" for line in self.reset()),
            f"    e.k, e.at = k, {self.record_key('k')}",
            "    fold(e, k)",
        ]

    def record_key(self, k: str) -> str:
        """The text of the key of the record of an entry's sub-bucket k."""
        return f"e.at[:-2] + SLOTS[{k} % {self.window.ring}]"

    def fold(self) -> list[str]:
        """Brings together what the closed sub-buckets inside the window hold."""
        places = {field.name: place for place, field in enumerate(self.plain, 1)}
        lines = [
            cell.fold(
                [
                    f"e.y{field.name}[low:high]" if cell.sketch else f"x[{places[field.name]}::{self.row}]"
                    for field in cell.fields
                ]
            )
            for cell in self.cells
        ]
        return [
            "def fold(e, k):",
            "    x = e.x",
            f"    if not x or x[-{self.row}] <= k - {self.window.buckets}:",
            *(
                f"        e.p{field.name} = {empty}"
                for field, empty in zip(self.fields, self.nothing(), strict=True)
            ),
            f"        e.low = len(x) // {self.row} if x else 0",
            "        return",
            f"    ks = x[::{self.row}]",
            f"    e.low = low = bisect_right(ks, k - {self.window.buckets})",
            "    high = len(ks) if ks[-1] < k else bisect_left(ks, k)",
            *(["    if low or high < len(ks):"] if self.plain else []),
            *([f"        x = x[low * {self.row}:high * {self.row}]"] if self.plain else []),
            *(f"    {line}" for line in lines),
        ]

    def closed(self, place: str) -> list[str]:
        """The texts of the fields of a closed sub-bucket, whose row begins at `place`."""
        return [
            f"int(x[{place} + {n}])" if field.type == "int" else f"x[{place} + {n}]"
            for n, field in enumerate(self.plain, 1)
        ]

    def at(self) -> list[str]:
        """An entry that stands at another sub-bucket, and puts a changed one back."""
        closed = dict(zip([field.name for field in self.plain], self.closed("o"), strict=True))
        closed |= {field.name: f"e.y{field.name}[j]" for field in self.sketched}
        there = ", ".join(closed[field.name] for field in self.fields)
        empty = ", ".join(field.empty for field in self.fields)
        rest = ", ".join([*self.nothing(), *(f"e.y{field.name}" for field in self.sketched)])
        row = "".join(f"t.c{field.name}, " for field in self.plain)
        return [
            "def at(e, k):",
            "    if k == e.k:",
            "        return e",
            f"    x, key = e.x, {self.record_key('k')}",
            f"    ks = x[::{self.row}] if x else ()",
            "    j = bisect_left(ks, k)",
            "    if j < len(ks) and ks[j] == k:",
            f"        o = j * {self.row}",
            f"        t = Entry(key, k, e.newest, 0, x, {there}, {rest})",
            "    else:",
            f"        t = Entry(key, k, e.newest, 0, x, {empty}, {rest})",
            "    fold(t, k)",
            "    return t",
            "",
            "",
            "def put(e, t):",
            "    k, x = t.k, rows(e)",
            f"    ks = x[::{self.row}]",
            "    j = bisect_left(ks, k)",
            "    there = j < len(ks) and ks[j] == k",
            f"    x[j * {self.row}:(j + there) * {self.row}] = array('d', (k, {row}))",
            *(f"    e.y{field.name}[j:j + there] = [t.c{field.name}]" for field in self.sketched),
            "    fold(e, e.k)",
        ]

    def look(self) -> list[str]:
        """The value without counting."""
        return ["def look(e, when):", *self.before(), f"    return {self.value()}"]

    def stored(self) -> list[str]:
        """Between entries and what is stored."""
        plain = "".join(f"e.c{field.name}, " for field in self.plain)
        sketches = "".join(f"e.c{field.name}, " for field in self.sketched)
        return [
            f"def cells(e):\n    return ({plain})\n\n",
            "def numbers(e):",
            f"    return [int(k) for k in e.x[::{self.row}]] if e.x else []",
            "\n",
            f"def sketches(e):\n    return ({sketches})\n\n",
            "def current(e, k, cells, sketches):",
            *([f"    {plain}= cells"] if plain else []),
            *([f"    {sketches}= sketches"] if sketches else []),
            f"    e.k, e.at = k, {self.record_key('k')}",
            "    fold(e, k)",
            "\n",
            "def close(e, k, cells, sketches):",
            *([f"    {plain}= cells"] if plain else []),
            *([f"    {sketches}= sketches"] if sketches else []),
            *(f"    {line}" for line in self.append("k")),
            *(f"    {line}" for line in self.reset()),
        ]

    def before(self) -> list[str]:
        """Lines for what is known before an event is counted."""
        return [
            f"    b{cell.number} = e.p{cell.number} if e.p{cell.number} > e.c{cell.number} "
            f"else e.c{cell.number}"
            for cell in self.cells
            if cell.kind == "newest"
        ]

    def value(self) -> str:
        """The text of the field's value."""
        aggregates = self.window.aggregates
        texts = [formula(one, self.cells, self.window.over) for one in aggregates]
        if aggregates[0].name is None:
            return texts[0]
        pairs = ", ".join(f"{one.name!r}: {text}" for one, text in zip(aggregates, texts, strict=True))
        sure = all("MISSING" not in text and "deviation" not in text for text in texts)
        return f"{{{pairs}}}" if sure else f"there({{{pairs}}})"

    def keep(self) -> list[str]:
        """Lines that note what is stored of the current sub-bucket of `e`."""
        plain = "".join(f", e.c{field.name}" for field in self.plain)
        lines = [f"    changed[e.at] = encode(({VERSION}, e.k, e.newest{plain}))"]
        if self.sketched:
            sketches = "".join(f"e.c{field.name}, " for field in self.sketched)
            lines.append(f"    sketched[e.at] = (e.k, ({sketches}))")
        return lines

    def counting(self) -> list[str]:
        """Lines that count an event in the current sub-bucket of `e` and return the value."""
        lines = self.before()
        if not self.window.include:
            lines.append(f"    value = {self.value()}")
        lines += [f"    {line}" for cell in self.cells for line in cell.add()]
        lines += self.keep()
        return [*lines, "    return " + (self.value() if self.window.include else "value")]

    def checks(self) -> list[str]:
        """Lines that settle of each value whether it is there, and whether it is a number."""
        kinds = {(cell.kind, cell.value) for cell in self.cells}
        lines = []
        for v in range(self.window.values):
            if any((kind, v) in kinds for kind in ("has", "newest", "distinct")):
                lines.append(
                    f"    h{v} = v{v}.__class__ is str or v{v}.__class__ is float or has_value(v{v})"
                )
            if any((kind, v) in kinds for kind in _NUMERIC):
                good = f"v{v}.__class__ is float and v{v} - v{v} == 0.0"
                lines.append(f"    w{v} = v{v} if {good} else number_of(v{v})")
        return lines

    def bind(self) -> list[str]:
        """The function from an event to the value."""
        window = self.window
        values = "".join(f", v{v}" for v in range(window.values))
        where = ", where" if window.where else ""
        uncounted = "counts != 1 or where is not True" if window.where else "counts != 1"
        indented = [f"    {line}" for line in [*self.checks(), *self.counting()]]
        return [
            "def there(found):",
            "    return {name: value for name, value in found.items() if value is not MISSING}",
            "",
            "",
            "def keep(e, changed, sketched):",
            *self.keep(),
            "",
            "",
            "def bind(store):",
            "    find, changed, sketched, known = store.find, store.changed, store.sketched, store.live.get",
            "",
            f"    def count(e, when{values}):",
            *indented,
            "",
            "    def peek(e, when, counts):",
            "        if counts < 0:",
            "            raise ahead()",
            f"        if when <= e.newest - {window.over}:",
            f"            raise late(when, e.newest, {window.over})",
            f"        k = when // {window.bucket}",
            "        if k > e.k:",
            "            roll(e, k)",
            "        return look(at(e, k), when)",
            "",
            f"    def older(e, when, k{values}):",
            f"        if when <= e.newest - {window.over}:",
            f"            raise late(when, e.newest, {window.over})",
            "        if when > e.newest:",
            "            e.newest = when",
            "        t = at(e, k)",
            f"        value = count(t, when{values})",
            "        put(e, t)",
            "        return value",
            "",
            f"    def see(when, counts, key{where}{values}):",
            "        if key.__class__ is not str:",
            "            key = name_of(key)",
            "        e = known(key)",
            "        if e is None:",
            "            e = find(key)",
            f"        if {uncounted}:",
            "            return peek(e, when, counts)",
            f"        k = when // {window.bucket}",
            "        if k != e.k:",
            f"            if k <= e.newest // {window.bucket}:",
            f"                return older(e, when, k{values})",
            "            roll(e, k)",
            "            e.newest = when",
            "        elif when > e.newest:",
            "            e.newest = when",
            *indented,
            "",
            "    return see",
        ]


_NUMERIC = ("numbers", "sum", "min", "max", "moments", "last", "quantile")
