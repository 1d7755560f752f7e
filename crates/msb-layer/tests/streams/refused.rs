//! Entries that no layer may have.

use super::*;

#[test]
fn a_bare_whiteout_and_what_is_below_a_whiteout_are_errors() {
    for recipe in [
        "file .wh. size=0",
        "file a/.wh. size=0",
        "file .wh.a/b size=0",
        "file .wh... size=0",
        "file a/.wh... size=0",
        "file .wh.x/.wh.y size=0",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Whiteout { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn a_path_with_dot_dot_is_an_error_in_names_and_links() {
    for recipe in [
        "file ../a size=0",
        "file a/../b size=0",
        "file .. size=0",
        "dir a/..",
        "whiteout ../a",
        "link a target=../b",
        "link a target=b/../c",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Path { .. }),
            "{recipe}: {error}"
        );
    }
    assert!(
        Attempt::plain(&tar::recipe("symlink a target=../../b"))
            .run()
            .is_ok()
    );
}

#[test]
fn a_file_for_a_parent_and_a_loop_of_symlinks_are_errors() {
    for recipe in [
        "file a size=1\nfile a/b size=1",
        "symlink a target=b\nsymlink b target=a\nfile a/c size=1",
        "file . size=1",
        "symlink . target=x",
    ] {
        let error = error(Attempt::plain(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Apply { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn an_archive_that_is_cut_off_in_an_entry_is_an_error_and_without_its_end_is_not() {
    let tar = tar::recipe("file a size=5000 seed=1\nfile b size=1\nnoend");
    assert!(Attempt::plain(&tar).run().is_ok());
    for len in [100, 512, 513, 5000, 5511, 5512] {
        let result = Attempt::plain(&tar[..len]).run();
        assert_eq!(result.is_ok(), len == 5512, "{len}: {result:?}");
    }
    assert!(Attempt::plain(b"").run().is_ok());
}
