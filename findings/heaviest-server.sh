#!/bin/sh
# Scheduler sh: the server with the largest weight gets no client at all.
#
# Believed: clients are shared out in proportion to the weights, as with wrr: of 240 clients about 120, 80 and 40.
# Seen on:  Linux 6.1.176 (the same on 6.12.113 and 7.2.7), ipvsadm 1.31.
# Seen:     with weights 300, 200 and 100, given in this order, the one of weight 300 gets none; with 3, 2 and 1 each has its
#           share. The table has 256 places, which are given away as they stand, the server added last first:
#           100, 156, and there are no more.
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

unpack bookworm user-mode-linux=6.1um4+b13 ipvsadm=1:1.31-1+b1 python3
boot <<'GUEST'
ip addr add 198.51.100.0/24 dev lo # every address of it is this machine's
for address in 192.0.2.1 192.0.2.11 192.0.2.12 192.0.2.13; do ip addr add $address/32 dev lo; done
cat >/tmp/clients <<'PROGRAM'
import socket, sys
weights, port = sys.argv[1], int(sys.argv[2])
for last in range(1, 241):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("198.51.100.%d" % last, 0))
    client.sendto(b"", ("192.0.2.1", port))
rows = [row.split() for row in open("/proc/net/ip_vs_conn") if " %04X " % port in row]
shares = [sum(row[5] == "C00002%02X" % server for row in rows) for server in (11, 12, 13)]
print("weights", weights, "clients", *shares)
PROGRAM
run() { # run PORT WEIGHT...
    ipvsadm -A -u 192.0.2.1:$1 -s sh
    ipvsadm -a -u 192.0.2.1:$1 -r 192.0.2.11:$1 -m -w $2
    ipvsadm -a -u 192.0.2.1:$1 -r 192.0.2.12:$1 -m -w $3
    ipvsadm -a -u 192.0.2.1:$1 -r 192.0.2.13:$1 -m -w $4
    python3 /tmp/clients "$2 $3 $4" $1
}
run 53 300 200 100
run 54 3 2 1
GUEST
grep -q '^weights 3 2 1 clients [1-9][0-9]* [1-9][0-9]* [1-9][0-9]*$' out || changed
grep -q '^weights 300 200 100 clients 0 [1-9][0-9]* [1-9][0-9]*$' out || changed
