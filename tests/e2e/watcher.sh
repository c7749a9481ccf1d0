# shellcheck shell=bash disable=SC2016,SC2154    # what stands in single quotes is for a shell in hv; `build` comes from outside
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions to start and end `virt-macvtap watch` on the hypervisor of scripts/lab. Source it after domain.sh, with `build`,
# the build directory, set.
#
#   watch_start                   start it, and wait until it says that it is ready, as a service manager would
#   watch_kill9                   kill it, and wait until it is gone
#   watch_stop                    ask it to end, and wait until it is gone
#   watch_runs                    does it?
#   watch_log                     what it has said since watch_start

watch_start() {
    hv python3 -c '
import os, socket, subprocess, sys
path, log = "/run/watch.notify", open("/run/watch.log", "w")
if os.path.exists(path):
    os.unlink(path)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.settimeout(10)
    notify.bind(path)
    watcher = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                               env=dict(os.environ, NOTIFY_SOCKET=path))
    with open("/run/watch.pid", "w") as file:
        file.write(str(watcher.pid))
    try:
        while b"READY=1" not in notify.recv(4096).split(b"\n"):
            pass
    except TimeoutError:
        print("watch_start: it is not ready after 10 s; it says:", open("/run/watch.log").read(), file=sys.stderr)
        sys.exit(1)
' "$build/virt-macvtap" watch 3>&-
}

_watch_end() {    # SIGNAL
    hv bash -c 'pid=$(</run/watch.pid)
        kill "-$1" "$pid" 2>/dev/null || exit 0
        timeout 10 tail --pid="$pid" --sleep-interval=0.02 -f /dev/null || { echo "watcher $pid does not end" >&2; exit 1; }' \
        bash "$1"
}

watch_kill9() { _watch_end KILL; }

watch_stop() { _watch_end TERM; }

watch_runs() { hv bash -c 'kill -0 "$(</run/watch.pid)"'; }

watch_log() { hv cat /run/watch.log; }
