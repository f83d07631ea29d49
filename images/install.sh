#!/bin/sh
# The Dockerfiles' build stage, in steps that are cached separately:
#   install.sh tools                      what installs the rest: pip, hatchling; stays in the build stage
#   install.sh dependencies WHAT...       into /opt/cryptocdc, pinned and by hash, what these packages (or pins) need
#   install.sh lock FILE                  the whole of another lock, on top of that
#   install.sh packages FOLDER...         our own packages
set -eu
step=$1; shift
cd "$(dirname "$0")/.."
lock=requirements/runtime.txt
pip() { /build/bin/pip --disable-pip-version-check --no-cache-dir --quiet "$@"; }
case $step in
tools)
  python3 -m venv /build
  python3 -m venv --without-pip /opt/cryptocdc
  python3 images/locked.py $lock hatchling > /build/lock.txt
  pip install --require-hashes --requirement /build/lock.txt
  ;;
dependencies)
  python3 images/locked.py $lock "$@" > /build/lock.txt
  pip --python /opt/cryptocdc/bin/python install --require-hashes --only-binary :all: --no-binary pure-sasl \
    --requirement /build/lock.txt  # cqlsh's pure-sasl is published only as source
  ;;
lock)
  pip --python /opt/cryptocdc/bin/python install --require-hashes --only-binary :all: --no-binary pyspark \
    --requirement "$1"  # PySpark is published only as source
  ;;
packages)
  for folder; do shift; set -- "$@" "./$folder"; done  # otherwise pip mistakes a folder for a name
  pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /build/wheels "$@"
  pip --python /opt/cryptocdc/bin/python install --no-index --no-deps /build/wheels/*.whl
  ;;
esac
