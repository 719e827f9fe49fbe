#!/usr/bin/env bash
# Where the mounts of a container are private, LoadCredential= brings nothing, and nothing says so.
#
# systemd 252 (Debian 12) and 257 (Debian 13), as process 1 of a container whose mounts are not shared (`unshare
# --propagation private`; systemd itself shares them only if it is not in a container). The service starts,
# CREDENTIALS_DIRECTORY is set, the directory is empty, and no warning is logged. After `mount --make-rshared /` in the
# container it is there. systemd 262 (sid on 30 November 2026) passes it on in both.
#
# Needs root and debootstrap: each machine is booted in namespaces.
# shellcheck source=findings/systemd_machine.sh
. "$(dirname "$0")/systemd_machine.sh"

for suite in bookworm trixie sid; do
    boot $suite private
    inside sh -c 'echo content > /etc/word'
    unit reader.service << 'UNIT'
[Service]
Type=oneshot
LoadCredential=word:/etc/word
ExecStart=/bin/sh -c 'echo ${CREDENTIALS_DIRECTORY} $(cat ${CREDENTIALS_DIRECTORY}/word || echo absent)'
StandardError=null
UNIT
    inside systemctl start reader.service
    case $suite in sid) wanted=content ;; *) wanted=absent ;; esac
    expect "  private mounts" "/run/credentials/reader.service $wanted" "$(said reader.service)"
    [ $suite = sid ] ||
        expect "  warnings" "" "$(inside journalctl --unit reader.service --priority warning --quiet --no-pager)"
    inside mount --make-rshared /
    inside systemctl start reader.service
    expect "  shared mounts" "/run/credentials/reader.service content" "$(said reader.service | tail -n 1)"
    halt
done
