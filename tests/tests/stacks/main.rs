//! Random stacks of layers, made from archives into a disk, and compared with the naive model of `fs-tree`'s tests and with the tree
//! that umoci unpacks.
//!
//! ```text
//!   changes ──model───────────────────────────────────────────────▶ expected tree
//!      └──archive──▶ tar ─┬─msb-layer─▶ msb-stitch─▶ erofs-reader   equal to the last bit
//!                         │                      └─▶ the kernel     the same, every tenth stack
//!                         └─OCI layout─▶ umoci                      equal but for what umoci loses
//! ```
//!
//! umoci differs in known ways, and the comparison allows for each:
//! - It loses the time of a directory that no layer describes, or in which a directory was implied after it was described, and xattrs
//!   with an empty value. These are not compared.
//! - Up to 0.4 it refuses a parent that is a file, and from 0.5 on the directory receives the metadata of the file: a whiteout of the
//!   file is inserted.
//! - It applies markers in the order of the archive, its markers follow symbolic links, and it fails at a hard link to its own path. Such
//!   a stack is unpacked again from equivalent archives: markers first, markers through links and links to themselves left out.
//!
//! An entry that cannot be applied must be refused by us and by umoci; the stack continues without it.
//!
//! `STACKS_UMOCI` sets the number of stacks (200), `STACKS_SEED` the seed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod archive;
mod expected;
#[path = "../../../crates/fs-tree/tests/model/mod.rs"]
mod model;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use integration_tests::disk::{Blob, Disk};
use integration_tests::{Failure, reader};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::{KitError, umoci, vmdk};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use archive::Spellings;
use expected::{as_umoci_keeps_it, expected};
use model::{Cases, Idle, Model, OwnedChange, OwnedKind, stacks, whiteout};

type Stack = Vec<Vec<OwnedChange>>;

/// One disk in this many is also mounted.
const KERNEL_EVERY: usize = 10;
/// Number of refused entries of one kind that are also compared with umoci.
const REFUSALS_ASKED: usize = 25;

/// The number of times that each case occurred.
#[derive(Debug, Default)]
struct Tally(RefCell<BTreeMap<String, usize>>);

impl Tally {
    /// Adds one and returns the count.
    fn hit(&self, what: &str) -> usize {
        let mut counts = self.0.borrow_mut();
        let count = counts.entry(what.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn report(&self) {
        for (what, count) in self.0.borrow().iter() {
            println!("{count:>8}  {what}");
        }
    }
}

#[test]
fn random_stacks_are_what_the_model_and_umoci_make_of_them() {
    let number = |name, default| match std::env::var(name) {
        Ok(value) => value.parse().expect("the variable is a number"),
        Err(_) => default,
    };
    let count = number("STACKS_UMOCI", 200);
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(count).expect("a sane count"),
        rng_seed: RngSeed::Fixed(number("STACKS_SEED", 1)),
        // A stack that fails becomes a named test beside the faulty code.
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    });
    let cases = RefCell::new(Cases::default());
    let spellings = RefCell::new(Spellings::default());
    let (tally, done) = (Tally::default(), Cell::new(0));
    runner
        .run(&stacks(), |drafts| {
            let failed = |stack: &Stack, why| TestCaseError::fail(format!("{stack:#?}\n{why}"));
            let mut stack: Stack = drafts
                .into_iter()
                .map(|layer| layer.into_iter().map(archive::realistic).collect())
                .collect();
            let model = settle(&mut stack, &mut cases.borrow_mut(), &tally)
                .map_err(|why| failed(&stack, why))?;
            let tars = tars(&stack, &mut spellings.borrow_mut());
            let ask_kernel = done.replace(done.get() + 1) % KERNEL_EVERY == 0;
            verify_ours(&tars, &model, ask_kernel, &tally)
                .and_then(|()| verify_umoci(&stack, &tars, &model, &tally))
                .map_err(|why| failed(&stack, why))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    tally.report();
    let unspelled = spellings.into_inner().report();
    // With fewer stacks some cases may not occur.
    if count >= 200 {
        assert!(unspelled.is_empty(), "never met: {unspelled:?}");
        cases.into_inner().report(&[]);
    }
}

/// Removes the entries that cannot be applied, one by one, and returns the tree. Before each removal, the stack must be refused.
fn settle(stack: &mut Stack, cases: &mut Cases, tally: &Tally) -> Result<Model, String> {
    loop {
        let mut model = Model::new();
        let applied = model.apply(stack);
        cases.add(&model.cases);
        let Err(refusal) = applied else {
            return Ok(model);
        };
        if disk(&tars(stack, &mut Spellings::default())).is_ok() {
            return Err(format!("we do not refuse it: {refusal:?}"));
        }
        let count = tally.hit(&format!("refused: {:?}", refusal.kind));
        if count <= REFUSALS_ASKED {
            let mut same = markers_first(stack);
            leave_out_idle(&mut same);
            if unpack(&same).is_ok() {
                return Err(format!("umoci does not refuse it: {refusal:?}"));
            }
        }
        stack[refusal.layer].remove(refusal.entry);
    }
}

fn verify_ours(
    tars: &[Vec<u8>],
    model: &Model,
    ask_kernel: bool,
    tally: &Tally,
) -> Result<(), String> {
    let expected = expected(model);
    let disk = disk(tars).map_err(message)?;
    let listed = reader::open(&disk).and_then(|image| reader::listing(&image));
    let nothing = Ignore::default();
    listed
        .map_err(message)?
        .same("the disk", &expected, "the model", &nothing)
        .map_err(message)?;
    msb_stitch::verify_disk(&disk.vmdk, Some(disk.merge.tree())).map_err(message)?;
    if ask_kernel {
        let flat = disk.dir.path().join("flat.img");
        vmdk::flatten(&disk.vmdk, &flat).map_err(message)?;
        let mount = KernelMount::erofs(&flat, &[]).map_err(message)?;
        Listing::walk(mount.path())
            .and_then(|seen| seen.same("the kernel", &expected, "the model", &nothing))
            .map_err(message)?;
        tally.hit("disks that the kernel mounted");
    }
    Ok(())
}

fn verify_umoci(
    stack: &Stack,
    tars: &[Vec<u8>],
    model: &Model,
    tally: &Tally,
) -> Result<(), String> {
    let expected = as_umoci_keeps_it(expected(model), model);
    let ignore = Ignore {
        empty_xattrs: true,
        ..Ignore::default()
    };
    let compare = |unpacked: Result<Listing, KitError>| {
        unpacked
            .and_then(|theirs| theirs.same("umoci", &expected, "the model", &ignore))
            .map_err(message)
    };
    let Err(first) = compare(unpack_tars(tars)) else {
        tally.hit("umoci: stacks as they are");
        return Ok(());
    };
    let mut stack = markers_first(stack);
    if compare(unpack(&stack)).is_ok() {
        tally.hit("umoci: stacks with their markers first");
        return Ok(());
    }
    if model.replaced.iter().any(|(_, _, path)| path.is_none()) {
        tally.hit("umoci: stacks that no other archive means");
        return Ok(());
    }
    let has_replaced = hide_replaced(&mut stack, model);
    if has_replaced && compare(unpack(&stack)).is_ok() {
        tally.hit("umoci: stacks that hide what an implied directory replaces");
        return Ok(());
    }
    let idle = leave_out_idle(&mut stack);
    if idle.is_empty() {
        return Err(first);
    }
    tally.hit("umoci: stacks without what does nothing");
    for idle in idle {
        tally.hit(match idle {
            Idle::MarkerBehindLink => "umoci: markers behind a symlink left out",
            Idle::LinkToItself => "umoci: hard links to themselves left out",
        });
    }
    compare(unpack(&stack))
}

/// Returns equivalent layers whose whiteouts and opaque markers come first.
fn markers_first(stack: &Stack) -> Stack {
    let mut stack = stack.clone();
    for layer in &mut stack {
        layer.sort_by_key(|change| !matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque));
    }
    stack
}

/// Inserts a whiteout of each file that an implied directory replaces before the entry that implies it, which is equivalent. Returns
/// whether there are any. The entries are numbered as in the stack of the model, markers first.
fn hide_replaced(stack: &mut Stack, model: &Model) -> bool {
    let mut seen = Model::new();
    let applied = seen.apply(stack);
    debug_assert_eq!(applied.is_ok(), model.replaced.len() == seen.replaced.len());
    for (layer, entry, path) in seen.replaced.iter().rev() {
        if let Some(path) = path {
            stack[*layer].insert(*entry, whiteout(path));
        }
    }
    !seen.replaced.is_empty()
}

/// Removes the entries without effect, up to an entry that cannot be applied.
fn leave_out_idle(stack: &mut Stack) -> Vec<Idle> {
    let mut model = Model::new();
    // The effect of the entries before a refused one is known.
    let _ = model.apply(stack);
    let mut idle = model.idle;
    idle.sort_unstable_by_key(|&(layer, entry, _)| (layer, entry));
    for &(layer, entry, _) in idle.iter().rev() {
        stack[layer].remove(entry);
    }
    idle.into_iter().map(|(_, _, idle)| idle).collect()
}

fn tars(stack: &Stack, spellings: &mut Spellings) -> Vec<Vec<u8>> {
    let tars = stack.iter().map(|layer| archive::tar(layer, spellings));
    tars.collect()
}

fn disk(tars: &[Vec<u8>]) -> Result<Disk, Failure> {
    let blobs: Vec<Blob> = tars.iter().cloned().map(Blob::plain).collect();
    Disk::of(&blobs)
}

fn unpack(stack: &Stack) -> Result<Listing, KitError> {
    unpack_tars(&tars(stack, &mut Spellings::default()))
}

fn unpack_tars(tars: &[Vec<u8>]) -> Result<Listing, KitError> {
    let folder = tempfile::tempdir().unwrap();
    let layers = tars.iter().map(|tar| Layer::tar(tar.clone()).gzip());
    let image = layers.fold(ImageBuilder::new(), ImageBuilder::layer);
    let layout = folder.path().join("layout");
    std::fs::create_dir(&layout).unwrap();
    image.write_layout(&layout, "t")?;
    umoci::unpack(&layout, "t", &folder.path().join("bundle"))
}

/// Returns an error and its causes.
fn message(error: impl Into<Failure>) -> String {
    let error = error.into();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
