//! Applications on Debian, as people ship them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{TAG, World, debian, reopen};
use crate::{
    KitError, command,
    image::Layer,
    oracle::{Tool, apt::PrivateApt, require},
};

/// Packages of many small files: more than 50,000 together.
const NODE_PACKAGES: &[&str] = &[
    "@mui/icons-material@5",
    "@fluentui/svg-icons@1",
    "@tabler/icons@3",
    "date-fns@3",
    "core-js@3",
    "lodash@4",
    "lodash-es@4",
    "typescript@5",
];
/// From PyPI, as wheels.
pub(super) const PACKAGES: &[&str] = &["numpy", "pandas"];
/// Libraries of tens of megabytes beside many small modules, as data services have them.
pub(super) const MORE_PACKAGES: &[&str] = &[
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "pyarrow",
    "matplotlib",
];
const SITE: &str = "usr/local/lib/python3.11/dist-packages";

/// Layers: Debian; Python, unpacked as packages are; `wheels`, numpy and pandas among them; a slimming step that deletes, replaces
/// and links; the application, over an opaque directory.
pub(super) fn python(wheels: &[&str], work: &Path, layout: &Path) -> Result<(), KitError> {
    let umoci = Umoci::unpack(work, &World::Base.layout()?)?;
    let root = umoci.root();

    let packages = work.join("packages");
    let apt = PrivateApt::update(&work.join("apt"), debian::SUITE)?
        .with_status(&root.join("var/lib/dpkg/status"));
    apt.unpack(&["python3", "libopenblas0-pthread"], &packages)?;
    // dpkg-deb alone would replace the root's symlink `lib` by the packages' directory.
    let mut copy = Command::new("sh");
    copy.args([
        "-c",
        "tar -C \"$1\" -c . | tar -C \"$2\" -xp --keep-directory-symlink",
        "sh",
    ])
    .arg(&packages)
    .arg(&root);
    command::run(&mut copy)?;
    umoci.repack()?;

    let mut pip = Command::new(require(Tool::Python));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--root-user-action=ignore",
        "--no-compile",
        "--python-version=3.11",
    ]);
    pip.args([
        "--only-binary=:all:",
        "--implementation=cp",
        "--platform=manylinux_2_28_x86_64",
        "--platform=manylinux2014_x86_64",
    ]);
    pip.arg("--target").arg(root.join(SITE)).args(wheels);
    command::run(&mut pip)?;
    umoci.repack()?;

    slim(&root)?;
    umoci.repack()?;

    let application = Layer::recipe(&format!(
        "dir app mode=0750 uid=1000 gid=1000 mtime=1700000000.25\n\
         file app/main.py data=import\\spandas\\n uid=1000 gid=1000 mode=0755\n\
         symlink app/site target=/{SITE}\n\
         link app/python target=usr/bin/python3.11\n\
         opaque etc/apt\n\
         file etc/apt/sources.list data=deb\\sx\\n\n\
         whiteout usr/bin/python3"
    ));
    let config =
        json!({ "Entrypoint": ["/app/main.py"], "WorkingDir": "/app", "User": "1000:1000" });
    reopen(&umoci.layout, TAG)?
        .layer(application.gzip())
        .config(config)
        .write_layout(layout, TAG)?;
    Ok(())
}

/// What a slimming step of a build does to lower layers.
fn slim(root: &Path) -> Result<(), KitError> {
    let at = |path: &str| root.join(path);
    let site = at(SITE);
    for deleted in ["usr/share/doc", "usr/share/locale"] {
        fs::remove_dir_all(at(deleted)).map_err(KitError::io("remove", at(deleted)))?;
    }
    for tests in ["pandas/tests", "numpy/tests"] {
        fs::remove_dir_all(site.join(tests)).map_err(KitError::io("remove", site.join(tests)))?;
    }
    // A file of a lower layer gets new contents, a second name, and becomes a symlink; a directory becomes a file.
    let init = site.join("numpy/__init__.py");
    let mut text = fs::read(&init).map_err(KitError::io("read", &init))?;
    text.extend_from_slice(b"\n# slimmed\n");
    fs::write(&init, text).map_err(KitError::io("write", &init))?;
    let version = site.join("pandas/_version.py");
    let _ = fs::remove_file(&version);
    symlink("__init__.py", &version).map_err(KitError::io("link", &version))?;
    fs::hard_link(site.join("pandas/__init__.py"), site.join("pandas/also.py"))
        .map_err(KitError::io("link", site.join("pandas/also.py")))?;
    fs::hard_link(at("etc/debian_version"), at("etc/also_version"))
        .map_err(KitError::io("link", at("etc/also_version")))?;
    fs::write(at("usr/share/doc"), "gone").map_err(KitError::io("write", at("usr/share/doc")))
}

/// Layers: Debian; node's own packages; the application.
pub(super) fn node(work: &Path, layout: &Path) -> Result<(), KitError> {
    let modules = work.join("modules");
    let application = modules.join("srv/app");
    fs::create_dir_all(&application).map_err(KitError::io("create", &application))?;
    let mut npm = Command::new(require(Tool::Npm));
    npm.args([
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--legacy-peer-deps",
        "--silent",
        "--prefix",
    ]);
    npm.arg(&application)
        .args(NODE_PACKAGES)
        .current_dir(&application);
    command::run(&mut npm)?;
    let modules = debian::layer(work, "modules", &modules)?;
    let upper = Layer::recipe(
        "dir srv/app\nfile srv/app/index.js data=require('lodash')\\n\nwhiteout srv/app/node_modules/typescript",
    );
    let config = json!({ "Cmd": ["node", "index.js"], "WorkingDir": "/srv/app" });
    reopen(&World::Base.layout()?, TAG)?
        .layer(modules)
        .layer(upper.gzip())
        .config(config)
        .write_layout(layout, TAG)?;
    Ok(())
}

/// A bundle of umoci's on a copy of a layout: each change to its root becomes a layer.
struct Umoci {
    layout: PathBuf,
    bundle: PathBuf,
}

impl Umoci {
    fn unpack(work: &Path, base: &Path) -> Result<Umoci, KitError> {
        let umoci = Umoci {
            layout: work.join("umoci"),
            bundle: work.join("bundle"),
        };
        reopen(base, TAG)?.write_layout(&umoci.layout, TAG)?;
        umoci.run(&["unpack"])?;
        Ok(umoci)
    }

    fn root(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    fn repack(&self) -> Result<(), KitError> {
        self.run(&["repack", "--refresh-bundle"])
    }

    fn run(&self, verb: &[&str]) -> Result<(), KitError> {
        let image = format!("{}:{TAG}", self.layout.display());
        command::run(
            Command::new(require(Tool::Umoci))
                .args(verb)
                .args(["--image", &image])
                .arg(&self.bundle),
        )
        .map(drop)
    }
}
