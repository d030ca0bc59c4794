"""PyFlink's own job: `python job.py KIND CONNECTOR BOOTSTRAP SOURCE TARGET CUSTOMERS`, until it is killed.

KIND is `value` (the data stream's Kafka source and sink, which know nothing of keys and places), `table`
(source and sink of the table API, which know all) or `keyed` (the same with a window in ValueState). Process
mode, one task, a checkpoint a second, at least once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deciding import Decide, DecideKeyed, DecideValue
from pyflink.common import Configuration, SimpleStringSchema, Types, WatermarkStrategy
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

PRODUCER = {"compression.type": "lz4", "linger.ms": "20", "batch.size": "131072"}
RECORD = Types.ROW_NAMED(["k", "v"], [Types.STRING(), Types.STRING()])


def environment(connector: str) -> StreamExecutionEnvironment:
    """One task, process mode."""
    import pyflink

    own = next((Path(pyflink.__file__).parent / "opt").glob("flink-python-*.jar"))
    settings = {
        "pipeline.jars": f"{Path(connector).as_uri()};{own.as_uri()}",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.execution-mode": "process",
        "parallelism.default": "1",
        "execution.checkpointing.interval": "1 s",
        "execution.checkpointing.mode": "AT_LEAST_ONCE",
        "rest.bind-port": "0",
        "rest.bind-address": "127.0.0.1",
    }
    configuration = Configuration()
    for name, text in settings.items():
        configuration.set_string(name, text)
    return StreamExecutionEnvironment.get_execution_environment(configuration)


def by_value(env: StreamExecutionEnvironment, bootstrap: str, source: str, target: str) -> None:
    """The data stream's source and sink."""
    reader = (
        KafkaSource.builder()
        .set_bootstrap_servers(bootstrap)
        .set_topics(source)
        .set_group_id(target)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    builder = KafkaSink.builder().set_bootstrap_servers(bootstrap)
    for name, text in PRODUCER.items():
        builder.set_property(name, text)
    schema = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(target)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    writer = (
        builder.set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE).set_record_serializer(schema).build()
    )
    stream = env.from_source(reader, WatermarkStrategy.no_watermarks(), "events")
    stream.process(DecideValue(source), Types.STRING()).sink_to(writer)
    env.execute("by value")


def by_table(
    env: StreamExecutionEnvironment, bootstrap: str, source: str, target: str, customers: str, keyed: bool
) -> None:
    """The table API's source and sink."""
    tables = StreamTableEnvironment.create(env)
    properties = "".join(f", 'properties.{name}' = '{text}'" for name, text in PRODUCER.items())
    common = (
        f"'connector' = 'kafka', 'properties.bootstrap.servers' = '{bootstrap}', "
        "'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'raw', "
        "'value.fields-include' = 'EXCEPT_KEY'"
    )
    tables.execute_sql(
        "CREATE TABLE events (k STRING, v STRING, p INT METADATA FROM 'partition' VIRTUAL, "
        f"o BIGINT METADATA FROM 'offset' VIRTUAL) WITH ({common}, 'topic' = '{source}', "
        f"'properties.group.id' = '{target}', 'scan.startup.mode' = 'earliest-offset')"
    )
    tables.execute_sql(
        f"CREATE TABLE decisions (k STRING, v STRING) WITH ({common}, 'topic' = '{target}', "
        f"'sink.delivery-guarantee' = 'at-least-once'{properties})"
    )
    stream: DataStream = tables.to_data_stream(tables.from_path("events"))
    if keyed:
        by_user = stream.key_by(lambda row: row[0], Types.STRING())
        decided = by_user.process(DecideKeyed(source, customers), RECORD)
    else:
        decided = stream.process(Decide(source), RECORD)
    schema = Schema.new_builder().column("k", DataTypes.STRING()).column("v", DataTypes.STRING()).build()
    statements = tables.create_statement_set()
    statements.add_insert("decisions", tables.from_data_stream(decided, schema))
    statements.execute().wait()


def main(kind: str, connector: str, bootstrap: str, source: str, target: str, customers: str) -> None:
    """Runs one of them."""
    env = environment(connector)
    if kind == "value":
        by_value(env, bootstrap, source, target)
    else:
        by_table(env, bootstrap, source, target, customers, kind == "keyed")


if __name__ == "__main__":
    main(*sys.argv[1:])
