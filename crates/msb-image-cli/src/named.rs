//! Checks that the commands and flags that the pages name exist.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

use crate::args::Cli;

/// Returns the uses of the command in a page: the words after each `msb-image`.
fn uses(page: &str) -> Vec<Vec<&str>> {
    let ends = |c: char| "`\n#|;&()".contains(c);
    let uses = page.split("msb-image ").skip(1);
    uses.map(|rest| rest.split(ends).next().unwrap_or_default())
        .map(|rest| rest.split_whitespace().collect())
        .collect()
}

fn has_flag(command: &Command, flag: &str) -> bool {
    let mut flags = command.get_arguments().filter_map(|arg| arg.get_long());
    flags.any(|long| long == flag)
}

/// Returns what of a use does not exist.
fn problem(cli: &Command, words: &[&str]) -> Option<String> {
    let mut command = cli;
    // Prose about the command, and options before the verb, are no use of a verb.
    let first = words.first()?;
    if !first.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let mut is_verb = true;
    for word in words {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split(['=', ',', '.']).next().unwrap_or_default();
            let is_known = has_flag(command, flag) || has_flag(cli, flag) || flag == "help";
            if !is_known && !flag.is_empty() {
                return Some(format!("{} --{flag}", command.get_name()));
            }
            is_verb = false;
        } else if is_verb {
            match command.find_subcommand(word) {
                Some(verb) => command = verb,
                None if command.has_subcommands() => return Some((*word).to_owned()),
                None => is_verb = false,
            }
        }
    }
    None
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![
        root.join("README.md"),
        root.join("crates/msb-image-cli/README.md"),
    ];
    let docs = fs::read_dir(root.join("docs")).unwrap();
    pages.extend(docs.map(|entry| entry.unwrap().path()));
    // A test writes it, with the help texts, in which the command's name is also that of its folder.
    pages.retain(|page| !page.ends_with("screens.md"));
    pages.retain(|page| page.extension().is_some_and(|name| name == "md"));
    pages
}

#[test]
fn every_command_and_flag_that_a_page_names_exists() {
    let cli = Cli::command();
    let (mut found, mut problems) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for words in uses(&text) {
            found += 1;
            problems
                .extend(problem(&cli, &words).map(|what| format!("{}: {what}", page.display())));
        }
    }
    assert!(found > 50, "{found} uses");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn each_kind_of_fault_is_found() {
    let cli = Cli::command();
    let of = |text: &str| uses(text).iter().find_map(|words| problem(&cli, words));
    assert_eq!(
        of("`msb-image pull --force REF`, msb-image upper create F --size 1G"),
        None
    );
    assert_eq!(of("msb-image ls --cache-dir D # msb-image DIR"), None);
    assert_eq!(of("$ msb-image fetch x").as_deref(), Some("fetch"));
    assert_eq!(of("msb-image upper remove").as_deref(), Some("remove"));
    assert_eq!(of("msb-image rm x --all").as_deref(), Some("rm --all"));
}
