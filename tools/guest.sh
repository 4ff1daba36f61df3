#!/usr/bin/env bash
# Runs pytest as root in a virtual machine with a kernel of Debian's (ip_vs, ipset and all else as modules): tools/guest.sh tests/guest
# Wants qemu-system-x86, ipset and what tools/packages.sh installs; the kernel is unpacked, not installed. GUEST_FOLDER keeps what is made.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${GUEST_FOLDER:-/tmp/pybernetes-guest} seconds=${GUEST_SECONDS:-600}
programs=(busybox sh nft ip bridge sysctl modprobe iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore ipset conntrack)
packages=(pytest _pytest py.py pluggy "pluggy-*.dist-info" iniconfig packaging pygments msgspec yaml _yaml uvloop httptools cryptography "_cffi_backend*.so" typing_extensions.py)
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$folder"

for program in qemu-system-x86_64 "${programs[@]}"; do
  command -v "$program" >/dev/null || { echo "$0: $program is missing: apt-get install qemu-system-x86 kmod cpio, and what tools/packages.sh lists" >&2; exit 1; }
done

if [ ! -e "$folder/kernel/done" ]; then
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
  rm -rf "$folder/kernel" "$folder"/linux-image-*.deb
  (cd "$folder" && apt-get download -q "$package" >/dev/null && dpkg-deb -x linux-image-*.deb kernel && rm linux-image-*.deb)
  depmod -b "$folder/kernel" "$(ls "$folder/kernel/lib/modules")"
  touch "$folder/kernel/done"
fi
release=$(ls "$folder/kernel/lib/modules")

root=$folder/root
if [ ! -e "$root/done" ]; then # what changes seldom: delete the folder after an upgrade of Python or of a package
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,etc,proc,run/netns,sys,tmp,var,work,lib/modules/"$release"/kernel}
  ln -s bin "$root/sbin"
  ln -s ../run "$root/var/run"
  modules=$root/lib/modules/$release
  cp "$folder/kernel/lib/modules/$release"/modules.* "$modules"
  for part in net lib crypto arch/x86/crypto drivers/net/dummy.ko drivers/net/veth.ko; do
    mkdir -p "$modules/kernel/$(dirname "$part")"
    cp -r "$folder/kernel/lib/modules/$release/kernel/$part" "$modules/kernel/$part"
  done
  for program in "${programs[@]}"; do cp -L "$(command -v "$program")" "$root/bin/$program"; done
  mkdir -p "$root/usr/lib/x86_64-linux-gnu"
  cp -r /usr/lib/x86_64-linux-gnu/xtables "$root/usr/lib/x86_64-linux-gnu/"
  cp /etc/protocols /etc/services "$root/etc/" 2>/dev/null || true
  .venv/bin/python - "$root" "${packages[@]}" <<'PYTHON'
"""The interpreter, its library and the packages of the tests, at the places where they are here."""
import shutil
import sys
import sysconfig
from pathlib import Path

root, names = Path(sys.argv[1]), sys.argv[2:]
unused = shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "config-*", "site-packages", "turtledemo", "pydoc_data")


def place(path: Path) -> Path:
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


library = Path(sysconfig.get_path("stdlib"))
shutil.copytree(library, place(library), ignore=unused, dirs_exist_ok=True)
python = Path(sys.executable).resolve()
shutil.copy(python, place(python))
(root / "bin/python3").symlink_to(python)
for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
    shutil.copy(shared, place(shared))
packages = Path(sysconfig.get_path("purelib"))
(root / "packages").mkdir()
for path in (path for name in names for path in packages.glob(name)):
    copy = shutil.copytree if path.is_dir() else shutil.copy
    copy(path, root / "packages" / path.name)
PYTHON
  { find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -exec ldd {} + 2>/dev/null || true; } | awk '/=> \// { print $3 } /^\t\// { print $1 }' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    [ -e "$root$library" ] || cp -L "$library" "$root$library"
  done
  for applet in $(busybox --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done
  touch "$root/done"
fi

rm -rf "$root/work"
mkdir -p "$root/work/tests/unit"
.venv/bin/python -m compileall -q src tests/guest tests/netns tests/unit/proxy # compiling takes the guest longer than all else
cp -a src pyproject.toml "$root/work/" # with the times by which compiled files are known to be right
cp -a tests/guest tests/netns tests/__init__.py "$root/work/tests/"
cp -a tests/unit/__init__.py tests/unit/proxy "$root/work/tests/unit/"
cat >"$root/init" <<INIT
#!/bin/sh
export PATH=/bin PYTHONPATH=/work/src:/packages:/work HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run; mkdir -p /run/netns
ip link set lo up
cd /work
python3 -m pytest -p no:cacheprovider --color=no -q $(printf '%q ' "$@")
echo "guest: pytest ended with \$?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$folder/initrd"
timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -nographic -no-reboot -nodefaults -serial stdio \
  -kernel "$folder/kernel/boot/vmlinuz-$release" -initrd "$folder/initrd" -append "console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off" \
  </dev/null | sed -u 's/\r//' | tee "$folder/output"
[ "$(sed -n 's/^guest: pytest ended with //p' "$folder/output")" = 0 ]
