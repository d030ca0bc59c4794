"""The public specification's cases, where they are at hand, and our own table."""

import json
from pathlib import Path

import pytest

from pointsman.cel.conformance import ODD, OFFERED, judge, main

OWN = Path(__file__).with_name("cases.jsonl")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cel" / "conformance.jsonl"
NAMED = {"ext:optional", "ext:string", "ext:math", "ext:encoders", "ext:bindings"}


def cases(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", cases(OWN), ids=lambda case: f"{case['section']}-{case['name']}")
def test_our_own_cases(case):
    """Each case of our own table gives what it says, fast and exact."""
    assert not set(case["needs"]) <= OFFERED or judge(case) == ""


@pytest.mark.skipif(
    not SHARED.exists(), reason="the specification's cases are handed over beside the checkout"
)
def test_the_specification_passes():
    """99 % of the core and 95 % of the extensions we name pass; what else fails is listed with its reason."""
    core = [case for case in cases(SHARED) if not case["needs"]]
    named = [case for case in cases(SHARED) if case["needs"] and set(case["needs"]) <= NAMED]

    failed = [case for case in core + named if judge(case)]

    assert {f"{case['file']}/{case['section']}/{case['name']}" for case in failed} <= set(ODD)
    assert sum(case in core for case in failed) <= 0.01 * len(core)
    assert sum(case in named for case in failed) <= 0.05 * len(named)


def test_the_runner_counts_and_lists(capsys):
    """The last line has the three counts; what is listed has its reason; nothing failed is exit code 0."""
    assert main([str(OWN)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(cases(OWN)) - 1} passed, 0 failed, 1 listed"
    assert "the network extension is not offered" in lines[-2]


def test_a_failed_case_is_shown(tmp_path, capsys):
    """A case that fails is printed with what it gave, and the exit code is 1."""
    wrong = cases(OWN)[0] | {"expected_value": {"t": "int", "v": 99}}
    (tmp_path / "cases.jsonl").write_text(json.dumps(wrong))

    assert main([str(tmp_path / "cases.jsonl")]) == 1
    assert "gave -3, not 99 (int)" in capsys.readouterr().out


def test_a_line_that_is_no_case_is_one_failure(tmp_path, capsys):
    """The line is named with what is wrong; the cases around it are judged."""
    good = {key: value for key, value in cases(OWN)[0].items() if key != "description"}
    lines = [
        json.dumps(
            good | {"expr": "'\u2028'.size()", "expected_value": {"t": "int", "v": 1}}, ensure_ascii=False
        ),
        "not JSON",
        "[1]",
        json.dumps({key: value for key, value in good.items() if key != "needs"}),
        json.dumps(good | {"expr": 5}),
        json.dumps({key: value for key, value in good.items() if key != "expected_value"}),
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))

    assert main([str(tmp_path / "cases.jsonl")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAILED cases.jsonl:2: not JSON: Expecting value: line 1 column 1 (char 0)",
        "FAILED cases.jsonl:3: a case is a JSON object",
        "FAILED cases.jsonl:4: the key 'needs' is missing",
        "FAILED cases.jsonl:5: 'expr' is not a string",
        "FAILED cases.jsonl:6: it has neither expected_value nor expected_error",
        "1 passed, 5 failed, 0 listed",
    ]
