# Kafka Connect with Debezium and our plugins: Strimzi's Kafka image, and what Maven's registry has, pinned and verified by the same
# files as on the embedded platform.
ARG BASE_IMAGE=quay.io/strimzi/kafka:1.2.0-kafka-4.3.1
ARG BUILD_IMAGE=maven:3.9-eclipse-temurin-17

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY local/src/cryptocdc_local/platform/installation/pom.xml local/src/cryptocdc_local/platform/installation/debezium.xml \
     local/src/cryptocdc_local/platform/installation/jars.sha256 ./
COPY sinks/connect/pom.xml sink/
COPY sinks/connect/src/main sink/src/main/
COPY sources/connect/pom.xml converter/
COPY sources/connect/src/main converter/src/main/
RUN mvn --batch-mode --quiet --file debezium.xml -Djars=/jars dependency:copy-dependencies \
 && cd /jars && grep ' debezium/' /src/jars.sha256 | sha256sum --check --quiet \
 && mkdir /plugins && tar -xzf debezium/*.tar.gz -C /plugins
RUN mvn --batch-mode --quiet --file sink/pom.xml -Djars=/plugins package \
 && mvn --batch-mode --quiet --file converter/pom.xml -Djars=/plugins package \
 && cd /plugins && grep ' cassandra-sink/' /src/jars.sha256 | sha256sum --check --quiet

FROM ${BASE_IMAGE}
COPY --from=build /plugins /opt/kafka/plugins
USER 1001
