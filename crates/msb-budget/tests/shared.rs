//! Several accounts of one budget.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use msb_budget::{BudgetError, ImageBudget, ImageLimit, ImageLimits};

fn budget(memory_bytes: u64) -> ImageBudget {
    let mut limits = ImageLimits::default();
    limits.memory_bytes = memory_bytes;
    limits.entries = 100;
    ImageBudget::new(limits)
}

#[test]
fn the_limit_is_exact_for_every_account() {
    for allowed in [0, 1, 1000, 1 << 20, 10 << 20] {
        let budget = budget(allowed);
        let (mut a, mut b) = (budget.account(), budget.account());
        a.set(ImageLimit::MemoryBytes, allowed / 2).unwrap();
        b.set(ImageLimit::MemoryBytes, allowed - allowed / 2)
            .unwrap();
        let error = a.set(ImageLimit::MemoryBytes, allowed / 2 + 1);
        let expected = BudgetError::Exceeded {
            limit: ImageLimit::MemoryBytes,
            allowed,
            actual: allowed + 1,
        };
        assert_eq!(error, Err(expected));
    }
}

#[test]
fn failed_work_returns_all_and_kept_work_returns_memory() {
    let budget = budget(100);
    let fill = || {
        let mut account = budget.account();
        account.set(ImageLimit::MemoryBytes, 100).unwrap();
        account.set(ImageLimit::Entries, 100).map(|()| account)
    };
    drop(fill().unwrap());
    fill().unwrap().keep();
    assert!(fill().is_err());
    budget.account().set(ImageLimit::MemoryBytes, 100).unwrap();
}

#[test]
fn a_cancelled_budget_cannot_be_charged() {
    let budget = budget(100);
    let mut account = budget.account();
    account.set(ImageLimit::MemoryBytes, 10).unwrap();
    drop(budget.cancel_on_drop());
    for level in [0, 5, 20] {
        assert_eq!(
            account.set(ImageLimit::MemoryBytes, level),
            Err(BudgetError::Cancelled)
        );
    }
}

#[test]
fn many_threads_never_hold_more_than_is_allowed() {
    let budget = budget(64 << 20);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut account = budget.account();
                    for level in (0..12 << 20).step_by(100_000) {
                        if account.set(ImageLimit::MemoryBytes, level).is_err() {
                            break;
                        }
                    }
                }
            });
        }
    });
    // The whole budget is available again.
    let mut account = budget.account();
    account.set(ImageLimit::MemoryBytes, 64 << 20).unwrap();
    assert!(
        account
            .set(ImageLimit::MemoryBytes, (64 << 20) + 1)
            .is_err()
    );
}
