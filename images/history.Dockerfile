# History: past days from an exchange's archive into Cassandra.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/
RUN images/install.sh tools
COPY core/pyproject.toml core/
COPY control/pyproject.toml control/
COPY exchanges/pyproject.toml exchanges/
COPY adapters/pyproject.toml adapters/
COPY services/producer/pyproject.toml services/producer/
COPY services/verifier/pyproject.toml services/verifier/
COPY services/history/pyproject.toml services/history/
RUN images/install.sh dependencies core control exchanges adapters services/producer services/verifier services/history
COPY core core
COPY control control
COPY exchanges exchanges
COPY adapters adapters
COPY services/producer services/producer
COPY services/verifier services/verifier
COPY services/history services/history
RUN images/install.sh packages core control exchanges adapters services/producer services/verifier services/history

FROM ${BASE_IMAGE}
COPY --from=build /opt/cryptocdc /opt/cryptocdc
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["cryptocdc-history"]
