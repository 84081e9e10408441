# What the maintainer scripts share: packaging/build puts it behind the first line of each.
set -e
kept=/etc/ipvsadm-rs
hooks=/etc/dpkg/dpkg.cfg.d/ipvsadm-rs
link=/etc/systemd/system/multi-user.target.wants/ipvsadm.service

# Whether Debian's own package is installed, or was and left its settings.
has_original() {
    case $(dpkg-query -W -f '${db:Status-Status}' ipvsadm 2>/dev/null) in
    '' | not-installed) return 1 ;;
    esac
}

# The files that both packages have; that one's get the name with .original. Where a folder is reached by a link, which
# of its names that package uses depends on the release: both.
shared_files() {
    for program in ipvsadm ipvsadm-save ipvsadm-restore; do
        printf '%s\n' "/usr/share/man/man8/$program.8.gz" "/sbin/$program" "/usr/sbin/$program"
    done
    printf '%s\n' /lib/systemd/system/ipvsadm.service /usr/lib/systemd/system/ipvsadm.service
}

# The name that one of them gets: man reads that of a page.
moved_to() {
    case $1 in
    *.8.gz) echo "${1%.8.gz}.original.8.gz" ;;
    *) echo "$1.original" ;;
    esac
}

# The rules and the settings are Debian's package's too, and a purge of it deletes them, whatever was written there since:
# dpkg deletes what is at their names, and a script what is at the name of the rules. So dpkg knows that package's by other
# names, and while dpkg runs both have a second name elsewhere: what is gone afterwards is put back. Between two runs they are
# files like any other, however they are written, and one that was deleted stays deleted.
precious='/etc/ipvsadm.rules /etc/default/ipvsadm'
keep() {
    put_back # what a run of dpkg left that was ended
    for file in $precious; do
        if [ -e "$file" ] || [ -L "$file" ]; then
            mkdir -p "$kept$(dirname "$file")"
            # One that is mounted, as in a container, has no second name.
            ln -P "$file" "$kept$file" 2>/dev/null || cp -a "$file" "$kept$file"
        fi
    done
    [ ! -L "$link" ] || mkdir -p "$kept/enabled"
}

put_back() {
    for file in $precious; do
        if [ -e "$kept$file" ] || [ -L "$kept$file" ]; then
            # An earlier version of this package had a link to the file in its place.
            if [ "$(readlink "$file")" = "$kept$file" ] || { [ ! -e "$file" ] && [ ! -L "$file" ]; }; then
                mkdir -p "$(dirname "$file")"
                mv -f "$kept$file" "$file"
            else
                rm -f "$kept$file"
            fi
        fi
    done
    if [ -d "$kept/enabled" ] && [ ! -L "$link" ]; then
        mkdir -p "$(dirname "$link")"
        ln -s /usr/lib/systemd/system/ipvsadm.service "$link"
    fi
    [ ! -d "$kept" ] || find "$kept" -depth -type d -empty -delete
}

reload_systemd() {
    [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
}
