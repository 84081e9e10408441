#!/bin/sh
# A listing of the kernel's services misses some that nobody touched, if others are deleted while it is read.
#
# Believed: what exists from before the listing until after it is listed, or the kernel marks the listing as interrupted, as
#           it does with routes and addresses.
# Seen on:  Linux 6.1.176 (6.12.113 too), generic netlink, family IPVS.
# Seen:     1,000 services; after the second piece of the listing 100 of those already listed are deleted. Of the other 900
#           a good number is missing, and no message has the flag NLM_F_DUMP_INTR: the kernel goes on by
#           position, and whatever moved up is passed over.
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
cat >/tmp/netlink.py <<'PROGRAM'
import socket, struct
REQUEST, ACK, DUMP, DUMP_INTERRUPTED = 1, 4, 0x300, 0x10
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
kernel.bind((0, 0))
def attribute(number, value):
    return struct.pack("HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
def send(family, command, flags, attributes=b""):
    body = struct.pack("BBxx", command, 1) + attributes
    kernel.send(struct.pack("IHHII", 16 + len(body), family, REQUEST | flags, 1, 0) + body)
def messages(datagram):
    while datagram:
        length, kind, flags = struct.unpack_from("IHH", datagram)
        yield kind, flags, datagram[16:length]
        datagram = datagram[(length + 3) // 4 * 4:]
send(16, 3, 0, attribute(2, b"IPVS\0"))
answer = kernel.recv(32768)
ipvs = struct.unpack_from("H", answer, answer.index(struct.pack("HH", 6, 1)) + 4)[0]
PROGRAM
cat >/tmp/list <<'PROGRAM'
import subprocess, sys
sys.path.insert(0, "/tmp")
from netlink import *
def ports(message): # the number of a service is its port: big-endian, attribute 4
    return struct.unpack_from(">H", message, message.index(struct.pack("HH", 6, 4)) + 4)[0]
def restore(lines):
    subprocess.run(["ipvsadm", "-R"], input="".join(lines), text=True, check=True)
everything = range(1, 1001)
restore("-A -t 192.0.2.1:%d -s rr\n" % port for port in everything)
send(ipvs, 4, DUMP)
listed, interrupted, pieces, deleted, done = [], False, 0, [], False
while not done:
    for kind, flags, message in messages(kernel.recv(32768)):
        interrupted |= bool(flags & DUMP_INTERRUPTED)
        done |= kind == 3
        if kind == ipvs:
            listed.append(ports(message))
    pieces += 1
    if pieces == 2:
        deleted = listed[:100]
        restore("-D -t 192.0.2.1:%d\n" % port for port in deleted)
missing = set(everything) - set(deleted) - set(listed)
print(len(missing) and "some" or "none", "of the 900 services that stayed are missing in the listing:", len(missing))
print("marked as interrupted:", interrupted)
PROGRAM
python3 /tmp/list
GUEST
grep -q '^some of the 900 services' out || changed
grep -qx 'marked as interrupted: False' out || changed
