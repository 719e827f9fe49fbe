#!/bin/sh
# Hold a machine: its disk (a layer in memory over the tree) stays while its systemd comes and goes. Started in a mount
# namespace of its own. When this process dies, so does every process of the machine, and the mounts end with them.
# usage: host.sh MOUNT_POINT TREE CGROUP; started in the directory of the trees
set -eu
here=$(dirname "$0") point=$1 tree=$2 cgroup=$3
mount -t tmpfs -o mode=755 tmpfs "$point"
mkdir "$point/upper" "$point/work" "$point/root"
# Relative: a path with a colon or a comma would be more than one option.
mount -t overlay -o "lowerdir=$tree,upperdir=$point/upper,workdir=$point/work" overlay "$point/root"
while :; do
    code=0
    # What a container is not given: the clock, kernel modules and raw devices belong to the real machine.
    sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - "$cgroup" \
        setpriv --pdeathsig KILL --bounding-set -sys_time,-sys_module,-sys_rawio \
        unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup --propagation private \
        sh "$here/boot.sh" "$point/root" || code=$?
    # The kernel ends the first process of a PID namespace by HUP for a reboot, by INT for a power off.
    [ "$code" = 129 ] || exit "$code"
    echo "rebooting"
done
