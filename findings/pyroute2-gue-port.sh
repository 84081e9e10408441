#!/bin/sh
# pyroute2: the port of a GUE tunnel is written with its bytes swapped, and read back as if it were right.
#
# Believed: ports are ports: the kernel sends to the one that was given.
# Seen on:  pyroute2 0.9.7, Linux 6.1.176, ipvsadm 1.31.
# Seen:     a server is added with tun_port=6080 and pyroute2 reads 6080; ipvsadm shows 49175, to which the kernel sends.
# Needs:    apt-get on Debian 12 or later, python3 with pip, x86-64, a network; no privilege.
set -eu

# --- the same in each finding: packages in a folder of their own, and a kernel that boots from it ---
dir=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM
cd "$dir"
not_tried() {
    tail -n 20 said >&2
    echo "not tried: $*" >&2
    exit 2
}
changed() {
    echo "changed: this is no longer so" >&2
    exit 1
}

# unpack RELEASE PACKAGE=VERSION...: they and what they need lie in ./root; nothing is installed.
unpack() {
    release=$1 && shift
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>said | grep -m 1 '/debian/$') ||
        not_tried "this machine takes no packages from Debian"
    mkdir -p lists/partial debs/partial root/dev root/proc root/run root/sys root/tmp root/var
    echo "deb $mirror $release main" >sources && : >status
    apt="apt-get -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::Cache=$dir -o Dir::Cache::archives=$dir/debs"
    apt="$apt -o Dir::State::lists=$dir/lists -o Dir::State::status=$dir/status -o Dir::Etc::sourcelist=$dir/sources"
    apt="$apt -o Dir::Etc::sourceparts=/dev/null"
    $apt update >said 2>&1 || not_tried "the list of Debian's packages cannot be had"
    $apt install --download-only -y --no-install-recommends busybox-static dash iproute2 patchelf "$@" >said 2>&1 ||
        not_tried "not to be had: $*"
    for package in debs/*.deb; do
        dpkg-deb -x "$package" root
    done
    for folder in bin lib lib64 sbin; do # one tree, as on an installed system
        mkdir -p "root/$folder" "root/usr/$folder" && cp -a "root/$folder/." "root/usr/$folder" && rm -r "root/$folder"
        ln -s "usr/$folder" "root/$folder"
    done
    ln -s ../bin/busybox root/usr/sbin/modprobe && ln -s uml/modules root/usr/lib/modules
    echo root:x:0:0::/tmp:/bin/sh >root/etc/passwd
}

# boot: the script on stdin runs as the only program of a user-mode kernel; what it prints is in ./out, and shown.
boot() {
    {
        printf '#!/bin/dash\nexport PATH=/usr/sbin:/usr/bin:/run HOME=/tmp\nexec >/out 2>&1\n'
        printf 'busybox mount -t %s none /%s\n' proc proc sysfs sys tmpfs run
        printf 'busybox --install -s /run\nuname -sr\nmodprobe ip_vs\nip link set lo up\n'
        cat
        printf '\necho end\nbusybox poweroff -f\n'
    } >root/init && chmod +x root/init
    libraries=$dir/root/usr/lib/x86_64-linux-gnu kernel=root/usr/bin/linux.uml
    "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" root/usr/bin/patchelf --set-rpath "$libraries" \
        --set-interpreter "$libraries/ld-linux-x86-64.so.2" "$kernel" >said 2>&1 || not_tried "patchelf does not run here"
    timeout 300 "$kernel" mem=512M "uml_dir=$dir/" con=null con0=null,fd:1 quiet root=/dev/root rootfstype=hostfs \
        "rootflags=$dir/root" rw init=/init >said 2>&1 </dev/null || :
    [ "$(tail -n 1 root/out 2>>said)" = end ] || not_tried "the kernel stopped early: $(cat root/out 2>&1)"
    sed '$d' root/out | tee out
}
# ---

unpack bookworm user-mode-linux=6.1um4+b13 ipvsadm=1:1.31-1+b1 python3
python3 -m pip download --quiet --no-deps --dest . pyroute2==0.9.7 >said 2>&1 || not_tried "not to be had: pyroute2 0.9.7"
python3 -m zipfile -e pyroute2-0.9.7-*.whl root/tmp
boot <<'GUEST'
cat >/tmp/add <<'PROGRAM'
import socket, sys
sys.path.insert(0, "/tmp")
from pyroute2 import IPVS, IPVSDest, IPVSService
service = IPVSService(addr="192.0.2.1", port=80, protocol=socket.IPPROTO_TCP)
with IPVS() as ipvs:
    ipvs.service("add", service=service)
    ipvs.dest("add", service=service, dest=IPVSDest(addr="203.0.113.11", port=80, fwd_method=2, tun_type=1, tun_port=6080))
    for message in ipvs.dest("dump", service=service):
        print("pyroute2 reads", message.get("IPVS_CMD_ATTR_DEST").get("IPVS_DEST_ATTR_TUN_PORT"))
PROGRAM
python3 /tmp/add
ipvsadm -S -n
GUEST
grep -qx 'pyroute2 reads 6080' out || changed
grep -q -- '--tun-port 49175 ' out || changed
