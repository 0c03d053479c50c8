#!/bin/sh
# Writes the secrets that docker-compose.yml mounts, once; what is there already stays. Nothing of it belongs into version control.
set -eu

cd "$(dirname "$0")/secrets"
umask 077

fresh() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() { [ -e "$1" ] || printf '%s' "$2" > "$1"; }

for name in database_superuser_password database_owner_password database_runtime_password; do
  write "$name" "$(fresh)"
done
write access_secret "$(fresh)"
write database_owner_url "postgres://signalbox_owner:$(cat database_owner_password)@postgres:5432/signalbox"
write database_url "postgres://signalbox_runtime:$(cat database_runtime_password)@postgres:5432/signalbox"
# Compose mounts a file with the owner and mode that it has here. Each container reads as a user of its own, so the files are readable, and the directory is closed.
chmod 0444 database_* access_secret
chmod 0700 .
