//! The oracles themselves: each passes on what is right, and fails once on what is not.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how long it took"
)]

use std::{fs, path::Path};

use msb_testkit::{
    erofs_tools,
    image::{ImageBuilder, IndexBuilder, Layer},
    mount::KernelMount,
    registry::{DockerRegistry, PushFormat, RegistryOptions},
    tree::{Ignore, Listing},
    umoci,
};

const TREE: &str = "dir a mode=0700 mtime=7.5\nfile a/f size=100000 seed=1 xattr.user.x=1\nlink a/g target=a/f\nsymlink l target=a/f\nchar c dev=1:3";

fn layer(folder: &Path, name: &str, recipe: &str, options: &[&str]) -> std::path::PathBuf {
    let (tar, image) = (
        folder.join(format!("{name}.tar")),
        folder.join(format!("{name}.erofs")),
    );
    fs::write(&tar, msb_testkit::tar::recipe(recipe)).unwrap();
    erofs_tools::mkfs(
        &image,
        &tar,
        &[&["--tar=f", "-T1700000000"], options].concat(),
    )
    .unwrap();
    image
}

fn flip(path: &Path, content: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes
        .windows(content.len())
        .position(|window| window == content)
        .unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_wrong_superblock_checksum_is_a_failure_though_fsck_ends_well() {
    const CHECKSUM: usize = 1024 + 4;
    let dir = tempfile::tempdir().unwrap();
    let image = layer(dir.path(), "image", TREE, &[]);
    erofs_tools::fsck(&image, &[]).unwrap();
    let mut bytes = fs::read(&image).unwrap();
    bytes[CHECKSUM] ^= 1;
    fs::write(&image, bytes).unwrap();
    let error = erofs_tools::fsck(&image, &[]).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert!(erofs_tools::extract(&image, &[], &dir.path().join("out")).is_err());
}

#[test]
fn kernel_fsck_and_a_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let image = layer(dir.path(), "image", TREE, &[]);
    let mount = KernelMount::erofs(&image, &[]).unwrap();
    let mounted = Listing::walk(mount.path()).unwrap();
    let point = mount.path().to_owned();
    drop(mount);
    assert!(!point.exists(), "unmounted and removed");
    assert_eq!(
        mounted.get("/a/g").unwrap().link.as_deref(),
        Some(&b"/a/f"[..])
    );

    erofs_tools::fsck(&image, &[]).unwrap();
    let out = dir.path().join("out");
    erofs_tools::extract(&image, &[], &out).unwrap();
    let extracted = Listing::walk(&out).unwrap();
    mounted
        .same(
            "mount",
            &extracted,
            "fsck",
            &Ignore {
                root: true,
                ..Ignore::default()
            },
        )
        .unwrap();
    assert!(erofs_tools::superblock(&image).unwrap().contains("block"));

    flip(&image, &msb_testkit::content::bytes(1, 64));
    let mount = KernelMount::erofs(&image, &[]).unwrap();
    let changed = Listing::walk(mount.path()).unwrap();
    let lines = mounted.diff(&changed, &Ignore::default());
    assert!(
        lines.len() == 1 && lines[0].starts_with("/a/f: sha256"),
        "{lines:?}"
    );
}

#[test]
fn a_damaged_superblock_is_refused_by_both() {
    let dir = tempfile::tempdir().unwrap();
    let image = layer(dir.path(), "image", TREE, &[]);
    let mut bytes = fs::read(&image).unwrap();
    bytes[1024] ^= 1;
    fs::write(&image, bytes).unwrap();
    let error = KernelMount::erofs(&image, &[]).unwrap_err().to_string();
    assert!(error.contains("create the superblock"), "{error}");
    erofs_tools::fsck(&image, &[]).unwrap_err();
}

#[test]
fn layers_as_devices_and_as_an_overlay() {
    let dir = tempfile::tempdir().unwrap();
    // mkfs.erofs merges what has no inline data, lowest layer first.
    let options = ["--aufs", "-Enoinline_data"];
    let lower = layer(dir.path(), "lower", TREE, &options);
    let upper = layer(
        dir.path(),
        "upper",
        "file b size=5000 seed=2\nwhiteout c",
        &options,
    );
    let fsmeta = dir.path().join("fsmeta.erofs");
    erofs_tools::mkfs(
        &fsmeta,
        &lower,
        &["--ovlfs-strip=1", upper.to_str().unwrap()],
    )
    .unwrap_err();
    let merged = std::process::Command::new(msb_testkit::oracle::require(
        msb_testkit::oracle::Tool::MkfsErofs,
    ))
    .args(["--aufs", "--ovlfs-strip=1"])
    .args([&fsmeta, &lower, &upper])
    .output()
    .unwrap();
    assert!(
        merged.status.success(),
        "{}",
        String::from_utf8_lossy(&merged.stderr)
    );

    let devices = [lower.as_path(), upper.as_path()];
    erofs_tools::fsck(&fsmeta, &devices).unwrap();
    let mount = KernelMount::erofs(&fsmeta, &devices).unwrap();
    let stitched = Listing::walk(mount.path()).unwrap();
    assert_eq!(stitched.get("/b").unwrap().size, Some(5000));
    assert!(stitched.get("/c").is_none());

    let mounts = [
        KernelMount::erofs(&lower, &[]).unwrap(),
        KernelMount::erofs(&upper, &[]).unwrap(),
    ];
    let overlay = KernelMount::overlay(&[mounts[0].path(), mounts[1].path()]).unwrap();
    let overlaid = Listing::walk(overlay.path()).unwrap();
    let ignore = Ignore {
        root: true,
        ..Ignore::default()
    };
    stitched
        .same("fsmeta", &overlaid, "overlay", &ignore)
        .unwrap();
    let single = KernelMount::overlay(&[mounts[0].path()]).unwrap();
    assert!(Listing::walk(single.path()).unwrap().get("/a/f").is_some());

    let swapped = KernelMount::erofs(&fsmeta, &[&upper, &lower]).unwrap();
    let wrong = std::panic::catch_unwind(|| {
        Listing::walk(swapped.path()).map(|listing| stitched.diff(&listing, &ignore))
    });
    assert!(
        !matches!(wrong, Ok(Ok(lines)) if lines.is_empty()),
        "swapped devices must be seen"
    );
}

#[test]
fn a_registry_counts_what_is_asked_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new()
        .layer(Layer::recipe(TREE).gzip_members(3))
        .layer(Layer::recipe("whiteout c\nfile b data=1").zstd_frames(2, true))
        .config(serde_json::json!({ "Env": ["A=b"] }));
    let built = image.write_layout(dir.path(), "one").unwrap();
    let index = IndexBuilder::new()
        .image(image.clone())
        .image(image.clone().platform("linux", "arm").variant("v7"))
        .write_layout(dir.path(), "many")
        .unwrap();
    let docker = image
        .clone()
        .docker_schema2()
        .write_layout(dir.path(), "docker")
        .unwrap();

    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    registry
        .push_oci_layout(dir.path(), "a/one", "latest")
        .unwrap_err();
    assert_eq!(
        registry
            .push_oci_layout(dir.path(), "a/one", "one")
            .unwrap(),
        built.manifest_digest
    );
    assert_eq!(
        registry
            .push_oci_layout(dir.path(), "a/many", "many")
            .unwrap(),
        index.digest
    );
    assert_eq!(
        registry
            .push_raw(dir.path(), "raw/docker", "docker")
            .unwrap(),
        docker.manifest_digest
    );
    let converted = registry
        .push_oci_layout_as(dir.path(), "a/v2", "one", PushFormat::Zstd)
        .unwrap();
    assert_ne!(converted, built.manifest_digest);
    let stored = registry.storage().join("docker/registry/v2/blobs/sha256");
    let manifest = stored
        .join(&converted[7..9])
        .join(&converted[7..])
        .join("data");
    assert_eq!(
        fs::read_to_string(manifest)
            .unwrap()
            .matches("tar+zstd")
            .count(),
        2
    );

    registry.forget_requests().unwrap();
    let copy = dir.path().join("copy");
    let pull = |registry: &DockerRegistry| {
        std::process::Command::new(msb_testkit::oracle::require(
            msb_testkit::oracle::Tool::Skopeo,
        ))
        .args(["--insecure-policy", "copy", "--src-tls-verify=false"])
        .arg(format!("docker://{}/a/one:one", registry.host()))
        .arg(format!("oci:{}:x", copy.display()))
        .output()
        .unwrap()
    };
    assert!(pull(&registry).status.success());
    for digest in &built.layer_digests {
        assert_eq!(registry.blob_gets(digest), 1, "{:#?}", registry.requests());
    }
    assert!(
        registry
            .requests()
            .iter()
            .all(|request| !request.user_agent.is_empty())
    );

    let locked = RegistryOptions {
        basic_auth: Some(("me".into(), "secret".into())),
        tls: true,
        ..RegistryOptions::default()
    };
    let locked = DockerRegistry::start(locked).unwrap();
    assert_eq!(
        locked.push_oci_layout(dir.path(), "a/one", "one").unwrap(),
        built.manifest_digest
    );
    assert!(locked.ca_cert().unwrap().exists() && locked.url().starts_with("https://"));
    assert!(!pull(&locked).status.success(), "without the password");
    assert!(
        locked
            .requests()
            .iter()
            .any(|request| request.status == 401)
    );
}

#[test]
fn umoci_merges_and_loses_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let layout = dir.path().join("layout");
    let image = ImageBuilder::new()
        .layer(Layer::recipe(TREE).gzip())
        .layer(Layer::recipe("whiteout c\nfile a/h data=1").plain());
    image.write_layout(&layout, "t").unwrap();
    let merged = umoci::unpack(&layout, "t", &dir.path().join("bundle")).unwrap();
    assert!(merged.get("/c").is_none() && merged.get("/a/h").is_some());
    assert_eq!(merged.get("/a").unwrap().mode, 0o700);
    assert_eq!(
        merged.get("/a/g").unwrap().link.as_deref(),
        Some(&b"/a/f"[..])
    );
}
