#!/usr/bin/env bash
# ProcSubset=pid takes the id of the boot away from a service, also from systemd's own programs in it.
#
# systemd 252 (Debian 12), 257 (Debian 13) and 262 (sid on 30 November 2026). /proc/sys/kernel/random/boot_id is not
# there in such a unit: a program that notes in which boot it did something finds no boot. `systemd-id128 boot-id` and
# `journalctl --boot` exit with 1 in it. The unit itself starts without a warning. Without the option all three work.
#
# Needs root and debootstrap: each machine is booted in namespaces.
# shellcheck source=findings/systemd_machine.sh
. "$(dirname "$0")/systemd_machine.sh"

for suite in bookworm trixie sid; do
    boot $suite rshared
    for subset in all pid; do
        unit $subset.service << UNIT
[Service]
Type=oneshot
ProcSubset=$subset
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/boot_id > /tmp/file-$subset; echo \$? > /tmp/codes-$subset'
ExecStart=/bin/sh -c 'systemd-id128 boot-id > /tmp/id-$subset; echo \$? >> /tmp/codes-$subset'
ExecStart=/bin/sh -c 'journalctl --boot --lines 1 > /dev/null; echo \$? >> /tmp/codes-$subset'
UNIT
        inside systemctl start $subset.service
    done
    codes() { inside cat "/tmp/codes-$1" | tr '\n' ' '; }
    expect "  exit codes of cat, systemd-id128, journalctl with ProcSubset=all" "0 0 0 " "$(codes all)"
    expect "  the same with ProcSubset=pid" "1 1 1 " "$(codes pid)"
    halt
done
