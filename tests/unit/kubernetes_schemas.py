"""Validates rendered manifests as an API server with the operators' CRDs would: Kubernetes' own schemas come with a
package, the operators' lie beside the checkout, in ../shared/crds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.unit.custom_resources import CustomResource

ROOT = Path(__file__).parents[2]
CRDS = ROOT.parent / "shared" / "crds"
KUBERNETES = "1.34"

WITHOUT_SCHEMA = {"cert-manager.io", "barmancloud.cnpg.io"}
"""Groups whose CRDs are in nobody's package; what is used of them is small and was checked by hand."""

Document = dict[str, Any]


def documents(text: str) -> list[Document]:
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def find(rendered: list[Document], kind: str, name: str | None = None) -> list[Document]:
    return [d for d in rendered if d["kind"] == kind and name in (None, d["metadata"]["name"])]


def the(rendered: list[Document], kind: str, name: str | None = None) -> Document:
    (found,) = find(rendered, kind, name)
    return found


@cache
def _definitions() -> dict[tuple[str, str], Document]:
    if not CRDS.is_dir():
        pytest.skip("the operators' CRDs are not beside the checkout, in ../shared/crds")
    found = {}
    for path in [*CRDS.rglob("*.yaml"), ROOT / "charts" / "files" / "crd.yaml"]:
        for document in documents(path.read_text(encoding="utf-8")):
            if document["kind"] == "CustomResourceDefinition":
                found[document["spec"]["group"], document["spec"]["names"]["kind"]] = document
    return found


def has_definition(group: str, kind: str) -> bool:
    return (group, kind) in _definitions()


def problems(document: Document) -> list[str]:
    """A line for each reason to refuse it, with its kind and name."""
    group, _, version = document["apiVersion"].rpartition("/")
    who = f"{document['kind']} {document['metadata']['name']}"
    if (group, document["kind"]) in _definitions():
        definition = CustomResource(_definitions()[group, document["kind"]], version)
        return [f"{who}: {problem}" for problem in definition.problems(document)]
    if group in WITHOUT_SCHEMA:
        return []
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{who}: no schema of {document['apiVersion']}"]
    except kubernetes_validate.ValidationError as error:
        return [f"{who}: {'.'.join(map(str, error.path))}: {error.message}"]
    return []


def pod_specs(rendered: list[Document]) -> dict[str, Document]:
    """Return the specs of the pods that plain Kubernetes will create for these documents, by kind and name."""
    found = {}
    for document in rendered:
        spec = document.get("spec", {})
        if document["kind"] == "Pod":
            found[f"Pod {document['metadata']['name']}"] = spec
        elif "template" in spec and "containers" in spec["template"].get("spec", {}):
            found[f"{document['kind']} {document['metadata']['name']}"] = spec["template"]["spec"]
    return found


def breaks_restricted(pod: Document) -> list[str]:
    """What the Pod Security Standard `restricted` would refuse, and a root file system that can be written."""
    whole = pod.get("securityContext", {})
    broken = []
    if whole.get("runAsNonRoot") is not True:
        broken.append("runAsNonRoot")
    if whole.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        broken.append("seccompProfile")
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            broken.append(f"{container['name']}: allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            broken.append(f"{container['name']}: capabilities")
        if own.get("readOnlyRootFilesystem") is not True:
            broken.append(f"{container['name']}: readOnlyRootFilesystem")
    return broken


def millicores(quantity: str | int) -> int:
    text = str(quantity)
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)
