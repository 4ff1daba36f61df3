#!/bin/bash
# Makes a host of the namespaces it runs in (mount, UTS, PID, network): host.sh NAME FOLDER REPOSITORY STANDINS. Then it is init.
# What a host writes is its own: overlays in memory over the machine's folders, Docker's data in FOLDER.
set -euo pipefail
name=$1 folder=$2 repository=$3 standins=$4
hostname "$name"
mount -t proc proc /proc
mount -t tmpfs tmpfs "$folder/memory"
cover() { # FROM TO: FROM is seen at TO, what is written there is only in memory
  mkdir -p "$folder/memory/$2/"{upper,work}
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$folder/memory/$2/upper,workdir=$folder/memory/$2/work" "$2"
}
for place in /etc /root /opt /var/lib /var/log /usr/local/bin /usr/local/sbin /usr/libexec "$(readlink -f "$repository/.venv")"; do
  cover "$place" "$place"
done
mkdir -p /var/lib/docker /opt/pybernetes "$folder/docker" /var/log/pods /var/log/containers
cover "$repository" /opt/pybernetes
touch /opt/pybernetes/.venv/.requirements.lock.installed # as the machine's packages are, what it wants is there already
rm -rf /var/lib/etcd/* /var/lib/kubelet /var/lib/kube-proxy /root/.kube /etc/kubernetes /etc/keepalived/keepalived.conf /var/log/pods/*
mount --bind "$folder/docker" /var/lib/docker
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/lock
cp "$standins"/* /usr/local/sbin/
mount --make-rshared /
ip link set lo up
printf 'nameserver 10.20.0.1\n' >/etc/resolv.conf
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
mkdir -p -m 700 /root/.ssh
cp "$folder"/../ssh/* /root/.ssh/
/usr/sbin/sshd -o UsePAM=no -o SetEnv="PATH=$PATH" -h /root/.ssh/id_ed25519 -E /var/log/sshd.log
touch "$folder/ready"
while :; do sleep 3600 & wait $! || true; done # also when somebody kills all that runs here
