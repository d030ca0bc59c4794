"""The benchmark's events and its ten routes, written once for every contender."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

LOCATIONS = ("Singapore", "Berlin", "Lagos", "Lima", "Osaka", "Austin", "Paris", "Quito", "Perth", "Oslo")
DEVICES = ("iOS", "Android", "web")
PARTITIONS = 8


def events(count: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of `count` payments, about 170 bytes each."""
    draw = random.Random(seed)
    for n in range(count):
        user = f"U{draw.randrange(50_000)}"
        event = {
            "txn_id": f"t-{n}",
            "user_id": user,
            "device": draw.choice(DEVICES),
            "location": draw.choice(LOCATIONS),
            "amount": round(draw.lognormvariate(5, 1.6), 2),
            "event_type": "transaction",
            "ts": 1_760_000_000_000 + n,
        }
        yield user.encode(), json.dumps(event).encode()


def document(routes: int, source: str, target: str, bootstrap: str, profile: str = "throughput") -> str:
    """The pipeline with `routes` routes; with ten it is what the hand-written loop does."""
    lines = [
        "version: 1",
        "pipeline: bench",
        f"profile: {profile}",
        f'kafka: {{bootstrap.servers: "{bootstrap}", group.id: "{target}"}}',
        "source:",
        f"  topics: [{source}]",
        "  key: user_id",
        "  id: txn_id",
        "  time: ts",
        "  fields:",
        "    {txn_id: string, user_id: string, device: string, location: string, amount: double, ts: int}",
        "enrich:",
        '  risk_level: \'amount > 5000.0 ? "high" : amount > 1000.0 ? "medium" : "low"\'',
        "models:",
        "  large: {python: 'scorer:large', inputs: {amount: amount}}",
        "  mobile: {python: 'scorer:mobile', inputs: {amount: amount}}",
        "  baseline: {python: 'scorer:baseline', inputs: {amount: amount}}",
        "routes:",
    ]
    for n, location in enumerate(_locations(routes - 2)):
        model = ("large", "mobile", "baseline")[n % 3]
        condition = f'location == "{location}" && amount > {100 * (n % 10)}.0'
        lines.append(f"  - {{name: r{n}, when: '{condition}', use: {model}}}")
    lines += [
        "  - {name: ios, when: 'device == \"iOS\"', use: mobile}",
        "  - {name: otherwise, use: baseline}",
        f"write: {{decisions: {target}, dead_letters: {target}-dead}}",
    ]
    return "\n".join(lines) + "\n"


def _locations(count: int) -> list[str]:
    """Eight real places; beyond them places no event comes from."""
    return [LOCATIONS[n] if n < 8 else f"place-{n}" for n in range(count)]


SCORER = '''"""Three models that cost next to nothing, so that the event path is what is measured."""


def large(rows):
    return [{"score": 0.9} for _ in rows]


def mobile(rows):
    return [{"score": 0.5} for _ in rows]


def baseline(rows):
    return [{"score": 0.1} for _ in rows]
'''
