#!/bin/sh
# node_exporter: the real servers of an SCTP service are counted as another service's.
#
# Believed: they have proto="SCTP", or are left out as unknown.
# Seen on:  node_exporter 1.5.0 (the same on 1.9.0), Linux 6.1.176, ipvsadm 1.31.
# Seen:     among many services of TCP one of SCTP, with a server of its own. The server of the SCTP service comes out
#           with proto="TCP" and the port of a third service, the one that stands above it in /proc/net/ip_vs.
# Needs:    apt-get on Debian 12 or later, x86-64, a network; no privilege.
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

unpack bookworm user-mode-linux=6.1um4+b13 ipvsadm=1:1.31-1+b1 prometheus-node-exporter=1.5.0-1+b6
boot <<'GUEST'
mkdir -p /var/lib
ipvsadm -A -t 192.0.2.1:80 -s rr && ipvsadm -a -t 192.0.2.1:80 -r 203.0.113.11:80 -m
ipvsadm -A --sctp-service 192.0.2.1:80 -s rr && ipvsadm -a --sctp-service 192.0.2.1:80 -r 203.0.113.12:80 -m -w 7
# The kernel lists services by a hash: one above the SCTP service is certain if there are many.
port=8000
while [ $port -lt 8100 ]; do
    echo "-A -t 192.0.2.1:$port -s rr"
    port=$((port + 1))
done | ipvsadm -R
prometheus-node-exporter --collector.disable-defaults --collector.ipvs --web.listen-address=127.0.0.1:9100 2>/tmp/log &
turns=0
until wget -q -O /tmp/metrics http://127.0.0.1:9100/metrics 2>/dev/null || [ $turns = 30 ]; do sleep 1; turns=$((turns + 1)); done
kill $!
echo "the kernel lists $(grep -B1 CB00710C /proc/net/ip_vs | head -n 1)"
grep 203.0.113.1 /tmp/metrics | grep weight
GUEST
grep -q 'remote_address="203.0.113.11".*} 1$' out || not_tried "node_exporter did not answer"
grep -q '^the kernel lists SCTP' out || not_tried "the kernel does not list the service"
grep -q 'proto="TCP",remote_address="203.0.113.12".*} 7$' out || changed
