"""The end-to-end tests edit every field of a feed, including new ones."""

import yaml
from tests.e2e.test_71_edits import EDITS, NOT_HERE
from tests.unit.kubernetes_schemas import ROOT


def leaves(schema, path=""):
    for name, inner in schema["properties"].items():
        at = f"{path}.{name}".lstrip(".")
        if "properties" in inner:
            yield from leaves(inner, at)
        else:
            yield at


def test_every_field_of_the_spec_is_edited_or_excluded_with_a_reason():
    definition = yaml.safe_load((ROOT / "charts/files/crd.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    fields = set(leaves(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert fields == NOT_HERE.keys() | {name for name in EDITS if " " not in name}
