# A program that keeps one `ipvsadm -R` running and writes rules into it as its servers come and go: each rule takes
# effect as soon as its line is written, and a refusal does not end the run.
. "${0%/*}/show.sh"

mkfifo rules
ipvsadm -R <rules >said 2>&1 &
restorer=$!
exec 3>rules

# feed RULE SEEN: writes a rule, and waits until the table, as shown by `ipvsadm -Sn`, has the line SEEN.
feed() {
    echo "fed: $1"
    echo "$1" >&3
    until_true "$1" "ipvsadm -Sn | grep -qxF -e '$2'"
    echo "seen: $2"
}

feed '-A -t 10.0.0.80:80 -s wrr' '-A -t 10.0.0.80:80 -s wrr'
for server in 1 2 3; do
    feed "-a -t 10.0.0.80:80 -r 10.1.0.$server:80 -m -w 5" "-a -t 10.0.0.80:80 -r 10.1.0.$server:80 -m -w 5"
done
# As a supervisor drains a server before it removes it.
feed '-e -t 10.0.0.80:80 -r 10.1.0.2:80 -m -w 0' '-a -t 10.0.0.80:80 -r 10.1.0.2:80 -m -w 0'
ipvsadm -Ln -t 10.0.0.80:80 | awk '$2 == "10.1.0.2:80" { print "weight now", $4 }'
echo '-d -t 10.0.0.80:80 -r 10.1.0.2:80' >&3
until_true 'a server leaves' '! ipvsadm -Sn | grep -q 10.1.0.2'

# Half a line has no effect yet.
printf '%s' '-A -u 10.0.0.80:53' >&3
busybox sleep 0.3
show 'ipvsadm -Sn'
feed ' -s rr' '-A -u 10.0.0.80:53 -s rr'

feed 'ipvsadm -A -f 3 -s lc' '-A -f 3 -s lc' # with the command's name before it
kill -0 $restorer && echo 'still running'
exec 3>&-
wait $restorer
echo "ended with $?"
sed 's/^/said: /' said

# All at once, through a pipe, with a request for the listing among the rules.
show "printf '%s\n' '-C' '-A -t 10.0.0.81:80 -s rr' '-L -n' '-a -t 10.0.0.81:80 -r 10.1.0.1' '-S -n' | ipvsadm -R"
show "ipvsadm -S -n | sed 's/10.0.0.81/10.0.0.82/g' | ipvsadm --restore"
show "ipvsadm --save -n | tr '\n' '\r' | tr '\r' '\n' | grep -c ."
