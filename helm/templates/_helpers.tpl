{{/* Names: at most 63 characters, the limit of a DNS label; 9 of them are kept free for the suffix "-internal". */}}
{{- define "relay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 54 | trimSuffix "-" }}
{{- end }}

{{- define "relay.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 54 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Also the labels of the pods: one that changes with the chart's version would replace every pod, and end every
socket, for nothing. */}}
{{- define "relay.selectorLabels" -}}
app.kubernetes.io/name: {{ include "relay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "relay.labels" -}}
{{ include "relay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "relay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "relay.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "relay.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* A setting as text. Helm reads every number of a values file as a float and prints 26214400 as 2.62144e+07. */}}
{{- define "relay.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* The resources, with a memory limit made of RELAY_WORK_BYTES where none is given; values.yaml says how. */}}
{{- define "relay.resources" -}}
{{- $limits := default dict .Values.resources.limits -}}
{{- $work := int64 (default 268435456 .Values.settings.RELAY_WORK_BYTES) -}}
{{- $mebibytes := mul (int64 (default 1 .Values.settings.RELAY_WORKERS)) (add 320 (div (mul $work 7) 4194304)) -}}
{{- $limits = merge (dict) $limits (dict "memory" (printf "%dMi" $mebibytes)) -}}
{{- toYaml (merge (dict "limits" $limits) .Values.resources) -}}
{{- end }}

{{/* RELAY_<SENDER>_SECRET of a sender's name. */}}
{{- define "relay.senderVariable" -}}
{{- printf "RELAY_%s_SECRET" (. | upper | replace "-" "_") -}}
{{- end }}

{{/* RELAY_<SENDER>_API_KEY of a sender's name. */}}
{{- define "relay.apiKeyVariable" -}}
{{- printf "RELAY_%s_API_KEY" (. | upper | replace "-" "_") -}}
{{- end }}

{{/* How clients reach the service, without a slash at the end; empty when nothing tells. */}}
{{- define "relay.publicURL" -}}
{{- if .Values.settings.RELAY_PUBLIC_URL -}}
{{- .Values.settings.RELAY_PUBLIC_URL | trimSuffix "/" -}}
{{- else if .Values.ingress.enabled -}}
{{- printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tls.secretName "")) .Values.ingress.host -}}
{{- end -}}
{{- end }}

{{/* RELAY_ names and values of all settings that are no secret. */}}
{{- define "relay.settings" -}}
{{- range $name, $value := omit .Values.settings "RELAY_PUBLIC_URL" }}
{{ $name }}: {{ include "relay.text" $value | quote }}
{{- end }}
{{- with include "relay.publicURL" . }}
RELAY_PUBLIC_URL: {{ . | quote }}
{{- end }}
{{- end }}

{{/* What the schema cannot say because it takes two values to see it. */}}
{{- define "relay.validate" -}}
{{- $settings := .Values.settings -}}
{{- if and (not .Values.redis.existingSecret) (gt (int .Values.replicaCount) 1) -}}
{{- fail (printf "\n\nreplicaCount is %d, but redis.existingSecret is not set. Without a Redis each pod keeps its own mail and its own accounts, so a listener on one pod would miss what was posted to another.\nSet redis.existingSecret to a Secret with the URL of a Redis, or replicaCount to 1.\n" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and (not .Values.redis.existingSecret) (gt (int (default 1 $settings.RELAY_WORKERS)) 1) -}}
{{- fail (printf "\n\nsettings.RELAY_WORKERS is %d, but redis.existingSecret is not set. Processes share mail through Redis only.\nSet redis.existingSecret, or remove RELAY_WORKERS.\n" (int $settings.RELAY_WORKERS)) -}}
{{- end -}}
{{- $leaving := addf $settings.RELAY_DRAIN_SECONDS .Values.preStopSeconds -}}
{{- if le (float64 .Values.terminationGracePeriodSeconds) (float64 $leaving) -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d, but a pod takes preStopSeconds + settings.RELAY_DRAIN_SECONDS = %v s to leave, and would be killed while sockets are still open.\nRaise terminationGracePeriodSeconds above %v.\n" (int .Values.terminationGracePeriodSeconds) $leaving $leaving) -}}
{{- end -}}
{{- if eq (int $settings.RELAY_PORT) (int $settings.RELAY_INTERNAL_PORT) -}}
{{- fail (printf "\n\nsettings.RELAY_PORT and settings.RELAY_INTERNAL_PORT are both %d; they must differ.\n" (int $settings.RELAY_PORT)) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "\n\ningress.enabled is true, but ingress.host is empty. Set it to the name by which clients reach relay, such as relay.example.com.\n" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not $settings.RELAY_TRUSTED_PROXIES) -}}
{{- fail "\n\ningress.enabled is true, but settings.RELAY_TRUSTED_PROXIES is not set. All clients would look like one, the Ingress, and share the limits of one client address.\nSet it to the network of the Ingress' pods, such as 10.0.0.0/8.\n" -}}
{{- end -}}
{{- end }}
