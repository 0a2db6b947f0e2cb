{{- define "partway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "partway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "partway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "partway.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "partway.selector" -}}
app.kubernetes.io/name: {{ include "partway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "partway.labels" -}}
{{ include "partway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "partway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "partway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "partway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "partway.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "partway.fullname" . }}-tls
{{- else -}}
{{ required "tls.existingSecret is not set; name a Secret, or enable tls.certManager" .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{/* The variable of each secret whose value is in a file, by its name in secrets.keys. */}}
{{- define "partway.secretVariables" -}}
sealingKeys: PARTWAY_SEALING_KEYS_FILE
redisUrl: PARTWAY_REDIS_URL_FILE
s3AccessKey: PARTWAY_S3_ACCESS_KEY_FILE
s3SecretKey: PARTWAY_S3_SECRET_KEY_FILE
s3SessionToken: PARTWAY_S3_SESSION_TOKEN_FILE
s3SignerAccessKey: PARTWAY_S3_SIGNER_ACCESS_KEY_FILE
s3SignerSecretKey: PARTWAY_S3_SIGNER_SECRET_KEY_FILE
s3SignerSessionToken: PARTWAY_S3_SIGNER_SESSION_TOKEN_FILE
{{- end -}}

{{/* The environment of the service, of its probes and of the doctor. */}}
{{- define "partway.env" -}}
{{- $set := dict
  "PARTWAY_ADDRESS" "0.0.0.0:50051"
  "PARTWAY_METRICS_ADDRESS" (printf "0.0.0.0:%d" (int .Values.metrics.port))
  "PARTWAY_JSON_LOGS" "true" -}}
{{- if .Values.policies }}{{ $_ := set $set "PARTWAY_POLICY_FILE" "/etc/partway/config/policies.toml" }}{{ end -}}
{{- if .Values.webhooks }}{{ $_ := set $set "PARTWAY_WEBHOOK_FILE" "/etc/partway/config/webhooks.toml" }}{{ end -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $set "PARTWAY_TLS_CERT_FILE" "/etc/partway/tls/tls.crt" -}}
{{- $_ := set $set "PARTWAY_TLS_KEY_FILE" "/etc/partway/tls/tls.key" -}}
{{- if .Values.tls.caKey }}{{ $_ := set $set "PARTWAY_TLS_CA" (printf "/etc/partway/tls/%s" .Values.tls.caKey) }}{{ end -}}
{{- if .Values.tls.clientCa.existingSecret -}}
{{- $_ := required "tls.probeClient.existingSecret is not set; with tls.clientCa the probes need a certificate too" .Values.tls.probeClient.existingSecret -}}
{{- $_ := set $set "PARTWAY_TLS_CLIENT_CA_FILE" (printf "/etc/partway/client-ca/%s" .Values.tls.clientCa.key) -}}
{{- $_ := set $set "PARTWAY_CERT" "/etc/partway/probe-client/tls.crt" -}}
{{- $_ := set $set "PARTWAY_KEY" "/etc/partway/probe-client/tls.key" -}}
{{- end -}}
{{- end -}}
{{- range $name, $variable := include "partway.secretVariables" . | fromYaml -}}
{{- with index $.Values.secrets.keys $name }}{{ $_ := set $set $variable (printf "/etc/partway/secrets/%s" .) }}{{ end -}}
{{- end -}}
{{- range $variable, $value := .Values.settings -}}
{{- if hasKey $set $variable }}{{ fail (printf "settings.%s: the chart sets it by another value" $variable) }}{{ end -}}
{{- if ne (toString $value) "" }}{{ $_ := set $set $variable (toString $value) }}{{ end -}}
{{- end -}}
{{- $_ := required "settings.PARTWAY_BUCKET is not set; name a bucket that exists" (get $set "PARTWAY_BUCKET") -}}
{{- range $variable, $value := $set }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "partway.mounts" -}}
- {name: secrets, mountPath: /etc/partway/secrets, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if or .Values.policies .Values.webhooks }}
- {name: config, mountPath: /etc/partway/config, readOnly: true}
{{- end }}
{{- if .Values.tls.enabled }}
- {name: tls, mountPath: /etc/partway/tls, readOnly: true}
{{- if .Values.tls.clientCa.existingSecret }}
- {name: client-ca, mountPath: /etc/partway/client-ca, readOnly: true}
- {name: probe-client, mountPath: /etc/partway/probe-client, readOnly: true}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Files of secrets can be read by the service's group alone. */}}
{{- define "partway.volumes" -}}
- name: secrets
  secret:
    secretName: {{ required "secrets.existing is not set; name a Secret that exists" .Values.secrets.existing }}
    defaultMode: 0440
    items:
      {{- range $name, $key := .Values.secrets.keys }}
      {{- if $key }}
      - {key: {{ $key }}, path: {{ $key }}}
      {{- end }}
      {{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- if or .Values.policies .Values.webhooks }}
- name: config
  configMap: {name: {{ include "partway.fullname" . }}}
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  secret: {secretName: {{ include "partway.tlsSecret" . }}, defaultMode: 0440}
{{- with .Values.tls.clientCa.existingSecret }}
- name: client-ca
  secret: {secretName: {{ . }}, defaultMode: 0440}
- name: probe-client
  secret: {secretName: {{ $.Values.tls.probeClient.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "partway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "partway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Kubernetes' own gRPC probes speak no TLS. */}}
{{- define "partway.probe" -}}
{{- if .root.Values.tls.enabled -}}
exec:
  command: [partway-server, health{{ if .liveness }}, --liveness{{ end }}]
timeoutSeconds: 5
{{- else -}}
grpc:
  port: 50051
  {{- if .liveness }}
  service: liveness
  {{- end }}
timeoutSeconds: 2
{{- end }}
{{- end -}}
