"""The codes of what is wrong with expressions, with what the document names, and with servers."""

from __future__ import annotations

from typing import Final

from pointsman.spec.code import Code

__all__ = ["NAMED"]

NAMED: Final[dict[str, Code]] = {
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
    "W309": Code(
        "a field that is hidden by a name",
        "`key`, `topic`, `now`, `headers`, `event`, `metadata` and, in outputs, `reply` always mean one "
        "thing. A field that is called so is not meant by its bare name.",
        'Write `event["key"]` for the field. If the name itself is meant, leave it.',
        "source: {topics: [transactions], fields: {key: string, amount: double}}\n"
        "enrich:\n  ours: 'key == \"x\"'",
        "source: {topics: [transactions], fields: {key: string, amount: double}}\n"
        'enrich:\n  ours: \'event["key"] == "x"\'',
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
    "E432": Code(
        "a Schema Registry that is missing, or not asked",
        "`source.format` is `avro`, `protobuf` or `json_schema`, and there is no `source.registry`; or there "
        "is one, and the format is another.",
        "Name the registry for these three formats, and for no others.",
        "source: {topics: [t], format: avro}",
        'source: {topics: [t], format: avro, registry: {url: "http://localhost:8081"}}',
    ),
    "E441": Code(
        "not an address",
        "An address is not `http://`, `https://`, `grpc://` or `grpcs://` and a host, or holds "
        "what does not belong there.",
        "Write `http://host:port` for REST, `grpc://host:port` for gRPC; a user and a password stand under "
        "`auth`.",
        'models:\n  remote: {open_inference: "localhost:8080", inputs: {amount: amount}}',
        'models:\n  remote: {open_inference: "http://localhost:8080", inputs: {amount: amount}}',
    ),
    "E442": Code(
        "`auth` or `tls` that cannot be used",
        "They name no way or several, a file is not what it should be, or TLS is given and the address is "
        "without it.",
        "Do what the message says.",
        'endpoints:\n  scoring: {open_inference: "http://localhost:8080", auth: {}}\n'
        "models:\n  remote: {endpoint: scoring, inputs: {amount: amount}}",
        'endpoints:\n  scoring: {open_inference: "http://localhost:8080", auth: {bearer: "${TOKEN:-t}"}}\n'
        "models:\n  remote: {endpoint: scoring, inputs: {amount: amount}}",
    ),
    "E443": Code(
        "a method that cannot be called",
        "The .proto file does not compile, the descriptor set is none, or it has no such method that takes "
        "one message and gives one.",
        "Do what the message says; methods are written `package.Service/Method`.",
    ),
    "E445": Code(
        "a Kafka property that cannot be used",
        "The client does not know it, refuses its value, or one of the guarantees rests on it.",
        "Correct or remove it; librdkafka's CONFIGURATION.md lists the properties.",
        "kafka: {enable.auto.commit: true}",
        "kafka: {fetch.wait.max.ms: 100}",
    ),
    "E446": Code(
        "what a stream engine cannot run",
        "`--on` names Flink or Kafka Streams, which does not have what the document asks for there.",
        "Do what the message says, or run with `--on native`.",
    ),
    "E501": Code(
        "an endpoint that cannot be asked",
        "`check --live` could not reach the server, or it refused the connection or the credentials.",
        "Start it, or correct the address; with TLS or authentication, look at `tls` and `auth`.",
    ),
    "E502": Code(
        "a model that is not ready",
        "The server answers, and says that it does not serve this model, or not yet.",
        "Load the model there, or correct `model` and `version`.",
    ),
    "E503": Code(
        "an input that is not as the server's",
        "The server's metadata declares other inputs than the document gives, or the same with another type "
        "or shape.",
        "Name the inputs as the server does; convert the value in the expression; correct `tensors`.",
    ),
    "W504": Code(
        "a version that the server does not serve",
        "The document says one version for the records, and the server names another.",
        "Correct `version`, or leave it out: the server's own then stands in the records.",
    ),
    "E505": Code(
        "a Schema Registry that cannot be asked",
        "`check --live` got no answer from it, or not the schema of the events.",
        "Start it, or correct `url`, `auth` and `tls`; register the schema, or name its `subject`.",
    ),
    "E506": Code(
        "a schema that does not fit",
        "The newest schema of the events is of another format, or no value of one of its fields can be of "
        "the type that `source.fields` declares.",
        "Correct `source.format` and `source.fields`; [formats](formats.md) says which types go together.",
    ),
    "W507": Code(
        "a field that the schema does not have",
        "`source.fields` declares a field that the newest schema of the events lacks; it will be missing.",
        "Take it out of `source.fields`, or correct its name.",
    ),
}
"""In the order of the codes."""
