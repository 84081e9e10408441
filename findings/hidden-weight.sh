#!/bin/sh
# Scheduler mh: two services that are listed alike send a tenth of the clients to other servers.
#
# Believed: the choice of mh depends on the servers and weights of the listing, so a table that is saved and restored on
#           another machine chooses as the first one does.
# Seen on:  Linux 6.1.176 (the same on 6.12.113 and 7.2.7), ipvsadm 1.31.
# Seen:     alike while all weights are 1. After one of five servers was drained by weight 0, a copy made by ipvsadm -S and
#           -R lists the same lines, and chooses otherwise for more than 20 of 240 clients: a server that is edited to 0
#           keeps its last weight for the making of the table, one that is added with 0 has none to keep.
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
for last in 1 2 11 12 13 14 15; do ip addr add 192.0.2.$last/32 dev lo; done
cat >/tmp/choices <<'PROGRAM'
import socket, sys
chosen = {}
for director in ("192.0.2.1", "192.0.2.2"):
    for last in range(1, 241):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.bind(("198.51.100.%d" % last, 0))
        client.connect((director, 53))
        client.send(b"")
        name = "%08X %04X" % (int.from_bytes(socket.inet_aton("198.51.100.%d" % last), "big"), client.getsockname()[1])
        chosen[name, director] = (director, last)
rows, servers = [row.split() for row in open("/proc/net/ip_vs_conn")][1:], {}
for row in rows:
    director = socket.inet_ntoa(bytes.fromhex(row[3]))
    key = chosen.get((row[1] + " " + row[2], director))
    servers[key] = row[5]
differ = [last for last in range(1, 241) if servers["192.0.2.1", last] != servers["192.0.2.2", last]]
print(sys.argv[1], len(differ), "of 240 clients have another server")
PROGRAM
lines() { ipvsadm -S -n | grep -F " $1:53" | sed "s/$1:/VIP:/" | sort; }
copy() { # the service of 192.0.2.1 as another one, by a save and a restore
    ipvsadm -S -n | sed 's/192.0.2.1:/192.0.2.2:/' | ipvsadm -R
    lines 192.0.2.1 >/tmp/1 && lines 192.0.2.2 >/tmp/2
    cmp /tmp/1 /tmp/2 && echo "both are listed alike"
}
ipvsadm -A -u 192.0.2.1:53 -s mh -b mh-fallback
for last in 11 12 13 14 15; do ipvsadm -a -u 192.0.2.1:53 -r 192.0.2.$last:53 -m -w 1; done
copy
python3 /tmp/choices "all weights 1:"
ipvsadm -D -u 192.0.2.2:53
ipvsadm -e -u 192.0.2.1:53 -r 192.0.2.13:53 -m -w 0
copy
python3 /tmp/choices "one drained:"
GUEST
[ "$(grep -c '^both are listed alike$' out)" = 2 ] || changed
grep -q '^all weights 1: [0-9] of 240 clients' out || changed
grep -q '^one drained: [2-9][0-9] of 240 clients' out || changed
