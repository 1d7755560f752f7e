//! The user of an image, by the files of the image.

use std::path::Path;

use microsandbox_image::{ImageUser, InspectError, UserError};
use msb_testkit::image::{ImageBuilder, Layer};
use serde_json::json;

use super::load;

async fn user(recipe: &str, user: &str) -> Result<ImageUser, UserError> {
    let folder = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new().layer(Layer::recipe(recipe).gzip());
    let image = image.config(json!({"User": user}));
    load(folder.path(), &image).await.resolve_user()
}

#[tokio::test]
async fn links_to_the_files_are_followed_inside_the_image() {
    // Absolute, and with more `..` than there are directories: neither leads to the files of this machine.
    let recipe = "symlink etc/passwd target=/usr/lib/users\n\
                  symlink etc/group target=../../../../usr/lib/groups\n\
                  file usr/lib/users data=app:x:12:34::/srv/app:/bin/sh\\n\n\
                  file usr/lib/groups data=app:x:34:\\nextra:x:56:app\\n";
    let found = user(recipe, "app").await.unwrap();
    assert_eq!((found.uid, found.gid), (12, 34));
    assert_eq!(found.supplementary_gids, [56]);
    assert_eq!(found.home, Path::new("/srv/app"));
}

#[tokio::test]
async fn without_the_files_numbers_work_and_names_do_not() {
    for (text, ids) in [("", (0, 0)), ("7", (7, 0)), ("7:8", (7, 8)), (":8", (0, 8))] {
        let found = user("dir etc", text).await.unwrap();
        assert_eq!((found.uid, found.gid), ids, "{text}");
        assert_eq!(found.home, Path::new("/"));
    }
    // This machine has that user.
    let error = user("dir etc", "daemon").await.unwrap_err();
    assert!(matches!(error, UserError::NoUser { .. }), "{error}");
    let error = user("dir etc", "7:daemon").await.unwrap_err();
    assert!(matches!(error, UserError::NoGroup { .. }), "{error}");
    // A link that leads nowhere is a missing file.
    let found = user("symlink etc/passwd target=nowhere", "7").await;
    assert_eq!(found.unwrap().uid, 7);
}

#[tokio::test]
async fn hostile_files_are_bounded_errors() {
    let sparse = "file etc/passwd sparse=pax1.0 map=0:512 size=1000000000000 seed=1";
    let error = user(sparse, "app").await.unwrap_err();
    assert!(
        matches!(
            error,
            UserError::TooLong {
                bytes: 1_000_000_000_000,
                ..
            }
        ),
        "{error}"
    );
    for recipe in ["dir etc/passwd", "fifo etc/passwd"] {
        let error = user(recipe, "app").await.unwrap_err();
        let is_type = matches!(error, UserError::Inspect(InspectError::WrongType { .. }));
        assert!(is_type, "{recipe}: {error}");
    }
    let cycle = "symlink etc/passwd target=group\nsymlink etc/group target=passwd";
    let error = user(cycle, "app").await.unwrap_err();
    assert!(
        matches!(error, UserError::Inspect(InspectError::Disk { .. })),
        "{error}"
    );
}
