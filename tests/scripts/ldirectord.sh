# Debian's supervisor ldirectord as packaged: it makes the table with ipvsadm, parses its listings before each change,
# removes dead servers and adds them again. LDIRECTORD is the folder where its package is unpacked.
. "${0%/*}/show.sh"

# Its hashes in the same order each time; and the PerlIO layer without which it would restart itself.
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 PERLIO=perlio
export PERL5LIB="$LDIRECTORD/usr/share/perl5:$(echo "$LDIRECTORD"/usr/lib/*/perl5/*)"

# A segment of the director and three real servers, one network namespace each.
ip link add lan type bridge
ip addr add 10.1.0.1/24 dev lan
ip addr add 10.0.0.80/32 dev lo
ip link set lan up
for n in 2 3 4; do
    ip netns add "server$n"
    ip link add "server$n" type veth peer name eth0 netns "server$n"
    ip link set "server$n" master lan up
    ip -n "server$n" addr add "10.1.0.$n/24" dev eth0
    ip -n "server$n" link set lo up
    ip -n "server$n" link set eth0 up
done
leave() {
    [ -z "${supervisor:-}" ] || kill "$supervisor" 2>/dev/null
    for n in 2 3 4; do
        ip netns pids "server$n"
    done | xargs -r busybox kill 2>/dev/null
}
trap leave EXIT

# web N on|off: starts or stops the web server of a real server.
web() {
    if [ "$2" = on ]; then
        busybox nsenter "--net=/run/netns/server$1" busybox httpd -p 8080 -h "$PWD/pages" >/dev/null 2>&1
    else
        ip netns pids "server$1" | xargs -r busybox kill
    fi
}
mkdir pages
echo 'I am well' >pages/health

cat >check <<'END'
#!/bin/sh
# VIP VPORT RIP RPORT: a check of the operator's own
[ ! -e "/run/scripts/sick-$3" ]
END
chmod +x check

cat >cluster.cf <<'END'
checktimeout = 10
negotiatetimeout = 10
checkinterval = 1
autoreload = no
quiescent = no
cleanstop = yes
logfile = "/run/scripts/log"

virtual = 10.0.0.80:80
    real = 10.1.0.2:8080 masq 5
    real = 10.1.0.3:8080 masq 5
    scheduler = wrr
    persistent = 600
    netmask = 255.255.255.0
    protocol = tcp
    service = http
    request = "health"
    receive = "well"
    checktype = negotiate
    quiescent = yes

virtual = 10.0.0.80:8080
    real = 10.1.0.2:8080 gate 1
    real = 10.1.0.3:8080 gate 1
    scheduler = wlc
    protocol = tcp
    checktype = connect

virtual = 10.0.0.80:53
    real = 10.1.0.4:53 ipip 2
    scheduler = rr
    protocol = udp
    checktype = ping
    checktimeout = 2

virtual = 5
    real = 10.1.0.2:80 gate 3
    scheduler = sh
    protocol = fwm
    persistent = 300
    checktype = external
    checkcommand = "/run/scripts/check"

virtual6 = [2001:db8::80]:443
    real6 = [2001:db8:1::2]:443 masq 1
    scheduler = lc
    protocol = tcp
    checktype = on
    service = https

virtual = 10.0.0.80:9
    real = 10.1.0.2:9 gate 1
    scheduler = rr
    protocol = tcp
    checktype = off
END

# stage WHAT LINE...: waits until the supervisor has reacted: the table, as shown by `ipvsadm -Sn`, has these pieces
# of lines, and none of those that begin with `!`.
stage() {
    echo "== $1"
    shift
    tries=60
    until as_expected "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || {
            printf '%s\n' 'not within its time; this is the table:' "$saved"
            tail -n 60 debug
            exit 1
        }
        busybox sleep 0.5
    done
    ipvsadm -L -n
}
as_expected() {
    saved=$(ipvsadm -Sn)
    for piece; do
        case $piece in
        !*) case $saved in *"${piece#!}"*) return 1 ;; esac ;;
        *) case $saved in *"$piece"*) ;; *) return 1 ;; esac ;;
        esac
    done
}

web 2 on
web 3 on
perl "$LDIRECTORD/usr/sbin/ldirectord" -d /run/scripts/cluster.cf start >debug 2>&1 &
supervisor=$!
stage 'all alive' \
    '-r 10.1.0.2:8080 -m -w 5' '-r 10.1.0.3:8080 -m -w 5' \
    '-r 10.1.0.2:8080 -g -w 1' '-r 10.1.0.3:8080 -g -w 1' \
    '-r 10.1.0.4:53 -i -w 2' '-f 5 -r 10.1.0.2:80 -g -w 3' '-r [2001:db8:1::2]:443 -m -w 1'

web 3 off
: >sick-10.1.0.2
ip -n server4 link set eth0 down
stage 'servers die' \
    '-r 10.1.0.3:8080 -m -w 0' '!-r 10.1.0.3:8080 -g' '!-f 5 -r 10.1.0.2' '!-r 10.1.0.4:53'

web 3 on
rm sick-10.1.0.2
ip -n server4 link set eth0 up
stage 'they live again' \
    '-r 10.1.0.3:8080 -m -w 5' '-r 10.1.0.3:8080 -g -w 1' '-f 5 -r 10.1.0.2:80 -g -w 3' '-r 10.1.0.4:53 -i -w 2'

kill $supervisor
wait $supervisor
echo "== stopped, status $?"
supervisor=
show 'ipvsadm -Sn'
echo '== what it typed'
sed -n 's/^Running system(\(.*\))$/\1/p' debug | sort -u
# It reports a line that it cannot parse, or a tool that fails.
grep -E 'Unknown line|inside a virtual|^system.* failed|^Could not' debug | sort -u
exit 0
