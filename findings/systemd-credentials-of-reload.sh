#!/usr/bin/env bash
# A credential that ExecStart= reads may not be there for ExecReload=: what checks the new settings cannot check it.
#
# systemd 252 (Debian 12): ExecReload= has the credential, unless the unit has mounts of its own (PrivateMounts=yes, and
# most options that protect a service). Then CREDENTIALS_DIRECTORY is set and the file is not there, nor is it in
# ExecStartPost=. systemd 257 (Debian 13) and 262 (sid on 30 November 2026): ExecStartPost= has it, and ExecReload= has
# neither file nor variable, with and without mounts of its own.
#
# Needs root and debootstrap: each machine is booted in namespaces.
# shellcheck source=findings/systemd_machine.sh
. "$(dirname "$0")/systemd_machine.sh"

for suite in bookworm trixie sid; do
    boot $suite rshared
    inside sh -c 'cat > /usr/local/bin/look && chmod +x /usr/local/bin/look' << 'LOOK'
#!/bin/sh
echo "$1 ${CREDENTIALS_DIRECTORY:+set} $(cat "$CREDENTIALS_DIRECTORY/word" 2> /dev/null || echo absent)"
LOOK
    inside sh -c 'echo content > /etc/word'
    for own in no yes; do
        unit own-$own.service << UNIT
[Service]
Type=notify
NotifyAccess=all
PrivateMounts=$own
LoadCredential=word:/etc/word
ExecStart=/bin/sh -c 'look start; systemd-notify --ready; exec sleep 600'
ExecStartPost=/usr/local/bin/look post
ExecReload=/usr/local/bin/look reload
UNIT
        inside systemctl start own-$own
        inside systemctl reload own-$own
        case $suite-$own in
            bookworm-no) wanted="start set content post set content reload set content" ;;
            bookworm-yes) wanted="start set content post set absent reload set absent" ;;
            *) wanted="start set content post set content reload absent" ;;
        esac
        expect "  PrivateMounts=$own" "$wanted" "$(said own-$own.service | xargs)"
    done
    halt
done
