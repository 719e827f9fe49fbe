#!/usr/bin/env bash
# EXTEND_TIMEOUT_USEC= of a service that is up puts its watchdog off, until the next WATCHDOG=1.
#
# systemd 252 (Debian 12), 257 (Debian 13) and 262 (sid on 30 November 2026). sd_notify(3) speaks of the time-outs of
# start, runtime and stop. Two services with WatchdogSec=3 are ready, ask for 15 s more, and are silent from then on.
# One sends WATCHDOG=1 after it, and is killed after 3 s, the other after 15 s, with "Watchdog timeout (limit 3s)!" in
# the journal. A service that asks for five minutes to reload and hangs then is not noticed for five minutes.
#
# Needs root and debootstrap: each machine is booted in namespaces.
# shellcheck source=findings/systemd_machine.sh
. "$(dirname "$0")/systemd_machine.sh"

for suite in bookworm trixie sid; do
    boot $suite rshared
    for last in status watchdog; do
        case $last in status) message=STATUS=silent ;; *) message=WATCHDOG=1 ;; esac
        unit $last.service << UNIT
[Service]
Type=notify
NotifyAccess=all
WatchdogSec=3
ExecStart=/bin/sh -c 'systemd-notify --ready; systemd-notify EXTEND_TIMEOUT_USEC=15000000; systemd-notify $message; exec sleep 600'
UNIT
    done
    inside systemctl start status watchdog
    for last in watchdog status; do
        until [ "$(inside systemctl show --property Result --value $last)" = watchdog ]; do sleep 0.2; done
        lived_us() {
            local property
            for property in InactiveEnterTimestampMonotonic ActiveEnterTimestampMonotonic; do
                inside systemctl show --property $property --value "$1"
            done
        }
        mapfile -t times < <(lived_us $last)
        lived_s=$(((times[0] - times[1]) / 1000000))
        echo "  last message of $last: killed by the watchdog after $lived_s s"
        case $last in
            watchdog) [ $lived_s -ge 3 ] && [ $lived_s -lt 12 ] || { echo "changed: it was 3 s"; exit 1; } ;;
            status) [ $lived_s -ge 14 ] || { echo "changed: it was 15 s"; exit 1; } ;;
        esac
    done
    halt
done
