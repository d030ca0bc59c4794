"""The manifests of examples/deploy are right: by schema, by the commands they run, by what they hold."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import jsonschema
import kubernetes_validate
import pytest
import yaml

from docs.operator_crds import definition
from docs.pages import PAYMENTS, ROOT
from docs.test_commands import refuse_unknown
from pointsman.runner.serve import MetricsServer
from pointsman.spec import examine

FOLDER = ROOT / "examples" / "deploy"
KUBERNETES = "1.34"
OPERATOR = "flink.apache.org/v1beta1"
FLINK = "v2_3"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

Manifest = dict[str, Any]


def manifests(*kinds: str) -> list[Any]:
    """Every object of the folder's files, or those of some kinds, each as a test's parameter."""
    return [
        pytest.param(manifest, id=f"{path.stem}-{manifest['kind']}")
        for path in sorted(FOLDER.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text("utf-8"))
        if not kinds or manifest["kind"] in kinds
    ]


def containers(manifest: Manifest) -> list[Manifest]:
    """The containers of a Deployment or StatefulSet."""
    found: list[Manifest] = manifest["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("manifest", manifests())
def test_fits_its_schema(manifest: Manifest) -> None:
    """Kubernetes' own schemas, or those of Flink's operator, know every field."""
    if manifest["apiVersion"] != OPERATOR:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        return
    schema = definition(manifest["kind"])
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"required": ["name"]}}
    version = schema["properties"]["spec"]["properties"].get("flinkVersion")
    if version:
        version["enum"].append(FLINK)  # the published definitions are older than Flink 2
    jsonschema.Draft202012Validator(schema).validate(manifest)


def test_mistakes_are_seen() -> None:
    """A field that no schema knows is an error with either kind."""
    deployment = next(param.values[0] for param in manifests("Deployment"))
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)
    with pytest.raises(jsonschema.ValidationError, match="parallelIsm"):
        jsonschema.validate({"spec": {"job": {"parallelIsm": 2}}}, definition("FlinkDeployment"))


@pytest.mark.parametrize("manifest", manifests("Deployment", "StatefulSet"))
def test_commands_exist(manifest: Manifest) -> None:
    """What a container is told to run is a command with options that it has; what probes run is Python."""
    for container in containers(manifest):
        refuse_unknown(list(container["args"]))
        for probe in PROBES:
            program, option, code = container[probe]["exec"]["command"]
            ast.parse(code)
            assert (program, option) == ("python", "-c")
            assert f"127.0.0.1:{container['args'][container['args'].index('--metrics-port') + 1]}" in code


@pytest.mark.parametrize("manifest", manifests("Deployment", "StatefulSet"))
@pytest.mark.parametrize("well", [True, False])
def test_probes_tell(manifest: Manifest, well: bool) -> None:
    """A probe succeeds where the runner's own server says that all is well, and fails where it does not."""
    (container,) = containers(manifest)
    with MetricsServer(0, dict, lambda: well, lambda: well) as server:
        for probe in PROBES:
            code = container[probe]["exec"]["command"][2].replace("http://127.0.0.1:9400", server.address)
            with nullcontext() if well else pytest.raises(HTTPError, match="503"):
                exec(compile(code, probe, "exec"), {})


@pytest.mark.parametrize("manifest", manifests("Deployment", "StatefulSet"))
def test_names_agree(manifest: Manifest) -> None:
    """Selectors find the pods; mounts name volumes; folders that the command is given are mounted."""
    spec = manifest["spec"]
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
    (container,) = containers(manifest)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    files = [word for word in container["args"] if word.startswith("/")]

    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert set(mounts.values()) == volumes
    assert all(any(word.startswith(mount) for mount in mounts) for word in files)


@pytest.mark.parametrize("manifest", manifests("ConfigMap"))
def test_documents_are_right(manifest: Manifest, tmp_path: Path) -> None:
    """What a ConfigMap holds goes over the payments pipeline, with the variables that the containers have."""
    variables = {
        variable["name"]: "secret"
        for param in manifests("Deployment", "StatefulSet")
        for container in containers(param.values[0])
        for variable in container["env"]
    }
    for name, text in manifest["data"].items():
        path = tmp_path / name
        path.write_text(text, "utf-8")
        document, findings = examine(PAYMENTS / "pipeline.yaml", [path], variables)
        assert not findings
        assert document is not None
        assert document.kafka["sasl.password"] == "secret"


def test_the_page_names_each_file() -> None:
    """docs/deploy.md leads to every manifest."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    missing = [path.name for path in FOLDER.glob("*.yaml") if f"examples/deploy/{path.name}" not in page]

    assert not missing
