# A Red Hat style init script: the rules are in /etc/sysconfig/ipvsadm, loaded by ipvsadm-restore and saved by
# `ipvsadm-save -n`.
. "${0%/*}/show.sh"

mkdir -p /etc/sysconfig
mount -t tmpfs lab /etc/sysconfig || exit 1
config=/etc/sysconfig/ipvsadm

start() {
    [ -r $config ] || return 1
    ipvsadm -C
    ipvsadm-restore <$config
}
stop() {
    ipvsadm -C
}
service() {
    echo "service $1"
    case $1 in
    start) start ;;
    stop | panic) stop ;;
    restart) stop && start ;;
    status) ipvsadm -L -n ;;
    # The unit of later releases saves and clears on stop; its start does not clear.
    unit-start) bash -c "exec /sbin/ipvsadm-restore < $config" ;;
    unit-stop) bash -c "exec /sbin/ipvsadm-save -n > $config" && /sbin/ipvsadm -C ;;
    save) ipvsadm-save -n >$config ;;
    esac
    echo "[status $?]"
}
table() {
    saved=$(ipvsadm -Sn)
    echo "${saved:-[nothing]}"
}
file() {
    sed 's/^/saved# /' $config
}

service start # nothing was saved yet
service save
file
cat >$config <<'END'
# web
-A -t 10.0.0.80:80 -s wlc
-a -t 10.0.0.80:80 -r 10.1.0.1:80 -g -w 1
-a -t 10.0.0.80:80 -r 10.1.0.2:80 -g -w 1

#names
-A -u 10.0.0.80:53 -s rr -o
-a -u 10.0.0.80:53 -r 10.1.0.1:53 -i -w 7
END
service start
table
service status
show 'ipvsadm -E -t 10.0.0.80:80 -s wrr -p'
show 'ipvsadm -A -f 9 -6 -s mh -p 60 -M 64 -b mh-port'
show 'ipvsadm -a -f 9 -6 -r [2001:db8:1::1]:80 -m'
service save
file
service panic
table
service restart
table
service stop
table
service unit-start
table
service unit-stop
table
file
service unit-start
service unit-start # over a table that is full
table
: >$config
service start 2>/dev/null # an empty file clears; ours says so, as docs/compatibility.md has it
table
rm $config
service unit-start
show 'ipvsadm-save -n'
show 'ipvsadm-save --help'
