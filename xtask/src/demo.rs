//! `cargo xtask demo`: a whole pull, on a machine without oracles.
//!
//! ```text
//!   recipe ─▶ OCI layout ─▶ registry in this process ─▶ facade: pull ─▶ verification ─▶ tree ─▶ kernel mount, if possible
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use integration_tests::golden::Fixture;
use integration_tests::{pulled, reader};
use microsandbox_image::{GlobalCache, Platform, PullResult, Reference, Registry};
use msb_testkit::KitError;
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::ImageBuilder;
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Entry, Ignore, Listing, escape};
use serde_json::json;

use crate::{Outcome, cargo, progress, show};

/// Selects the image and the cache.
#[derive(Debug, Default, Args)]
pub(crate) struct DemoOptions {
    /// Image of a registry instead of the small built-in one
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// Folder of the artifacts [default: `demo` in the target folder, emptied first]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// The built-in image.
const RECIPE: &str = include_str!("demo.recipe");
/// Number of paths that are printed.
const LINES: usize = 40;

/// Pulls an image, verifies its disk, and prints its files and how to mount and boot it.
pub(crate) fn demo(options: &DemoOptions, out: &mut dyn Write) -> Outcome {
    let cache = cache_folder(options)?;
    match &options.image {
        Some(image) => {
            let reference = image.parse()?;
            let registry = Registry::new(Platform::host_linux(), GlobalCache::new(&cache)?)?;
            show(&registry, &reference, out)
        }
        None => {
            let layout = tempfile::tempdir()?;
            let platform = Platform::host_linux();
            let config = json!({ "Entrypoint": ["/bin/hello"], "Env": ["GREETING=hello"], "WorkingDir": "/srv" });
            let image = ImageBuilder::new()
                .platform(platform.os(), platform.architecture())
                .config(config);
            let fixture = Fixture::new("demo", RECIPE);
            fixture
                .write_layout(layout.path(), image)
                .map_err(|error| error as Box<dyn Error>)?;
            let server = FaultRegistry::start()?;
            server.serve(&fixture.name, layout.path());
            writeln!(
                out,
                "a registry inside this process serves demo:fixture on {}",
                server.host()
            )?;
            let registry = Registry::new(platform, GlobalCache::new(&cache)?)?;
            let reference: Reference = fixture.reference(&server).parse()?;
            show(&registry, &reference, out)?;
            again(&registry, &reference, &server, out)
        }
    }
}

fn cache_folder(options: &DemoOptions) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(folder) = &options.cache_dir {
        return Ok(std::path::absolute(folder)?);
    }
    let folder = cargo::target_folder()?.join("demo");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot empty {}: {error}", folder.display()).into())
        }
        _ => Ok(folder),
    }
}

/// Pulls, verifies, prints and mounts one image.
fn show(registry: &Registry, reference: &Reference, out: &mut dyn Write) -> Outcome {
    writeln!(out, "\npull {reference} for {}", registry.platform())?;
    let result = progress::pull(registry, reference, out)?;
    for note in &result.notes {
        writeln!(out, "  note: {note}")?;
    }

    let verification = result.verify(true)?;
    writeln!(
        out,
        "\nverified by reading the disk: every file has the expected length, and every path is as in the layers"
    )?;
    writeln!(
        out,
        "  {} files, {} paths, {} bytes of contents with the expected checksums",
        verification.extents, verification.paths, verification.verified_bytes
    )?;

    let ours =
        reader::listing(result.open_tree()?.image()).map_err(|error| error as Box<dyn Error>)?;
    writeln!(out, "\nthe tree:")?;
    tree(&ours, out)?;
    artifacts(&result, registry.cache().root(), out)?;
    writeln!(out)?;
    progress::commands(&result, out)?;
    mount(&result, &ours, out)
}

/// Pulls the image again and checks that no request is made.
fn again(
    registry: &Registry,
    reference: &Reference,
    server: &FaultRegistry,
    out: &mut dyn Write,
) -> Outcome {
    writeln!(out, "\npull it again:")?;
    server.forget_requests();
    let warm = progress::pull(registry, reference, out)?;
    let asked = server.requests().len();
    if !warm.cached || asked != 0 {
        return Err(format!("a warm pull made {asked} requests").into());
    }
    writeln!(out, "  no request was made")?;
    Ok(())
}

fn tree(listing: &Listing, out: &mut dyn Write) -> io::Result<()> {
    for (path, entry) in listing.entries.iter().take(LINES) {
        writeln!(out, "  {}", line(path, entry))?;
    }
    let more = listing.entries.len().saturating_sub(LINES);
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

fn line(path: &[u8], entry: &Entry) -> String {
    let path = escape(path);
    if let Some(first) = &entry.link {
        return format!(
            "{}                      {path} = {}",
            entry.kind,
            escape(first)
        );
    }
    let size = entry.size.map(|size| size.to_string()).unwrap_or_default();
    let mut text = format!(
        "{} {:04o} {:>4}:{:<4} {size:>6} {path}",
        entry.kind, entry.mode, entry.uid, entry.gid
    );
    if let Some(target) = &entry.target {
        text.push_str(&format!(" -> {}", escape(target)));
    }
    for (name, value) in entry.xattrs.as_ref().unwrap_or(&BTreeMap::new()) {
        text.push_str(&format!(" [{}={}]", escape(name), escape(value)));
    }
    text
}

fn artifacts(result: &PullResult, cache: &Path, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nthe artifacts, in {}:", cache.display())?;
    for (index, layer) in result.layers.iter().enumerate() {
        writeln!(out, "  layer {index}  {}", layer.erofs.display())?;
    }
    writeln!(out, "  fsmeta   {}", result.fsmeta.display())?;
    writeln!(out, "  vmdk     {}", result.vmdk.display())?;
    let config = &result.config;
    writeln!(
        out,
        "  entrypoint {:?}, cmd {:?}, env {:?}",
        config.entrypoint, config.cmd, config.env
    )
}

/// Mounts the disk if this kernel can, and compares its tree with ours.
fn mount(result: &PullResult, ours: &Listing, out: &mut dyn Write) -> Outcome {
    writeln!(out)?;
    if !rustix::process::geteuid().is_root() {
        writeln!(out, "not mounted here: that needs root")?;
        return Ok(());
    }
    let mounted = match KernelMount::erofs(&result.fsmeta, &pulled::devices(result)) {
        Ok(mounted) => mounted,
        // A limit of the machine, not of the disk: a kernel without EROFS, or root without the right to mount.
        Err(
            error @ KitError::Mount {
                step: "open the file system",
                ..
            },
        ) => {
            writeln!(out, "not mounted here: {}", show::chain(&error))?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let theirs = Listing::walk(mounted.path())?;
    ours.same("reader", &theirs, "kernel", &Ignore::default())?;
    writeln!(
        out,
        "mounted, compared and unmounted: the kernel reads the same {} paths",
        theirs.entries.len()
    )?;
    Ok(())
}
