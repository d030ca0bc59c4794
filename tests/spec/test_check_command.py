"""`pointsman check`: what it prints, what it exits with, and that it looks at what the document names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app
from spec.documents import BASE, write


def run(folder: Path, text: str, *options: str) -> tuple[int, str]:
    """Exit code and output of `pointsman check` on a text."""
    path = write(folder, text)
    done = CliRunner().invoke(app, ["check", str(path), *options], env={"NO_COLOR": "1"})
    return done.exit_code, done.stdout


def test_a_right_document_exits_0(tmp_path: Path) -> None:
    """Nothing to say is said in one line."""
    code, output = run(tmp_path, BASE)

    assert (code, output) == (0, f"{tmp_path}/pipeline.yaml: no errors\n")


def test_warnings_alone_exit_0(tmp_path: Path) -> None:
    """A warning is shown and does not fail."""
    code, output = run(tmp_path, BASE + "unmatched: skip\n")

    assert code == 0
    assert "warning W223" in output
    assert output.endswith("no errors, 1 warning\n")


def test_json_holds_every_finding(tmp_path: Path) -> None:
    """Programs get the same findings with their places."""
    code, output = run(tmp_path, BASE.replace("use: other", "use: n"), "--json")
    told = json.loads(output)

    assert (code, told["errors"]) == (1, 1)
    (finding,) = told["findings"]
    assert (finding["code"], finding["line"], finding["column"], finding["length"]) == ("E203", 10, 45, 1)


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ('other: {python: "baseline:predict"}', 'other: {python: "nothing:predict"}', "E411", 8),
        ('other: {python: "baseline:predict"}', 'other: {python: "baseline:nothing"}', "E413", 8),
        ("when: amount > 10.0", "when: {python: 'baseline:nothing'}", "E413", 10),
        (
            "routes:",
            "tables: {c: {file: customers.csv, key: id}}\nenrich: {s: {lookup: c, key: user_id}}\nroutes:",
            "E423",
            9,
        ),
        ("fields: {user_id: string, amount: double, device: string}", "format: csv", "E431", 5),
        ("source:", "kafka: {enable.auto.commit: true}\nsource:", "E445", 2),
        ("source:", "kafka: {nonsense.property: 1}\nsource:", "E445", 2),
        ("source:", "kafka: {security.protocol: SSL, ssl.ca.location: nope.pem}\nsource:", "E445", 2),
    ],
)
def test_what_the_document_names_is_opened(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    """A Python name or table that is not as the document says is a finding where it is named."""
    exit_code, output = run(tmp_path, BASE.replace(old, new), "--json")
    found = json.loads(output)["findings"]

    assert exit_code == 1
    assert [(one["code"], one["line"]) for one in found] == [(code, line)]


def test_overlays_are_merged(tmp_path: Path) -> None:
    """`--overlay` may be given several times."""
    one = write(tmp_path, "profile: fast\n", "one.yaml")
    two = write(tmp_path, "profile: latency\n", "two.yaml")

    assert run(tmp_path, BASE, "--overlay", str(one))[0] == 1
    assert run(tmp_path, BASE, "--overlay", str(one), "--overlay", str(two))[0] == 0


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    """A file that does not exist is said before anything else."""
    done = CliRunner().invoke(app, ["check", str(tmp_path / "no.yaml")])

    assert "does not exist" in str(done.exception)
