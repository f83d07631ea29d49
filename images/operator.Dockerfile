# The operator: a feed's plan, applied to Kubernetes.
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
COPY operators/pyproject.toml operators/
RUN images/install.sh dependencies core control exchanges adapters operators
COPY core core
COPY control control
COPY exchanges exchanges
COPY adapters adapters
COPY operators operators
RUN images/install.sh packages core control exchanges adapters operators

FROM ${BASE_IMAGE}
COPY --from=build /opt/cryptocdc /opt/cryptocdc
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["cryptocdc-operator"]
