# The simulator: exchanges that speak the venues' protocols.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/
RUN images/install.sh tools
COPY services/simulator/pyproject.toml services/simulator/
RUN images/install.sh dependencies services/simulator
COPY services/simulator services/simulator
RUN images/install.sh packages services/simulator

FROM ${BASE_IMAGE}
COPY --from=build /opt/cryptocdc /opt/cryptocdc
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["cryptocdc-simulator"]
