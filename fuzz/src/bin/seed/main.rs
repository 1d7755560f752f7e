//! Writes the seeds; `cargo xtask fuzz --seed` runs it with the corpus folder as its argument.
//!
//! Archives come from the text recipes of the test kit, images from our ingest and, for features that our writer never uses,
//! from `mkfs.erofs`. The same sources and the same versions of the tools write the same seeds.

mod archives;
mod documents;
mod images;
mod sidecars;
mod texts;

use std::path::Path;
use std::{fs, io};

/// Seeds of one target: names and bytes.
type Seeds = Vec<(String, Vec<u8>)>;

fn main() -> io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or(io::ErrorKind::InvalidInput)?;
    let targets: [(&str, Seeds); 9] = [
        ("layer", archives::seeds()),
        ("reader", images::seeds()),
        ("merge", sidecars::seeds()),
        ("vmdk", texts::seeds()),
        ("manifest", documents::manifests()),
        ("config", documents::configs()),
        ("sidecar", sidecars::alone()),
        ("record", documents::records()),
        ("challenge", documents::challenges()),
    ];
    for (target, seeds) in targets {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
