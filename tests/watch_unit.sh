#!/usr/bin/env bash
# shellcheck disable=SC2016    # what stands in single quotes is for a shell in the container
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch_unit.sh BUILD: the unit under a real systemd, as on a machine that has just booted: it starts, learns a guest, reloads,
# is started again when it was killed, says in the journal what it has to say, and stops.
#
# systemd is that of a container (systemd-nspawn, of Debian's systemd-container) on a throw-away copy of this machine's files,
# with a network of its own. By hand, as root: not every machine that runs tests may start containers.
set -euo pipefail

build=$(cd "${1:?usage: watch_unit.sh BUILD}" && pwd)
work=$(mktemp -d)
clean_up() {
    mountpoint -q "$work/root" && umount "$work/root"
    umount "$work/top"
    rm -rf "$work"
}
trap clean_up EXIT
mkdir "$work/top" "$work/root"
mount -t tmpfs tmpfs "$work/top"
mkdir "$work/top/upper" "$work/top/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/top/upper,workdir=$work/top/work" "$work/root"
DESTDIR=$work/root cmake --install "$build" >/dev/null
: >"$work/root/etc/machine-id"

cat >"$work/root/watch-unit-check" <<'CHECK'
unit=virt-macvtap-watch.service failures=0
check() {
    local what=$1
    shift
    if "$@"; then echo "ok: $what"; else echo "FAILED: $what"; failures=1; fi
}
shown() { systemctl show -p "$1" --value $unit; }
eventually() {
    for _ in {1..200}; do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}
has_route() { [[ -n $(ip route show 192.0.2.61 proto 118) ]]; }
no_shim() { [[ -z $(ip -o link show group 1986884609) ]]; }
said() { journalctl -u $unit -o cat --no-pager | grep -q "$1"; }
ping_from() { ip netns exec "$1" ping -c 1 -W 1 "$2" >/dev/null; }
ping_to() { ping -c 1 -W 1 "$1" >/dev/null; }
restarted() { [[ $(shown NRestarts) == 1 && $(shown ActiveState) == active ]]; }

ip link set lo up
ip netns add lan
ip link add eth0 type veth peer name eth0 netns lan
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip -n lan link set eth0 up
ip netns add web
ip netns set web auto
ip link add link eth0 name g0 address 52:54:00:12:34:61 netns web type macvtap mode bridge
ip -n web link set g0 up
ip -n web addr add 192.0.2.61/24 dev g0

check "there is no lock file yet" test ! -e /run/virt-macvtap-watch.lock
check "it starts" systemctl start $unit
check "it is ready" test "$(shown SubState)" = running
check "a guest that speaks first is answered" ping_from web 192.0.2.10
check "its host reaches it" ping_to 192.0.2.61
check "it has three capabilities" grep -q '^CapEff:.*0000003800$' "/proc/$(shown MainPID)/status"
ip -n web addr add 192.0.2.10/32 dev g0
ip netns exec web ping -c 1 -W 1 -I 192.0.2.10 192.0.2.99 >/dev/null
ip -n web addr del 192.0.2.10/32 dev g0
check "the journal has what it says" eventually said 'claims 192.0.2.10'
check "it reloads" systemctl reload $unit
check "it runs after that" test "$(shown ActiveState)" = active
systemctl kill -s KILL $unit
check "it is started again when it was killed" eventually restarted
check "the route is there" has_route
ip -n web link del g0
check "route and shim go with the guest" eventually no_shim
check "it stops" systemctl stop $unit
check "without a failure" test "$(shown Result)" = success
exit $failures
CHECK

cat >"$work/root/etc/systemd/system/watch-unit-check.service" <<'UNIT'
[Unit]
Wants=systemd-journald.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/bin/bash /watch-unit-check; echo "status $?"'
StandardOutput=file:/watch-unit-result
StandardError=inherit
UNIT

timeout 120 systemd-nspawn --quiet --directory="$work/root" --private-network --register=no --keep-unit --console=pipe \
    --boot systemd.unit=watch-unit-check.service </dev/null >"$work/top/console" 2>&1 || true
if [[ ! -s $work/root/watch-unit-result ]]; then
    echo "watch_unit: the container did not come so far:" >&2
    tail -n 20 "$work/top/console" >&2
    exit 1
fi
cat "$work/root/watch-unit-result"
grep -q '^status 0$' "$work/root/watch-unit-result"
