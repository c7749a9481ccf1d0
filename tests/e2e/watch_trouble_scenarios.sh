# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2154    # words are split where a function gives several; see watch.sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Scenarios of watch.sh: does it survive what happens to the host, and to itself? Each removes its guests.

watch_trouble_scenarios=(kill_9_of_the_watcher_and_of_libvirtd a_second_watcher the_host_changes_its_addresses
                         the_parent_goes_down_and_up somebody_takes_away_what_is_ours a_flood_from_a_guest)

# The host's pings go on meanwhile; lost_pings ends them, and prints which have no answer though a later one has, and how
# many there are after the last answer if they took more than a second: ping counts as lost what is on its way when it ends.
ping_on() { hv bash -c 'ping -i 0.05 "$1" >/run/ping 2>&1 & echo $! >/run/ping.pid' bash "$1" 3>&- >/dev/null; }

lost_pings() {
    hv bash -c 'pid=$(</run/ping.pid)
        kill -INT "$pid"
        tail --pid="$pid" --sleep-interval=0.02 -f /dev/null
        sent=$(sed -n "s/ packets transmitted.*//p" /run/ping)
        sed -n "s/.* icmp_seq=\([0-9]*\) .* time=.*/\1/p" /run/ping | sort -nu |
            awk -v sent="$sent" "{while (++wanted < \$1) print wanted; wanted = \$1}
                END {if (!NR || sent - wanted > 20) print sent - wanted, \"at the end\"}"'
}

kill_9_of_the_watcher_and_of_libvirtd() {
    local before
    watch_start
    domain_start red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    before=$(hv ip -o link show group 1986884609; routes)
    ping_on 192.0.2.61
    watch_kill9
    same "kill -9 of the watcher changes nothing" "$before" "$(hv ip -o link show group 1986884609; routes)"
    hv bash -c 'pid=$(</run/libvirtd.pid); kill -KILL "$pid"; tail --pid="$pid" --sleep-interval=0.02 -f /dev/null'
    watch_start
    same "nor does its start" "$before" "$(hv ip -o link show group 1986884609; routes)"
    lab libvirtd
    check_talk red 61 "after all that"
    same "no ping was lost" "" "$(lost_pings)"
    check_lan "after all that"

    watch_kill9
    domain_start blue "$(plain 62 $(static 62))"    # what it announces is heard by nobody
    readdress red 65
    guest_said red "guest-address .* 2001:db8:1::65" >/dev/null
    watch_start
    # They say nothing more by themselves, but the host's question for them is heard when it has no answer.
    check "it finds a guest that came meanwhile" eventually reaches hv 192.0.2.62
    check "and a new address of an old one" eventually reaches hv 192.0.2.65
    check "and both by IPv6" eventually reaches hv 2001:db8:1::62
    check "which takes its time" eventually reaches hv 2001:db8:1::65
    check_talk blue 62 "having come while there was no watcher"
    check_talk red 65 "having changed its addresses while there was no watcher"
    check "the routes to the old ones go" eventually has_routes 192.0.2.62 192.0.2.65 2001:db8:1::62 2001:db8:1::65
    watch_kill9
    domain_remove red
    watch_start
    check "a guest that went while there was no watcher has no route" eventually has_routes 192.0.2.62 2001:db8:1::62
    domain_remove blue
}

a_second_watcher() {
    local said rc=0
    watch_start
    said=$(hv timeout 5 "$build/virt-macvtap" watch 2>&1) || rc=$?
    same "a second watcher leaves, having failed" 1 "$rc"
    check "and says which process is the first one" grep -qw "$(hv cat /run/watch.pid)" <<<"$said"
}

# ADDRESS4 ADDRESS6: where the guest's routes say that the host is
source_is() {
    echo "ip route show 192.0.2.61 proto 118 | grep -q 'src $1 ' && ip -6 route show 2001:db8:1::61 proto 118 | grep -q 'src $2 '"
}

check_host_at() {    # N WHEN
    check "$2, the guest reaches its host by IPv4" reaches red "192.0.2.$1"
    check "$2, the guest reaches its host by IPv6" reaches red "2001:db8:1::$1"
    check "$2, the host reaches its guest by IPv4" reaches hv 192.0.2.61
    check "$2, the host reaches its guest by IPv6" reaches hv 2001:db8:1::61
    same "$2, the peer has one answer to ARP for the host: the parent's MAC" 52:54:00:ee:00:10 "$(arp_view "192.0.2.$1")"
    same "$2, the peer finds the parent's MAC by neighbour discovery" 52:54:00:ee:00:10 "$(ndp_view "2001:db8:1::$1")"
}

the_host_changes_its_addresses() {
    watch_start
    domain_start red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    hv ip address add 192.0.2.11/24 dev eth0
    hv ip address add 2001:db8:1::11/64 dev eth0
    check "with a second address, the guest reaches the host at it by IPv4" eventually reaches red 192.0.2.11
    check "with a second address, the guest reaches the host at it by IPv6" eventually reaches red 2001:db8:1::11
    check_talk red 61 "with a second address"
    within 100 "the first address goes: the routes' source follows" milliseconds \
        'ip address delete 192.0.2.10/24 dev eth0; ip address delete 2001:db8:1::10/64 dev eth0' \
        "$(source_is 192.0.2.11 2001:db8:1::11)"
    check_host_at 11 "with new addresses"
    check "nobody answers at the old one" misses red 192.0.2.10
    within 100 "an address is replaced by another: the source follows" milliseconds \
        'ip address delete 192.0.2.11/24 dev eth0; ip address delete 2001:db8:1::11/64 dev eth0
         ip address add 192.0.2.10/24 dev eth0; ip address add 2001:db8:1::10/64 dev eth0' \
        "$(source_is 192.0.2.10 2001:db8:1::10)"
    hv ip route replace default via 192.0.2.1
    check_host_at 10 "with the old addresses again"
    domain_remove red
}

# With the parent go the host's routes and IPv6 addresses; who took it down gives them back.
the_parent_goes_down_and_up() {
    watch_start
    domain_start red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    hv ip link set eth0 down
    check "with the parent down host and guest cannot talk" misses hv 192.0.2.61
    within 1000 "the parent comes up: the routes are there" milliseconds \
        'ip link set eth0 up; ip -6 address add 2001:db8:1::10/64 dev eth0
         ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1' \
        "$(source_is 192.0.2.10 2001:db8:1::10)"
    check_talk red 61 "with the parent up again"
    ip -n "$LAB-sw" link set hv down
    check "without a carrier host and guest cannot talk" misses hv 192.0.2.61
    ip -n "$LAB-sw" link set hv up
    check_talk red 61 "with a carrier again"
    check_lan "with a carrier again"
    domain_remove red
}

somebody_takes_away_what_is_ours() {
    local both before
    watch_start
    domain_start red "$(plain 61 $(static 61))"
    check_reached red 192.0.2.61 2001:db8:1::61
    before=$(routes)
    both=$(source_is 192.0.2.10 2001:db8:1::10)
    within 100 "all routes of ours are flushed, and return" milliseconds \
        'ip -4 route flush proto 118; ip -6 route flush proto 118' "$both"
    within 100 "the neighbours are flushed, and return" milliseconds \
        'ip neigh flush nud all to 192.0.2.61; ip neigh flush nud all to 2001:db8:1::61' \
        '[[ $(ip neigh show nud permanent | grep -c 52:54:00:12:34:61) == 2 ]]'
    same "as they were" "$before" "$(routes)"
    within 1000 "the shim is deleted, and all returns" milliseconds \
        'ip link delete "$(ip -br link show group 1986884609 | sed "s/[@ ].*//")"' "$both"
    same "as it was" "$before" "$(routes)"
    check_talk red 61 "after all that"
    check_lan "after all that"
    domain_remove red
}

# CPU time of the watcher, in ms.
watcher_ms() { hv bash -c 'read -ra stat <"/proc/$(</run/watch.pid)/stat"; echo $(((stat[13] + stat[14]) * 10))'; }

# A macvtap of this namespace sends what its guest would. 192.0.2.10 is among what it claims.
a_flood_from_a_guest() {
    local kind before rest
    watch_start
    vmt create flood --parent eth0 --mac "$(mac 69)" >/dev/null
    before=$(watcher_ms)
    for kind in gratuitous claims ns macs garbage; do
        check "100,000 frames a second: $kind" hv "$build/tests/bench_blast" flood 100000 2 "$kind" "$(mac 69)"
    done
    rest=$(($(watcher_ms) - before))
    within 500 "the watcher's time on a core, for 10 s of that: 5 %," echo "$rest"
    hv "$build/tests/bench_blast" flood 100000 15 claims "$(mac 69)" >/dev/null 3>&- &
    domain_launch red "$(plain 61 $(static 61))"
    check_learned red 192.0.2.61 2001:db8:1::61
    wait $!
    check_talk red 61 "after a flood"
    peer ip neigh flush dev eth0    # it has claimed the host's, too, and the LAN believes it
    check "the flood's MAC has eight routes at most" test "$(routes | grep -c "$(mac 69)")" -le 8
    check_lan "after a flood"
    domain_remove red
    check "delete removes the device" vmt delete flood
}
