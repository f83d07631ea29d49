{{/*
What Grafana is provisioned with, as grafana/provisioning does it on one machine: (list $ username password), the reader's.
Grafana may stand in another namespace. It fills in $NAME, so that a dollar of a password is written twice.
*/}}
{{- define "cryptocdc.dataSources" -}}
{{- $root := first . -}}
{{- $own := $root.Values.grafana.dataSources -}}
{{- $platform := $root.Values.platform -}}
{{- $password := $own.password | default (last . | replace "$" "$$") -}}
{{- if not $password -}}
{{- fail "grafana.dataSources.password: must be set where reader.existingSecret can't be seen in the cluster; accepted: $__env{NAME}, $__file{/path}" -}}
{{- end -}}
apiVersion: 1
datasources:
  - name: Cassandra
    uid: cryptocdc-cassandra
    type: hadesarchitect-cassandra-datasource
    access: proxy
    url: {{ include "cryptocdc.url" (list $root $platform.cassandra.hosts $platform.cassandra.port) | quote }}
    jsonData:
      user: {{ index . 1 | quote }}
      consistency: ONE
      {{- if $platform.cassandra.caSecret }}
      # The nodes' certificates contain no host name that Grafana could verify.
      useCustomTLS: true
      allowInsecureTLS: true
      {{- end }}
    secureJsonData:
      password: {{ $password | quote }}
  - name: PostgreSQL
    uid: cryptocdc-postgresql
    type: grafana-postgresql-datasource
    access: proxy
    url: {{ include "cryptocdc.url" (list $root $platform.postgres.host $platform.postgres.port) | quote }}
    user: {{ index . 1 | quote }}
    jsonData:
      database: {{ $platform.postgres.database | quote }}
      # Grafana has no CA file to verify the certificate against.
      sslmode: {{ hasPrefix "verify" $platform.postgres.sslmode | ternary "require" $platform.postgres.sslmode }}
      postgresVersion: 1500
    secureJsonData:
      password: {{ $password | quote }}
  {{- if $root.Values.api.enabled }}
  {{- range $at, $feed := $own.feeds }}
  - name: {{ eq $at 0 | ternary "API" (printf "API of %s" $feed) }}
    uid: {{ eq $at 0 | ternary "cryptocdc-api" (printf "cryptocdc-api-%s" $feed) }}
    type: yesoreyeram-infinity-datasource
    access: proxy
    {{- $url := printf "http://%s-api.%s.svc" $feed $root.Release.Namespace }}
    url: {{ $url }}
    jsonData:
      allowedHosts: [{{ $url }}]
      {{- if $root.Values.api.token.existingSecret }}
      auth_method: bearerToken
    secureJsonData:
      bearerToken: {{ include "cryptocdc.apiToken" $root | quote }}
      {{- end }}
  {{- end }}
  {{- end }}
  {{- with $own.prometheusUrl }}
  - name: Prometheus
    uid: cryptocdc-prometheus
    type: prometheus
    access: proxy
    url: {{ . | quote }}
    jsonData:
      timeInterval: 15s
      # The alerts are Prometheus rules (monitoring.rules): Grafana has none of its own and lists these.
      manageAlerts: true
  {{- end }}
{{- end -}}

{{/* host:port as resolvable from another namespace: (list $ hosts port). Uses the first of several hosts; one with a dot stays as it is. */}}
{{- define "cryptocdc.url" -}}
{{- $host := index . 1 | splitList "," | first | trim -}}
{{- $host }}{{ if not (contains "." $host) }}.{{ (first .).Release.Namespace }}.svc{{ end }}:{{ last . -}}
{{- end -}}

{{- define "cryptocdc.apiToken" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace .Values.api.token.existingSecret -}}
{{- $token := .Values.grafana.dataSources.token | default (get ($secret.data | default dict) "token" | b64dec | replace "$" "$$") -}}
{{- required "grafana.dataSources.token: must be set where api.token.existingSecret can't be seen in the cluster; accepted: $__env{NAME}, $__file{/path}" $token -}}
{{- end -}}
