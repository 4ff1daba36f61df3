#!/usr/bin/env bash
# Runs a command with a Docker engine of its own (DOCKER_HOST), which ends with it: tools/with-docker.sh pytest tests/docker
set -euo pipefail
# Mounts that pods share with the host (mountPropagation) need a shared /, as systemd makes it; where there is none, in a namespace of their own.
if [ "$(findmnt -n -o PROPAGATION /)" = private ] && [ -z "${SHARED_MOUNTS:-}" ]; then
  SHARED_MOUNTS=1 exec unshare --mount --propagation shared "$0" "$@"
fi
folder=$(mktemp -d)
export DOCKER_HOST=unix://$folder/docker.sock
dockerd -H "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" -p "$folder/docker.pid" \
  --bridge=none --iptables=false --ip-forward=false --exec-opt native.cgroupdriver=cgroupfs >"$folder/log" 2>&1 &
daemon=$!
stop() {
  kill "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  grep " $folder/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r -n1 umount 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT
for _ in $(seq 300); do
  [ -S "$folder/docker.sock" ] && docker version >/dev/null 2>&1 && break
  kill -0 "$daemon" 2>/dev/null || { echo "$0: dockerd has ended:" >&2; tail -5 "$folder/log" >&2; exit 1; }
  sleep 0.1
done
"$@"
