# Common monitoring pipelines for a director: over the listings, by column, by offset, by pattern and by status. The
# table has rules of every kind (rules.txt), and traffic goes through some of them.
. "${0%/*}/show.sh"

# A real server behind the director, which is its router; the client runs on the director.
ip netns add server
ip link add to-server type veth peer name eth0 netns server
ip addr add 10.1.0.1/24 dev to-server
ip link set to-server up
ip addr add 10.0.0.80/32 dev lo
ip -n server addr add 10.1.0.2/24 dev eth0
ip -n server link set eth0 up
ip -n server route add default via 10.1.0.1
on_server() {
    busybox nsenter --net=/run/netns/server "$@"
}
leave() {
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null
    ip netns pids server | xargs -r kill 2>/dev/null
}
trap leave EXIT

show "ipvsadm -R <${0%/*}/rules.txt"

# Three connections that stay open, two of them to one service; and enough bytes for the counters to change their
# unit.
on_server busybox httpd -p 8080 -h /run/scripts >/dev/null 2>&1
on_server busybox httpd -p 9000 -h /run/scripts >/dev/null 2>&1
mkfifo open
exec 3<>open # a reader of it waits for ever
busybox nc 10.0.0.80 80 <open >/dev/null 2>&1 &
busybox nc 10.0.0.80 80 <open >/dev/null 2>&1 &
busybox nc 10.0.0.80 8443 <open >/dev/null 2>&1 &
until_true 'connections' "ipvsadm -Lnc | grep -c ESTABLISHED | grep -qx 3"
truncate -s 112M large
busybox wget -q -O /dev/null http://10.0.0.80:9000/large
busybox sleep 2.5 # the kernel refreshes its counters every 2 seconds

echo '== connections of each service, and of all'
ipvsadm -Ln | awk '
    $1 ~ /^(TCP|UDP|SCTP)$/ { service = $2 }
    $1 == "FWM" { service = "mark " $2 }
    $1 == "->" && $2 !~ /^Remote/ && service !~ /:9000$/ { active[service] += $5; sum += $5 }
    END { for (s in active) if (active[s]) print s, "active=" active[s]; print "sum", sum }' | sort

echo '== fixed columns'
ipvsadm -Ln | grep '^  ->' | cut -c6-33,35-41,43-48

echo '== virtual addresses of TCP'
ipvsadm -Ln | grep '^TCP' | tr -s ' ' | cut -d' ' -f2

echo '== split on single blanks'
ipvsadm -Ln | cut -d' ' -f1,3,4 | sed 's/$/|/'

echo '== three lines of headers, then one line for each service and server'
ipvsadm -Ln | sed 1,3d | wc -l
ipvsadm -Ln 2>&1 | tail -n +4 | head -n 1
ipvsadm | head -n 1 | sed 's/.*version \([0-9.]*\) (size=\([0-9]*\))$/version \1, \2 buckets/'

echo '== how long clients stick to their server'
ipvsadm -Ln | sed -nE 's/^[A-Z]+ +([^ ]+).* persistent ([0-9]+) mask ([^ ]+)$/\1 persistent \2 mask \3/p'
ipvsadm -Ln | grep -oE 'persistent [0-9]+( mask [0-9.]+)?' | sort

echo '== megabytes that went out, whatever the unit'
ipvsadm -Ln --stats | awk '
    function plain(text) {
        unit = substr(text, length(text))
        return text * (unit == "K" ? 1e3 : unit == "M" ? 1e6 : unit == "G" ? 1e9 : unit == "T" ? 1e12 : 1)
    }
    NR > 3 && plain($7) > 1e8 { printf "%s %d00 MB\n", $2, plain($7) / 1e8 }'
ipvsadm -Ln --stats | grep -c '[0-9]K$'
ipvsadm -Ln --stats --exact | grep -c '[0-9]K$'
ipvsadm -Ln --stats --exact -t 10.0.0.80:9000 | awk 'END { print ($7 > 112 * 1024 * 1024) ? "counted" : "lost" }'

echo '== counters of the services that are quiet or only opened'
ipvsadm -Ln --stats | grep -vE ':9000'
ipvsadm -Ln --rate | awk '{ print NF }' | uniq -c

echo '== connections by state, by server, by client'
ipvsadm -Lnc | grep -v ':9000' | awk 'NR > 2 { print $3 }' | sort | uniq -c
ipvsadm -Lnc | awk '/ESTABLISHED/ { n[$6]++ } END { for (s in n) print n[s], s }' | sort
ipvsadm -L -n -c | grep -v ':9000' | awk 'NR > 2 { sub(/:.*/, "", $4); print $1, length($2), $4, $5, $6 }' | sort

echo '== is it there? may it go?'
for service in '-t 10.0.0.80:80' '-u 10.0.0.80:53' '-t 10.0.0.80:81' '-f 7' '-f 8' '-t [2001:db8::80]:443'; do
    if ipvsadm -L -n $service >/dev/null 2>&1; then echo "OK $service"; else echo "CRITICAL $service: $?"; fi
done
ipvsadm -A -t 10.0.0.80:80 2>/dev/null || echo "exists: $?"
ipvsadm -D -u 10.0.0.80:80 2>/dev/null || echo "is not there: $?"
ipvsadm -d -t 10.0.0.80:80 -r 10.1.0.9:80 >/dev/null 2>&1 || echo "no such server: $?"
ipvsadm -A -t 10.0.0.80 >/dev/null 2>&1 || echo "not understood: $?"

echo '== what it said, from both streams'
# Who compares whole lines asks for the original's.
export IPVSADM_QUIET=1
case $(ipvsadm -a -t 10.0.0.80:80 -r 10.1.0.2:8080 -m 2>&1) in *'already exists') echo 'was there' ;; esac
ipvsadm -L -n -t 10.0.0.80:81 2>&1 | grep -c '^No such service$'
ipvsadm --stop-daemon master 2>&1 | sed 's/^/said: /'
unset IPVSADM_QUIET

echo '== rules, one by one'
ipvsadm -Sn | while read -r command kind service rest; do
    [ "$command" = -a ] || continue
    [ "$kind" != -f ] || [ "${rest#-6}" = "$rest" ] || service="$service(6)"
    echo "$service ${rest##*-w }"
done
ipvsadm-save -n | grep -c '^-A'
ipvsadm -S -n | md5sum

echo '== the right version?'
ipvsadm --version | grep -q v1.31 && ipvsadm -v | head -n 1 | cut -d' ' -f1,2

echo '== servers that get nothing new, as a plugin tells its monitor'
ipvsadm -Ln | {
    out=''
    while read -r arrow server forward weight active inactive rest; do
        [ "$arrow" = '->' ] && [ "$weight" = 0 ] && out="$out $server($forward,$active,$inactive)"
    done
    echo "WARNING -$out"
    exit 1
} || echo "status $?"

echo '== other views'
ipvsadm -Ln --thresholds | awk '$1 == "->" && $3 > 0 { print $2, $3, $4 }'
ipvsadm -Ln --persistent-conn | awk '$1 == "->" && $4 > 0 { print $2, $4 }'
ipvsadm -Ln --tun-info | awk '$3 == "Tunnel" { print $2, $4 }'
ipvsadm -L --timeout | awk -F': ' '{ split($2, t, " "); print "tcp", t[1], "fin", t[2], "udp", t[3] }'
ipvsadm -Ln --sort | grep -v :9000 | cksum

echo '== the same in Python'
ipvsadm -Ln | python3 -c '
import re, sys
service = None
for line in sys.stdin.read().splitlines()[3:]:
    head = re.match(r"(TCP|UDP|SCTP|FWM)\s+(\S+)( IPv6)? (\w+)(?: \(([\w,-]+)\))?(?: persistent (\d+)(?: mask (\S+))?)?", line)
    if head:
        service = head.groups()
    elif len(line) == 70 and not ":9000" in service[1]:
        print(service, line[5:33].rstrip(), line[34:41].rstrip(), int(line[42:48]), int(line[49:59]), int(line[60:70]))
    elif len(line) != 70:
        print("wide:", re.split(r"\s+", line.strip())[1:4])
'
