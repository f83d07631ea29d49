# The exporter: Cassandra into Parquet files, with the verifier's proofs.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/
RUN images/install.sh tools
COPY core/pyproject.toml core/
COPY exchanges/pyproject.toml exchanges/
COPY adapters/pyproject.toml adapters/
COPY services/exporter/pyproject.toml services/exporter/
RUN images/install.sh dependencies core exchanges adapters services/exporter
COPY requirements/export.txt requirements/
RUN images/install.sh lock requirements/export.txt
COPY core core
COPY exchanges exchanges
COPY adapters adapters
COPY services/exporter services/exporter
RUN images/install.sh packages core exchanges adapters services/exporter

FROM ${BASE_IMAGE}
COPY --from=build /opt/cryptocdc /opt/cryptocdc
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["cryptocdc-exporter"]
