# Read by the scripts beside this one: shows what is done as a terminal would.

# show COMMAND: the command, what it says, and how it ends where that is not 0.
show() {
    printf '# %s\n' "$1"
    status=0
    eval "$1" || status=$?
    [ $status = 0 ] || echo "[status $status]"
}

# instead FILE: the machine's FILE is, for this test alone, what comes from stdin.
instead() {
    own=$PWD/$(echo "$1" | tr / _)
    cat >"$own"
    [ -e "$1" ] || : >"$1"
    mount --bind "$own" "$1" || exit 1
}

# until_true WHAT COMMAND: waits, some 15 seconds at most, until the command succeeds.
until_true() {
    tries=150
    until eval "$2" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || {
            echo "not within its time: $1"
            ipvsadm -Ln
            exit 1
        }
        busybox sleep 0.1
    done
}
