{{/* Prefix of the names of the chart's resources. */}}
{{- define "cryptocdc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Selector labels of a component's pods: (list $ "operator"). The platform's network policies match name and component. */}}
{{- define "cryptocdc.selector" -}}
app.kubernetes.io/name: cryptocdc
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{- define "cryptocdc.labels" -}}
{{ include "cryptocdc.selector" . }}
app.kubernetes.io/part-of: cryptocdc
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (first .).Chart.Name (first .).Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image of a program: (list $ .Values.operator.image.repository). */}}
{{- define "cryptocdc.image" -}}
{{- $root := first . -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- last . }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- end -}}

{{/* Pod security context; with `cryptocdc.container` it meets the Pod Security Standard `restricted`. */}}
{{- define "cryptocdc.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "cryptocdc.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Scheduling of a pod, from the component's values. */}}
{{- define "cryptocdc.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Environment variables with the platform's addresses, for any program. */}}
{{- define "cryptocdc.addresses" -}}
{{- $platform := .Values.platform -}}
{{- if and (hasPrefix "verify" $platform.postgres.sslmode) (not $platform.postgres.caSecret) -}}
{{- fail (printf "platform.postgres.sslmode: %s is not accepted without platform.postgres.caSecret; accepted: require, prefer, allow, disable" $platform.postgres.sslmode) -}}
{{- end -}}
- name: CRYPTOCDC_POSTGRES_HOST
  value: {{ $platform.postgres.host | quote }}
- name: CRYPTOCDC_POSTGRES_PORT
  value: {{ $platform.postgres.port | quote }}
- name: CRYPTOCDC_POSTGRES_DATABASE
  value: {{ $platform.postgres.database | quote }}
- name: CRYPTOCDC_POSTGRES_SSLMODE
  value: {{ $platform.postgres.sslmode | quote }}
- name: CRYPTOCDC_KAFKA_BOOTSTRAP
  value: {{ $platform.kafka.bootstrap | quote }}
- name: CRYPTOCDC_KAFKA_MECHANISM
  value: SCRAM-SHA-512
- name: CRYPTOCDC_CASSANDRA_HOSTS
  value: {{ $platform.cassandra.hosts | quote }}
- name: CRYPTOCDC_CASSANDRA_PORT
  value: {{ $platform.cassandra.port | quote }}
- name: CRYPTOCDC_CASSANDRA_DATACENTER
  value: {{ $platform.cassandra.datacenter | quote }}
- name: CRYPTOCDC_CONNECT_URL
  value: {{ $platform.connect.url | quote }}
{{- end -}}

{{/* Ports of the servers whose host has a dot, which may be in another namespace or outside of the cluster, as a list in JSON. */}}
{{- define "cryptocdc.portsElsewhere" -}}
{{- $ports := list -}}
{{- with .Values.platform -}}
{{- if contains "." .postgres.host }}{{ $ports = append $ports (int .postgres.port) }}{{ end -}}
{{- range splitList "," .kafka.bootstrap -}}
{{- if contains "." . }}{{ $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) }}{{ end -}}
{{- end -}}
{{- if contains "." .cassandra.hosts }}{{ $ports = append $ports (int .cassandra.port) }}{{ end -}}
{{- $connect := urlParse .connect.url -}}
{{- if contains "." $connect.hostname -}}
{{- $usual := ternary "443" "80" (eq $connect.scheme "https") -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trimPrefix $connect.hostname $connect.host) | default $usual | int) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}

{{- define "cryptocdc.replicationSecret" -}}
{{- .Values.replication.existingSecret | default "cryptocdc-replication" -}}
{{- end -}}

{{/* Name of the Role and RoleBinding with which Connect reads the replication secret. */}}
{{- define "cryptocdc.connectRole" -}}
{{- include "cryptocdc.fullname" . }}-replication-secret
{{- end -}}

{{- define "cryptocdc.writerSecret" -}}
{{- .Values.writer.existingSecret | default "cryptocdc-writer" -}}
{{- end -}}

{{- define "cryptocdc.readerSecret" -}}
{{- .Values.reader.existingSecret | default "cryptocdc-reader" -}}
{{- end -}}

{{/* Requests and limits as one line of JSON; quantities become strings even if written as numbers. */}}
{{- define "cryptocdc.quantities" -}}
{{- $made := dict -}}
{{- range $kind, $amounts := . -}}
{{- $strings := dict -}}
{{- range $name, $amount := $amounts }}{{ $_ := set $strings $name (toString $amount) }}{{ end -}}
{{- $_ := set $made $kind $strings -}}
{{- end -}}
{{- toJson $made -}}
{{- end -}}
