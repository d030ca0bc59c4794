"""`pointsman test`: the cases of a document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli.conftest import Pointsman

CASES = """
- name: passes
  event: {user_id: U1, amount: 5}
  want: {route: otherwise, status: ok}
- name: fails in three places
  event: {user_id: U1, location: Kenya, amount: 5000}
  want: {route: ios, metadata: {risk_level: medium, home: Peru, other: 1}}
- name: is a dead letter that nobody wanted
  event: "{broken"
  want: {status: ok}
"""


@pytest.fixture
def failing(mine: Path) -> Path:
    """A folder whose cases fail, all but one."""
    (mine / "pipeline_test.yaml").write_text(CASES)
    return mine


def test_the_cases_of_init_pass(pointsman: Pointsman, mine: Path, golden: Callable[[str, str], None]) -> None:
    """Each case that passes is a line, and the last line counts them."""
    done = pointsman("test", cwd=mine)

    assert done.code == 0
    golden("test-passed", done.out)


def test_a_failure_says_what_and_why(
    pointsman: Pointsman, failing: Path, golden: Callable[[str, str], None]
) -> None:
    """A failed case shows each path with what was wanted and what there was, and the routes; it exits 1."""
    done = pointsman("test", cwd=failing)

    assert done.code == 1
    golden("test-failed", done.out)


def test_for_programs(pointsman: Pointsman, failing: Path) -> None:
    """--json gives counts, and for each failure the mismatches and the routes."""
    told = json.loads(pointsman("test", "--json", cwd=failing).out)

    assert (told["passed"], told["failed"]) == (1, 2)
    assert [case["passed"] for case in told["cases"]] == [True, False, False]
    assert told["cases"][1]["mismatches"][0] == {"path": "route", "wanted": "ios", "got": "away-and-large"}
    assert "got" not in told["cases"][1]["mismatches"][-1]
    assert [route["outcome"] for route in told["cases"][1]["why"]] == ["true", "not reached", "not reached"]


def test_one_case_alone(pointsman: Pointsman, failing: Path) -> None:
    """-k runs the cases whose name holds a text, and refuses one that is in none."""
    assert pointsman("test", "-k", "pass", cwd=failing).out.endswith("1 passed\n")
    refused = pointsman("test", "-k", "nothing", cwd=failing)
    assert refused.code == 2
    assert "no case" in refused.err


def test_a_report_for_build_servers(pointsman: Pointsman, failing: Path) -> None:
    """--junit writes the report that build servers read."""
    pointsman("test", "--junit", "report.xml", cwd=failing)

    suite = ElementTree.parse(failing / "report.xml").getroot()
    assert suite.attrib["tests"] == "3"
    assert suite.attrib["failures"] == "2"
    texts = [case.findtext("failure") for case in suite]
    assert texts[0] is None
    assert 'wanted "ios"' in (texts[1] or "")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        *((name, "failed") for name in ("timeout", "refused", "overloaded", "invalid_reply", "internal")),
    ],
)
def test_a_stub_fails_as_the_model_would(pointsman: Pointsman, mine: Path, failure: str, status: str) -> None:
    """Each class of failure can be tried; the dead letter names it."""
    (mine / "pipeline_test.yaml").write_text(
        f"""
- name: fails
  event: {{user_id: U1, amount: 5}}
  models: {{baseline: {{fails: {failure}}}}}
  want: {{status: {status}, dead_letter: model_failed, result: {{attempts: [{{class: {failure}}}]}}}}
"""
    )
    assert pointsman("test", cwd=mine).code == 0


def test_a_pick_keeps_its_real_propensity(pointsman: Pointsman, mine: Path) -> None:
    """`choose` fixes the pick; the record is the one that such a pick would have had."""
    (mine / "pipeline_test.yaml").write_text(
        """
- name: picked
  event: {user_id: U1, device: iOS, amount: 5}
  choose: challenger
  want: {strategy: split, model: challenger, propensity: 0.1,
         decision: {unit: U1, candidates: {baseline: 0.9, challenger: 0.1}}}
"""
    )
    done = pointsman("test", cwd=mine)

    assert done.code == 0, done.out


def test_time_and_tables_are_the_case_s(pointsman: Pointsman, mine: Path) -> None:
    """A case's time is the event's, and its rows replace the table's."""
    (mine / "pipeline_test.yaml").write_text(
        """
- name: given
  event: {user_id: U8723, amount: 5}
  time: 1999-12-31T23:59:59Z
  tables: {customers: {U8723: {country: Peru}}}
  want: {time: 946684799000, metadata: {home: Peru}}
"""
    )
    done = pointsman("test", cwd=mine)

    assert done.code == 0, done.out


def test_state_is_that_of_windows(pointsman: Pointsman, mine: Path) -> None:
    """`state` of a field that is no window is refused clearly, with its line."""
    (mine / "pipeline_test.yaml").write_text(
        "- name: s\n  event: {}\n  state: {spend: {U1: 2.0}}\n  want: {}\n"
    )
    done = pointsman("test", cwd=mine)

    assert done.code == 1
    assert "pipeline_test.yaml:3:" in done.err
    assert "'spend' is not a window" in done.err


def test_a_pipeline_without_cases(pointsman: Pointsman, mine: Path) -> None:
    """Where NAME_test.yaml is missing, the message names it."""
    (mine / "pipeline_test.yaml").unlink()
    done = pointsman("test", cwd=mine)

    assert done.code == 2
    assert "pipeline_test.yaml does not exist" in done.err


def test_a_broken_model_is_no_matter_where_a_stub_stands(pointsman: Pointsman, mine: Path) -> None:
    """Cases run before a model exists, as long as a stub stands in for it."""
    (mine / "models.py").unlink()
    (mine / "pipeline_test.yaml").write_text(
        """
- name: stubbed
  event: {user_id: U1, amount: 5}
  models: {baseline: {reply: {score: 0.25}}}
  want: {result: {output: {score: 0.25}}}
"""
    )
    assert pointsman("test", cwd=mine).code == 0
