#!/bin/sh
# Run a command in a tree, with the network of this machine. Started in a mount and PID namespace of its own, with
# which the mounts end.
# usage: enter.sh TREE 'SHARED PATHS, ONE PER LINE' COMMAND ...
set -eu
tree=$1 shared=$2
shift 2
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
echo "$shared" | while IFS= read -r path; do
    if [ -d "$path" ]; then
        mkdir -p "$tree$path"
    elif [ -e "$path" ]; then
        mkdir -p "$(dirname "$tree$path")"
        touch "$tree$path"
    else
        continue
    fi
    mount --rbind -o ro "$path" "$tree$path"
done
exec chroot "$tree" "$@"
