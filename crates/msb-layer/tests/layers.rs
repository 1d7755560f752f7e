//! Effects of layers on each other. Every disk is verified by all oracles (see `common::oracles`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::disk;
use msb_sidecar::Note;

#[test]
fn a_whiteout_acts_on_lower_layers_only_whatever_the_order_in_the_tar() {
    let below = "dir . mtime=5\ndir d mode=0700\nfile d/old size=10\nfile gone size=5000";
    for upper in [
        "dir . mtime=5\nwhiteout d\nwhiteout gone\ndir d\nfile d/new size=2",
        "dir . mtime=5\ndir d\nfile d/new size=2\nwhiteout gone\nwhiteout d",
    ] {
        disk(&[below, upper]).holds("/ d @5\n/d d\n/d/new f 2");
    }
}

#[test]
fn a_whiteout_and_a_new_file_of_the_same_name_leave_the_new_file() {
    for upper in ["whiteout f\nfile f size=2", "file f size=2\nwhiteout f"] {
        disk(&["file f size=9000\nfile g size=1", upper]).holds("/ d @0\n/f f 2\n/g f 1");
    }
}

#[test]
fn an_opaque_marker_never_hides_its_own_layers_siblings() {
    let below = "dir d\nfile d/old size=10\ndir d/sub\nfile d/sub/old size=1";
    for upper in [
        "dir d\nopaque d\nfile d/new size=2\ndir d/sub\nfile d/sub/new size=3",
        "dir d\nfile d/new size=2\ndir d/sub\nfile d/sub/new size=3\nopaque d",
    ] {
        disk(&[below, upper]).holds("/ d @0\n/d d\n/d/new f 2\n/d/sub d\n/d/sub/new f 3");
    }
}

#[test]
fn the_root_may_be_opaque() {
    let disk = disk(&[
        "dir . mode=0700\nfile old size=10\ndir d\nfile d/x size=1",
        "dir . mtime=5\nopaque .\nfile new size=2",
    ]);
    disk.holds("/ d @5\n/new f 2");
    // An overlay does not support an opaque root.
    assert!(disk.layers[1].made.notes.contains(&Note::OpaqueRoot));
}

#[test]
fn a_whiteout_may_be_typed_as_a_hard_link_or_a_symlink() {
    disk(&[
        "file a size=1\nfile b size=1\nfile c size=1\nfile d size=1",
        "link .wh.a target=nothing\nsymlink .wh.b target=c\nchar .wh.c dev=0:0",
    ])
    .holds("/ d @0\n/d f 1");
}

#[test]
fn a_whiteout_of_a_missing_path_is_accepted() {
    disk(&[
        "file a size=1",
        "whiteout b\nwhiteout c/d/e\nopaque f/g\nwhiteout a/b",
    ])
    .has("/a f 1");
}

#[test]
fn a_one_layer_image_takes_the_merge_path_and_no_whiteout_leaks() {
    let disk = disk(&[
        "dir d\nopaque d\nfile d/x size=1\nwhiteout gone\nwhiteout d/gone\nwhiteout n/gone",
    ]);
    disk.has("/d d\n/d/x f 1");
    assert!(!disk.listing().entries.contains_key(&b"/gone"[..]));
}

#[test]
fn a_whiteout_inside_a_directory_that_is_new_in_the_same_layer_leaves_nothing_behind() {
    // An overlay lists the whiteout if only one layer has its directory, and cannot open it; the merged disk has no entry.
    disk(&["file a size=1", "file n/y size=2\nwhiteout n/x"])
        .holds("/ d @0\n/a f 1\n/n d @0\n/n/y f 2");
    let tars =
        ["file a size=1", "dir n\nwhiteout n/x\nfile n/y size=2"].map(msb_testkit::tar::recipe);
    common::stitch(&tars).holds("/ d @0\n/a f 1\n/n d\n/n/y f 2");
}

#[test]
fn a_layer_image_has_whiteouts_and_opaque_directories_as_overlayfs_reads_them() {
    let disk = disk(&[
        "dir . mtime=5\ndir d\nfile d/old size=1\nfile gone size=1\ndir k\nfile k/keep size=1",
        "dir . mtime=5\ndir d\nopaque d\nwhiteout gone\ndir k",
    ]);
    disk.holds("/ d @5\n/d d\n/k d\n/k/keep f 1");
    assert_eq!(
        disk.layers[1].short(),
        "/ d @5\n/d d trusted.overlay.opaque=79\n/gone c 0000 @0 0:0\n/k d\n"
    );
}

#[test]
fn a_hard_link_keeps_one_inode_and_the_right_count() {
    let disk = disk(&[
        "file a size=5000 seed=1\nlink b target=a\nlink d/c target=./a\nsymlink s target=a\nlink s2 target=s\nchar n dev=1:3\nlink n2 target=n\nfile e\nlink e2 target=/e",
    ]);
    disk.holds(
        "/ d @0\n/a f nlink=3 5000\n/b f = /a\n/d d @0\n/d/c f = /a\n/e f nlink=2 0\n/e2 f = /e
         /n c nlink=2 1:3\n/n2 c = /n\n/s l nlink=2 -> a\n/s2 l = /s",
    );
}

#[test]
fn a_hard_link_to_a_lower_layers_file_keeps_one_inode() {
    let disk = disk(&[
        "dir d\nfile d/a size=5000 seed=1 uid=7\nfile small size=3\nsymlink s target=a\nchar n dev=1:3",
        "link b target=d/a\nlink small2 target=small\nlink s2 target=s\nlink n2 target=n",
        "link d/c target=b",
    ]);
    disk.holds(
        "/ d @0\n/b f 7:0 nlink=3 5000\n/d d\n/d/a f = /b\n/d/c f = /b
         /n c nlink=2 1:3\n/n2 c = /n\n/s l nlink=2 -> a\n/s2 l = /s\n/small f nlink=2 3\n/small2 f = /small",
    );
    let note = &disk.layers[1].made.notes[0];
    assert!(
        matches!(note, Note::LinksBelow { count: 4, .. }),
        "{note:?}"
    );
}

#[test]
fn an_edit_of_one_name_in_an_upper_layer_leaves_the_other_names_alone() {
    disk(&[
        "dir . mtime=5\nfile a size=5000\nlink b target=a\nlink c target=a",
        "dir . mtime=5\nfile b size=3",
        "dir . mtime=5\nwhiteout c",
    ])
    .holds("/ d @5\n/a f 5000\n/b f 3");
}

#[test]
fn a_hard_link_to_nothing_is_an_error() {
    let tars = [msb_testkit::tar::recipe("link a target=b")];
    let caught = std::panic::catch_unwind(|| common::stitch(&tars)).unwrap_err();
    let text = caught.downcast_ref::<String>().unwrap();
    assert!(text.contains("LinkTargetMissing"), "{text}");
}

#[test]
fn an_entry_replaces_an_earlier_one_of_the_same_name() {
    disk(&[
        "file ff size=5000\nfile ff size=2\nfile fd size=9000\ndir fd\nfile fd/x size=1\ndir df\nfile df/x size=1\nfile df size=4
         dir dd mode=0700\nfile dd/x size=1\ndir dd mode=0711\nsymlink sd target=dd\ndir sd",
    ])
    .holds("/ d @0\n/dd d 0711\n/dd/x f 1\n/df f 4\n/fd d\n/fd/x f 1\n/ff f 2\n/sd d");
    disk(&[
        "dir . mtime=5\nfile ff size=5000\nfile fd size=9000\ndir df\nfile df/x size=1\ndir dd mode=0700\nfile dd/x size=1",
        "dir . mtime=5\nfile ff size=2\ndir fd\nfile fd/x size=1\nfile df size=4\ndir dd mode=0711",
    ])
    .holds("/ d @5\n/dd d 0711\n/dd/x f 1\n/df f 4\n/fd d\n/fd/x f 1\n/ff f 2");
}

#[test]
fn a_file_gives_its_place_to_a_directory_and_back_over_layers() {
    disk(&[
        "dir . mtime=5\ndir a\nfile a/old size=1",
        "dir . mtime=5\nfile a size=2",
        "dir . mtime=5\ndir a\nfile a/new size=3",
    ])
    .holds("/ d @5\n/a d\n/a/new f 3");
}

#[test]
fn an_implied_directory_keeps_the_lower_layers_metadata() {
    let disk = disk(&[
        "dir . mode=0711\ndir usr mode=2750 uid=5 gid=70000 mtime=9.5 xattr.user.a=x\ndir usr/lib mode=0700",
        "file usr/lib/x size=1",
        "dir usr/lib/y",
    ]);
    disk.holds(
        "/ d 0711\n/usr d 2750 5:70000 @9.500000000 user.a=78\n/usr/lib d 0700\n/usr/lib/x f 1\n/usr/lib/y d",
    );
    let note = &disk.layers[1].made.notes[0];
    let expected = Note::ImpliedDirectories {
        count: 2,
        first: "usr".into(),
    };
    assert_eq!(note, &expected);
}

#[test]
fn an_implied_directory_with_nothing_below_it_is_0755_and_roots() {
    disk(&["file a/b/c size=1"]).holds("/ d @0\n/a d @0\n/a/b d @0\n/a/b/c f 1");
}

#[test]
fn an_implied_directory_that_is_described_later_takes_that_description() {
    disk(&["file a/b size=1\ndir a mode=0700 uid=3"]).holds("/ d @0\n/a d 0700 3:0\n/a/b f 1");
}

#[test]
fn an_implied_parent_follows_a_lower_symlink_inside_the_root() {
    let below = "dir usr\ndir usr/lib\nsymlink lib target=usr/lib\nsymlink out target=/../../usr/lib\nsymlink up target=../../../usr";
    disk(&[below, "file lib/x size=1\nfile out/y size=2\nfile up/z size=3"]).holds(
        "/ d @0\n/lib l -> usr/lib\n/out l -> /../../usr/lib\n/up l -> ../../../usr\n/usr d\n/usr/lib d\n/usr/lib/x f 1\n/usr/lib/y f 2\n/usr/z f 3",
    );
    disk(&["dir usr\ndir usr/lib\nsymlink lib target=usr/lib\nfile lib/x size=1"])
        .holds("/ d @0\n/lib l -> usr/lib\n/usr d\n/usr/lib d\n/usr/lib/x f 1");
}

#[test]
fn an_explicit_directory_replaces_a_lower_symlink() {
    disk(&[
        "dir usr\ndir usr/lib\nsymlink lib target=usr/lib",
        "dir lib mode=0700\nfile lib/x size=1",
    ])
    .holds("/ d @0\n/lib d 0700\n/lib/x f 1\n/usr d\n/usr/lib d");
}

#[test]
fn a_marker_is_never_followed_through_a_symlink() {
    disk(&[
        "dir usr\ndir usr/lib\nfile usr/lib/y size=1\nsymlink lib target=usr/lib",
        "whiteout lib/y\nopaque lib",
    ])
    .has("/lib l -> usr/lib\n/usr/lib d\n/usr/lib/y f 1");
}

#[test]
fn paths_are_normalized() {
    disk(&["dir ./ mode=0700 uid=1 mtime=5 xattr.user.r=root\nfile ./a size=1\nfile /b size=1\ndir c\nfile c//d size=1\nfile c/./e size=1\nfile ./c///./f size=1"])
        .holds("/ d 0700 1:0 @5 user.r=726f6f74\n/a f 1\n/b f 1\n/c d\n/c/d f 1\n/c/e f 1\n/c/f f 1");
}

#[test]
fn the_root_keeps_the_lower_layers_metadata_where_a_layer_does_not_describe_it() {
    disk(&["dir . mode=0700 uid=3 mtime=5", "file a size=1"]).holds("/ d 0700 3:0 @5\n/a f 1");
}

#[test]
fn what_would_steer_an_overlay_is_left_out_with_a_note() {
    let disk = disk(&[
        "file low size=1\ndir d",
        "dir d xattr.trusted.overlay.opaque=y xattr.user.overlay.whiteout=y xattr.user.overlayx=k xattr.trusted.t=v\nchar low dev=0:0\nchar new dev=0:0",
    ]);
    disk.holds("/ d @0\n/d d trusted.t=76 user.overlayx=6b\n/low f 1");
    let notes = &disk.layers[1].made.notes;
    let of = |name: &str| Note::OverlayXattr {
        path: "d".into(),
        name: name.into(),
    };
    let device = |path: &str| Note::WhiteoutDevice { path: path.into() };
    for note in [
        of("trusted.overlay.opaque"),
        of("user.overlay.whiteout"),
        device("low"),
        device("new"),
    ] {
        assert!(
            notes.contains(&note) && note.is_loss(),
            "{note:?} not in {notes:?}"
        );
    }
}

#[test]
fn an_acl_that_linux_refuses_is_left_out_with_a_note() {
    let entries = "01000600ffffffff04000400ffffffff20000400ffffffff";
    let good = format!("02000000{entries}");
    let disk = disk(&[&format!(
        "dir d xattr.system.posix_acl_default=hex:03000000{entries} xattr.user.a=x\nfile f size=1 xattr.system.posix_acl_access=hex:0200\nfile g size=1 xattr.system.posix_acl_access=hex:{good}"
    )]);
    disk.holds(&format!(
        "/ d @0\n/d d user.a=78\n/f f 1\n/g f 1 system.posix_acl_access={good}"
    ));
    let of = |path: &str, name: &str| Note::MalformedAcl {
        path: path.into(),
        name: name.into(),
    };
    let notes = &disk.layers[0].made.notes;
    for note in [
        of("d", "system.posix_acl_default"),
        of("f", "system.posix_acl_access"),
    ] {
        assert!(
            notes.contains(&note) && note.is_loss(),
            "{note:?} not in {notes:?}"
        );
    }
}

#[test]
fn the_aufs_names_are_not_files() {
    let disk = disk(&[
        "file .wh..wh.aufs size=1\ndir .wh..wh.plnk\nfile .wh..wh.plnk/1.2 size=3\nfile .wh..wh..opqx size=1\nfile a size=1",
    ]);
    disk.holds("/ d @0\n/a f 1");
    let aufs = disk.layers[0]
        .made
        .notes
        .iter()
        .filter(|note| matches!(note, Note::AufsFile { .. }));
    assert_eq!(aufs.count(), 4);
}

#[test]
fn a_hard_link_to_an_omitted_path_is_omitted_too() {
    let disk = disk(&[
        "file low size=3",
        "char c dev=0:0\nlink l target=c\nlink ll target=l\nfile .wh..wh.plnk/1.2 size=3\nlink p target=.wh..wh.plnk/1.2
         char low dev=0:0\nlink m target=low
         char again dev=0:0\nfile again size=1\nlink n target=again",
    ]);
    disk.holds("/ d @0\n/again f nlink=2 1\n/low f 3\n/n f = /again");
    let notes = &disk.layers[1].made.notes;
    for (path, target) in [
        ("l", "c"),
        ("ll", "l"),
        ("p", ".wh..wh.plnk/1.2"),
        ("m", "low"),
    ] {
        let note = Note::LinkToLeftOut {
            path: path.into(),
            target: target.into(),
        };
        assert!(
            notes.contains(&note) && note.is_loss(),
            "{note:?} not in {notes:?}"
        );
    }
}

#[test]
fn a_type_that_is_no_file_is_left_out_with_a_note_and_its_payload_passed_over() {
    let disk = disk(&["raw p type=M size=0 data=hello\nfile a size=1"]);
    disk.holds("/ d @0\n/a f 1");
    let expected = Note::UnknownType {
        path: "p".into(),
        type_flag: b'M',
    };
    assert!(disk.layers[0].made.notes.contains(&expected));
}

#[test]
fn an_image_without_layers_is_only_fsmeta() {
    let disk = disk(&[]);
    disk.holds("/ d @0");
}

#[test]
fn an_empty_layer_is_a_layer() {
    disk(&["", "file a size=1", ""]).holds("/ d @0\n/a f 1");
}

#[test]
fn the_same_layer_twice_in_an_image_has_one_device() {
    let tars = [
        "file a size=5000 seed=1\nfile i size=5",
        "file a size=6000 seed=2\nfile b size=1",
    ]
    .map(msb_testkit::tar::recipe);
    let made = common::stitch(&tars);
    let disk = common::stitch_layers(made.dir, made.layers, &[0, 1, 0]);
    disk.verify();
    disk.holds("/ d @0\n/a f 5000\n/b f 1\n/i f 5");
}

#[test]
fn every_tar_spelling_of_an_entry_reaches_the_disk() {
    let name = "n".repeat(255);
    let deep = format!("{}/{}", "d".repeat(255), "f".repeat(255));
    let expected = format!(
        "/ d @0\n/{0} d @0\n/{deep} f 1\n/dir d\n/{name} f 3000000:4000000000 @-86400 3\n/seven f 4097\n/v f 2",
        "d".repeat(255)
    );
    for format in ["gnu", "pax"] {
        disk(&[&format!(
            "file {name} size=3 uid=3000000 gid=4000000000 mtime=-86400 format={format}\nfile {deep} size=1 format={format}
             dir dir format=v7\nfile v size=2 format=v7\ncontiguous seven size=4097 seed=2"
        )])
        .holds(&expected);
    }
}

#[test]
fn a_hard_link_header_that_carries_a_size_has_no_data() {
    disk(&["file a size=5000 seed=3\nlink b target=a header-size=5000\nfile c size=1"])
        .holds("/ d @0\n/a f nlink=2 5000\n/b f = /a\n/c f 1");
}

#[test]
fn global_pax_headers_and_empty_values() {
    disk(&["global mtime=5 uid=9\nfile a size=1\nfile b size=1 pax.uid= pax.mtime=123.5\nfile c size=1 xattr.user.e="])
        .holds("/ d @0\n/a f 9:0 @5 1\n/b f @123.500000000 1\n/c f 9:0 @5 1 user.e=");
}
