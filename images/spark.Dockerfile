# Spark as a feed's sink engine, driver and executors: PySpark from its package, with the jars that it lacks among its own.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
RUN command -v mvn >/dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
    --no-install-recommends maven openjdk-17-jre-headless; }
WORKDIR /src
COPY images/install.sh images/locked.py images/
COPY requirements/runtime.txt requirements/
RUN images/install.sh tools
COPY requirements/spark.txt requirements/
# A venv with a folder that does not depend on Python's version.
RUN images/install.sh lock requirements/spark.txt \
 && ln -s "$(/opt/cryptocdc/bin/python -c 'import pyspark; print(*pyspark.__path__)')" /opt/cryptocdc/spark
COPY sinks/spark/pom.xml local/src/cryptocdc_local/platform/installation/spark.sha256 spark/
RUN mvn --batch-mode --quiet --file spark/pom.xml -Djars=/spark dependency:copy-dependencies \
 && cd /spark && sha256sum --check --quiet /src/spark/spark.sha256 \
 && cp /spark/jars/*.jar /opt/cryptocdc/spark/jars/
COPY core/pyproject.toml core/
COPY exchanges/pyproject.toml exchanges/
COPY adapters/pyproject.toml adapters/
COPY services/consumer/pyproject.toml services/consumer/
COPY sinks/spark/pyproject.toml sinks/spark/
RUN images/install.sh dependencies core exchanges adapters services/consumer sinks/spark
COPY core core
COPY exchanges exchanges
COPY adapters adapters
COPY services/consumer services/consumer
COPY sinks/spark sinks/spark
RUN images/install.sh packages core exchanges adapters services/consumer sinks/spark
# spark-submit accepts only a file.
RUN echo 'from cryptocdc_spark.main import main; main()' > /opt/cryptocdc/spark.py

FROM ${BASE_IMAGE}
# Hadoop looks up its user.
RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin cryptocdc
COPY --from=build /opt/cryptocdc /opt/cryptocdc
COPY images/spark.sh /opt/cryptocdc/bin/
ENV PATH=/opt/cryptocdc/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SPARK_HOME=/opt/cryptocdc/spark
USER 10001:10001
ENTRYPOINT ["spark.sh"]
