#!/bin/bash
# The entrypoint of the image cryptocdc/spark. Without arguments it runs the driver. Spark on Kubernetes starts its pods with
#   executor         an executor, described in the environment
#   driver ARGS...   a driver in a SparkApplication, which it describes as arguments of spark-submit
set -euo pipefail
case ${1:-} in
executor)
  if [ -n "${CRYPTOCDC_SPARK_TRUST_STORE:-}" ]; then python -m cryptocdc_spark.trust_store; fi
  mapfile -t options < <(env | sed -n 's/^SPARK_JAVA_OPT_[0-9]*=//p')
  exec java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$SPARK_HOME/jars/*" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" --podName "$SPARK_EXECUTOR_POD_NAME" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID"
  ;;
driver)
  shift
  exec "$SPARK_HOME/bin/spark-submit" --deploy-mode client --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@"
  ;;
*)
  exec cryptocdc-spark "$@"
  ;;
esac
