#!/bin/sh
# Writes the passwords and tokens of the compose stack into the volume /run/secrets, each
# readable by the user of one container, or prints one:
#
#   secrets.sh                     API_TOKENS, POSTGRES_PASSWORD and GRAFANA_PASSWORD: what
#                                  .env sets; random otherwise
#   secrets.sh print token         the first API token
#   secrets.sh print NAME          postgres-password, grafana-password or metrics-token
set -eu
cd "${SECRETS_DIR:-/run/secrets}"
umask 077

if [ "${1:-}" = print ]; then
  case "${2:-}" in
    token) sed -n '1s/.*://p' tokens ;;
    postgres-password | grafana-password | metrics-token) cat "$2" ;;
    *) echo 'print token, postgres-password, grafana-password or metrics-token' >&2; exit 2 ;;
  esac
  exit
fi

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# put FILE OWNER TEXT replaces a file by a rename: no reader sees half of it.
put() {
  printf '%s\n' "$3" >"$1.new"
  chown "$2" "$1.new"
  mv "$1.new" "$1"
}

# once FILE OWNER SETTING TEXT writes a file that later runs keep, because the container
# that uses it reads it at its first start only.
once() {
  if [ ! -s "$1" ]; then
    put "$1" "$2" "${4:-$(random)}"
  elif [ -n "$4" ] && [ "$4" != "$(cat "$1")" ]; then
    echo "$3 has changed: no effect on data that exists; the first value stays valid" >&2
  fi
}

once postgres-password root POSTGRES_PASSWORD "${POSTGRES_PASSWORD:-}"
once grafana-password 472 GRAFANA_PASSWORD "${GRAFANA_PASSWORD:-}"
once metrics-token 65534 '' ''
once local-token root '' ''
put pgpass 65532 "*:*:*:*:$(sed 's/[\\:]/\\&/g' postgres-password)"

tokens=$(printf '%s\n' "${API_TOKENS:-}" | tr -d ' ' | tr ',' '\n' | sed '/^$/d')
tokens=${tokens:-local:operate:$(cat local-token)}
entries() { printf '%s\n' "$tokens"; }
twice() { entries | cut -d: -f"$1" | sort | uniq -d | grep -q .; }
# As the service itself, but before anything waits for it.
if entries | grep -Evq '^[A-Za-z0-9._-]{1,32}:(read|operate):[A-Za-z0-9._~+/-]+=*$' ||
  entries | grep -Evq ':[^:]{24,}$' || twice 1 || twice 3; then
  echo 'API_TOKENS: want name:role:token, separated by commas: role read or operate, token of 24 characters or more, each name and token once' >&2
  exit 2
fi
put tokens 65532 "$tokens
compose.prometheus:read:$(cat metrics-token)"
