# Stop the daemons that systemd runs while their program is replaced, and start the same ones again.
# Read by install.sh and, when a Debian package is upgraded, by its scripts.

running_services() {
    [ -d /run/systemd/system ] || return 0
    systemctl list-units --plain --no-legend --state=active,activating,reloading 'cdsed.service' 'cdsed@*.service' \
        'cdsed-scheduler.service' 'cdsed-worker.service' |
        awk '{printf "%s ", $1}'
}

stop_services() {
    stopped=$(running_services)
    # A worker that starts while the files change would mix old and new code.
    [ -z "$stopped" ] || systemctl stop $stopped
}

start_services() {
    [ -d /run/systemd/system ] || return 0
    systemctl daemon-reload
    [ -z "${stopped-}" ] || systemctl start --no-block $stopped
}
