{{- define "treering.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 42 | trimSuffix "-" -}}
{{- end }}

{{- define "treering.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "treering.name" .) .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "treering.name" .) | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "treering.serviceAccount" -}}
{{- default (ternary (include "treering.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end }}

{{- define "treering.selector" -}}
app.kubernetes.io/name: treering
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "treering.labels" -}}
{{- with .Values.commonLabels -}}
{{ toYaml . }}
{{ end -}}
app.kubernetes.io/name: treering
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: treering
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "treering.operatorLabels" -}}
{{ include "treering.labels" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- /* An image's full name; the argument is a dict of `image` and `root`. */ -}}
{{- define "treering.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end }}

{{- /* Restricted in the sense of the Pod Security Standards; the chart's two kinds of pods share it. */ -}}
{{- define "treering.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "treering.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What values can say but the operator could not live with. */ -}}
{{- define "treering.refusals" -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "leaderElection.enabled: false with replicas above 1: several operators would act at once. Set replicas: 1, or switch leader election on." -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (gt (int .Values.replicas) 1) (ge (int .Values.podDisruptionBudget.minAvailable) (int .Values.replicas)) -}}
{{- fail "podDisruptionBudget.minAvailable must be below replicas: no node could be drained." -}}
{{- end -}}
{{- end }}

{{- /* Seconds of a Prometheus duration such as 1d12h. */ -}}
{{- define "treering.seconds" -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+[smhd]" . -1 -}}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (trimPrefix (regexFind "[0-9]+" .) .) -}}
{{- $total = add $total (mul (int (regexFind "[0-9]+" .)) $unit) -}}
{{- end -}}
{{- $total -}}
{{- end }}
