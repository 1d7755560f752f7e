//! A guest whose root is an overlay of the image's disk and an upper disk, as docs/booting.md describes it.

use std::process::Command;

use microsandbox_image::UpperDisk;
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use msb_testkit::vm::{Guest, GuestOptions};

use super::load;

/// What the documentation's init does, without switching to the new root.
const OVERLAY: &str = "set -e\n\
    mkdir -p /upper /root\n\
    mount -t ext4 /dev/vdc /upper\n\
    if [ ! -d /upper/upper ]; then\n\
        mkdir /upper/upper /upper/work\n\
        chown $(stat -c %u:%g /mnt) /upper/upper\n\
        chmod $(stat -c %a /mnt) /upper/upper\n\
        touch -r /mnt /upper/upper\n\
    fi\n\
    mount -t overlay overlay -o lowerdir=/mnt,upperdir=/upper/upper,workdir=/upper/work /root\n\
    stat -c 'root %a %u:%g %Y' /root\n";

const END: &str = "cd /\numount /root\numount /upper\n";

#[tokio::test]
async fn a_guest_keeps_what_it_writes_over_a_reboot() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = "dir . mode=0751 uid=3 gid=4 mtime=951782400\nfile etc/motd data=hello\\n\nfile etc/gone data=x";
    let image = ImageBuilder::new().layer(Layer::recipe(recipe).gzip());
    let result = load(folder.path(), &image).await;
    let upper = folder.path().join("upper");
    UpperDisk::new(64 << 30).create(&upper).unwrap();
    let boot = |script: &str| {
        let options = GuestOptions {
            script: format!("{OVERLAY}{script}{END}"),
            writable_disk: Some(upper.clone()),
            ..GuestOptions::default()
        };
        Guest::boot_with(&result.vmdk, &options).unwrap().script
    };
    let first = boot("cat /root/etc/motd\necho written >/root/etc/motd\nrm /root/etc/gone\n");
    assert!(first.contains("root 751 3:4 951782400\n"), "{first}");
    assert!(first.contains("hello"), "{first}");
    let second = boot("cat /root/etc/motd\nls /root/etc\ncat /mnt/etc/motd\n");
    assert!(second.contains("written\nmotd\nhello"), "{second}");
    let mut e2fsck = Command::new(require(Tool::E2fsck));
    let checked = e2fsck.arg("-fn").arg(&upper).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
