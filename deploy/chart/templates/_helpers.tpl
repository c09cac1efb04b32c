{{- define "portal.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-portal" (.Release.Name | trunc 43 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "portal.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "portal.labels" -}}
{{ include "portal.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "portal.secret" -}}
{{- .Values.existingSecret | default (include "portal.name" .) }}
{{- end }}

{{/* What tells this portal from others in the spool of an agent: the same as long as the release has its name. */}}
{{- define "portal.id" -}}
{{- $digest := printf "%s/%s" .Release.Namespace .Release.Name | sha256sum -}}
{{ substr 0 8 $digest }}-{{ substr 8 12 $digest }}-8{{ substr 13 16 $digest }}-8{{ substr 17 20 $digest }}-{{ substr 20 32 $digest }}
{{- end }}

{{- define "portal.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "portal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "portal.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What every process of the portal but the gateway has: settings, secrets as files, and what it may write to. */}}
{{- define "portal.process" -}}
image: {{ .Values.image.portal }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ include "portal.name" . }}
securityContext:
  {{- include "portal.containerSecurity" . | nindent 2 }}
{{- end }}

{{- define "portal.mounts" -}}
- name: secrets
  mountPath: /etc/autosubmit-portal/secrets
  readOnly: true
- name: home
  mountPath: /var/lib/autosubmit-portal
- name: tmp
  mountPath: /tmp
{{ include "portal.authoritiesMount" . }}
{{- end }}

{{- define "portal.authorities" -}}
/etc/autosubmit-portal/authorities/ca.crt
{{- end }}

{{- define "portal.authoritiesMount" -}}
{{- if .Values.authorities -}}
- name: authorities
  mountPath: {{ include "portal.authorities" . | dir }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "portal.authoritiesVolume" -}}
{{- with .Values.authorities -}}
- name: authorities
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}
