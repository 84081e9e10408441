# What the maintainer scripts share: packaging/build puts it behind the first line of each.
set -e
kept=/etc/ipvsadm-rs
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

# The rules and the settings are Debian's package's too, and a purge of it deletes them, whatever was written there since:
# dpkg deletes what is at their names or behind a link there, and a script what is at the name of the rules. So dpkg knows
# that package's by other names, and while it can be purged ours are kept elsewhere, with links in their places.
precious='/etc/ipvsadm.rules /etc/default/ipvsadm'
keep() {
    for file in $precious; do
        if [ -f "$file" ] && [ ! -L "$file" ]; then
            mkdir -p "$kept$(dirname "$file")"
            mv "$file" "$kept$file"
            ln -s "$kept$file" "$file"
        fi
    done
    [ ! -L "$link" ] || mkdir -p "$kept/enabled"
}

# Puts them back.
release() {
    for file in $precious; do
        if [ -f "$kept$file" ] && { [ -L "$file" ] || [ ! -e "$file" ]; }; then
            mkdir -p "$(dirname "$file")"
            rm -f "$file"
            mv "$kept$file" "$file"
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
