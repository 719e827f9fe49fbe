# Read by the scripts about systemd beside it: a Debian in namespaces, with its own systemd as process 1, no network.
#
# Needs root, debootstrap, util-linux, procps and a cgroup2. What it makes is in a temporary directory.
# To run several scripts, name an empty directory: SYSTEMD_TREES=/var/tmp/trees. What was downloaded stays there.
set -euo pipefail

VERSIONS="bookworm=252.39-1~deb12u2 trixie=257.13-1~deb13u1 sid=262.1-1"

[ "$(id -u)" = 0 ] || { echo "only root can boot a machine of namespaces" >&2; exit 2; }
for program in debootstrap unshare nsenter setpriv findmnt pgrep; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 2; }
done
cgroups=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || { echo "no cgroup2 here" >&2; exit 2; }
mirror=$(apt-get indextargets --format '$(SITE) $(LABEL)' 2> /dev/null | sed -n 's/ Debian$//p' | head -n 1)

work=$(mktemp -d)
cgroup=$cgroups/finding-$$
host=
trap 'halt; rm -rf --one-file-system "$work"' EXIT

# make_machine SUITE: debootstrap it, and see that its systemd is the version above.
make_machine() {
    local wanted found new=$work/$1 kept=${SYSTEMD_TREES:+$SYSTEMD_TREES/$1}
    wanted=$(echo " $VERSIONS " | sed "s/.* $1=\([^ ]*\) .*/\1/")
    if [ -d "$kept" ]; then
        cp --archive "$kept" "$new"
    else
        unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
            debootstrap --variant=minbase --include=systemd,systemd-sysv "$1" "$new" \
            "${mirror:-http://deb.debian.org/debian}" > "$work/log" 2>&1 || { tail "$work/log"; exit 1; }
        [ -z "$kept" ] || cp --archive "$new" "$kept"
    fi
    found=$(chroot "$new" dpkg-query --show --showformat='${Version}' systemd)
    [ "$found" = "$wanted" ] || { echo "changed: $1 has systemd $found, this was seen with $wanted"; exit 1; }
    ln -s /dev/null "$new/etc/systemd/system/systemd-udevd.service"
}

# boot SUITE PROPAGATION: make it, boot it, and say its version. Its mounts are rshared or private.
boot() {
    local tries=0
    make_machine "$1"
    mkdir "$cgroup"
    # shellcheck disable=SC2016
    sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - "$cgroup" \
        setpriv --pdeathsig KILL --bounding-set -sys_time,-sys_module,-sys_rawio \
        unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup --propagation private \
        sh -euc "$BECOME" - "$work/$1" "$2" < /dev/null > "$work/log" 2>&1 &
    host=$!
    until inside systemctl is-system-running --wait 2> /dev/null | grep -qx running; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "$1 does not boot"; cat "$work/log"; exit 1; }
        sleep 0.1
    done
    inside systemctl --version | head -n 1
}

# inside COMMAND ...: run it in the machine.
inside() {
    nsenter -t "$(pgrep -P "$host" -x systemd)" -m -u -i -n -p -C \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}

# unit NAME: write a unit from standard input.
unit() {
    # shellcheck disable=SC2016
    inside sh -c 'cat > "/etc/systemd/system/$1" && systemctl daemon-reload' - "$1"
}

# said UNIT: what its programs wrote.
said() {
    inside journalctl --sync
    inside journalctl --unit "$1" --output cat --no-pager _TRANSPORT=stdout
}

# expect WHAT WANTED FOUND
expect() {
    echo "$1: $3"
    [ "$2" = "$3" ] || { echo "changed: it was: $2"; exit 1; }
}

halt() {
    [ -n "$host" ] || return 0
    kill -KILL "$host" 2> /dev/null || true
    wait "$host" 2> /dev/null || true
    host=
    while [ -d "$cgroup" ]; do
        find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null || sleep 0.1
    done
}

# Run as the first process of the machine, with its root directory and the propagation of its mounts.
# shellcheck disable=SC2016
BECOME='
root=$1
mount --bind "$root" "$root"
mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
mount -t sysfs -o ro,nosuid,noexec,nodev sysfs "$root/sys"
mount -t cgroup2 -o nosuid,noexec,nodev cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
for path in sys sysrq-trigger; do
    [ ! -e "$root/proc/$path" ] || { mount --bind "$root/proc/$path" "$root/proc/$path"
        mount -o remount,bind,ro "$root/proc/$path"; }
done
cd "$root"
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
mount "--make-$2" /
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
'
