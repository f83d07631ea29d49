"""The entrypoint of the image `spark`: what it runs as a driver, as an executor, and for Spark's operator."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "images" / "spark.sh"
EXECUTOR = {
    "SPARK_EXECUTOR_MEMORY": "512m", "SPARK_DRIVER_URL": "spark://Driver@majors-spark.cdc.svc:7078",
    "SPARK_EXECUTOR_ID": "3", "SPARK_EXECUTOR_CORES": "1", "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.3", "SPARK_EXECUTOR_POD_NAME": "majors-exec-3", "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_JAVA_OPT_0": "-Dspark.driver.port=7078", "SPARK_JAVA_OPT_1": "-Dwith=a space",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Run the script with programs that print their name and arguments, one a line."""
    home = tmp_path / "spark"
    (home / "bin").mkdir(parents=True)
    for path in (tmp_path / "java", tmp_path / "python", tmp_path / "cryptocdc-spark", home / "bin" / "spark-submit"):
        path.write_text('#!/bin/bash\necho "${0##*/}"\nprintf "%s\\n" "$@"\n')
        path.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPARK_HOME": str(home)}

    def run(*arguments, **more):
        done = subprocess.run(
            ["/bin/bash", SCRIPT, *arguments], env=env | more, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    return run


def test_without_arguments_it_is_the_driver(run):
    assert run() == ["cryptocdc-spark", ""]


def test_an_executor_gets_from_its_environment_what_spark_says_of_it(run):
    java, *arguments = run("executor", **EXECUTOR)
    assert java == "java"
    options = arguments[: arguments.index("-cp")]
    assert options == ["-Dspark.driver.port=7078", "-Dwith=a space", "-Xms512m", "-Xmx512m"]
    main = arguments.index("org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend")
    named = dict(zip(arguments[main + 1 :: 2], arguments[main + 2 :: 2], strict=True))
    assert named == {
        "--driver-url": EXECUTOR["SPARK_DRIVER_URL"], "--executor-id": "3", "--cores": "1", "--app-id": "spark-1",
        "--hostname": "10.0.0.3", "--podName": "majors-exec-3", "--resourceProfileId": "0",
    }  # fmt: skip


def test_an_executor_first_makes_the_trust_store_that_it_needs(run):
    ran = run("executor", **EXECUTOR, CRYPTOCDC_SPARK_TRUST_STORE="/tmp/ca.p12")
    assert ran[:4] == ["python", "-m", "cryptocdc_spark.trust_store", "java"]


def test_for_sparks_operator_it_passes_the_drivers_arguments_on(run):
    ran = run("driver", "--class", "Main", "local:///x.py", SPARK_DRIVER_BIND_ADDRESS="10.0.0.9")
    assert ran == [
        "spark-submit", "--deploy-mode", "client", "--conf", "spark.driver.bindAddress=10.0.0.9",
        "--class", "Main", "local:///x.py",
    ]  # fmt: skip
