#!/bin/sh
# The kernel does not translate the answers of a one-packet service (-o) with masqueraded servers (-m).
#
# Believed: masquerading works both ways, so a client that asks the virtual address is answered by it.
# Seen on:  Linux 6.1.176 (the same on 6.12.113 and 7.2.7), ipvsadm 1.31.
# Seen:     without -o the answer comes from the virtual address; with -o from the server's own, and a client that has
#           connected its socket never sees it. No counter tells: OutPkts stays 0.
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
for host in client server; do
    ip netns add $host
    ip link add $host type veth peer name eth0 netns $host
    ip link set $host up
    ip -n $host link set eth0 up
done
ip addr add 198.51.100.1/24 dev client && ip addr add 192.0.2.1/32 dev client
ip addr add 203.0.113.1/24 dev server
ip -n client addr add 198.51.100.2/24 dev eth0 && ip -n client route add default via 198.51.100.1
ip -n server addr add 203.0.113.2/24 dev eth0 && ip -n server route add default via 203.0.113.1
echo 1 >/proc/sys/net/ipv4/ip_forward

cat >/tmp/answer <<'PROGRAM'
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("203.0.113.2", 53))
while True:
    server.sendto(b"answer", server.recvfrom(99)[1])
PROGRAM
cat >/tmp/ask <<'PROGRAM'
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.sendto(b"question", ("192.0.2.1", 53))
print(sys.argv[1], "192.0.2.1 was asked,", client.recvfrom(99)[1][0], "answered")
PROGRAM
ip netns exec server python3 /tmp/answer &
sleep 2
ipvsadm -A -u 192.0.2.1:53 -s rr
ipvsadm -a -u 192.0.2.1:53 -r 203.0.113.2:53 -m
ip netns exec client python3 /tmp/ask "without -o:"
ipvsadm -E -u 192.0.2.1:53 -s rr -o
ip netns exec client python3 /tmp/ask "with -o:"
kill $!
GUEST
grep -qx 'without -o: 192.0.2.1 was asked, 192.0.2.1 answered' out || not_tried "masquerading itself did not work"
grep -qx 'with -o: 192.0.2.1 was asked, 203.0.113.2 answered' out || changed
