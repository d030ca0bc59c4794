"""The codes of what is wrong with the file and the document itself."""

from __future__ import annotations

from typing import Final

from pointsman.spec.code import Code

__all__ = ["DOCUMENT"]

DOCUMENT: Final[dict[str, Code]] = {
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
        "routes: [{name: all, use: {shadow: {serve: baseline}}}]",
        "routes: [{name: all, use: baseline}]",
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
    "E224": Code(
        "no such endpoint",
        "A model names an endpoint that is not declared under `endpoints`.",
        "Take the name that the hint gives, or declare the endpoint.",
        "models:\n  remote: {endpoint: servng, inputs: {amount: amount}}",
        "models:\n  baseline: {python: 'baseline:predict'}",
    ),
    "W225": Code(
        "an endpoint that serves no model",
        "No model names the endpoint.",
        "Remove it, or name it in a model.",
        'endpoints:\n  spare: {open_inference: "http://localhost:8080"}',
        "endpoints: {}",
    ),
    "E226": Code(
        "a model that stands in for itself",
        "A fallback names the model whose place it would take. `retry` is what asks the same model again.",
        "Name another model, or a constant.",
        "routes:\n  - {name: all, use: baseline, fallback: [baseline]}",
        "routes:\n  - {name: all, use: baseline, fallback: [fraud-model-v2]}",
    ),
    "W227": Code(
        "a fallback that is never asked",
        "It is named before, or stands behind a constant, which always answers.",
        "Remove it, or put the constant last.",
        "routes:\n  - {name: all, use: baseline, fallback: [{constant: 0.5}, fraud-model-v2]}",
        "routes:\n  - {name: all, use: baseline, fallback: [fraud-model-v2, {constant: 0.5}]}",
    ),
    "W228": Code(
        "a key without effect",
        "The key is about requests over a wire, and the model runs in this process; or it is `batch`, and a "
        "request of the protocol is one event.",
        "Remove it.",
        "models:\n  baseline: {python: 'baseline:predict', concurrency: 8}",
        "models:\n  baseline: {python: 'baseline:predict', timeout: 2s}",
    ),
    "W229": Code(
        "a field that is not declared",
        "`write.event` or `write.redact` names a field that `source.fields` does not.",
        "Correct the name, or declare the field.",
        "write: {redact: {devise: hash}}",
        "write: {redact: {device: hash}}",
    ),
    "W230": Code(
        "a hidden field that shows elsewhere",
        "A field is hidden in the event, and its value is the record's key or id.",
        "Take another field for `source.key` or `source.id`, or leave this one as it is.",
        "write: {redact: {user_id: hash}}",
        "write: {redact: {device: hash}}",
    ),
    "W231": Code(
        "a secret in the document",
        "A password, token or key stands in the document, where everybody reads it who reads the document.",
        "Take it from the environment or from a file: `${NAME}`, `${file:PATH}`.",
        "kafka: {sasl.password: swordfish}",
        'kafka: {sasl.password: "${KAFKA_PASSWORD:-}"}',
    ),
}
"""In the order of the codes."""
