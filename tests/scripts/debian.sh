# Debian's init script as packaged: all its actions, with rules and with sync daemons. The rules file and the settings
# belong to this test.
. "${0%/*}/show.sh"

service() {
    show "/etc/init.d/ipvsadm $1"
}
table() {
    ipvsadm -Sn
    ipvsadm -L --daemon
}
rules() {
    sed 's/^/rules# /' /etc/ipvsadm.rules
}

ip link add eth0 type dummy
ip addr add 10.9.0.1/24 dev eth0
ip link set eth0 up

instead /etc/default/ipvsadm <<'END'
AUTO="true"
DAEMON="none"
END
instead /etc/ipvsadm.rules <<'END'
# web
-A -t 10.0.0.80:80 -s wrr
-a -t 10.0.0.80:80 -r 10.1.0.1:8080 -m -w 3
-a -t 10.0.0.80:80 -r 10.1.0.2:8080 -m -w 0
# what the director's packet filter has marked
-A -f 5 -s sh -p 600 -M 255.255.255.0 -b sh-port
-a -f 5 -r 10.1.0.1 -g -w 10

-A -t [2001:db8::80]:443 -s lc
-a -t [2001:db8::80]:443 -r [2001:db8:1::1]:443 -i -w 2 --tun-type gre --tun-csum
-A -u 10.0.0.80:53 -s rr -o
-a -u 10.0.0.80:53 -r 10.1.0.1 -i
END

service start
table
service status
service rate
show 'ipvsadm -L -n --thresholds'
show 'ipvsadm -D -t [2001:db8::80]:443'
service save
rules
service stop
table
service load
table
show 'ipvsadm -a -u 10.0.0.80:53 -r 10.1.0.9 -g'
service reload
table
show 'ipvsadm -C'
service force-reload
table

echo 'DAEMON=master IFACE=eth0 SYNCID=7' >>/etc/default/ipvsadm
service start
table
service restart
table
service start # a second time
service stop
table
service stop # a second time

echo 'AUTO=false DAEMON=backup' >>/etc/default/ipvsadm
service start
table
busybox sleep 0.3
service stop

echo 'DAEMON=both' >>/etc/default/ipvsadm
service start
table
service reload
busybox sleep 0.3
service stop
table

# Without AUTO a restart does not change the rules; an empty file gives an empty table.
show 'ipvsadm -A -t 10.0.0.99:80 -s rr'
service restart # no daemon is there to stop
table
busybox sleep 0.3
service stop
echo '# nothing' >/etc/ipvsadm.rules
service load
service save
rules
service nonsense
