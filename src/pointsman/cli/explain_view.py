"""An explanation as text: what was decoded and added, why this route, what the model said, the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.cli.screen import Paint, clean, columns, jsonish, plain

__all__ = ["render", "route_lines"]

_MARKS = {"true": "✓", "false": "✗", "error": "!", "not reached": "·"}
_ROLES = {"true": "good", "false": "faint", "error": "bad", "not reached": "faint"}
_PARTS = 12
"""Parts of a window that are shown; `--json` has all."""
_VALUE = 60
"""Characters of a value that are shown; the record below shows all of it."""


def render(told: Mapping[str, Any], paint: Paint = plain) -> str:
    """All parts of an explanation, each under its title.

    Args:
        told: An `Explanation` as plain values, as `explain --json` writes it.
        paint: Colours a text by what it is.
    """
    parts = [
        ("event", _event(told, paint)),
        ("metadata", _metadata(told["metadata"], paint)),
        ("state", _state(told.get("state", ()), paint)),
        ("routes", route_lines(told["routes"], paint)),
        ("choice", _choice(told["choice"], paint)),
        ("model", _calls(told["calls"], paint)),
        ("dead letter", _dead(told.get("dead_letter"), paint)),
        ("record", _record(told["record"])),
    ]
    return "\n\n".join("\n".join([paint(title, "title"), *lines]) for title, lines in parts if lines)


def _event(told: Mapping[str, Any], paint: Paint) -> list[str]:
    width = max([len("time"), *(len(field["name"]) for field in told["fields"])])
    head = [("id", jsonish(told["id"])), ("key", jsonish(told["key"])), ("time", _time(told["time"]))]
    lines = [f"  {paint(name.ljust(width), 'faint')}  {value}" for name, value in head]
    rows = []
    for field in told["fields"]:
        shown = "–" if field["problem"] == "missing" else jsonish(field["value"], limit=_VALUE)
        row = [paint(field["name"].ljust(width), "name"), shown, paint(field["type"] or "", "faint")]
        if field["problem"] == "missing":
            row.append(paint("missing", "warn"))
        elif field["problem"] is not None:
            row.append(paint(f"is not of type {field['type']}", "warn"))
        rows.append(row)
    return lines + columns(rows)


def _time(ms: int | None) -> str:
    if ms is None:
        return "–"
    seconds, rest = divmod(ms, 1000)
    try:
        shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return str(ms)
    return f"{shown}.{rest:03d}Z ({ms})"


def _metadata(metadata: Iterable[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Each field; what gives reasons, such as quality and scorecards, has them below."""
    rows, reasons = [], []
    for field in metadata:
        error, found = field.get("error"), field["value"]
        why = found.get("reasons", ()) if isinstance(found, Mapping) else ()
        if why:
            found = {name: value for name, value in found.items() if name != "reasons"}
        value = paint(f"! {error}", "bad") if error else jsonish(found, limit=_VALUE)
        rows.append([paint(field["name"], "name"), value])
        reasons.append([f"      {paint('because', 'faint')}  {clean(str(one))}" for one in why])
    return [line for row, why in zip(columns(rows), reasons, strict=True) for line in (row, *why)]


def _state(state: Iterable[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Each window: its value, then what it is made of, newest first."""
    lines = []
    for window in state:
        value = jsonish(window["value"], limit=_VALUE)
        lines.append(f"  {paint(window['field'], 'name')} of {jsonish(window['key'])}  {value}")
        parts = window.get("buckets") or window.get("events") or []
        rows = []
        for part in reversed(parts):
            when = _time(part["from"] if "from" in part else part["time"]).partition(" ")[0]
            held = jsonish(part["value"] if "value" in part else part["values"], limit=_VALUE)
            mark = paint("counts", "good") if part["counts"] else paint("does not count", "faint")
            rows.append([paint(when, "faint"), held, mark])
        lines += ["  " + row for row in columns(rows[:_PARTS])]
        if len(rows) > _PARTS:
            lines.append(f"    and {len(rows) - _PARTS} older")
    return lines


def route_lines(routes: Sequence[Mapping[str, Any]], paint: Paint = plain) -> list[str]:
    """Each route in order: whether it was true, its condition, and the values that made it so."""
    lines: list[str] = []
    width = max((len(route["name"]) for route in routes), default=0)
    for route in routes:
        outcome, mark = route["outcome"], _MARKS[route["outcome"]]
        name = route["name"].ljust(width)
        if outcome == "not reached":
            lines.append(paint(f"  {mark} {name}  not reached", "faint"))
            continue
        where = paint(f"line {route['line']}", "faint") if route["line"] else ""
        shown = paint(name, "name") if outcome == "true" else name
        head = f"  {paint(mark, _ROLES[outcome])} {shown}  {route['condition'] or 'always'}  {where}"
        lines.append(head.rstrip())
        lines += columns(_steps(route, paint), indent=" " * (width + 6))
    return lines


def _steps(route: Mapping[str, Any], paint: Paint) -> list[list[str]]:
    """The parts of a condition with what they gave, and the values they read."""
    rows = []
    for step in _without_repeats(route["steps"]):
        whole = step["text"] == route["condition"]
        gave = (
            paint(f"! {step['error']}", "bad") if step.get("error") else jsonish(step["value"], limit=_VALUE)
        )
        values = ", ".join(f"{_short(path)} = {jsonish(value, limit=_VALUE)}" for path, value in _names(step))
        row = [*([] if whole else [step["text"]]), *([] if whole and not step.get("error") else [gave])]
        rows.append([*row, paint(values, "faint")])
    return [row for row in rows if any(row)]


def _without_repeats(steps: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The steps without the whole's error where a part has told it already."""
    told = {step["error"] for step in steps if step.get("error") and "names" in step}
    return (step for step in steps if "names" in step or step.get("error") not in told)


def _names(step: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (path, value) for path, value in step.get("names", {}).items() if "." in path or not _is_large(value)
    ]


def _is_large(value: Any) -> bool:
    """A whole event or table says nothing here."""
    return isinstance(value, (dict, list))


def _short(path: str) -> str:
    return path.removeprefix("event.").removeprefix("metadata.")


def _choice(choice: Mapping[str, Any] | None, paint: Paint) -> list[str]:
    if choice is None:
        return []
    lines = [f"  {paint(choice['model'], 'name')} by {choice['strategy']} ({choice['reason']})"]
    if choice.get("candidates"):
        arms = ", ".join(f"{model} {share:.6g}" for model, share in choice["candidates"].items())
        lines.append(f"  unit {jsonish(choice.get('unit'))}, propensity {choice['propensity']:.6g} of {arms}")
    return lines


def _calls(calls: Iterable[Mapping[str, Any]], paint: Paint) -> list[str]:
    lines = []
    for call in calls:
        version = f" {call['version']}" if call.get("version") else ""
        good = call["status"] == "ok"
        lines.append(
            f"  {paint(call['model'], 'name')}{version}  {paint(call['status'], 'good' if good else 'bad')}"
        )
        for title in ("inputs", "reply", "error"):
            if call.get(title) is not None:
                value = call[title] if title == "error" else jsonish(call[title])
                lines.append(f"    {paint(title.ljust(6), 'faint')}  {value}")
    return lines


def _dead(letter: Mapping[str, Any] | None, paint: Paint) -> list[str]:
    return [f"  {paint(letter['reason'], 'bad')}: {letter['message']}"] if letter else []


def _record(record: Any) -> list[str]:
    if record is None:
        return ["  none is written"]
    members = [f"{jsonish(name)}: {jsonish(value)}" for name, value in record.items()]
    return [
        f"  {'{' if i == 0 else ' '}{text}{',' if text is not members[-1] else '}'}"
        for i, text in enumerate(members)
    ]
