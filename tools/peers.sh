#!/usr/bin/env bash
# Builds upstream's programs of Debian's source package `kubernetes` (1.20.2 on Debian 12) into FOLDER, for PYBERNETES_PEERS=FOLDER:
#   tools/peers.sh FOLDER                        kube-apiserver, which tests/etcd needs
#   tools/peers.sh FOLDER all                    all that tests/peers needs
#   tools/peers.sh FOLDER kubeadm kubelet ...    those
# Everything lies below FOLDER (2.5 GB, 3.5 GB for all); nothing is installed. The first takes ten to twenty minutes of two cores, each
# further one half a minute to nine; what is there is not built again, and it goes on where it was cut off.
set -euo pipefail
all=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl)
usage() { echo "usage: $0 FOLDER [all | PROGRAM...], PROGRAM one of ${all[*]}" >&2; exit 2; }
[ $# -ge 1 ] || usage
programs=("${@:2}")
[ "${programs[*]}" = all ] && programs=("${all[@]}")
[ ${#programs[@]} -gt 0 ] || programs=(kube-apiserver)
for program in "${programs[@]}"; do [[ " ${all[*]} " = *" $program "* ]] || usage; done
mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/gopath/src/k8s.io"
cd "$1"
folder=$PWD source=$PWD/gopath/src/k8s.io/kubernetes

if [ ! -d "$source" ]; then
  sed 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >debian.sources
  options=(-o "Dir::Etc::sourcelist=$folder/debian.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update -qq
  apt-get "${options[@]}" source -qq kubernetes
  go=$(apt-cache "${options[@]}" depends golang-go | sed -n 's/.*Depends: \(golang-[0-9.]*-go\)$/\1/p')
  apt-get "${options[@]}" download -qq "$go" "${go%-go}-src"
  apt-get "${options[@]}" download -qq golang-github-modern-go-reflect2-dev
  for package in golang-*.deb; do dpkg -x "$package" go; done
  # What that release was built with iterates over maps in a way that Go has not had since 1.18.
  unpacked=$(echo kubernetes-*/) reflect2=github.com/modern-go/reflect2
  rm -r "$unpacked/vendor/$reflect2"
  cp -rL "go/usr/share/gocode/src/$reflect2" "$unpacked/vendor/$reflect2"
  mv "$unpacked" "$source"
fi

GOROOT=$(echo "$folder"/go/usr/lib/go-*)
export GOROOT GOPATH=$folder/gopath GOCACHE=$folder/gocache GO111MODULE=off GOPROXY=off CGO_ENABLED=0 PATH=$GOROOT/bin:$PATH
cd "$source"
openapi=pkg/generated/openapi
if [ ! -s $openapi/zz_generated.openapi.go ]; then # upstream's Makefile.generated_files makes it in the same way
  go build -o "$folder/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  packages=$(grep -rl '+k8s:openapi-gen=' --include='*.go' pkg cmd plugin vendor/k8s.io/*/ |
    grep -Ev '^vendor/k8s.io/(code-generator|sample-apiserver|kube-openapi)/|_test.go|zz_generated' |
    xargs -n1 dirname | LC_ALL=C sort -u | sed 's|^|k8s.io/kubernetes/|' | paste -sd,)
  "$folder/openapi-gen" -i "$packages" -p k8s.io/kubernetes/$openapi -O zz_generated.openapi \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$folder/violations"
fi
version=$(dpkg-parsechangelog -S Version | sed 's/.*really//; s/-.*//')
package=k8s.io/kubernetes/vendor/k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
for program in "${programs[@]}"; do
  [ -x "$folder/$program" ] || go build -ldflags "$flags" -o "$folder/$program" "./cmd/$program"
  echo "$folder/$program"
done
