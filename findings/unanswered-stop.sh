#!/bin/sh
# The stop of a sync daemon may have no answer at all, although the daemon is stopped.
#
# Believed: a request with NLM_F_ACK is acknowledged, or refused with an error.
# Seen on:  Linux 6.1.176, one processor, generic netlink, family IPVS.
# Seen:     a daemon is started, acknowledged, and stopped at once, twenty times. Neither an acknowledgement nor an error comes
#           back for most of the stops, and then no daemon runs. Replies of this family are there as soon as the
#           request was sent, so waiting for one does not help: a client that reads on waits for ever.
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

unpack bookworm user-mode-linux=6.1um4+b13 python3
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
cat >/tmp/stop <<'PROGRAM'
import sys, time
sys.path.insert(0, "/tmp")
from netlink import *
BACKUP = struct.pack("I", 2)
start = attribute(3, attribute(1, BACKUP) + attribute(2, b"lo\0") + attribute(3, struct.pack("I", 1)))
stop = attribute(3, attribute(1, BACKUP))
def status():
    kind, flags, message = next(messages(kernel.recv(32768)))
    return struct.unpack_from("i", message)[0]
silent = running = 0
for turn in range(20):
    send(ipvs, 9, ACK, start)
    assert status() == 0
    send(ipvs, 10, ACK, stop)
    kernel.settimeout(1)
    try:
        assert status() == 0
    except TimeoutError:
        silent += 1
    kernel.settimeout(None)
    send(ipvs, 11, DUMP)
    running += [kind for kind, _, _ in messages(kernel.recv(32768))] != [3]
print("stops without an answer:", silent, "of 20;", "daemons that still ran:", running)
PROGRAM
python3 /tmp/stop
GUEST
grep -q "^stops without an answer: \(1[1-9]\|20\) of 20; daemons that still ran: 0$" out || changed
