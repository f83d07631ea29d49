# Everything for one machine, for systems that are not Debian 12: the servers, the programs and the command `cryptocdc`.
#   docker run --rm -it --stop-timeout 60 -p 8000:8000 -v cryptocdc:/data cryptocdc/all-in-one
# Data, logs and passwords are in /data, the feed is /feed.yaml.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
RUN command -v mvn >/dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
    --no-install-recommends maven openjdk-17-jre-headless; }
WORKDIR /src
# First into Maven's own repository, so that a change to our code does not download the servers again.
COPY local/src/cryptocdc_local/platform/installation/pom.xml local/src/cryptocdc_local/platform/installation/kafka.xml \
     local/src/cryptocdc_local/platform/installation/debezium.xml local/src/cryptocdc_local/platform/installation/cassandra.xml \
     local/src/cryptocdc_local/platform/installation/exporter.xml /poms/
COPY sinks/connect/pom.xml /poms/sink.xml
RUN mvn --batch-mode --quiet --file /poms/pom.xml -Djars=/unused dependency:copy-dependencies && rm -rf /unused
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/
RUN images/install.sh tools
COPY core/pyproject.toml core/
COPY control/pyproject.toml control/
COPY exchanges/pyproject.toml exchanges/
COPY adapters/pyproject.toml adapters/
COPY services/producer/pyproject.toml services/producer/
COPY services/consumer/pyproject.toml services/consumer/
COPY services/verifier/pyproject.toml services/verifier/
COPY services/exporter/pyproject.toml services/exporter/
COPY services/simulator/pyproject.toml services/simulator/
COPY services/api/pyproject.toml services/api/
COPY services/alerter/pyproject.toml services/alerter/
COPY services/analyzer/pyproject.toml services/analyzer/
COPY services/history/pyproject.toml services/history/
COPY sinks/spark/pyproject.toml sinks/spark/
COPY local/pyproject.toml local/
RUN images/install.sh dependencies core control exchanges adapters services/producer services/consumer services/verifier services/exporter services/simulator services/api services/alerter services/analyzer services/history sinks/spark local
COPY core core
COPY control control
COPY exchanges exchanges
COPY adapters adapters
COPY services/producer services/producer
COPY services/consumer services/consumer
COPY services/verifier services/verifier
COPY services/exporter services/exporter
COPY services/simulator services/simulator
COPY services/api services/api
COPY services/alerter services/alerter
COPY services/analyzer services/analyzer
COPY services/history services/history
COPY sinks/spark sinks/spark
COPY local local
# The targets of symbolic links in local/.
COPY manifests ./manifests
COPY sinks ./sinks
COPY sources ./sources
COPY requirements/spark.txt requirements/export.txt requirements/
RUN images/install.sh packages core control exchanges adapters services/producer services/consumer services/verifier services/exporter services/simulator services/api services/alerter services/analyzer services/history sinks/spark local
RUN /opt/cryptocdc/bin/python -c 'from pathlib import Path; from shutil import which; \
from cryptocdc_local.platform.installation.jars import install_jars, install_plugins; from cryptocdc_local.platform.installation.java import find_java; \
from cryptocdc_local.platform.installation.programs import install_postgres; \
install_jars(Path("/opt/servers"), Path(which("mvn")), find_java(), print); \
install_plugins(Path("/opt/servers"), find_java()); install_postgres(Path("/opt/servers"))'

FROM ${BASE_IMAGE}
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    openjdk-17-jre-headless tini && rm -rf /var/lib/apt/lists/* \
 # PostgreSQL looks up its user; a new volume gets the folder's owner.
 && useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin cryptocdc \
 && install -d -o 10001 -g 10001 -m 700 /data
COPY --from=build /opt/cryptocdc /opt/cryptocdc
COPY --from=build --chown=10001:10001 /opt/servers /opt/servers
COPY examples/feed.yaml /feed.yaml
# The API is reached through the engine's published port: within the container it has to listen beyond loopback.
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 \
    CRYPTOCDC_HOME=/data CRYPTOCDC_LIB=/opt/servers CRYPTOCDC_API_HOST=0.0.0.0
WORKDIR /data
VOLUME /data
EXPOSE 8000
USER 10001:10001
# It forwards signals and reaps the servers' orphaned processes.
ENTRYPOINT ["tini", "--", "cryptocdc"]
CMD ["run", "-f", "/feed.yaml"]
