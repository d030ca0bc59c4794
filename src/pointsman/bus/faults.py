"""What the Kafka client reports, as an error that says where, what failed and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault

__all__ = ["about_group", "describe", "fault", "telling", "will_not_pass"]

_LOGIN: Final = {"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"}
_TLS: Final = {"_SSL"}
_NAME: Final = {"_RESOLVE"}
_SILENT: Final = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_MSG_TIMED_OUT", "_TIMED_OUT_QUEUE"}
_RIGHTS: Final = {
    "TOPIC_AUTHORIZATION_FAILED": "the topic",
    "GROUP_AUTHORIZATION_FAILED": "the group",
    "CLUSTER_AUTHORIZATION_FAILED": "the cluster",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "the transactional id",
}
_GROUP: Final = {
    "INCONSISTENT_GROUP_PROTOCOL": (
        "other members of the group{name} at {address} share its partitions out another way",
        "give this pipeline a group.id of its own under kafka:, or end those members",
    ),
    "INVALID_SESSION_TIMEOUT": (
        "{address} does not allow this session.timeout.ms",
        "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms bound it",
    ),
    "FENCED_INSTANCE_ID": (
        "another consumer of the group{name} at {address} has the same group.instance.id",
        "give each run a group.instance.id of its own under kafka:",
    ),
}
"""Why a consumer cannot be in its group: what is so, and what to do."""
_TELLING: Final = (_LOGIN, _TLS, set(_RIGHTS), _NAME, _SILENT - {"_TIMED_OUT", "_ALL_BROKERS_DOWN"})
"""Codes in the order of how much they tell: a broker that refuses a login is also 'down' and 'timed out'."""


def telling(errors: Iterable[Any]) -> Any:
    """Returns the KafkaError that says most about why a client does not get on; the latest of its kind."""
    found = list(errors)
    for codes in _TELLING:
        for error in reversed(found):
            if error.name() in codes:
                return error
    return found[-1]


def will_not_pass(error: Any) -> bool:
    """Tells whether trying again cannot help: a refused login, a missing right, a group closed to it."""
    return error.name() in _LOGIN | _TLS | set(_RIGHTS) | set(_GROUP)


def about_group(error: Any) -> bool:
    """Tells whether the consumer's group is what it is about."""
    return error.name() in _GROUP or error.name() == "GROUP_AUTHORIZATION_FAILED"


def fault(error: Any, kafka: Mapping[str, Any], doing: str, name: str = "") -> EnvironmentFault:
    """Returns the error to raise for a KafkaError.

    Args:
        error: A KafkaError.
        kafka: The document's `kafka:`, for the address and the user's name.
        doing: What failed, such as `cannot create the topic p.decisions`.
        name: The topic or group that it was about.
    """
    code, address = error.name(), kafka.get("bootstrap.servers", "localhost:9092")
    said = describe(error.str())
    if code in _LOGIN:
        user, mechanism = (
            kafka.get("sasl.username", ""),
            kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "")),
        )
        whose = f" as '{user}'" if user else ""
        what = f"{address} refuses the login{whose} by {mechanism or 'SASL'} ({said})"
        do = "check sasl.mechanism, sasl.username and sasl.password under kafka:"
    elif code in _TLS:
        what = f"TLS with {address} failed ({said})"
        do = "check security.protocol and ssl.ca.location under kafka:, and whom the certificate names"
    elif code in _RIGHTS:
        what = f"no right to {_RIGHTS[code]}{f' {name}' if name else ''} at {address} ({said})"
        do = "'pointsman topics --acls' prints what rights are needed"
    elif code in _NAME:
        what = f"the host of {address} has no address ({said})"
        do = "check bootstrap.servers under kafka:"
    elif code in _GROUP:
        what, do = (text.format(name=name and f" {name}", address=address) for text in _GROUP[code])
    elif code in _SILENT:
        what = f"no Kafka broker answers at {address} ({said})"
        do = "start one with 'pointsman broker start', or check bootstrap.servers and security.protocol"
    else:
        what, do = f"Kafka at {address} says: {said}", "the broker's log may tell more"
    return EnvironmentFault(f"{doing}: {what}; {do}")


def describe(said: str) -> str:
    """Returns a client's message without its inner names: threads, handles, timings."""
    text = re.sub(r"^\w+://", "", said)
    text = re.sub(r"\[thrd:[^\]]*\]:\s*|/(bootstrap|\d+)(?=:)|\s*\((after|in) [^)]*\)|ipv[46]#", "", text)
    return text.strip().rstrip(".")
