# Sourced by the scripts beside this one: shows commands as a terminal would.

# show COMMAND: prints the command, its output, and its status if that is not 0.
show() {
    printf '# %s\n' "$1"
    status=0
    eval "$1" || status=$?
    [ $status = 0 ] || echo "[status $status]"
}

# instead FILE: for this test only, the machine's FILE has the content of stdin.
instead() {
    own=$PWD/$(echo "$1" | tr / _)
    cat >"$own"
    [ -e "$1" ] || : >"$1"
    mount --bind "$own" "$1" || exit 1
}

# until_true WHAT COMMAND: waits at most about 15 seconds until the command succeeds.
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
