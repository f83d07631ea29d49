#!/usr/bin/env bash
# Installs the platform's operators from their own charts, at pinned versions, watching all namespaces.
# With the argument `spark` also the CRDs of Spark's operator, which itself is manifests/spark, in the platform's namespace.
# Can be repeated: existing ones are upgraded to the version pinned here. Exits with 3 if a requirement is missing.
set -euo pipefail

stop() {
    printf '%s\n' "$@" >&2
    exit 3
}

command -v kubectl >/dev/null || stop 'kubectl is missing; see https://kubernetes.io/docs/tasks/tools/'
command -v helm >/dev/null || stop 'helm is missing; see https://helm.sh/docs/intro/install/'
context=$(kubectl config current-context 2>/dev/null) ||
    stop 'kubectl has no cluster: set KUBECONFIG, or create one with `make kind-up`'
kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 ||
    stop "the cluster of context $context does not answer: kubectl get --raw /readyz says why"

install() { # name, namespace, version, chart, more arguments for helm
    local name=$1 namespace=$2 version=$3 chart=$4
    echo "$name $version → $context, namespace $namespace"
    helm upgrade --install "$name" "$chart" --version "$version" --namespace "$namespace" --create-namespace \
        --wait --timeout 10m "${@:5}" >/dev/null ||
        stop "$name $version is not installed; the reason is above" \
            "Charts and images come from the internet: without it, mirror them (helm pull) and load the images first"
}

# K8ssandra's webhooks, and Cassandra's certificates in the production overlay.
install cert-manager cert-manager v1.21.1 oci://quay.io/jetstack/charts/cert-manager --set crds.enabled=true

# `restricted`: the pods that Strimzi creates are as restricted as ours.
install strimzi strimzi 1.2.0 oci://quay.io/strimzi-helm/strimzi-kafka-operator --set watchAnyNamespace=true \
    --set 'extraEnvs[0].name=STRIMZI_POD_SECURITY_PROVIDER_CLASS' --set 'extraEnvs[0].value=restricted' \
    --set resources.requests.cpu=100m

# Chart 0.29.0 is operator 1.30.0, which watches all namespaces by default.
install cnpg cnpg-system 0.29.0 cloudnative-pg --repo https://cloudnative-pg.github.io/charts

install k8ssandra-operator k8ssandra-operator 1.32.5 k8ssandra-operator --repo https://helm.k8ssandra.io/stable \
    --set global.clusterScoped=true

if [ "${1:-}" = spark ]; then
    # Chart 1.7.0 is operator 0.9.0, the last for Spark 3.5.
    helm show crds spark-kubernetes-operator --repo https://apache.github.io/spark-kubernetes-operator --version 1.7.0 |
        kubectl apply --server-side -f - >/dev/null ||
        stop "the CRDs of Spark's operator are not installed; the reason is above"
fi
