#!/usr/bin/env bash
# Runs a client's own end-to-end tests, unchanged, against a test server of ours:
#   tools/suites.sh kr8s CHECKOUT [PYTEST ARGUMENTS...]      https://github.com/kr8s-org/kr8s
#   tools/suites.sh kopf CHECKOUT [PYTEST ARGUMENTS...]      https://github.com/nolar/kopf
# kubectl is that of the PATH. The venv CHECKOUT/.venv-suite is made where it is missing, from PyPI. docs/testing.md says what passes, and why the others do not.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
suite=$1 checkout=$(cd "$2" && pwd) here=$(cd "$(dirname "$0")" && pwd)
shift 2
case $suite in
kr8s) packages=(pytest-asyncio pytest-timeout pytest-rerunfailures trio kubernetes kubernetes-asyncio lightkube pykube-ng kubernetes-validate) ;;
kopf) packages=(pytest-aiohttp pytest-asyncio pytest-mock pytest-timeout astpath certbuilder certvalidator freezegun kmock looptime lxml oscrypto pykube-ng pyngrok) ;;
*) echo "$0: no suite $suite: kr8s, kopf" >&2; exit 2 ;;
esac
venv=$checkout/.venv-suite
[ -e "$venv/bin/pytest" ] || { python3 -m venv "$venv"; (cd "$checkout" && "$venv/bin/pip" install -q . pytest "${packages[@]}"); }

folder=$(mktemp -d)
"$here/../.venv/bin/pybernetes" testserver --json --controllers=all --scheduler --hollow-nodes=3 --parent-pid=$$ \
  --kubeconfig="$folder/kubeconfig" >"$folder/where.json" 2>"$folder/log" &
server=$!
trap 'kill $server; wait $server || true; rm -r "$folder"' EXIT
while [ ! -s "$folder/where.json" ]; do kill -0 $server || { cat "$folder/log"; exit 1; }; sleep 0.1; done
export KUBECONFIG=$folder/kubeconfig PYTHONPATH=$here/suites NO_PROXY=127.0.0.1,localhost
kubectl apply -f "$here/suites/cluster.yaml" >&2
kubectl -n kube-system wait --for=condition=Available deployment/coredns >&2
cd "$checkout"
case $suite in
kr8s) "$venv/bin/pytest" -p pytest_kind.plugin -o addopts= --keep-cluster -q kr8s "$@" ;; # its own options ask for coverage
kopf) "$venv/bin/pytest" --only-e2e -q tests/e2e "$@" ;;
esac
