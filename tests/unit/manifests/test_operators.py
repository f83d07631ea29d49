"""`make operators`: charts of pinned versions, and a clear message if something is missing."""

import os
import re
import subprocess

import pytest
from tests.unit.kubernetes_schemas import CRDS
from tests.unit.manifests.build import MANIFESTS

SCRIPT = MANIFESTS / "operators" / "install.sh"


@pytest.fixture
def run(tmp_path):
    """Run the script with nothing on its PATH but programs that record their calls."""
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    log.touch()

    def program(name, code=0):
        path = programs / name
        read_all = 'case "$*" in *"-f -") while read -r _; do :; done;; esac'
        path.write_text(
            f'#!/bin/bash\necho "{name} $*" >> {log}\n{read_all}\n[ {code} = 0 ] && echo here\nexit {code}\n'
        )
        path.chmod(0o755)

    def run(*names, failing=(), arguments=()):
        for name in names:
            program(name, 1 if name in failing else 0)
        done = subprocess.run(
            ["/bin/bash", SCRIPT, *arguments],
            env=os.environ | {"PATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, log.read_text().splitlines()

    return run


def test_each_operator_is_installed_from_its_pinned_chart_and_waited_for(run):
    done, calls = run("kubectl", "helm")
    assert done.returncode == 0, done.stderr
    installs = [call for call in calls if call.startswith("helm upgrade --install ")]
    assert [call.split()[3] for call in installs] == ["cert-manager", "strimzi", "cnpg", "k8ssandra-operator"]
    for call in installs:
        assert re.search(r"--version v?\d+\.\d+\.\d+ ", call), call
        assert " --wait " in call


def test_the_versions_match_the_crds_used_for_validation():
    text = SCRIPT.read_text()
    for folder in CRDS.iterdir() if CRDS.is_dir() else []:
        name, _, version = folder.name.rpartition("-")
        if name in ("strimzi", "k8ssandra-operator", "cloudnative-pg"):
            assert version in text, folder.name


@pytest.mark.parametrize("missing", ["kubectl", "helm"])
def test_a_missing_program_is_named(run, missing):
    done, _ = run(*{"kubectl", "helm"} - {missing})
    assert done.returncode == 3
    assert f"{missing} is missing" in done.stderr


def test_a_missing_cluster_is_reported_before_anything_is_installed(run):
    done, calls = run("kubectl", "helm", failing=("kubectl",))
    assert done.returncode == 3
    assert "kubectl has no cluster" in done.stderr
    assert not [call for call in calls if call.startswith("helm")]


def test_a_failed_chart_installation_stops_the_script(run):
    done, calls = run("kubectl", "helm", failing=("helm",))
    assert done.returncode == 3
    assert "cert-manager v1.21.1 is not installed" in done.stderr
    assert len([call for call in calls if call.startswith("helm")]) == 1


def test_sparks_crds_are_installed_only_where_they_are_asked_for_and_of_a_pinned_version(run):
    _, without = run("kubectl", "helm")
    assert not [call for call in without if "spark" in call]
    done, calls = run("kubectl", "helm", arguments=("spark",))
    assert done.returncode == 0, done.stderr
    (show,) = [call for call in calls if "spark" in call]
    assert re.search(r"helm show crds spark-kubernetes-operator .* --version \d+\.\d+\.\d+$", show)
    assert [call for call in calls if call.startswith("kubectl apply --server-side -f -")]
