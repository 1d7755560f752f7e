//! What a real terminal shows: progress, tables, errors and help, at several widths.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod page;
mod pty;
mod screens;
mod served;

use common::{run, stderr};
use pty::Terminal;
use served::Served;

/// Returns the lines of a screen that have the number of a layer.
fn layer_lines(screen: &str) -> Vec<&str> {
    let is_number = |line: &&str| {
        let number = line.get(..5).and_then(|number| number.strip_suffix("  "));
        number.is_some_and(|number| number.trim_start().parse::<usize>().is_ok())
    };
    screen.lines().filter(is_number).collect()
}

fn has_progress(screen: &str) -> bool {
    screen.contains("=>") || screen.contains("/40 layers") || screen.contains("iB/s")
}

#[test]
fn forty_layers_are_shown_line_by_line_at_every_width() {
    let served = Served::new();
    for columns in [80, 60, 40] {
        served.hold_at_middle();
        let cache = tempfile::tempdir().unwrap();
        let mut terminal = served.pull(cache.path(), columns, &[], &[]);
        let screen = terminal.until(served::is_middle);
        for line in screen.lines() {
            assert!(line.chars().count() < columns.into(), "{columns}: {line}");
        }
        assert_eq!(layer_lines(&screen).len(), 4, "{screen}");
        let bytes = if columns < 48 { "%" } else { "KiB" };
        let has_bytes = layer_lines(&screen)[0].contains(bytes);
        assert!(has_bytes, "{screen}");
        // Nothing of the progress is left.
        served.release();
        let (screen, status, _) = terminal.end();
        assert!(status.success(), "{screen}");
        assert!(screen.starts_with(&served.reference), "{screen}");
        assert!(!has_progress(&screen), "{screen}");
    }
}

#[test]
fn more_layers_than_there_is_room_for_are_folded() {
    let served = Served::new();
    served.hold_at_middle();
    let cache = tempfile::tempdir().unwrap();
    let many = ["--max-concurrent-layers", "40"];
    let mut terminal = served.pull(cache.path(), 80, &many, &[]);
    let screen = terminal.until(|screen| screen.contains("\n     and "));
    assert_eq!(layer_lines(&screen).len(), 8, "{screen}");
    served.release();
    assert!(terminal.end().1.success());
}

#[test]
fn a_terminal_that_becomes_narrower_keeps_no_remains() {
    let served = Served::new();
    served.hold_at_middle();
    let cache = tempfile::tempdir().unwrap();
    let mut terminal = served.pull(cache.path(), 100, &[], &[]);
    terminal.until(served::is_middle);
    terminal.resize(50);
    served.release();
    let (screen, status, _) = terminal.end();
    assert!(status.success());
    assert!(!has_progress(&screen), "{screen}");
}

#[test]
fn a_resume_is_shown_with_its_bar() {
    let served = Served::of_one_layer();
    let cache = tempfile::tempdir().unwrap();
    served.interrupt(cache.path());
    served.hold_at_start();
    let mut terminal = served.pull(cache.path(), 80, &[], &[]);
    let screen = terminal.until(|screen| screen.contains("resumed"));
    assert!(layer_lines(&screen)[0].contains("==>"), "{screen}");
    served.release();
    assert!(terminal.end().1.success());
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let served = Served::of_one_layer();
    let cache = tempfile::tempdir().unwrap();
    let terminal = served.pull(cache.path(), 80, &[], &[("TERM", "dumb")]);
    let (screen, status, written) = terminal.end();
    assert!(status.success());
    assert!(screen.contains("layer 1/1: downloading"), "{screen}");
    assert!(!written.contains(&0x1b));
}

#[test]
fn errors_have_colours_only_where_they_are_seen_and_wanted() {
    let cache = tempfile::tempdir().unwrap();
    let args = ["inspect", "alpine"];
    let is_colored = |environment: &[(&str, &str)]| {
        let (screen, _, written) = Terminal::start(cache.path(), 80, &args, environment).end();
        assert!(
            screen.contains("error: ") && screen.contains("hint: "),
            "{screen}"
        );
        written.contains(&0x1b)
    };
    assert!(is_colored(&[("TERM", "xterm")]));
    assert!(!is_colored(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
    assert!(is_colored(&[("TERM", "xterm"), ("NO_COLOR", "")]));
    assert!(!is_colored(&[("TERM", "dumb")]));
    assert!(!stderr(&run(cache.path(), args)).contains('\x1b'));
}

#[test]
fn the_page_of_screens_is_what_a_terminal_shows() {
    page::check("screens.md", &screens::page());
}
