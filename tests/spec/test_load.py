"""A document that is right becomes typed objects; what is wrong between its parts is found."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest

from pointsman.base.errors import EnvironmentFault, SpecError
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.spec import check, load
from spec.documents import BASE, found, loaded, told, write

WHOLE = """\
version: 1
pipeline: payments
profile: latency
kafka: {bootstrap.servers: "localhost:9092", linger.ms: 5, enable.idempotence: true}
source:
  topics: [transactions, refunds]
  key: user_id
  id: txn_id
  time: ts
  fields: {txn_id: string, user_id: string, amount: double, location: string, ts: int}
tables:
  customers: {file: customers.csv, key: user_id}
enrich:
  risk: 'amount > 5000.0 ? "high" : "low"'
  segment: {lookup: customers, key: user_id, take: segment, default: new}
  high: risk == "high"
defaults: {timeout: 50ms, inputs: {amount: amount}}
models:
  first: {python: "baseline:predict", version: 3, outputs: {score: reply.score}}
  second: {python: "baseline:predict", timeout: 2s, inputs: {risk: risk}}
routes:
  - {name: large, when: high && location == "Singapore", on_error: match, use: first}
  - {name: hooked, when: {python: "baseline:predict"}, use: second}
  - {name: test, when: amount > 1.0, use: {split: {first: 33.3%, second: 66.7%}, unit: user_id, salt: s1}}
unmatched: dead_letter
limits: {in_flight: 500, bytes: 1048576}
write: {decisions: out, headers: [id, model]}
"""


def test_a_whole_document_becomes_typed_objects(tmp_path: Path) -> None:
    """Every key of this version reaches the document in its own type."""
    doc = loaded(tmp_path, WHOLE)

    assert (doc.version, doc.pipeline, doc.profile, doc.delivery) == (
        1,
        "payments",
        "latency",
        "at_least_once",
    )
    assert doc.kafka == {
        "bootstrap.servers": "localhost:9092",
        "linger.ms": "5",
        "enable.idempotence": "true",
    }
    assert doc.source.topics == ["transactions", "refunds"]
    assert isinstance(doc.source.key, Program)
    assert doc.source.format == "json"
    assert doc.tables["customers"].file == tmp_path / "customers.csv"
    assert [(one.field, one.enricher, one.result) for one in doc.enrich] == [
        ("risk", "expr", "string"),
        ("segment", "lookup", "dyn"),
        ("high", "expr", "bool"),
    ]
    assert doc.enrich[1].config.default == "new"
    assert doc.unmatched == "dead_letter"
    assert (doc.limits.in_flight, doc.limits.bytes) == (500, 1048576)
    assert (doc.write.decisions, doc.write.dead_letters) == ("out", "payments.dead-letters")
    assert doc.write.headers == ["id", "model"]
    assert doc.warnings == []


def test_defaults_stand_under_every_model(tmp_path: Path) -> None:
    """A model's own keys win over those of `defaults`, key by key."""
    models = loaded(tmp_path, WHOLE).models

    first, second = models["first"].common, models["second"].common
    assert (first.timeout, second.timeout) == (0.05, 2.0)
    assert (list(first.inputs or ()), list(second.inputs or ())) == (["amount"], ["risk"])
    assert (first.version, second.version) == ("3", None)


def test_routes_keep_their_order_line_and_condition(tmp_path: Path) -> None:
    """A route has its condition as an expression, as a Python name, or not at all."""
    large, hooked, test = loaded(tmp_path, WHOLE).routes

    assert isinstance(large.when, Program)
    assert (large.on_error, hooked.on_error) == ("match", "next")
    assert (hooked.python, test.python) == ("baseline:predict", None)
    assert WHOLE.splitlines()[large.line - 1].startswith("  - {name: large")
    assert test.use.config.split == {"first": Fraction(333, 1000), "second": Fraction(667, 1000)}
    assert (large.use.strategy, test.use.strategy) == ("fixed", "split")


def test_a_default_that_is_null_is_not_one_left_out(tmp_path: Path) -> None:
    """`default: null` is a value; without the key there is none."""
    text = f"{BASE}tables: {{customers: {{file: customers.csv, key: user_id}}}}\nenrich:\n  a: "
    null = loaded(tmp_path, f"{text}{{lookup: customers, key: user_id, default: null}}\n")
    none = loaded(tmp_path, f"{text}{{lookup: customers, key: user_id}}\n")

    assert null.enrich[0].config.default is None
    assert none.enrich[0].config.default is MISSING


def test_without_fields_any_bare_name_is_a_field(tmp_path: Path) -> None:
    """A document that declares no fields may use any name in its expressions."""
    text = BASE.replace("  fields: {user_id: string, amount: double, device: string}\n", "")
    doc = loaded(tmp_path, text.replace("amount > 10.0", "anything > other.thing"))

    when = doc.routes[0].when
    assert isinstance(when, Program)
    assert when.reads == {"event.anything", "event.other"}


def test_where_finds_keys_and_defaults(tmp_path: Path) -> None:
    """A key is placed where it stands, or where `defaults` gives it, or else at what would hold it."""
    doc = loaded(tmp_path, WHOLE)
    lines = WHOLE.splitlines()

    def at(*path: str | int) -> str:
        place = doc.where(path)
        return lines[place.line - 1][place.column - 1 :][: place.length]

    assert at("models", "first", "version") == "3"
    assert at("models", "first", "inputs", "amount") == "amount"
    assert lines[doc.where(("models", "first", "inputs")).line - 1].startswith("defaults")
    assert at("models", "first", "nothing", "here").startswith("{python")
    assert at("routes", 1, "when", "python") == '"baseline:predict"'
    assert at("source") == "source"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("pipeline: small", "pipeline: small\noverrides: {}", [("E206", 2, 1)]),
        ("name: large, when", "name: large, columns: {}, when", [("E206", 10, 19)]),
        ("use: other", "use: {canary: {stable: other}}", [("E206", 10, 46)]),
        ("use: other", "use: {fixed: other}", [("E201", 10, 46)]),
        ("use: other", "use: {split: {other: 50%, basline: 50%}}", [("E203", 10, 66)]),
        ("use: other", "use: [other]", [("E204", 10, 45)]),
        ("key: user_id", "key: [user_id]", [("E204", 4, 8)]),
        ("amount: double", "amount: number", [("E205", 5, 37)]),
        ("topics: [events]", "topics: []", [("E205", 3, 11)]),
        ("topics: [events]", "topics: [events, events]", [("E205", 3, 20)]),
        ("topics: [events]", "topics: [a b]", [("E207", 3, 12)]),
        ("topics: [events]", "topics: [small.decisions]", [("E213", 3, 11)]),
        ("when: amount", "whn: amount", [("E201", 10, 19)]),
        ("models:\n", "modles:\n", [("E201", 6, 1)]),
        ("use: other", "ues: other", [("E201", 10, 40)]),
        ("name: large", "name: 7", [("E204", 10, 12)]),
        ("  - {name: rest, use: baseline}\n", "  - just text\nunmatched: skip\n", [("E204", 11, 5)]),
        ("{name: rest, ", "{", [("E202", 11, 5)]),
        ('other: {python: "baseline:predict"}', 'other: {python: "a:b", onnx: c.onnx}', [("E215", 8, 26)]),
        ('baseline: {python: "baseline:predict"}', "baseline: baseline.py", [("E204", 7, 13)]),
    ],
)
def test_one_mistake_is_one_finding(
    tmp_path: Path, old: str, new: str, expected: list[tuple[str, int, int]]
) -> None:
    """Each of these mistakes gives one finding at its place, and nothing that follows from it."""
    assert old in BASE
    assert told(found(tmp_path, BASE.replace(old, new))) == expected


def test_a_key_at_the_wrong_place_is_told_its_own(tmp_path: Path) -> None:
    """A key that exists elsewhere, most often for its indentation, is told where it belongs."""
    (finding,) = found(tmp_path, f"{BASE}in_flight: 10\n")

    assert (finding.code, finding.hint) == ("E201", "it stands under limits; check the indentation")


def test_later_enrichers_see_earlier_ones_and_not_the_other_way_round(tmp_path: Path) -> None:
    """A metadata field is known to the expressions behind it."""
    right = f"{BASE}enrich:\n  a: amount > 1.0\n  b: a && metadata.a\n"
    wrong = f"{BASE}enrich:\n  b: a\n  a: amount > 1.0\n"

    assert found(tmp_path, right) == []
    assert told(found(tmp_path, wrong)) == [("E301", 13, 6)]


def test_source_expressions_see_no_metadata(tmp_path: Path) -> None:
    """`source.key` is computed before anything is added to the event."""
    text = BASE.replace("key: user_id", "key: tag") + "enrich: {tag: user_id}\n"
    assert told(found(tmp_path, text)) == [("E301", 4, 8)]


def test_reply_is_known_to_outputs_only(tmp_path: Path) -> None:
    """`reply` exists where a model's outputs are named, and nowhere else."""
    right = BASE.replace('predict"}', 'predict", outputs: {score: reply.score}}')
    wrong = BASE.replace('predict"}', 'predict", inputs: {score: reply.score}}')

    assert found(tmp_path, right) == []
    assert [finding.code for finding in found(tmp_path, wrong)] == ["E301", "E301"]


def test_a_broken_part_leaves_what_depends_on_it_alone(tmp_path: Path) -> None:
    """A model, table or field that is wrong still counts as declared."""
    text = BASE.replace("amount: double", "amount: dubel").replace(
        'other: {python: "baseline:predict"}', "other: {}"
    )

    assert [finding.code for finding in found(tmp_path, text)] == ["E205", "E215"]


def test_load_raises_every_error_and_no_warning(tmp_path: Path) -> None:
    """SpecError carries the errors alone; a document with warnings loads and keeps them."""
    spare = BASE.replace("routes:", '  spare: {python: "baseline:predict"}\nroutes:')
    assert [finding.code for finding in loaded(tmp_path, spare).warnings] == ["W221"]

    with pytest.raises(SpecError) as raised:
        loaded(tmp_path, spare.replace("use: other", "use: n").replace("topics: [events]", "topics: events"))
    assert [finding.code for finding in raised.value.findings] == ["E204", "E203"]


def test_a_file_that_is_not_there_is_a_fault_of_the_surroundings(tmp_path: Path) -> None:
    """A missing document raises with its name."""
    with pytest.raises(EnvironmentFault, match=r"nothing\.yaml"):
        load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"- a list\n", b"just text\n", b"\xff\xfe", b"pipeline: \xe9\n"]
)
def test_what_is_no_document_gets_one_finding(tmp_path: Path, content: bytes) -> None:
    """An empty file, a list, a text and bytes that are not UTF-8 each get one finding."""
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as raised:
        load(path)
    assert len(raised.value.findings) == 1


def test_a_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    """Files of Windows editors read alike, and positions hold."""
    path = tmp_path / "pipeline.yaml"
    write(tmp_path, BASE)
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("use: other", "use: n").replace("\n", "\r\n").encode())

    with pytest.raises(SpecError) as raised:
        load(path)
    assert told(list(raised.value.findings)) == [("E203", 10, 45)]


def test_the_hash_covers_what_decides(tmp_path: Path) -> None:
    """Comments and quotes do not change the hash; values, their order and model files do."""
    doc = loaded(tmp_path)
    same = loaded(tmp_path, BASE.replace("pipeline: small", 'pipeline: "small"  # a comment\n'))
    other = loaded(tmp_path, BASE.replace("> 10.0", "> 11.0"))
    write(tmp_path, BASE)
    (tmp_path / "baseline.py").write_text("def predict(rows):\n    return [1.0] * len(rows)\n", "utf-8")
    trained = load(tmp_path / "pipeline.yaml")

    assert len({doc.content_hash, other.content_hash, trained.content_hash}) == 3
    assert doc.content_hash == same.content_hash
    assert doc.policy == f"0@{doc.content_hash[:8]}"


def test_a_thousand_routes_load(tmp_path: Path) -> None:
    """Documents of many routes are read whole, each route once."""
    lines = "".join(f'  - {{name: r{n}, when: device == "d{n}", use: other}}\n' for n in range(1000))
    doc = loaded(tmp_path, BASE.replace("  - {name: rest", f"{lines}  - {{name: rest"))

    assert len(doc.routes) == 1002
    assert dataclasses.is_dataclass(doc)


@pytest.mark.parametrize(("text", "path"), [("package", 'event["package"]'), ("event.in", 'x["in"]')])
def test_a_reserved_word_in_quotes_may_be_a_field_or_a_text(tmp_path: Path, text: str, path: str) -> None:
    """Both readings are told: how the field is reached, and how the text is written."""
    (finding,) = found(tmp_path, BASE.replace("amount > 10.0", f'"{text}"'))

    assert path in finding.hint
    assert f"for the text itself write '\"{text}\"'" in finding.hint


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ('other: {python: "baseline:predict"}', 'other: {python: "b:p", version: 3.0}', "E204", '"3.0"'),
        ("routes:", "limits: {in_flight: 3.5}\nroutes:", "E204", "write digits, such as 100"),
        ("routes:", "limits: {in_flight: '3.5'}\nroutes:", "E204", "write digits, such as 100"),
        ("routes:", "limits: {in_flight: '3'}\nroutes:", "E204", "write it without quotes: 3"),
        ("use: other", "use: {split: {other: 0.5, baseline: 50%}}", "E209", "write 50%, or 0.5%"),
    ],
)
def test_the_hint_fits_what_was_written(tmp_path: Path, old: str, new: str, code: str, words: str) -> None:
    """What people are told to write would be accepted, and each mistake is told once."""
    (finding,) = found(tmp_path, BASE.replace(old, new))

    assert finding.code == code
    assert words in finding.hint


@pytest.mark.parametrize(
    ("key", "enrich"),
    [
        ("user_id", "{first: second + 1, second: '2'}"),
        ("user_id", "{first: metadata.second + 1, second: '2'}"),
        ("segment", "{segment: string(2)}"),
    ],
)
def test_what_is_added_further_down_is_not_called_unknown(tmp_path: Path, key: str, enrich: str) -> None:
    """Metadata is added in order: an expression before it is told so, not to declare a field."""
    text = BASE.replace("key: user_id", f"key: {key}").replace("routes:", f"enrich: {enrich}\nroutes:")
    (finding,) = found(tmp_path, text)

    assert finding.code == "E301"
    assert finding.hint == "it is added further down: only what is added before can be used here"


def test_the_field_of_a_text_is_known(tmp_path: Path) -> None:
    """With `format: text` an event is its `text`: another name is a mistake, a misuse is found."""
    text = BASE.replace("fields: {user_id: string, amount: double, device: string}", "format: text")
    text = text.replace("key: user_id", "key: txt").replace("amount > 10.0", "text > 10.0")

    assert [(one.code, one.line) for one in found(tmp_path, text)] == [("E301", 4), ("E303", 10)]


def test_a_files_digest_is_known_and_comes_later(tmp_path: Path) -> None:
    """`path@digest` of a file that is there is not told as a missing file."""
    (tmp_path / "m.onnx").write_bytes(b"")
    text = BASE.replace(
        'other: {python: "baseline:predict"}', 'other: {onnx: "m.onnx@sha256:ab", inputs: {}}'
    )

    assert [finding.code for finding in found(tmp_path, text)] == ["E206"]


def test_a_registry_is_not_waited_for_until_the_group_goes_on(tmp_path):
    """While a worker waits for the registry it does not poll."""
    path = tmp_path / "pipeline.yaml"
    text = """
version: 1
pipeline: p
kafka: {max.poll.interval.ms: 60000}
source: {topics: [in], format: avro, registry: {url: "http://localhost:1", patience: WAITS}}
models: {m: {python: "json:dumps"}}
routes: [{name: all, use: m}]
"""
    path.write_text(text.replace("WAITS", "59s"))
    assert [(one.code, one.line) for one in check(path)] == [("E205", 5)]
    path.write_text(text.replace("WAITS", "50s"))
    assert check(path) == []
