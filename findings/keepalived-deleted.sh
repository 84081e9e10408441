#!/bin/sh
# keepalived: a virtual server that somebody deleted stays away, whatever happens, until keepalived is started again.
#
# Believed: it comes back at the next check of its servers, or at the latest when the configuration is read again.
# Seen on:  keepalived 2.2.7 (the same on 2.3.3), Linux 6.1.176, ipvsadm 1.31.
# Seen:     after ipvsadm -D neither ten seconds of successful checks, nor a failing and a recovering server, nor a SIGHUP
#           makes the service again; it serves nobody. keepalived keeps what it believes is in the table and never
#           reads it.
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

unpack bookworm user-mode-linux=6.1um4+b13 ipvsadm=1:1.31-1+b1 keepalived=1:2.2.7-1+b2
boot <<'GUEST'
for last in 1 11; do ip addr add 192.0.2.$last/32 dev lo; done
cat >/tmp/keepalived.conf <<'CONF'
virtual_server 192.0.2.1 80 {
    delay_loop 1
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server 192.0.2.11 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 1
            retry 0
        }
    }
}
CONF
serve() { httpd -f -p 192.0.2.11:80 -h /tmp & server=$!; }
shows() { sleep $1; echo "$2: $(ipvsadm -S -n | grep -c -- -A) service, $(ipvsadm -S -n | grep -c -- -a) server"; }
mkdir -p /var/run
serve
keepalived -n -l -f /tmp/keepalived.conf >/tmp/log 2>&1 &
keepalived=$!
shows 8 "keepalived runs"
kill $server
shows 5 "its server failed"
serve
shows 5 "its server is well"
ipvsadm -D -t 192.0.2.1:80
shows 10 "deleted, ten seconds later"
kill $server && sleep 5 && serve
shows 5 "the server failed and recovered"
kill -HUP $keepalived
shows 8 "the configuration was read again"
kill $keepalived
GUEST
grep -qx 'its server is well: 1 service, 1 server' out || not_tried "keepalived does not check its server"
for when in 'deleted, ten seconds later' 'the server failed and recovered' 'the configuration was read again'; do
    grep -qx "$when: 0 service, 0 server" out || changed
done
