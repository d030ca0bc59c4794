"""Every code that a finding may carry: its cause, what to do, and a wrong and a right piece of a document.

The pieces stand over `examples/payments/pipeline.yaml`: merged over it as an overlay, the wrong one gives
exactly its code and the right one nothing. `docs/errors.md` is written from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CATALOGUE", "CHAPTERS", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Attributes:
        title: What it says, in a few words.
        cause: Why it comes.
        fix: What to do.
        wrong: A piece of a document that gives it; empty where a document alone cannot show it.
        right: The same, mended.
    """

    title: str
    cause: str
    fix: str
    wrong: str = ""
    right: str = ""


CHAPTERS: Final = {
    "1": "The file",
    "2": "The document",
    "3": "Expressions",
    "4": "What the document names: models, Python, tables",
}

CATALOGUE: Final[dict[str, Code]] = {
    "E101": Code(
        "not UTF-8",
        "The file holds bytes that are not UTF-8, often because it was saved in another encoding.",
        "Save it as UTF-8.",
    ),
    "E102": Code(
        "not YAML",
        "YAML cannot read the file here: a quote or bracket is not closed, the indentation does not fit, a "
        "tab.",
        "Mend the line, or one of the few above it.",
        'pipeline: "payments',
        'pipeline: "payments"',
    ),
    "E103": Code(
        "a value that needs quotes",
        "An expression holds signs that mean something to YAML: `: `, ` #`, or at its beginning `!`, `&`, "
        "`*`, `[`, `{` or a quote; inside `{…}` also commas and brackets.",
        "Paste the line that the hint gives: the same expression in quotes.",
        'enrich:\n  size: amount > 5000 ? "large" : "small"',
        'enrich:\n  size: \'amount > 5000 ? "large" : "small"\'',
    ),
    "E104": Code(
        "a key given twice",
        "A map holds the same key twice; YAML would silently take one of them.",
        "Remove one.",
        "limits:\n  in_flight: 100\n  in_flight: 200",
        "limits:\n  in_flight: 200",
    ),
    "E105": Code(
        "a YAML tag",
        "A value begins with `!`, which YAML reads as a tag; documents use none.",
        "Put the value in quotes.",
        "pipeline: !!str payments",
        "pipeline: payments",
    ),
    "E106": Code(
        "an alias without anchor",
        "`*name` refers to an anchor `&name` that does not stand before it, or to what it stands in itself.",
        "Define the anchor before it; put the value in quotes where no alias was meant.",
        "profile: *what",
        "profile: latency",
    ),
    "E107": Code(
        "too large",
        "The file is larger, deeper or (its aliases counted each time) longer than any pipeline needs.",
        "Check that it is the right file; write it flatter.",
    ),
    "E108": Code(
        "`${…}` without value",
        "The environment variable is not set, or the file cannot be read.",
        "Set it, or give a default: `${NAME:-default}`. `$${` stands for the text `${`.",
        'kafka: {bootstrap.servers: "${A_VARIABLE_THAT_NOBODY_SETS}"}',
        'kafka: {bootstrap.servers: "${A_VARIABLE_THAT_NOBODY_SETS:-localhost:9092}"}',
    ),
    "E109": Code(
        "a second document",
        "`---` begins a second YAML document in the same file.",
        "Keep one document in a file.",
        "unmatched: skip\n---\nprofile: latency",
        "profile: latency",
    ),
    "E110": Code(
        "not a key",
        "A key is a list, a map or nothing, or it is the merge key `<<` of older YAML.",
        "Write text; for what several models share, use `defaults` or an alias for one value.",
        "models:\n  other: {<<: {timeout: 1s}, python: 'baseline:predict'}",
        "defaults: {timeout: 1s}",
    ),
    "E201": Code(
        "an unknown key",
        "No such key exists at this place; most often it is misspelt or indented wrongly.",
        "Take the name that the hint gives, or look it up in the [reference](reference.md).",
        "limits: {in_fligt: 100}",
        "limits: {in_flight: 100}",
    ),
    "E202": Code(
        "a key is missing",
        "A key that must be there is not.",
        "Add it.",
        "routes:\n  - {name: all, when: amount > 10}\nunmatched: skip",
        "routes:\n  - {name: all, when: amount > 10, use: baseline}\nunmatched: skip",
    ),
    "E203": Code(
        "no such model",
        "A route names a model that is not declared under `models`.",
        "Take the name that the hint gives, or declare the model.",
        "routes:\n  - {name: all, use: baselin}",
        "routes:\n  - {name: all, use: baseline}",
    ),
    "E204": Code(
        "a value of the wrong type",
        "A list stands where one value is expected, text where a number is, nothing where something is.",
        "Write what the message expects.",
        "source: {topics: transactions}",
        "source: {topics: [transactions]}",
    ),
    "E205": Code(
        "a value that may not stand here",
        "The type is right, but the value is not one of those allowed, out of range, or empty.",
        "Take one that the message or hint names.",
        "profile: fast",
        "profile: latency",
    ),
    "E206": Code(
        "not available in this version",
        "The key, component or word belongs to the document, but this version of Pointsman does not have "
        "it yet.",
        "Remove it, or use a version that has it.",
        "delivery: exactly_once",
        "delivery: at_least_once",
    ),
    "E207": Code(
        "a name with signs it may not have",
        "Names become parts of topics, Python or CEL, which allow only some signs.",
        "Use the signs that the hint names.",
        "pipeline: My Payments",
        "pipeline: my-payments",
    ),
    "E208": Code(
        "not a duration",
        "A duration is a number and its unit: `ms`, `s`, `m`, `h` or `d`.",
        "Add the unit.",
        "defaults: {timeout: 50}",
        "defaults: {timeout: 50ms}",
    ),
    "E209": Code(
        "not a share",
        "A share is a number from 0 to 100 and `%`.",
        "Write the percentage.",
        "routes:\n  - {name: all, use: {split: {baseline: 0.9, fraud-model-v2: 10%}}}",
        "routes:\n  - {name: all, use: {split: {baseline: 90%, fraud-model-v2: 10%}}}",
    ),
    "E210": Code(
        "two of the same name",
        "Two routes, or two cases of a test file, have the same name, so that records could not tell them "
        "apart.",
        "Rename one.",
        "routes:\n  - {name: all, when: amount > 10, use: baseline}\n  - {name: all, use: fraud-model-v2}",
        "routes:\n  - {name: large, when: amount > 10, use: baseline}\n  - {name: all, use: fraud-model-v2}",
    ),
    "E211": Code(
        "shares that are not the whole",
        "The shares of a split do not sum to exactly 100%.",
        "Change one so that they do.",
        "routes:\n  - {name: all, use: {split: {baseline: 90%, fraud-model-v2: 5%}}}",
        "routes:\n  - {name: all, use: {split: {baseline: 95%, fraud-model-v2: 5%}}}",
    ),
    "E212": Code(
        "events that no route takes",
        "The last route has a condition, and nothing says what becomes of an event that no route takes.",
        "Add `unmatched: dead_letter`, `unmatched: skip`, or a last route without `when`.",
        "routes:\n  - {name: large, when: amount > 10, use: baseline}",
        "routes:\n  - {name: large, when: amount > 10, use: baseline}\nunmatched: skip",
    ),
    "E213": Code(
        "topics that meet",
        "Decisions or dead letters would go to a topic that the pipeline reads, or both to the same.",
        "Give each a topic of its own.",
        "write: {decisions: transactions}",
        "write: {decisions: payments.decisions}",
    ),
    "E214": Code(
        "a model without inputs",
        "A model that takes tensors must be told which values it gets, and as what.",
        "Name each input and its expression.",
        "models:\n  bare: {onnx: models/ios.onnx}",
        "models:\n  bare: {onnx: models/ios.onnx, inputs: {amount: amount, segment: segment}}",
    ),
    "E215": Code(
        "no component, or two",
        "A model names no protocol or two, a route's `use` no strategy or two, an enricher likewise; "
        "a stub of a test neither replies nor fails.",
        "Give exactly one of the keys that the hint lists.",
        "models:\n  nothing: {timeout: 1s}",
        "models:\n  nothing: {timeout: 1s, python: 'baseline:predict'}",
    ),
    "E216": Code(
        "no such file",
        "The document names a file that is not there. Paths are relative to the document's folder.",
        "Correct the path, or make the file.",
        "tables:\n  customers: {file: custmers.csv, key: user_id}",
        "tables:\n  customers: {file: customers.csv, key: user_id}",
    ),
    "E217": Code(
        "a name that is taken",
        "A metadata field or table has the name of a field, a table or something that expressions always "
        "have.",
        "Choose another name.",
        "enrich:\n  amount: amount * 2.0",
        "enrich:\n  doubled: amount * 2.0",
    ),
    "E218": Code(
        "no such table",
        "A look-up names a table that is not declared under `tables`.",
        "Take the name that the hint gives, or declare the table.",
        "enrich:\n  segment: {lookup: custmers, key: user_id}",
        "enrich:\n  segment: {lookup: customers, key: user_id}",
    ),
    "E219": Code(
        "no such route",
        "A test wants a route that the pipeline does not have.",
        "Take the name that the hint gives.",
    ),
    "W220": Code(
        "a route that is never reached",
        "A route before it has no condition and takes every event.",
        "Put the route without condition last.",
        "routes:\n  - {name: all, use: baseline}\n  - {name: large, when: amount > 10, use: fraud-model-v2}",
        "routes:\n  - {name: large, when: amount > 10, use: fraud-model-v2}\n  - {name: all, use: baseline}",
    ),
    "W221": Code(
        "a model that nothing uses",
        "No route names the model; it is loaded all the same.",
        "Remove it, or use it.",
        "models:\n  spare: {python: 'baseline:predict'}",
        "models:\n  baseline: {python: 'baseline:predict'}",
    ),
    "W222": Code(
        "a table that nothing reads",
        "No look-up and no expression reads the table; it is loaded all the same.",
        "Remove it, or use it.",
        "tables:\n  spare: {file: customers.csv, key: user_id}",
        "tables:\n  customers: {file: customers.csv, key: user_id}",
    ),
    "W223": Code(
        "`unmatched` without effect",
        "A route has no condition, so that no event is left unmatched.",
        "Remove `unmatched`.",
        "unmatched: skip",
        "routes:\n  - {name: large, when: amount > 10, use: baseline}\nunmatched: skip",
    ),
    "E300": Code(
        "a mistake in the expression's syntax",
        "The expression is not CEL: a bracket or quote is missing, an operator stands alone.",
        "Mend it where the caret points; [expressions](expressions.md) shows the language.",
        "enrich:\n  large: amount > (5000",
        "enrich:\n  large: amount > 5000",
    ),
    "E301": Code(
        "an unknown name",
        "A name is neither a declared field, nor metadata that stands before it, nor a name that always "
        "exists.",
        "Take the name that the hint gives, or declare the field under `source.fields`.",
        'enrich:\n  here: locaton == "Singapore"',
        'enrich:\n  here: location == "Singapore"',
    ),
    "E302": Code(
        "types that do not go together",
        "An operator or function does not take values of these types.",
        "Convert one of them: `string(amount)`, `double(x)`; for a double write `2.0` instead of `2`.",
        'enrich:\n  tag: amount + "x"',
        'enrich:\n  tag: string(amount) + "x"',
    ),
    "E303": Code(
        "a comparison that can never hold",
        "Values of the two types are never equal.",
        "Compare with a value of the field's type.",
        "enrich:\n  here: location == 5",
        'enrich:\n  here: location == "5"',
    ),
    "E304": Code(
        "Python where CEL is meant",
        "CEL writes `&&`, `||`, `!`, `==` and `true` where Python writes `and`, `or`, `not`, `is` and "
        "`True`.",
        "Take the operator that the hint gives.",
        'enrich:\n  both: location == "Singapore" and amount > 10',
        'enrich:\n  both: location == "Singapore" && amount > 10',
    ),
    "E305": Code(
        "an expression that is too large",
        "The expression is longer or nested deeper than can be compiled in bounded time.",
        "Split it into metadata fields, or look the value up in a table.",
    ),
    "E306": Code(
        "a literal that is not what it should be",
        "A regular expression, time zone, duration or timestamp written in the expression is not one.",
        "Correct it; regular expressions are RE2.",
        "enrich:\n  odd: 'location.matches(\"[a-\")'",
        "enrich:\n  odd: 'location.matches(\"[a-z]+\")'",
    ),
    "E307": Code(
        "a result of the wrong type",
        "A condition must be true or false, a key or id text; the expression gives something else.",
        "Compare or convert it.",
        "routes:\n  - {name: all, when: amount + 1.0, use: baseline}\nunmatched: skip",
        "routes:\n  - {name: all, when: amount > 1.0, use: baseline}\nunmatched: skip",
    ),
    "W308": Code(
        "a field that is not declared, but looks like one that is",
        "`event.NAME` may be any field, declared or not; this one differs little from a declared one.",
        "Correct the name, or declare it under `source.fields`.",
        "enrich:\n  large: event.amunt > 10",
        "enrich:\n  large: event.amount > 10",
    ),
    "E401": Code(
        "a model's file that cannot be loaded",
        "The file is not a model that runs here.",
        "Export it again, or name the right file.",
        "models:\n  broken: {onnx: customers.csv, inputs: {amount: amount}}",
        "models:\n  broken: {onnx: models/ios.onnx, inputs: {amount: amount, segment: segment}}",
    ),
    "E402": Code(
        "inputs that the model does not have",
        "The names or the shape of the inputs differ from what the model takes.",
        "Name the inputs that the message lists.",
        "models:\n  ios: {onnx: models/ios.onnx, inputs: {amunt: amount, segment: segment}}",
        "models:\n  ios: {onnx: models/ios.onnx, inputs: {amount: amount, segment: segment}}",
    ),
    "E403": Code(
        "an input of a type the model does not take",
        "An expression gives text where the model takes numbers, or the other way round.",
        "Convert it in the expression.",
        "models:\n  ios: {onnx: models/ios.onnx, inputs: {amount: location, segment: segment}}",
        "models:\n  ios: {onnx: models/ios.onnx, inputs: {amount: amount, segment: segment}}",
    ),
    "E411": Code(
        "no such Python module",
        "The module before the colon is neither in the document's folder nor installed.",
        "Correct the name, or put the file beside the document.",
        "models:\n  other: {python: 'basline:predict'}",
        "models:\n  other: {python: 'baseline:predict'}",
    ),
    "E412": Code(
        "a Python module that cannot be imported",
        "Importing the module raised an error.",
        "Try it: `python -m MODULE` in the document's folder.",
    ),
    "E413": Code(
        "no such name in the module",
        "The module has no function or class of the name behind the colon.",
        "Correct the name.",
        "models:\n  other: {python: 'baseline:predikt'}",
        "models:\n  other: {python: 'baseline:predict'}",
    ),
    "E414": Code(
        "not a function",
        "The name is neither a function nor a class with `predict`, or building the class raised.",
        "Name a function, or give the class a method `predict(self, rows)`.",
        "models:\n  other: {python: 'os:sep'}",
        "models:\n  other: {python: 'baseline:predict'}",
    ),
    "E421": Code(
        "no such table file",
        "The file was there when the document was read, and is gone.",
        "Put it back, or name another.",
    ),
    "E422": Code(
        "a table that cannot be read",
        "The file's format is not CSV, JSONL, JSON or Parquet, or its content is not what its name says.",
        "Write it in one of these formats, with the matching suffix.",
        "tables:\n  customers: {file: train.py, key: user_id}",
        "tables:\n  customers: {file: customers.csv, key: user_id}",
    ),
    "E423": Code(
        "a table without its key",
        "A row has no value in the key column, or there is no such column.",
        "Name the column that holds the keys.",
        "tables:\n  customers: {file: customers.csv, key: user}",
        "tables:\n  customers: {file: customers.csv, key: user_id}",
    ),
    "E424": Code(
        "a table that is too large",
        "Every worker holds the whole table in memory, so its size is bounded.",
        "Keep only the columns and rows that are looked up.",
    ),
    "E431": Code(
        "a format that needs declared fields",
        "With `source.format: csv` the columns have to be named, in order.",
        "Declare them under `source.fields`.",
    ),
    "E441": Code(
        "a Kafka property that cannot be used",
        "The client does not know it, refuses its value, or one of the guarantees rests on it.",
        "Correct or remove it; librdkafka's CONFIGURATION.md lists the properties.",
        "kafka: {enable.auto.commit: true}",
        "kafka: {fetch.wait.max.ms: 100}",
    ),
}
"""In the order of the codes."""
