#!/bin/busybox sh
# The guest's only process: mounts the first disk, writes what it holds to the second, and powers off.
/bin/busybox mkdir -p /proc /dev /mnt
/bin/busybox --install -s /bin
export PATH=/bin TZ=UTC0
mount -t proc proc /proc
mount -t devtmpfs dev /dev
report() {
    {
        echo "guest $(uname -r)"
        cat /failed /entries /sums /script 2>/dev/null
        echo "guest end"
    } >/dev/vdb
    sync
    poweroff -f
}
while read -r module; do
    insmod "/modules/$module" || echo "failed insmod $module" >>/failed
done </modules/order
disk=/dev/vda
if [ -e /device-table ]; then
    disk=/dev/dm-0
    dmsetup create root --readonly --noudevsync --noudevrules --table "$(cat /device-table)" 2>>/dm-error ||
        sed 's/^/failed dmsetup /' /dm-error >>/failed
fi
if ! mount -t erofs -o ro "$disk" /mnt 2>/mount-error; then
    {
        echo "failed mount: $(cat /mount-error)"
        dmesg | grep erofs | sed 's/^/failed /'
    } >>/failed
    report
fi
. /settings
cd /mnt
# One field separator that no sane name contains; a name with a newline is not for this oracle.
sep=$(printf '\001')
find . -print0 2>>/failed-find | xargs -0 stat -c "stat${sep}%f${sep}%u${sep}%g${sep}%s${sep}%h${sep}%i${sep}%t${sep}%T${sep}%y${sep}%n${sep}%N" >/entries 2>>/failed-find
if [ "$contents" = yes ]; then
    find . -type f -print0 2>>/failed-find | xargs -0 sha256sum 2>>/failed-find | sed 's/^/sum /' >/sums
fi
if [ -s /failed-find ]; then sed 's/^/failed /' /failed-find >>/failed; fi
if [ -s /user-script ]; then sh /user-script 2>&1 | sed 's/^/script /' >/script; fi
report
