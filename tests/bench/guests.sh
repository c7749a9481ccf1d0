# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The part "guests" of scripts/bench: what a guest costs on a host that has 1, 10, 100, 1,000 and 2,000 others, on eight
# parents and on one. All these hosts are there at once, each in namespaces of its own, so that their rounds interleave.
# Sourced; prints JSON: [{guests, parents, us: {what: {median_us...}}, counts: {what: {calls, netlink_bytes}}, learn_ms}]

labs=(1-8 10-8 100-8 1000-8 2000-8 1-1 10-1 100-1 1000-1 2000-1)

in_lab() { nsenter -t "${pids[$1]}" -n -m "${@:2}"; }

start_lab() { # LAB
    local fifo=$work/$1.fifo
    mkfifo "$fifo"
    : >"$work/$1.said"
    unshare --net --mount tests/bench/guests-lab "$work" "${1%-*}" "${1#*-}" <"$fifo" >"$work/$1.said" &
    pids[$1]=$!
    exec {end}>"$fifo"
    until grep -q ready "$work/$1.said"; do
        kill -0 "${pids[$1]}" 2>/dev/null || { echo "bench: no lab $1" >&2; return 1; }
        sleep 0.1
    done
}

count() { # WHAT STDIN COMMAND...
    in_lab "$lab" "$PWD/tests/bench/count-calls" "${@:3}" <"$2" | jq --arg what "$1" '{($what): .}'
}

counts_of() { # LAB
    local lab=$1 hook=$work/virt-macvtap-hook
    {
        count floor-start /dev/null "$work/floor_hook" start e0 $guest
        count floor-stop /dev/null "$work/floor_hook" stop e0 $guest
        count start "$work/beside.xml" "$hook" static start begin -
        count stop "$work/beside.xml" "$hook" static release end -
        count first "$work/first.xml" "$hook" static start begin -
        count last "$work/first.xml" "$hook" static release end -
    } | jq -s add
}

measure_guests() { # ROUNDS
    local -A pids
    local rounds=$1 lab i
    guest_xml e0 198.18.15.61 2001:db8:0::f61 >"$work/beside.xml"
    guest_xml ex 198.18.240.61 2001:db8:f::61 >"$work/first.xml"
    part=guests row throw-away - - "$work/empty" -
    for lab in "${labs[@]}"; do
        start_lab "$lab"
        guest_entries_of "$lab" "${pids[$lab]}"
        counts_of "$lab" >"$work/$lab.counts"
    done
    unshare --net --mount "$PWD/build/tests/bench" "$rounds" "$work/guests.entries" >"$work/guests.times"
    for ((i = 0; i < (rounds + 9) / 10; ++i)); do
        for lab in "${labs[@]}"; do
            in_lab "$lab" "$PWD/build/tests/bench_learn" "$work/virt-macvtap" 5 >>"$work/$lab.learn"
        done
    done
    for lab in "${labs[@]}"; do
        jq --arg lab "$lab" --slurpfile counts "$work/$lab.counts" --slurpfile learned "$work/$lab.learn" '
          {guests: ($lab | split("-")[0] | tonumber), parents: ($lab | split("-")[1] | tonumber), counts: $counts[0],
           us: (with_entries(select(.key | endswith("/" + $lab))) | with_entries(.key |= split("/")[0])),
           learn_ms: ($learned | sort | .[length / 2 | floor])}' "$work/guests.times"
    done | jq -s .
}

# The recorded guest, on another parent with other addresses.
guest_xml() { sed -e "s/192.0.2.61/$2/; s/2001:db8:1::61/$3/; s/<source dev='eth0'/<source dev='$1'/" tests/data/domain/static/start.xml; }
