# shellcheck shell=bash disable=SC2016    # what stands in single quotes is for a shell in hv
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions that ask how long something takes, on the hypervisor of scripts/lab. Source it after check.sh.
#
#   within MS SENTENCE COMMAND...     check: the command prints a number that is not above MS
#   milliseconds ACTION CONDITION     runs a shell command in hv, and prints how long it is until another one succeeds
#   times_to_reach GUEST ADDRESS...   waits until the guest says that it has the address (scripts/guest-image), and prints
#                                     how long it is from there to the first answer to hv's pings; a line for each,
#                                     "ADDRESS MS", with all of them being pinged at the same time
#   check_reached GUEST ADDRESS...    that is 1 s at most, for each. Time begins here for an address that is there already:
#                                     what gives it to the guest runs beside this, or has just begun
#   check_learned GUEST ADDRESS...    the same for the host's route to it, where a flood has frames dropped on the way
#   check_pinged GUEST ADDRESS...     the guest, told to ping, had its answers within 1 s
#
# Where it does not happen within 10 s, the number is "never". Times are taken from outside of what is measured, so they are
# longer than the truth: by some ms, and where a guest says that it begins, by what it takes to write that.

within() {
    local bound=$1 sentence=$2 ms
    shift 2
    ms=$("$@" 2>&1) || true
    if awk -v ms="$ms" -v bound="$bound" 'BEGIN {exit !(ms ~ /^[0-9]+(\.[0-9]+)?$/ && ms + 0 <= bound)}'; then
        _pass "$sentence within $bound ms: $ms"
        echo "# $sentence within $bound ms: $ms"
    else
        _fail "$sentence within $bound ms" "$ms"
    fi
}

milliseconds() {
    hv bash -c 'begin=${EPOCHREALTIME/./}
        eval "$1" >/dev/null || exit
        until eval "$2" >/dev/null 2>&1; do
            if ((${EPOCHREALTIME/./} - begin > 10000000)); then echo never; exit 1; fi
        done
        echo $(((${EPOCHREALTIME/./} - begin) / 1000))' bash "$1" "$2"
}

# A ping that has begun without a route may go on to get no answer for a while, so each is short. With -w it sends until -c
# are answered, and breaks off when the kernel says that nobody is there.
times_to_reach() { _times_to 'timeout 0.25 ping -q -c 1 -i 0.02 -w 1 "$1"' "$@"; }

times_to_route() { _times_to '{ ip -4 route show "$1" proto 118 || ip -6 route show "$1" proto 118; } | grep -q .' "$@"; }

_times_to() {    # CONDITION GUEST ADDRESS...
    hv bash -c 'log=/var/log/libvirt/qemu/$2-console.log condition=$1
        until_it() {
            local begin
            for _ in {1..3000}; do
                if grep -qE "guest-address .* $1\b" "$log" 2>/dev/null; then break; fi
                sleep 0.01
            done
            begin=${EPOCHREALTIME/./}
            until eval "$condition" >/dev/null 2>&1; do
                if ((${EPOCHREALTIME/./} - begin > 10000000)); then echo "$1 never"; return; fi
            done
            echo "$1 $(((${EPOCHREALTIME/./} - begin) / 1000))"
        }
        for address in "${@:3}"; do until_it "$address" & done
        wait' bash "$@"
}

check_reached() { _check_times times_to_reach "its host reaches it" "$@"; }

check_learned() { _check_times times_to_route "its host has a route to it" "$@"; }

_check_times() {
    local measure=$1 sentence=$2 guest=$3 times address
    shift 3
    times=$("$measure" "$guest" "$@")
    for address; do
        check "$guest says that it has $address" guest_said "$guest" "guest-address .* $address\b"
        within 1000 "and $sentence" awk -v address="$address" '$1 == address {print $2}' <<<"$times"
    done
}

check_pinged() {
    local guest=$1 address
    shift
    for address; do
        within 1000 "$guest speaks first, and $address answers" answer_to_guest "$guest" "$address"
    done
}

answer_to_guest() { guest_said "$1" "guest-pinged $2 " | sed 's/.* //'; }
