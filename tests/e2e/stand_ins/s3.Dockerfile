# A server of S3's protocol in memory, moto's, for the exporter.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/s3.txt requirements/
RUN images/install.sh tools && images/install.sh lock requirements/s3.txt

FROM ${BASE_IMAGE}
COPY --from=build /opt/cryptocdc /opt/cryptocdc
ENV PATH=/opt/cryptocdc/bin:$PATH
USER 10001:10001
ENTRYPOINT ["python", "-m", "moto.server", "-H", "0.0.0.0", "-p", "5000"]
