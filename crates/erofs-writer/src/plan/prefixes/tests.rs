//! Compares the choice of prefixes with a naive version of the same algorithm and with every possible choice.

use super::*;

fn stored<'a>(names: &[(&'a str, usize, u64)]) -> StoredNames<'a> {
    let mut stored = StoredNames::default();
    for (name, bytes, times) in names {
        stored.add(name.as_bytes(), *bytes, *times);
    }
    stored
}

#[test]
fn a_saving_depends_on_the_alignment() {
    for bytes in 8..16_usize {
        let stored = stored(&[("user.abcd", bytes, 1)]);
        let name = stored.names.values().next().unwrap();
        for len in 0..=4 {
            let expected = bytes.next_multiple_of(4) - (bytes - len).next_multiple_of(4);
            assert_eq!(name.saved(len), expected as u64, "{bytes} {len}");
        }
    }
}

#[test]
fn a_saving_of_less_than_a_block_is_no_table() {
    let name = "user.very.long.common.name";
    // 21 bytes of name are 20 or 24 bytes of entry; the table takes 24.
    let few = stored(&[(name, 40, 205)]);
    assert_eq!(Prefixes::choose(&few).count(), 0);
    let many = stored(&[(name, 40, 206)]);
    assert_eq!(Prefixes::choose(&many).table().len(), 24);
}

#[test]
fn repeated_names_and_common_prefixes() {
    let mut names: Vec<(String, usize, u64)> = (0..1000)
        .map(|n| (format!("user.org.example.attribute.{n:04}"), 40, 1))
        .collect();
    names.push(("trusted.overlay.redirect".to_owned(), 60, 1000));
    let names: Vec<_> = names.iter().map(|(n, b, t)| (n.as_str(), *b, *t)).collect();
    let stored = stored(&names);
    let prefixes = Prefixes::choose(&stored);
    let infixes: Vec<_> = prefixes.chosen.iter().map(|chosen| chosen.1).collect();
    assert!(infixes.contains(&b"overlay.redirect".as_slice()));
    assert!(
        infixes
            .iter()
            .any(|infix| infix.starts_with(b"org.example.attribute"))
    );
    assert!(infixes.len() <= XATTR_LONG_PREFIXES_MAX);
    let (index, rest) = prefixes.split(
        XattrNamespace::Trusted,
        b"trusted.overlay.redirect",
        b"overlay.redirect",
    );
    assert!(index & XATTR_LONG_PREFIX != 0 && rest.is_empty());
    assert_eq!(
        prefixes.split(XattrNamespace::User, b"user.x", b"x"),
        (1, b"x".as_slice())
    );
}

/// Returns the bytes saved if each name uses the longest of these prefixes, minus their table; negative if the table is
/// longer.
fn balance(names: &[Name<'_>], chosen: &[Candidate]) -> i64 {
    let longest = |at: usize| {
        let fitting = chosen.iter().filter(|chosen| chosen.names.contains(&at));
        fitting.map(|chosen| chosen.len).max().unwrap_or(0)
    };
    let saved: u64 = (0..names.len())
        .map(|at| names[at].saved(longest(at)))
        .sum();
    let table: u64 = chosen.iter().map(Candidate::table_bytes).sum();
    saved.cast_signed() - table.cast_signed()
}

/// Makes the same choice, recomputing all savings in every step.
fn greedy(names: &[Name<'_>], candidates: &[Candidate]) -> Vec<Candidate> {
    let mut picked: Vec<Candidate> = Vec::new();
    loop {
        let with = |candidate: &Candidate| [&picked[..], std::slice::from_ref(candidate)].concat();
        let best = candidates
            .iter()
            .rev()
            .max_by_key(|candidate| balance(names, &with(candidate)));
        match best.map(with) {
            Some(more) if balance(names, &more) > balance(names, &picked) => picked = more,
            _ => return picked,
        }
    }
}

/// Returns the largest saving of any choice.
fn best(names: &[Name<'_>], candidates: &[Candidate]) -> i64 {
    let subsets = (0..1_u32 << candidates.len()).map(|subset| {
        let of_subset = |&(at, _): &(usize, &Candidate)| subset >> at & 1 == 1;
        let chosen = candidates.iter().enumerate().filter(of_subset);
        chosen
            .map(|(_, candidate)| candidate.clone())
            .collect::<Vec<_>>()
    });
    subsets
        .map(|chosen| balance(names, &chosen))
        .max()
        .expect("the empty choice is one")
}

#[test]
fn the_best_choice_is_found_for_few_names() {
    for names in [
        // Nothing in common; one prefix for all; one within another; a whole name next to a shared one.
        &[("user.ab", 12, 1), ("user.cd", 12, 1)][..],
        &[
            ("user.org.example.a", 40, 3),
            ("user.org.example.b", 41, 4),
            ("user.org.example.c", 42, 5),
        ],
        &[
            ("user.org.a.one", 30, 20),
            ("user.org.a.two", 30, 20),
            ("user.org.b", 30, 20),
            ("user.org.c", 30, 20),
        ],
        &[
            ("trusted.overlay.redirect", 50, 100),
            ("user.overlay.opaque", 32, 1),
            ("user.overlay.origin", 32, 2),
        ],
        // The table takes more than the prefix saves.
        &[("user.abcdefgh", 16, 1), ("user.abcdefgi", 16, 1)],
    ] {
        let stored = stored(names);
        let names: Vec<Name<'_>> = stored.names.values().copied().collect();
        let candidates = candidates(&names);
        let (picked, saved) = pick(&names, &candidates, MAX_WORK);
        assert_eq!(saved.cast_signed(), best(&names, &candidates), "{picked:?}");
        assert_eq!(saved.cast_signed(), balance(&names, &picked), "{picked:?}");
    }
}

#[test]
fn every_picked_prefix_has_the_largest_saving_of_its_step() {
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % limit
    };
    let words = ["a", "bb", "long.word", "another.one", "x", ""];
    let mut most = 0;
    for _ in 0..300 {
        let drawn: Vec<(String, usize, u64)> = (0..below(9))
            .map(|_| {
                let mut name = ["user.", "trusted."][to_usize(below(2))].to_owned();
                for _ in 0..=below(4) {
                    name += words[to_usize(below(6))];
                }
                let bytes = 4 + name.len() + to_usize(below(30));
                (name, bytes, 1 + below(12))
            })
            .collect();
        let drawn: Vec<_> = drawn.iter().map(|(n, b, t)| (n.as_str(), *b, *t)).collect();
        let stored = stored(&drawn);
        let names: Vec<Name<'_>> = stored.names.values().copied().collect();
        let candidates = candidates(&names);
        let (picked, saved) = pick(&names, &candidates, MAX_WORK);
        assert_eq!(picked, greedy(&names, &candidates), "{drawn:?}");
        assert_eq!(saved.cast_signed(), balance(&names, &picked), "{drawn:?}");
        most = most.max(picked.len());
    }
    assert!(most > 2, "the cases are not all trivial");
}

#[test]
fn at_most_128_prefixes_are_picked() {
    let names: Vec<String> = (0..200)
        .map(|n| format!("user.{n:03}.a.name.of.its.own"))
        .collect();
    let names: Vec<_> = names.iter().map(|n| (n.as_str(), 40, 100)).collect();
    let stored = stored(&names);
    let names: Vec<Name<'_>> = stored.names.values().copied().collect();
    let (picked, saved) = pick(&names, &candidates(&names), MAX_WORK);
    assert_eq!(picked.len(), XATTR_LONG_PREFIXES_MAX);
    assert_eq!(saved.cast_signed(), balance(&names, &picked));
    let prefixes = Prefixes::choose(&stored);
    assert_eq!(usize::from(prefixes.count()), XATTR_LONG_PREFIXES_MAX);
}

#[test]
fn the_limit_on_work_is_exact() {
    let stored = stored(&[
        ("user.first.long.name", 40, 100),
        ("user.second.long.name", 40, 90),
    ]);
    let names: Vec<Name<'_>> = stored.names.values().copied().collect();
    let candidates = candidates(&names);
    let picked = |max_work| pick(&names, &candidates, max_work).0.len();
    // Each name is examined once at the start and once when it is picked.
    let counts: Vec<_> = (0..=5).map(picked).collect();
    assert_eq!((candidates.len(), counts), (2, vec![0, 0, 0, 1, 2, 2]));
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

#[test]
fn deeply_nested_prefixes_take_bounded_work() {
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("user.{}{n:05}", "a".repeat(n % 200)))
        .collect();
    let names: Vec<_> = names.iter().map(|name| (name.as_str(), 250, 1)).collect();
    assert!(Prefixes::choose(&stored(&names)).count() > 0);
}
