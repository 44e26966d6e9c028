{{- /* Labels and blocks that several objects share. Where an object needs its component, the scope is (list $ "hub"). */}}

{{- /* What selects pods; network policies and users' scripts rely on these. */}}
{{- define "standin.matchLabels" -}}
{{- $root := index . 0 -}}
component: {{ index . 1 }}
app: {{ $root.Chart.Name }}
release: {{ $root.Release.Name }}
{{- end }}

{{- define "standin.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "standin.matchLabels" . }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{- define "standin.labels" -}}
{{- $root := index . 0 -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" -}}
{{ include "standin.podLabels" . }}
chart: {{ $chart }}
heritage: {{ $root.Release.Service }}
helm.sh/chart: {{ $chart }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{- /* Name of the hub's service account, made here or not. */}}
{{- define "standin.hubServiceAccount" -}}
{{- .Values.hub.serviceAccount.name | default (ternary "hub" "default" .Values.hub.serviceAccount.create) }}
{{- end }}

{{- /* imagePullSecrets of a pod, from the chart-wide list and one image's: names, or objects with a name. Scope: (list $ image) */}}
{{- define "standin.pullSecrets" -}}
{{- $found := list -}}
{{- range concat (index . 1).pullSecrets (index . 0).Values.imagePullSecrets | uniq -}}
{{- $found = append $found (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- if $found }}{{ toYaml $found }}{{ end }}
{{- end }}

{{- /* An env list out of extraEnv: a list as it is; of a map, strings become values and maps whole entries (valueFrom). */}}
{{- define "standin.env" -}}
{{- if kindIs "slice" . -}}
{{ toYaml . }}
{{- else -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- {{ merge dict $value (dict "name" $name) | toJson }}
{{- else if kindIs "string" $value }}
- {{ dict "name" $name "value" $value | toJson }}
{{- else }}
{{- fail (printf "extraEnv.%s is a %s; it has to be a string or an object with value or valueFrom." $name (kindOf $value)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A probe without its switch. Scope: (list probe path port) */}}
{{- define "standin.probe" -}}
{{ toYaml (omit (index . 0) "enabled") }}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 2 }}
{{- end }}

{{- /* Affinity of hub and proxy to nodes set apart for them. */}}
{{- define "standin.coreAffinity" -}}
{{- $purpose := .Values.scheduling.corePods.nodeAffinity.matchNodePurpose -}}
{{- $term := dict "matchExpressions" (list (dict "key" "hub.jupyter.org/node-purpose" "operator" "In" "values" (list "core"))) -}}
{{- if eq $purpose "prefer" -}}
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference: {{ toJson $term }}
{{- else if eq $purpose "require" -}}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - {{ toJson $term }}
{{- end }}
{{- end }}

{{- /* 64 random hexadecimal digits. */}}
{{- define "standin.hex" -}}
{{- range until 2 }}{{ randBytes 16 | b64dec | printf "%x" }}{{ end }}
{{- end }}

{{- /*
Secrets that the chart makes for itself: kept from the cluster where they are there already, else new ones. Made once per
rendering (in .Values, which all templates share), so that Secret and checksums agree from the first install on: the first
upgrade would restart hub and proxy otherwise.
*/}}
{{- define "standin.generate" -}}
{{- if not (hasKey .Values "generated") }}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace "hub").data | default dict }}
{{- $all := dict }}
{{- $_ := set $all "hub.config.ConfigurableHTTPProxy.auth_token" (randAlphaNum 64) }}
{{- $_ := set $all "hub.config.JupyterHub.cookie_secret" (include "standin.hex" .) }}
{{- $_ := set $all "hub.config.CryptKeeper.keys" (include "standin.hex" .) }}
{{- range $name, $service := .Values.hub.services }}
{{- $_ := set $all (printf "hub.services.%s.apiToken" $name) (include "standin.hex" $) }}
{{- end }}
{{- range $key, $new := $all }}
{{- $_ := set $all $key (index $kept $key | default ($new | b64enc)) }}
{{- end }}
{{- $_ := set .Values "generated" $all }}
{{- end }}
{{- end }}

{{- /* Egress rules of a network policy. Scope: (list $ policy) */}}
{{- define "standin.egress" -}}
{{- $metadata := printf "%s/32" (index . 0).Values.singleuser.cloudMetadata.ip -}}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" -}}
{{- $policy := index . 1 -}}
{{- $allow := $policy.egressAllowRules -}}
{{- $dns := list -}}
{{- if $allow.dnsPortsCloudMetadataServer }}{{ $dns = append $dns (dict "ipBlock" (dict "cidr" $metadata)) }}{{ end -}}
{{- if $allow.dnsPortsKubeSystemNamespace }}
{{- $dns = append $dns (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" "kube-system"))) }}
{{- end -}}
{{- if $allow.dnsPortsPrivateIPs }}{{ range $private }}{{ $dns = append $dns (dict "ipBlock" (dict "cidr" .)) }}{{ end }}{{ end -}}
{{- if $dns }}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  to: {{ toJson $dns }}
{{- end }}
{{- if $allow.nonPrivateIPs }}
- to: [{ipBlock: {cidr: 0.0.0.0/0, except: {{ append $private $metadata | toJson }}}}]
{{- end }}
{{- if $allow.privateIPs }}
- to:
    {{- range $private }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
{{- end }}
{{- if $allow.cloudMetadataServer }}
- to: [{ipBlock: {cidr: {{ $metadata }}}}]
{{- end }}
{{- with $policy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Who may come in by an access label: pods with it, and where namespaces may be trusted those of labelled ones.
Scope: (list policy label) */}}
{{- define "standin.from" -}}
{{- $label := dict (printf "hub.jupyter.org/network-access-%s" (index . 1)) "true" | toJson -}}
- podSelector: {matchLabels: {{ $label }}}
{{- if eq (index . 0).interNamespaceAccessLabels "accept" }}
  namespaceSelector: {}
- namespaceSelector: {matchLabels: {{ $label }}}
{{- end }}
{{- end }}
