# Completion of ipvsadm, ipvsadm-save and ipvsadm-restore for fish.

# The long name of the command that was typed, or of ipvsadm-save and ipvsadm-restore.
function __ipvsadm_command
    set -l words (commandline -opc)
    set -l program (string replace -r '.*/' '' -- $words[1])
    if test "$program" != ipvsadm
        echo $program
    else if string match -q -- '--*' "$words[2]"
        string replace -r '^--([^=]*).*' '$1' -- $words[2]
    else if string match -q -- '-?*' "$words[2]"
        __ipvsadm_letter (string sub -s 2 -l 1 -- $words[2])
    end
end

# __ipvsadm_with NAME...: whether one of these commands was typed.
function __ipvsadm_with
    contains -- "$(__ipvsadm_command)" $argv
end

# The rules of the kernel. Where the module is not loaded there are none, and a completion must not load it.
function __ipvsadm_rules
    test -e /proc/net/ip_vs; and ipvsadm -Sn 2>/dev/null
end

# __ipvsadm_services OPTION: the services that are given by this option.
function __ipvsadm_services
    __ipvsadm_rules | string replace -rf -- "^-A $argv[1] (\S+).*" '$1'
end

# The service that was typed.
function __ipvsadm_service
    set -l words (commandline -opc)
    for index in (seq 2 (count $words))
        switch $words[$index]
            case '--*-service=*'
                string replace -r '^[^=]*=' '' -- $words[$index]
            case '--*-service' '-*t' '-*u' '-*f'
                echo $words[(math $index + 1)]
        end
    end
end

# The schedulers that the kernel has: in modules, loaded or not, and built in.
function __ipvsadm_schedulers
    set -l modules /lib/modules/(uname -r)
    begin
        sed -n 's/^ip_vs_\([a-z]*\) .*/\1/p' /proc/modules
        sed -n 's|^\(.*/\)\{0,1\}ip_vs_\([a-z]*\)\.ko.*|\2|p' $modules/modules.dep $modules/modules.builtin
    end 2>/dev/null | string match -v ftp | sort -u
end

# __ipvsadm_values OPTION: what its value may be.
function __ipvsadm_values
    switch $argv[1]
        case tcp-service
            __ipvsadm_services -t
        case udp-service
            __ipvsadm_services -u
        case sctp-service
            __ipvsadm_services --sctp-service
        case fwmark-service
            __ipvsadm_services -f
        case real-server
            set -l service '\S+'
            if __ipvsadm_with edit-server delete-server drain undrain
                set service (string escape --style=regex -- (__ipvsadm_service | tail -n 1))
            end
            __ipvsadm_with check
            or __ipvsadm_rules | string replace -rf -- "^-a \S+ $service .*-r (\S+).*" '$1' | sort -u
        case scheduler
            __ipvsadm_schedulers
        case sched-flags
            printf '%s\n' {sh,mh}-{fallback,port} sh-fallback,sh-port mh-fallback,mh-port
        case pe
            echo sip
        case start-daemon stop-daemon
            printf '%s\n' master backup
        case mcast-interface
            string replace -r '.*/' '' -- /sys/class/net/*
        case tun-type
            printf '%s\n' ipip gue gre
        case netns
            ls /run/netns 2>/dev/null
        case state
            printf '%s\n' ESTABLISHED SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT UDP NONE ASSURED
        case summary
            printf '%s\n' client server service state
        case file
            ls /etc/ipvsadm.rules /etc/sysconfig/ipvsadm 2>/dev/null
    end
end

# What is between the marks is made of the tool's own table: src/cli/completions.rs.
# BEGIN OF THE TABLE
function __ipvsadm_letter
    switch $argv[1]
        case A
            echo add-service
        case E
            echo edit-service
        case D
            echo delete-service
        case C
            echo clear
        case a
            echo add-server
        case e
            echo edit-server
        case d
            echo delete-server
        case L l
            echo list
        case Z
            echo zero
        case S
            echo save
        case R
            echo restore
        case h
            echo help
        case v
            echo version
    end
end
complete -c ipvsadm -f
complete -c ipvsadm-save -f
complete -c ipvsadm-restore -f
complete -c ipvsadm -n '__ipvsadm_with ""' -s A -l add-service -d 'add a virtual service (-t, -u, -f, --sctp-service)'
complete -c ipvsadm -n '__ipvsadm_with ""' -s E -l edit-service -d 'edit a virtual service; options left out return to their defaults, but see --keep'
complete -c ipvsadm -n '__ipvsadm_with ""' -s D -l delete-service -d 'delete a virtual service and its real servers'
complete -c ipvsadm -n '__ipvsadm_with ""' -s C -l clear -d 'clear the whole table'
complete -c ipvsadm -n '__ipvsadm_with ""' -s a -l add-server -d 'add a real server (-r) to a virtual service'
complete -c ipvsadm -n '__ipvsadm_with ""' -s e -l edit-server -d 'edit a real server; options left out return to their defaults, but see --keep'
complete -c ipvsadm -n '__ipvsadm_with ""' -s d -l delete-server -d 'delete a real server'
complete -c ipvsadm -n '__ipvsadm_with ""' -s L -s l -l list -d 'list the table (also -l), a service of it, or connections (-c)'
complete -c ipvsadm -n '__ipvsadm_with ""' -s Z -l zero -d 'zero the counters of a service, or all'
complete -c ipvsadm -n '__ipvsadm_with ""' -l set -d 'set the timeouts of connections: TCP TCPFIN UDP, in seconds; 0 leaves one as it is'
complete -c ipvsadm -n '__ipvsadm_with ""' -s S -l save -d 'write the table to stdout, as lines for -R; add -n for numbers'
complete -c ipvsadm -n '__ipvsadm_with ""' -s R -l restore -d 'carry out the lines of stdin, each with the options of one ipvsadm command'
complete -c ipvsadm -n '__ipvsadm_with "" start-daemon' -l start-daemon -x -a '(__ipvsadm_values start-daemon)' -d 'start the sync daemon: master or backup'
complete -c ipvsadm -n '__ipvsadm_with "" stop-daemon' -l stop-daemon -x -a '(__ipvsadm_values stop-daemon)' -d 'stop the sync daemon: master or backup'
complete -c ipvsadm -n '__ipvsadm_with ""' -l check -d 'diagnose this director, or a real server of VIP (-r VIP); status 1 if anything is wrong'
complete -c ipvsadm -n '__ipvsadm_with "" explain' -l explain -x -a '(__ipvsadm_values explain)' -d 'show the way of a client\'s packet to a virtual service and back, stage by stage, and where it ends (status 1 if it dies)'
complete -c ipvsadm -n '__ipvsadm_with ""' -l drain -d 'take a real server (-r) out of a service, or of all: weight 0, wait for its connections, delete it'
complete -c ipvsadm -n '__ipvsadm_with ""' -l undrain -d 'bring back what --drain took out: a server, or all that were noted'
complete -c ipvsadm -n '__ipvsadm_with "" watch' -l watch -a '(__ipvsadm_values watch)' -d 'show the table, or a service, live, and read it every SECONDS [default: 2]; ? shows the keys'
complete -c ipvsadm -n '__ipvsadm_with ""' -s h -l help -d 'print this help'
complete -c ipvsadm -n '__ipvsadm_with ""' -s v -l version -d 'print the version'
complete -c ipvsadm-save -s v -l version -d 'print the version'
complete -c ipvsadm-restore -s v -l version -d 'print the version'
complete -c ipvsadm -n '__ipvsadm_with list save watch' -s n -l numeric -d 'numbers instead of names'
complete -c ipvsadm-save -s n -l numeric -d 'numbers instead of names'
complete -c ipvsadm -n '__ipvsadm_with list' -s c -l connection -d 'connections instead of the table'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service add-server edit-server delete-server list zero explain drain undrain watch' -s t -l tcp-service -x -a '(__ipvsadm_values tcp-service)' -d 'a TCP service'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service add-server edit-server delete-server list zero explain drain undrain watch' -s u -l udp-service -x -a '(__ipvsadm_values udp-service)' -d 'a UDP service'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service add-server edit-server delete-server list zero explain drain undrain watch' -l sctp-service -x -a '(__ipvsadm_values sctp-service)' -d 'an SCTP service'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service add-server edit-server delete-server list zero explain drain undrain watch' -s f -l fwmark-service -x -a '(__ipvsadm_values fwmark-service)' -d 'packets with a firewall mark, 1 to 4294967295'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service add-server edit-server delete-server list zero explain drain undrain watch' -s 6 -l ipv6 -d 'after -f: the service is IPv6'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -s s -l scheduler -x -a '(__ipvsadm_values scheduler)' -d 'rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf or another that the kernel has [default: wlc]'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -s p -l persistent -a '(__ipvsadm_values persistent)' -d 'how long a client keeps its server after its last connection [default: 360]'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -s M -l netmask -x -a '(__ipvsadm_values netmask)' -d 'treat clients of one network as one: a mask, or a prefix length with IPv6'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server delete-server list check explain drain undrain' -s r -l real-server -x -a '(__ipvsadm_values real-server)' -d 'the server; its port is the service\'s unless -m or -f is used'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server check explain' -s g -l gatewaying -d 'direct routing [default]'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server check explain' -s i -l ipip -d 'tunneling; see --tun-type'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server check explain' -s m -l masquerading -d 'masquerading (NAT)'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server explain' -s w -l weight -x -a '(__ipvsadm_values weight)' -d 'its share of new connections; 0 for none [default: 1]'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server' -s x -l u-threshold -x -a '(__ipvsadm_values u-threshold)' -d 'upper threshold: no new connections once it has COUNT; 0 for no limit'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server' -s y -l l-threshold -x -a '(__ipvsadm_values l-threshold)' -d 'lower threshold: a server that reached -x gets connections again below COUNT'
complete -c ipvsadm -n '__ipvsadm_with start-daemon' -l mcast-interface -x -a '(__ipvsadm_values mcast-interface)' -d 'the interface it sends or receives on [default: eth0]'
complete -c ipvsadm -n '__ipvsadm_with list' -l timeout -d 'the timeouts of connections'
complete -c ipvsadm -n '__ipvsadm_with list' -l daemon -d 'the sync daemons'
complete -c ipvsadm -n '__ipvsadm_with list' -l stats -d 'counters'
complete -c ipvsadm -n '__ipvsadm_with list' -l rate -d 'rates per second'
complete -c ipvsadm -n '__ipvsadm_with list' -l thresholds -d 'thresholds'
complete -c ipvsadm -n '__ipvsadm_with list' -l persistent-conn -d 'persistent connections; with -c, the engine\'s data'
complete -c ipvsadm -n '__ipvsadm_with list' -l sort -d 'sorted, which is the default'
complete -c ipvsadm -n '__ipvsadm_with list' -l nosort -d 'in the kernel\'s order'
complete -c ipvsadm -n '__ipvsadm_with list start-daemon stop-daemon' -l syncid -x -a '(__ipvsadm_values syncid)' -d 'the same on both sides, 0 to 255 [default: 0]'
complete -c ipvsadm -n '__ipvsadm_with list' -s X -l exact -d 'counters without K, M, G and T'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -s o -l ops -d 'one-packet scheduling, UDP only'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -l pe -x -a '(__ipvsadm_values pe)' -d 'persistence engine, such as sip'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service' -s b -l sched-flags -x -a '(__ipvsadm_values sched-flags)' -d 'flag-1,flag-2,flag-3; sh-fallback,sh-port; mh-fallback,mh-port'
complete -c ipvsadm -n '__ipvsadm_with start-daemon' -l mcast-group -x -a '(__ipvsadm_values mcast-group)' -d 'multicast group [default: 224.0.0.81]'
complete -c ipvsadm -n '__ipvsadm_with start-daemon' -l mcast-port -x -a '(__ipvsadm_values mcast-port)' -d 'UDP port [default: 8848]'
complete -c ipvsadm -n '__ipvsadm_with start-daemon' -l mcast-ttl -x -a '(__ipvsadm_values mcast-ttl)' -d 'time to live [default: 1]'
complete -c ipvsadm -n '__ipvsadm_with start-daemon' -l sync-maxlen -x -a '(__ipvsadm_values sync-maxlen)' -d 'the longest message [default: what the interface carries]'
complete -c ipvsadm -n '__ipvsadm_with list' -l tun-info -d 'tunnels'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server check explain' -l tun-type -x -a '(__ipvsadm_values tun-type)' -d 'ipip, gue or gre [default: ipip]'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server check explain' -l tun-port -x -a '(__ipvsadm_values tun-port)' -d 'destination port of the encapsulation, with gue'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server' -l tun-nocsum -d 'no checksum, with gue and gre'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server' -l tun-csum -d 'a checksum, with gue and gre'
complete -c ipvsadm -n '__ipvsadm_with add-server edit-server' -l tun-remcsum -d 'a remote checksum, with gue'
complete -c ipvsadm -n '__ipvsadm_with save' -l full -d 'with -S: everything, in numbers: thresholds, timeouts and sync daemons too'
complete -c ipvsadm-save -l full -d 'with -S: everything, in numbers: thresholds, timeouts and sync daemons too'
complete -c ipvsadm -n '__ipvsadm_with list save restore check' -l file -r -F -a '(__ipvsadm_values file)' -d 'the file to write (-S) or read (-R, --check); - is stdin or stdout'
complete -c ipvsadm-save -l file -r -F -a '(__ipvsadm_values file)' -d 'the file to write (-S) or read (-R, --check); - is stdin or stdout'
complete -c ipvsadm-restore -l file -r -F -a '(__ipvsadm_values file)' -d 'the file to write (-S) or read (-R, --check); - is stdin or stdout'
complete -c ipvsadm -n '__ipvsadm_with restore' -l replace -d 'with -R: read all lines first; if all are valid, clear the table before them'
complete -c ipvsadm -n '__ipvsadm_with restore' -l diff -d 'with -R: print the lines that turn the table into the input; status 1 if there are any, 2 if the table could not be read'
complete -c ipvsadm -n '__ipvsadm_with restore' -l apply -d 'with -R: carry out just those lines, or none of them (status 3: neither)'
complete -c ipvsadm -n '__ipvsadm_with restore' -l only -d 'with -R --apply or --diff, before a SERVICE (-t, -u, ...): change only this service (may be repeated); it is deleted if the input lacks it'
complete -c ipvsadm -n '__ipvsadm_with restore' -l only-listed -d 'with -R --apply or --diff: change only the services of the input'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service clear add-server edit-server delete-server zero set restore start-daemon stop-daemon' -l dry-run -d 'with a change: print the line that would be carried out'
complete -c ipvsadm -n '__ipvsadm_with drain' -l wait -x -a '(__ipvsadm_values wait)' -d 'with --drain: give up after SECONDS: the server keeps weight 0, status 1 [default: as long as it takes]'
complete -c ipvsadm -n '__ipvsadm_with drain' -l ignore-inactive -d 'with --drain: do not wait for inactive connections (all of UDP\'s count as inactive)'
complete -c ipvsadm -n '__ipvsadm_with drain' -l force -d 'with --drain: the last server of a service, too'
complete -c ipvsadm -n '__ipvsadm_with edit-service edit-server' -l keep -d 'with -E and -e: options left out stay as they are'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service clear add-server edit-server delete-server list zero set save restore start-daemon stop-daemon check explain drain undrain watch' -l netns -x -a '(__ipvsadm_values netns)' -d 'act in NAMESPACE: name, path or PID; before or after the command'
complete -c ipvsadm-save -l netns -x -a '(__ipvsadm_values netns)' -d 'act in NAMESPACE: name, path or PID; before or after the command'
complete -c ipvsadm-restore -l netns -x -a '(__ipvsadm_values netns)' -d 'act in NAMESPACE: name, path or PID; before or after the command'
complete -c ipvsadm -n '__ipvsadm_with add-service edit-service delete-service clear add-server edit-server delete-server zero set restore start-daemon stop-daemon' -l quiet -d 'no warnings about a change; IPVSADM_QUIET=1 in the environment does the same'
complete -c ipvsadm -n '__ipvsadm_with check explain' -l director -x -a '(__ipvsadm_values director)' -d 'with --check -r and --explain -r: the director\'s own address'
complete -c ipvsadm -n '__ipvsadm_with check' -l port -x -a '(__ipvsadm_values port)' -d 'with --check -r: the port to serve'
complete -c ipvsadm -n '__ipvsadm_with explain' -l without -x -a '(__ipvsadm_values without)' -d 'with --explain: also tell which clients would move if this server were deleted; with -w, if it had that weight'
complete -c ipvsadm -n '__ipvsadm_with check' -l probe -d 'with --check, on a director: ask by ARP whether other machines answer for its addresses, too'
complete -c ipvsadm -n '__ipvsadm_with check' -l nobody-has -x -a '(__ipvsadm_values nobody-has)' -d 'with --check, alone: status 0 if the machines on the network were asked for an address, and none has it'
complete -c ipvsadm -n '__ipvsadm_with check' -l fix -d 'with --check: carry out the fixes that can be undone, one by one, asking before each and checking after it'
complete -c ipvsadm -n '__ipvsadm_with check' -l yes -d 'with --fix: without asking'
complete -c ipvsadm -n '__ipvsadm_with check' -l persist -d 'with --fix: write what must outlive a reboot: /etc/sysctl.d, the saved table'
complete -c ipvsadm -n '__ipvsadm_with list' -l client -x -a '(__ipvsadm_values client)' -d 'with -L -c: connections of this client, or network of clients'
complete -c ipvsadm -n '__ipvsadm_with list' -l state -x -a '(__ipvsadm_values state)' -d 'with -L -c: connections in this state, such as ESTABLISHED'
complete -c ipvsadm -n '__ipvsadm_with list' -l summary -x -a '(__ipvsadm_values summary)' -d 'with -L -c: how many connections each client, server, service or state has, the largest first'
complete -c ipvsadm -n '__ipvsadm_with list' -l top -x -a '(__ipvsadm_values top)' -d 'with --summary: only the first COUNT'
complete -c ipvsadm -n '__ipvsadm_with list' -l prometheus -d 'with -L: the table as metrics, in the text format of Prometheus; with --file PATH for its textfile collector'
complete -c ipvsadm -n '__ipvsadm_with watch' -l count -x -a '(__ipvsadm_values count)' -d 'with --watch: end after NUMBER frames'
complete -c ipvsadm -n '__ipvsadm_with list save restore check explain' -l json -d 'with -L, -S, -R, --check and --explain: JSON in one line'
# END OF THE TABLE
