//! Makes the seeds: `cargo xtask fuzz --seed`, which runs this with the corpus folder as its argument.
//!
//! Archives come from the text recipes of the test kit, images from our own ingest and from `mkfs.erofs`, for what our writer never
//! writes. The same sources give the same seeds, but for what another version of a tool writes.

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
