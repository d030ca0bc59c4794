"""Chaos: seeded schedules of faults on a real broker, judged by an oracle in plain Python.

`python -m chaos --schedules 10 --seed 1` (with `tests` on the path; `make chaos` does it).
"""
