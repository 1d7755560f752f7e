//! Merges random stacks of layers with the crate and with a naive model: the trees are equal, or both fail with the same error.
//!
//! `FS_TREE_STACKS` sets the number of stacks (2,000 by default); `FS_TREE_SEED` selects other stacks.

mod model;

use std::cell::RefCell;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use model::{Cases, Model, error_kind, list_model, list_tree, merge, stacks};

#[test]
fn a_merged_stack_equals_the_models() {
    let number = |name, default| match std::env::var(name) {
        Ok(value) => value.parse().expect("the variable is a number"),
        Err(_) => default,
    };
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(number("FS_TREE_STACKS", 2_000)).expect("a sane count"),
        rng_seed: RngSeed::Fixed(number("FS_TREE_SEED", 1)),
        // A stack that fails becomes a named test in conformance/.
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    });
    let cases = RefCell::new(Cases::default());
    let refused = RefCell::new(0_usize);
    runner
        .run(&stacks(), |mut stack| {
            // If both refuse an entry, the stack is retried without it, so that every stack ends in a tree.
            loop {
                let mut model = Model::new();
                let expected = model.apply(&stack);
                let found = merge(&stack).map(|tree| list_tree(&tree));
                cases.borrow_mut().add(&model.cases);
                match (expected, found) {
                    (Ok(()), Ok(found)) => {
                        let expected = list_model(&model);
                        if found == expected {
                            return Ok(());
                        }
                        return Err(TestCaseError::fail(format!(
                            "{stack:#?}\nexpected\n{expected}found\n{found}"
                        )));
                    }
                    (Err(refusal), Err(found)) if error_kind(&found) == refusal.kind => {
                        *refused.borrow_mut() += 1;
                        stack[refusal.layer].remove(refusal.entry);
                    }
                    (expected, found) => {
                        return Err(TestCaseError::fail(format!(
                            "{stack:#?}\nexpected {expected:?}, found {found:?}"
                        )));
                    }
                }
            }
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    cases.into_inner().report(&[]);
    println!("{} entries refused", refused.into_inner());
}
