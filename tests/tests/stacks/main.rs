//! Random stacks of layers, from the bytes of their archives to a disk, held against the naive model of `fs-tree`'s tests and
//! against what umoci unpacks.
//!
//! ```text
//!   changes ──model───────────────────────────────────────────────▶ expected tree
//!      └──archive──▶ tar ─┬─msb-layer─▶ msb-stitch─▶ erofs-reader   equal to the last bit
//!                         │                      └─▶ the kernel     the same, every tenth stack
//!                         └─OCI layout─▶ umoci                      equal but for what umoci loses
//! ```
//!
//! What umoci loses: the time of a directory that no layer describes, or in which another was implied since one did; xattrs
//! with an empty value. It refuses a parent that is a file up to 0.4, and from 0.5 on gives the directory the file's metadata, so
//! the file is hidden first. More of its ways change the tree, and a stack that meets them is unpacked once more, from archives
//! that mean the same: it takes markers in the order of the tar, so they are put first; its markers follow symbolic links, so
//! those that lead through one (which do nothing) are left out; and it fails at a hard link to its own path, which does
//! nothing either. An entry that cannot be applied is refused by us and by umoci, and the stack goes on without it.
//!
//! `STACKS_UMOCI` sets how many stacks (200); `STACKS_SEED` takes other stacks than the usual ones.
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

/// Every tenth disk is mounted, too.
const KERNEL_EVERY: usize = 10;
/// Of how many refused entries of one kind umoci is asked, too.
const REFUSALS_ASKED: usize = 25;

/// What happened, how often.
#[derive(Debug, Default)]
struct Tally(RefCell<BTreeMap<String, usize>>);

impl Tally {
    /// Counts once more, and gives the count.
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
        // A stack that fails becomes a named test beside the code that it blames.
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
    // Fewer stacks need not meet everything.
    if count >= 200 {
        assert!(unspelled.is_empty(), "never met: {unspelled:?}");
        cases.into_inner().report(&[]);
    }
}

/// Takes out of the stack, one by one, the entries that cannot be applied; gives its tree. Until then we refuse the stack.
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
    let disk = disk(tars).map_err(told)?;
    let listed = reader::open(&disk).and_then(|image| reader::listing(&image));
    let nothing = Ignore::default();
    listed
        .map_err(told)?
        .same("the disk", &expected, "the model", &nothing)
        .map_err(told)?;
    msb_stitch::verify_disk(&disk.vmdk, Some(disk.merge.tree())).map_err(told)?;
    if ask_kernel {
        let flat = disk.dir.path().join("flat.img");
        vmdk::flatten(&disk.vmdk, &flat).map_err(told)?;
        let mount = KernelMount::erofs(&flat, &[]).map_err(told)?;
        Listing::walk(mount.path())
            .and_then(|seen| seen.same("the kernel", &expected, "the model", &nothing))
            .map_err(told)?;
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
            .map_err(told)
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

/// The same layers with their whiteouts and opaque markers before all else, which means the same.
fn markers_first(stack: &Stack) -> Stack {
    let mut stack = stack.clone();
    for layer in &mut stack {
        layer.sort_by_key(|change| !matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque));
    }
    stack
}

/// Adds a whiteout of each file that an implied directory replaces, right before the entry that implies it, which means the same.
/// Returns whether there are any. The entries are numbered as in the stack that the model has seen, its markers first.
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

/// Takes out of the stack what does nothing, up to an entry that cannot be applied.
fn leave_out_idle(stack: &mut Stack) -> Vec<Idle> {
    let mut model = Model::new();
    // Of a stack that is refused, what comes before the refusal is known.
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

/// An error and its causes.
fn told(error: impl Into<Failure>) -> String {
    let error = error.into();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
