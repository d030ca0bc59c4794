"""The tests of a document are read as strictly as the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.base.errors import SpecError
from pointsman.spec.cases import Case, Stub, load_cases
from spec.documents import BASE, loaded, told, write

WITH_TABLE = BASE + "tables: {customers: {file: customers.csv, key: user_id}}\n"


def cases(folder: Path, text: str) -> list[Case]:
    """The cases of a text, for the small document."""
    document = loaded(folder, WITH_TABLE)
    return load_cases(write(folder, text, "pipeline_test.yaml"), document)


def test_a_case_keeps_what_it_says(tmp_path: Path) -> None:
    """Every key of a case reaches it in its own type."""
    text = """\
- name: everything
  event: {amount: 12, tags: [a, NO]}
  key: U1
  headers: {trace: t}
  time: 2025-10-09T08:53:20Z
  tables: {customers: {U1: {segment: gold}}}
  choose: other
  models: {other: {reply: {score: 0.5}}, baseline: {fails: timeout}}
  want: {route: large, status: ok, result: {output: {score: 0.5}}}
- {name: raw, event: 'not json', time: 12, want: {dead_letter: undecodable}}
"""
    whole, raw = cases(tmp_path, text)

    assert whole.event == {"amount": 12, "tags": ["a", "NO"]}
    assert (whole.key, whole.headers, whole.time) == ("U1", (("trace", "t"),), 1760000000000)
    assert whole.tables == {"customers": {"U1": {"segment": "gold"}}}
    assert (whole.choose, whole.line, raw.line) == ("other", 1, 10)
    assert whole.models == {"other": Stub(reply={"score": 0.5}), "baseline": Stub(fails="timeout")}
    assert whole.want == {"route": "large", "status": "ok", "result": {"output": {"score": 0.5}}}
    assert (raw.event, raw.time, raw.choose) == ("not json", 12, None)


@pytest.mark.parametrize("status", ["ok", "fallback", "dispatched", "expired", "failed"])
def test_a_case_may_want_any_status(tmp_path: Path, status: str) -> None:
    """Whatever may become of an event can be wanted, and so can the constant that answered."""
    text = f"- {{name: a, event: {{}}, want: {{status: {status}, result: {{model: constant}}}}}}"
    (case,) = cases(tmp_path, text)

    assert case.want == {"status": status, "result": {"model": "constant"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {name: a, event: {}, want: {route: larg}}", [("E219", 1, 38)]),
        ("- {name: a, event: {}, want: {rout: large}}", [("E201", 1, 31)]),
        ("- {name: a, event: {}, want: {status: okay}}", [("E205", 1, 39)]),
        ("- {name: a, event: {}, want: {status: duplicate}}", [("E206", 1, 39)]),
        ("- {name: a, event: {}, want: {}, choose: n}", [("E203", 1, 42)]),
        ("- {name: a, event: {}, want: {}, models: {n: {reply: 1}}}", [("E203", 1, 43)]),
        ("- {name: a, event: {}, want: {}, models: {other: {}}}", [("E215", 1, 43)]),
        ("- {name: a, event: {}, want: {}, models: {other: {fails: x}}}", [("E205", 1, 58)]),
        ("- {name: a, event: {}, want: {}, tables: {c: {}}}", [("E218", 1, 43)]),
        ("- {name: a, event: {}, want: {}, time: today}", [("E205", 1, 40)]),
        ("- {name: a, event: {}, want: {}, state: {spend: {U1: 1}}}", [("E205", 1, 42)]),
        ("- {name: a, want: {}}", [("E202", 1, 3)]),
        ("- {name: a, event: {}, want: {}}\n- {name: a, event: {}, want: {}}", [("E210", 2, 10)]),
        ("name: a", [("E204", 1, 1)]),
        ("- name: [", [("E102", 1, 9)]),
    ],
)
def test_mistakes_of_cases_are_told(tmp_path: Path, text: str, expected: list[tuple[str, int, int]]) -> None:
    """Names that the document does not have and wrong keys and values each give a finding at their place."""
    with pytest.raises(SpecError) as raised:
        cases(tmp_path, text)

    assert told(list(raised.value.findings)) == expected
