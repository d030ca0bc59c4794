"""`${…}` and overlays: what they become, what they refuse, and what they never show."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.spec import check, load
from spec.documents import BASE, found, loaded, told, write

SECRET = "s3cr3t-pa55word"


@pytest.mark.parametrize(
    ("written", "environment", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("<${A}-${B}>", {"A": "x", "B": "y"}, "<x-y>"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-}", {}, ""),
        ("${A:-a:-b}", {}, "a:-b"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A {A}", {"A": "x"}, "$A {A}"),
        ("${file:secret.txt}", {}, SECRET),
    ],
)
def test_what_becomes_of_it(tmp_path: Path, written: str, environment: dict[str, str], value: str) -> None:
    """Variables, defaults and files are put in their place in any string."""
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n", "utf-8")
    doc = loaded(tmp_path, f"{BASE}kafka: {{sasl.password: '{written}'}}\n", environment)

    assert doc.kafka["sasl.password"] == value


@pytest.mark.parametrize(
    ("written", "column"),
    [("${A}", 19), ("x${A}", 20), ("${A", 19), ("${A B}", 19), ("${file:none.txt}", 19), ("${file:.}", 19)],
)
def test_what_has_no_value_is_told_where_it_stands(tmp_path: Path, written: str, column: int) -> None:
    """A variable that is not set or a file that is not there is one finding at the `${`."""
    assert told(found(tmp_path, f"{BASE}kafka: {{ssl.key: '{written}'}}\n")) == [("E108", 12, column)]


def test_numbers_may_come_from_the_environment(tmp_path: Path) -> None:
    """`${N}` stands for a number where a number is expected, quoted or not."""
    doc = loaded(tmp_path, f"{BASE}limits:\n  in_flight: ${{N}}\n  bytes: '${{M:-4096}}'\n", {"N": "7"})

    assert (doc.limits.in_flight, doc.limits.bytes) == (7, 4096)


@pytest.mark.parametrize(
    "line",
    [
        "profile: ${SECRET}",
        "limits: {in_flight: '${SECRET}'}",
        "write: {decisions: '${SECRET}/x'}",
        "defaults: {timeout: '${SECRET}'}",
        "enrich: {a: 'user_id == ${SECRET}'}",
        "enrich: {a: '${SECRET} ='}",
        "unmatched: ${SECRET}",
    ],
)
def test_a_secret_is_in_no_finding(tmp_path: Path, line: str) -> None:
    """Whatever is wrong with a value that came from the environment, the message shows `${SECRET}`."""
    findings = found(tmp_path, f"{BASE}{line}\n", {"SECRET": SECRET})

    assert [finding for finding in findings if finding.severity == "error"]
    assert all(SECRET not in f"{finding.message} {finding.hint}" for finding in findings)


def test_a_secret_is_neither_in_the_hash_nor_in_the_representation(tmp_path: Path) -> None:
    """The same document has the same hash everywhere, and printing it shows no property of the client."""
    text = f"{BASE}kafka: {{sasl.password: '${{SECRET}}'}}\n"
    one, other = (loaded(tmp_path, text, {"SECRET": secret}) for secret in (SECRET, "another"))

    assert one.content_hash == other.content_hash
    assert SECRET not in repr(one)


def test_an_overlay_merges_maps_and_replaces_the_rest(tmp_path: Path) -> None:
    """Maps are merged by key, lists and scalars replaced, in the order of the overlays."""
    path = write(tmp_path, f"{BASE}limits: {{in_flight: 10, bytes: 2048}}\n")
    first = write(tmp_path, "limits: {in_flight: 20}\nsource: {topics: [a, b]}\n", "first.yaml")
    second = write(tmp_path, "limits: {in_flight: 30}\nprofile: latency\n", "second.yaml")
    doc = load(path, [first, second], {})

    assert (doc.limits.in_flight, doc.limits.bytes) == (30, 2048)
    assert doc.source.topics == ["a", "b"]
    assert doc.source.fields is not None
    assert doc.profile == "latency"
    assert doc.content_hash != load(path, environment={}).content_hash


def test_findings_of_an_overlay_name_its_file(tmp_path: Path) -> None:
    """A mistake of an overlay stands in the overlay; one of the document that is replaced is gone."""
    path = write(tmp_path, BASE.replace("topics: [events]", "topics: events"))
    overlay = write(tmp_path, "source: {topics: [events]}\nprofile: fast\n", "prod.yaml")
    findings = check(path, [overlay], {})

    assert [(finding.file, finding.code, finding.line) for finding in findings] == [(str(overlay), "E205", 2)]
