"""The models of pipeline.yaml. Each takes a list, one entry per event, and returns a list as long."""


def baseline(events):
    """A model without `inputs` gets the enriched event: id, time, key, event and metadata."""
    return [{"score": 0.1 if event["metadata"].get("risk_level") == "low" else 0.4} for event in events]


def challenger(events):
    """The other arm of the A/B test."""
    return [{"score": 0.2} for _ in events]


class Careful:
    """A class is built once per worker: load what is large here."""

    def __init__(self):
        self.weights = {"low": 0.1, "medium": 0.5, "high": 0.9}

    def predict(self, rows):
        """A model with `inputs` gets just those, by name."""
        return [{"score": min(1.0, self.weights[row["risk_level"]] + row["amount"] / 50_000)} for row in rows]
