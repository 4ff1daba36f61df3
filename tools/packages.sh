#!/usr/bin/env bash
# Installs what the tests use from Debian, as root; `./up` finds and installs its own needs by itself.
set -euo pipefail
missing=()
for pair in dockerd:docker.io iptables:iptables conntrack:conntrack nft:nftables busybox:busybox-static openssl:openssl wrk:wrk ip:iproute2 etcd:etcd-server \
  /usr/lib/cni/bridge:containernetworking-plugins etcdctl:etcd-client nginx:nginx nginx:libnginx-mod-stream keepalived:keepalived sshd:openssh-server ssh:openssh-client curl:curl \
  faketime:faketime dig:bind9-dnsutils dnsperf:dnsperf ipset:ipset; do
  PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[ ${#missing[@]} = 0 ] && exit
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "$0: missing: ${missing[*]}; tests that need them are skipped" >&2
  exit
fi
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then # programs, not services: tests start their own
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
apt-get install -qqy --no-install-recommends "${missing[@]}" >/dev/null
