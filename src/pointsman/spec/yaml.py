"""YAML 1.2 with positions: a file becomes a tree of nodes, and every mistake a finding.

PyYAML scans and parses (libyaml where it is there); what is refused and where things stand is decided here:
duplicate keys, tags, merge keys and second documents are refused, aliases, depth and size are bounded. An
expression that YAML misreads because it is not quoted gives one finding, and the reading goes on as if it had
been quoted.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml

from pointsman.base.errors import Finding
from pointsman.spec import unquoted
from pointsman.spec.node import Node, resolve
from pointsman.spec.place import File
from pointsman.spec.syntax import explain

__all__ = ["parse"]

MOST_CHARACTERS = 32_000_000
MOST_NODES = 2_000_000
MOST_DEPTH = 60
MOST_RECOVERED = 50

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


class _Stop(Exception):
    """Reading cannot go on; the finding was made."""


class _Again(Exception):
    """Something was recovered; the text is read once more."""


_STYLES = {None: "plain", "": "plain", "'": "single", '"': "double", "|": "literal", ">": "folded"}


class _Composer:
    """Builds the tree from the parser's events, in one pass without recursion."""

    def __init__(self, file: File, text: str, findings: list[Finding]) -> None:
        self.file = file
        self.text = text
        self.findings = findings
        self.open: list[tuple[Node, Node | None]] = []
        """The collections under way, and the key that waits for its value in each."""
        self.anchors: dict[str, Node | None] = {}
        self.anchored: list[str | None] = []
        self.root: Node | None = None
        self.nodes = 0

    def refuse(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self.findings.append(node.place.finding(code, message, hint))

    def compose(self) -> Node | None:
        """The root, or None where the file is empty; raises _Stop, _Again or yaml.YAMLError."""
        loader = _LOADER(self.text)
        documents = 0
        try:
            while loader.check_event():
                event = loader.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self.refuse_second(event)
                else:
                    self.take(event)
        finally:
            loader.dispose()
        return self.root

    def refuse_second(self, event: Any) -> None:
        start = event.start_mark.index
        hint = "a file holds one document; remove `---`"
        self.refuse(Node(self.file, start, start + 3), "E109", "a second document starts here", hint)
        raise _Stop

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.add(self.scalar(event), event.anchor)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self.begin(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.finish(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)

    def scalar(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        if event.anchor or event.tag:
            start = self.behind_properties(start, end)
        style = _STYLES[event.style]
        if start in self.file.recovered:
            meant, end = self.file.recovered[start]
            text = meant or ""
            return Node(self.file, start, end, style="unquoted", text=text, raw=text, broken=meant is None)
        node = Node(self.file, start, end, style=style, text=event.value, raw=event.value)
        if event.tag:
            self.tag(event)
        if style == "plain" and ('"' in event.value or "'" in event.value):
            self.recover(unquoted.comment(self.file, start, end))
        return node

    def behind_properties(self, start: int, end: int | None = None) -> int:
        """Where the value itself begins, behind its anchor and tag."""
        found = _PROPERTIES.match(self.text, start, len(self.text) if end is None else end)
        return found.end() if found else start

    def tag(self, event: Any) -> None:
        """Tags are refused; most are a `!` that begins an expression."""
        start = event.start_mark.index
        self.recover(unquoted.diagnose(self.file, self.text, start, self.flow()))
        node = Node(self.file, start, max(start + 1, event.end_mark.index))
        self.refuse(
            node, "E105", f"'{event.tag}' is a YAML tag", "tags are not used here; put the value in quotes"
        )

    def flow(self) -> int | None:
        """Where the outermost flow collection under way begins."""
        return next((node.start for node, _ in self.open if node.style == "flow"), None)

    def innermost(self) -> int | None:
        """Where the innermost collection under way begins, if it is a flow collection."""
        return self.open[-1][0].start if self.open and self.open[-1][0].style == "flow" else None

    def recover(self, mistake: unquoted.Mistake | None) -> None:
        if mistake is None:
            return
        self.findings.append(mistake.finding)
        self.file.recovered[mistake.start] = (mistake.meant, mistake.end)
        raise _Again

    def begin(self, event: Any) -> None:
        shape: Literal["map", "list"] = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        start = event.start_mark.index
        if event.tag:
            self.tag(event)
        if event.anchor:
            start = self.behind_properties(start)
        node = Node(self.file, start, start + 1, shape=shape, style="flow" if event.flow_style else "block")
        if len(self.open) >= MOST_DEPTH:
            self.refuse(node, "E107", f"nested deeper than {MOST_DEPTH} levels", "write it flatter")
            raise _Stop
        self.open.append((node, None))
        self.anchored.append(event.anchor)
        if event.anchor:
            self.anchors[event.anchor] = None

    def finish(self, event: Any) -> None:
        node, _ = self.open.pop()
        node.end = max(event.end_mark.index, node.start + 1)
        if node.style == "block":
            last = node.items[-1].end if node.items else node.start + 1
            node.end = max([last, *(member.end for member in node.members.values())])
        self.add(node, self.anchored.pop())

    def alias(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        node = self.anchors.get(event.anchor)
        if node is not None:
            self.add(node, None)
            return
        here = Node(self.file, start, end)
        if event.anchor in self.anchors:
            self.refuse(here, "E106", f"the alias '*{event.anchor}' stands inside what it names")
            raise _Stop
        self.recover(unquoted.diagnose(self.file, self.text, start, self.flow()))
        known = ", ".join(f"'&{name}'" for name in self.anchors)
        self.refuse(
            here,
            "E106",
            f"the alias '*{event.anchor}' names nothing",
            f"anchors before it: {known}"
            if known
            else "put the value in quotes, or define the anchor before it",
        )
        raise _Stop

    def add(self, node: Node, anchor: str | None) -> None:
        """Puts a finished node where it belongs."""
        if anchor:
            self.anchors[anchor] = node
        self.nodes += 1
        if not self.open:
            self.root = node
            return
        parent, key = self.open[-1]
        if parent.shape == "list":
            parent.items.append(node)
        elif key is None:
            self.open[-1] = (parent, node)
            return
        else:
            self.member(parent, key, node)
            self.open[-1] = (parent, None)
        parent.weight += node.weight
        if parent.weight > MOST_NODES:
            self.refuse(
                node, "E107", f"the document has more than {MOST_NODES:,} values", "aliases count each time"
            )
            raise _Stop

    def member(self, parent: Node, key: Node, node: Node) -> None:
        nothing = node.shape == "scalar" and node.style == "plain" and not node.text
        if parent.style == "flow" and nothing and not re.fullmatch(r"[\w.-]+", key.text):
            self.recover(unquoted.diagnose(self.file, self.text, key.start, self.flow()))
        if nothing and node.start >= node.end:
            node.start, node.end = key.start, key.end
        if key.shape != "scalar" or (key.style == "plain" and resolve(key.text) is None):
            self.refuse(key, "E110", f"a key must be text, found {key.found}", "put it in quotes")
        elif key.text == "<<" and key.style == "plain":
            self.refuse(
                key,
                "E110",
                "merge keys are not part of YAML 1.2",
                "use `defaults`, an alias for one value, or an overlay",
            )
        elif key.text in parent.members:
            first = parent.keys[key.text].place
            self.refuse(
                key,
                "E104",
                f"the key '{key.text}' is given twice",
                f"it stands in line {first.line} already; remove one of the two",
            )
        else:
            parent.members[key.text] = node
            parent.keys[key.text] = key


def parse(file: File) -> tuple[Node | None, list[Finding]]:
    """The tree of a file, or None where it cannot be had, and what is wrong with it as YAML."""
    findings: list[Finding] = []
    if len(file.text) > MOST_CHARACTERS:
        message = f"the file has {len(file.text):,} characters, more than {MOST_CHARACTERS:,}"
        return None, [file.place(0).finding("E107", message, "split it, or check that it is the right file")]
    if found := _FORBIDDEN.search(file.text):
        message = f"the character U+{ord(found[0]):04X} may not stand in YAML"
        return None, [
            file.place(found.start()).finding("E102", message, 'remove it, or write it as "\\x.." in quotes')
        ]
    for _ in range(MOST_RECOVERED):
        kept: list[Finding] = []
        text = unquoted.blank(file)
        composer = _Composer(file, text, kept)
        try:
            root = composer.compose()
            return root, findings + kept
        except _Again:
            findings.append(kept[-1])
        except _Stop:
            return None, findings + kept
        except yaml.MarkedYAMLError as error:
            flow = composer.flow()
            if error.context and "flow" in error.context and error.context_mark:
                flow = min(error.context_mark.index, flow if flow is not None else len(text))
            index = error.problem_mark.index if error.problem_mark else 0
            mistake = unquoted.diagnose(file, text, index, flow)
            if mistake is None:
                return None, findings + kept + [explain(file, error, composer.innermost())]
            findings.append(mistake.finding)
            file.recovered[mistake.start] = (mistake.meant, mistake.end)
    return None, findings
