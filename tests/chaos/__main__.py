"""`python -m chaos`: plays seeded schedules and prints what became of every event."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos.judge import Verdict
from chaos.page import page
from chaos.play import Play
from pointsman.bus.local import LocalBroker


def main() -> int:
    """Plays the schedules; the exit code is 1 where something was lost, repeated or wrong."""
    options = _options()
    print(f"{options.schedules} schedules from seed {options.seed}, {options.events} events each", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "broker") as broker:
        plays = [
            Play(
                broker,
                Path(folder) / str(seed),
                seed,
                options.delivery,
                on_disk=seed % 2 == 0,
                count=options.events,
                host=options.on,
            )
            for seed in range(options.seed, options.seed + options.schedules)
        ]
        with ThreadPoolExecutor(options.at_once) as pool:
            verdicts = list(pool.map(_played, plays))
    total = Verdict(
        *(sum(getattr(v, name) for v in verdicts)
          for name in ("events", "lost", "duplicated", "wrong", "state_differences"))
    )  # fmt: skip
    good = sum(v.good for v in verdicts)
    print(f"{good} of {len(verdicts)} schedules as wanted; {total.events:,} events, "
          f"{time.monotonic() - began:.0f} s; wrong {total.wrong}")  # fmt: skip
    print(f"lost {total.lost}, duplicated {total.duplicated}, state differences {total.state_differences}")
    if options.page:
        options.page.write_text(page(plays, verdicts), "utf-8")
    return 0 if good == len(verdicts) else 1


def _played(play: Play) -> Verdict:
    verdict = play.run(lambda line: print(line, flush=True))
    found = "as wanted" if verdict.good else (
        f"lost {verdict.lost}, duplicated {verdict.duplicated}, wrong {verdict.wrong}, "
        f"state differences {verdict.state_differences}"
    )  # fmt: skip
    print(f"  {play.seed}: {verdict.events:,} events, {found}", flush=True)
    if play.hanging:
        print(
            f"     the broker forgot transactions, which were aborted: {', '.join(play.hanging)}", flush=True
        )
    for example in verdict.examples:
        print(f"     {example[:2000]}", flush=True)
    return verdict


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--delivery", choices=("exactly_once", "at_least_once"), default="exactly_once")
    parser.add_argument("--on", choices=("native", "kafka-streams", "flink"), default="native")
    parser.add_argument("--at-once", type=int, default=1, help="schedules side by side, on one broker")
    parser.add_argument("--page", type=Path, help="write the result there, as a page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
