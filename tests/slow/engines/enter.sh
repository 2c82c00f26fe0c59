# Runs as the first process of a mount and a PID namespace: enters a root tree and starts an engine in it.
# Nothing it mounts is seen outside, and all of it ends with this process.
#   enter.sh TREE STATE VISIBLE -- COMMAND...      VISIBLE: paths of the host, one a line, at the same place inside
set -eu
tree=$1 state=$2 visible=$3
shift 4
root=$state/root
mkdir -p "$state/upper" "$state/work" "$root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$state/upper,workdir=$state/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/engine" "$root/run/lock" "$root/etc/cdi" "$root/var/lib/engine"
mount --bind "$state/run" "$root/run/engine"
mount --bind "$state/cdi" "$root/etc/cdi"
mount --bind "$state/data" "$root/var/lib/engine"
printf '%s\n' "$visible" | while IFS= read -r path; do
    [ -n "$path" ] || continue
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
# crun refuses a version 2 hierarchy with controllers beside version 1, as some hosts have it.
umount "$root/sys/fs/cgroup/unified" 2>/dev/null || true
mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
"$@" &
wait "$!"
