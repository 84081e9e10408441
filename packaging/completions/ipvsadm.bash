# Completion of ipvsadm, ipvsadm-save and ipvsadm-restore for bash.

# The options: name, letters, value (with `?` if it may be missing), group, and the commands that they go with.
# What is between the marks is made of the tool's own table: src/cli/completions.rs.
mapfile -t _ipvsadm_table <<'TABLE'
# BEGIN OF THE TABLE
add-service|A|||command|add a virtual service (-t, -u, -f, --sctp-service)
edit-service|E|||command|edit a virtual service; options left out return to their defaults, but see --keep
delete-service|D|||command|delete a virtual service and its real servers
clear|C|||command|clear the whole table
add-server|a|||command|add a real server (-r) to a virtual service
edit-server|e|||command|edit a real server; options left out return to their defaults, but see --keep
delete-server|d|||command|delete a real server
list|Ll|||command|list the table (also -l), a service of it, or connections (-c)
zero|Z|||command|zero the counters of a service, or all
set||||command|set the timeouts of connections: TCP TCPFIN UDP, in seconds; 0 leaves one as it is
save|S|||command|write the table to stdout, as lines for -R; add -n for numbers
restore|R|||command|carry out the lines of stdin, each with the options of one ipvsadm command
start-daemon||STATE||command|start the sync daemon: master or backup
stop-daemon||STATE||command|stop the sync daemon: master or backup
check||||command|diagnose this director, or a real server of VIP (-r VIP); status 1 if anything is wrong
explain||CLIENT[:PORT]||command|show the way of a client's packet to a virtual service and back, stage by stage, and where it ends (status 1 if it dies)
drain||||command|take a real server (-r) out of a service, or of all: weight 0, wait for its connections, delete it
undrain||||command|bring back what --drain took out: a server, or all that were noted
watch||SECONDS?||command|show the table, or a service, live, and read it every SECONDS [default: 2]; ? shows the keys
help|h|||command|print this help
version|v|||command,ipvsadm-save,ipvsadm-restore|print the version
numeric|n|||list,save,watch,ipvsadm-save|numbers instead of names
connection|c|||list|connections instead of the table
tcp-service|t|ADDRESS[:PORT]|service-address|add-service,edit-service,delete-service,add-server,edit-server,delete-server,list,zero,explain,drain,undrain,watch|a TCP service
udp-service|u|ADDRESS[:PORT]|service-address|add-service,edit-service,delete-service,add-server,edit-server,delete-server,list,zero,explain,drain,undrain,watch|a UDP service
sctp-service||ADDRESS[:PORT]|service-address|add-service,edit-service,delete-service,add-server,edit-server,delete-server,list,zero,explain,drain,undrain,watch|an SCTP service
fwmark-service|f|MARK|service-address|add-service,edit-service,delete-service,add-server,edit-server,delete-server,list,zero,explain,drain,undrain,watch|packets with a firewall mark, 1 to 4294967295
ipv6|6|||add-service,edit-service,delete-service,add-server,edit-server,delete-server,list,zero,explain,drain,undrain,watch|after -f: the service is IPv6
scheduler|s|NAME||add-service,edit-service|rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf or another that the kernel has [default: wlc]
persistent|p|SECONDS?||add-service,edit-service|how long a client keeps its server after its last connection [default: 360]
netmask|M|NETMASK||add-service,edit-service|treat clients of one network as one: a mask, or a prefix length with IPv6
real-server|r|ADDRESS[:PORT]||add-server,edit-server,delete-server,list,check,explain,drain,undrain|the server; its port is the service's unless -m or -f is used
gatewaying|g||forwarding-method|add-server,edit-server,check,explain|direct routing [default]
ipip|i||forwarding-method|add-server,edit-server,check,explain|tunneling; see --tun-type
masquerading|m||forwarding-method|add-server,edit-server,check,explain|masquerading (NAT)
weight|w|WEIGHT||add-server,edit-server,explain|its share of new connections; 0 for none [default: 1]
u-threshold|x|COUNT||add-server,edit-server|upper threshold: no new connections once it has COUNT; 0 for no limit
l-threshold|y|COUNT||add-server,edit-server|lower threshold: a server that reached -x gets connections again below COUNT
mcast-interface||INTERFACE||start-daemon|the interface it sends or receives on [default: eth0]
timeout||||list|the timeouts of connections
daemon||||list|the sync daemons
stats||||list|counters
rate||||list|rates per second
thresholds||||list|thresholds
persistent-conn||||list|persistent connections; with -c, the engine's data
sort||||list|sorted, which is the default
nosort||||list|in the kernel's order
syncid||NUMBER||list,start-daemon,stop-daemon|the same on both sides, 0 to 255 [default: 0]
exact|X|||list|counters without K, M, G and T
ops|o|||add-service,edit-service|one-packet scheduling, UDP only
pe||NAME||add-service,edit-service|persistence engine, such as sip
sched-flags|b|FLAGS||add-service,edit-service|flag-1,flag-2,flag-3; sh-fallback,sh-port; mh-fallback,mh-port
mcast-group||ADDRESS||start-daemon|multicast group [default: 224.0.0.81]
mcast-port||PORT||start-daemon|UDP port [default: 8848]
mcast-ttl||TTL||start-daemon|time to live [default: 1]
sync-maxlen||BYTES||start-daemon|the longest message [default: what the interface carries]
tun-info||||list|tunnels
tun-type||TYPE||add-server,edit-server,check,explain|ipip, gue or gre [default: ipip]
tun-port||PORT||add-server,edit-server,check,explain|destination port of the encapsulation, with gue
tun-nocsum||||add-server,edit-server|no checksum, with gue and gre
tun-csum||||add-server,edit-server|a checksum, with gue and gre
tun-remcsum||||add-server,edit-server|a remote checksum, with gue
full||||save,ipvsadm-save|with -S: everything, in numbers: thresholds, timeouts and sync daemons too
file||PATH||list,save,restore,check,ipvsadm-save,ipvsadm-restore|the file to write (-S) or read (-R, --check); - is stdin or stdout
replace||||restore|with -R: read all lines first; if all are valid, clear the table before them
diff||||restore|with -R: print the lines that turn the table into the input; status 1 if there are any, 2 if the table could not be read
apply||||restore|with -R: carry out just those lines, or none of them (status 3: neither)
only||||restore|with -R --apply or --diff, before a SERVICE (-t, -u, ...): change only this service (may be repeated); it is deleted if the input lacks it
only-listed||||restore|with -R --apply or --diff: change only the services of the input
dry-run||||add-service,edit-service,delete-service,clear,add-server,edit-server,delete-server,zero,set,restore,start-daemon,stop-daemon|with a change: print the line that would be carried out
wait||SECONDS||drain|with --drain: give up after SECONDS: the server keeps weight 0, status 1 [default: as long as it takes]
ignore-inactive||||drain|with --drain: do not wait for inactive connections (all of UDP's count as inactive)
force||||drain|with --drain: the last server of a service, too
keep||||edit-service,edit-server|with -E and -e: options left out stay as they are
netns||NAMESPACE||add-service,edit-service,delete-service,clear,add-server,edit-server,delete-server,list,zero,set,save,restore,start-daemon,stop-daemon,check,explain,drain,undrain,watch,ipvsadm-save,ipvsadm-restore|act in NAMESPACE: name, path or PID; before or after the command
quiet||||add-service,edit-service,delete-service,clear,add-server,edit-server,delete-server,zero,set,restore,start-daemon,stop-daemon|no warnings about a change; IPVSADM_QUIET=1 in the environment does the same
director||ADDRESS||check,explain|with --check -r and --explain -r: the director's own address
port||PORT[/udp]||check|with --check -r: the port to serve
without||ADDRESS[:PORT]||explain|with --explain: also tell which clients would move if this server were deleted; with -w, if it had that weight
probe||||check|with --check, on a director: ask by ARP whether other machines answer for its addresses, too
nobody-has||ADDRESS[%INTERFACE]||check|with --check, alone: status 0 if the machines on the network were asked for an address, and none has it
fix||||check|with --check: carry out the fixes that can be undone, one by one, asking before each and checking after it
yes||||check|with --fix: without asking
persist||||check|with --fix: write what must outlive a reboot: /etc/sysctl.d, the saved table
client||ADDRESS[/PREFIX]||list|with -L -c: connections of this client, or network of clients
state||STATE||list|with -L -c: connections in this state, such as ESTABLISHED
summary||KEY||list|with -L -c: how many connections each client, server, service or state has, the largest first
top||COUNT||list|with --summary: only the first COUNT
prometheus||||list|with -L: the table as metrics, in the text format of Prometheus; with --file PATH for its textfile collector
count||NUMBER||watch|with --watch: end after NUMBER frames
json||||list,save,restore,check,explain|with -L, -S, -R, --check and --explain: JSON in one line
# END OF THE TABLE
TABLE

# _ipvsadm_find NAME|LETTER: sets name, letters, value, group and commands of an option; fails if there is none.
_ipvsadm_find() {
    local row
    for row in "${_ipvsadm_table[@]}"; do
        [[ $row == "$1|"* || $row == *"|"*"$1"* ]] || continue
        IFS='|' read -r name letters value group commands _ <<<"$row"
        [[ $name == "$1" || ${#1} -eq 1 && $letters == *"$1"* ]] && return
    done
    return 1
}

# The rules of the kernel. Where the module is not loaded there are none, and a completion must not load it.
_ipvsadm_rules() { [[ ! -e /proc/net/ip_vs ]] || ipvsadm -Sn 2>/dev/null; }

# _ipvsadm_services OPTION: the services that are given by this option.
_ipvsadm_services() {
    local verb option service
    while read -r verb option service _; do
        [[ $verb != -A || $option != "$1" ]] || printf '%s\n' "$service"
    done < <(_ipvsadm_rules)
}

# _ipvsadm_servers [SERVICE]: the real servers of a service, or of all.
_ipvsadm_servers() {
    local verb service rest
    while read -r verb _ service rest; do
        [[ $verb == -a && ${1:-$service} == "$service" ]] || continue
        rest=${rest#*-r }
        printf '%s\n' "${rest%% *}"
    done < <(_ipvsadm_rules)
}

# The schedulers that the kernel has: in modules, loaded or not, and built in.
_ipvsadm_schedulers() {
    local modules
    modules=/lib/modules/$(uname -r)
    {
        sed -n 's/^ip_vs_\([a-z]*\) .*/\1/p' /proc/modules
        sed -n 's|^\(.*/\)\{0,1\}ip_vs_\([a-z]*\)\.ko.*|\2|p' "$modules/modules.dep" "$modules/modules.builtin"
    } 2>/dev/null | grep -vx ftp | sort -u
}

# _ipvsadm_values OPTION: what its value may be.
_ipvsadm_values() {
    case $1 in
    tcp-service) _ipvsadm_services -t ;;
    udp-service) _ipvsadm_services -u ;;
    sctp-service) _ipvsadm_services --sctp-service ;;
    fwmark-service) _ipvsadm_services -f ;;
    real-server)
        case $command in
        add-server | list) _ipvsadm_servers ;;
        edit-server | delete-server | drain | undrain) [[ -z $service ]] || _ipvsadm_servers "$service" ;;
        esac
        ;;
    scheduler) _ipvsadm_schedulers ;;
    sched-flags) printf '%s\n' {sh,mh}-{fallback,port} sh-fallback,sh-port mh-fallback,mh-port ;;
    pe) echo sip ;;
    start-daemon | stop-daemon) printf '%s\n' master backup ;;
    mcast-interface) (cd /sys/class/net && printf '%s\n' *) ;;
    tun-type) printf '%s\n' ipip gue gre ;;
    netns) ls /run/netns 2>/dev/null ;;
    state) printf '%s\n' ESTABLISHED SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT UDP NONE ASSURED ;;
    summary) printf '%s\n' client server service state ;;
    file) ls /etc/ipvsadm.rules /etc/sysconfig/ipvsadm 2>/dev/null ;;
    esac
}

# _ipvsadm_option NAME|LETTER [VALUE]: notes an option that was typed, and whether its value must follow.
_ipvsadm_option() {
    _ipvsadm_find "$1" || return
    given+=" $name $group "
    [[ ,$commands, != *,command,* || -n $command ]] || command=$name
    [[ -z $value ]] || awaited=$name$([[ $value != *'?' ]] || echo '?')
    [[ -z ${2-} ]] || _ipvsadm_value "$2"
}

# _ipvsadm_value VALUE: notes the value of the option before it.
_ipvsadm_value() {
    [[ $awaited != *-service ]] || service=$1
    awaited=''
}

# Sets command, given, service, and awaited, from the words before the one that is completed.
_ipvsadm_read() {
    local word left name letters value group commands
    for word; do
        if [[ $awaited == *'?' && $word == -* ]]; then
            awaited=''
        elif [[ -n $awaited ]]; then
            _ipvsadm_value "$word"
            continue
        fi
        case $word in
        --*=*)
            left=${word%%=*}
            _ipvsadm_option "${left#--}" "${word#*=}"
            ;;
        --*) _ipvsadm_option "${word#--}" ;;
        -*)
            for ((left = 1; left < ${#word}; left++)); do
                _ipvsadm_option "${word:left:1}"
                [[ -z $awaited || -z ${word:left + 1} ]] || { _ipvsadm_value "${word:left + 1}" && break; }
            done
            ;;
        esac
    done
}

_ipvsadm() {
    local line=${COMP_LINE:0:COMP_POINT} words cur prefix='' row word left name letters value group commands
    local command='' given='' awaited='' service=''
    [[ $1 != *ipvsadm-* ]] || command=${1##*/}
    read -ra words <<<"$line"
    [[ $line != *[[:blank:]] ]] || words+=('')
    cur=${words[${#words[@]} - 1]}
    _ipvsadm_read "${words[@]:1:${#words[@]}-2}"
    [[ $awaited != *'?' || $cur != -* ]] || awaited=''
    if [[ -z $awaited && $cur == --*=* ]]; then
        prefix=${cur%%=*}=
        awaited=${prefix:2:${#prefix}-3}
    fi

    # bash completes only what follows the last of its word breaks.
    left=$cur
    [[ $COMP_WORDBREAKS == *:* ]] || left=${left//:/}
    [[ $COMP_WORDBREAKS == *=* ]] || left=${left//=/}
    if [[ $left == *[:=]* ]]; then left=${cur%"${cur##*[:=]}"}; else left=''; fi
    COMPREPLY=()
    while read -r word; do
        # The name of an interface may be anything, and what is offered is not quoted.
        [[ $word == "$cur"* && $word != *[!][A-Za-z0-9.:,_/=@%+-]* ]] || continue
        COMPREPLY+=("${word#"$left"}")
    done < <(
        if [[ -n $awaited ]]; then
            _ipvsadm_values "${awaited%'?'}" | sort -u | while read -r word; do printf '%s\n' "$prefix$word"; done
        else
            for row in "${_ipvsadm_table[@]}"; do
                IFS='|' read -r name letters value group commands _ <<<"$row"
                [[ ,$commands, == *,"${command:-command}",* ]] || continue
                [[ $given != *" $name "* && $given != *" ${group:-$name} "* ]] || continue
                [[ -z $letters ]] || printf '%s\n' "-${letters:0:1}"
                printf '%s\n' "--$name"
            done
        fi
    )
    if [[ $awaited == file ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${cur#"$prefix"}")
    fi
}
complete -F _ipvsadm ipvsadm ipvsadm-save ipvsadm-restore
