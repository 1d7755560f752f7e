use std::path::Path;

use msb_testkit::image::{ImageBuilder, Layer};
use serde_json::json;

use crate::common::{ok, run, stderr};
use crate::pty::Terminal;
use crate::served::{Served, is_middle};

const HEAD: &str = "# Screens

What a terminal of 80 columns shows. A test writes this page and compares it with a real terminal.
";

/// Host of the images in the page, in place of the test's.
const HOST: &str = "registry.example";
/// Cache directory in the page, in place of the test's.
const CACHE: &str = "/home/me/.cache/msb-image";

/// Returns the page of all screens.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&pulls());
    page.push_str(&tables());
    page.push_str(&errors());
    page.push_str(&help());
    page
}

fn section(title: &str, line: &str, screen: &str) -> String {
    format!("\n## {title}\n\n```text\n$ {line}\n{screen}\n```\n")
}

/// Returns a screen with the names of the page.
fn named(screen: &str, host: &str, cache: &Path) -> String {
    let cache = cache.to_str().unwrap();
    screen.replace(host, HOST).replace(cache, CACHE)
}

fn pulls() -> String {
    let served = Served::new();
    let host = served.reference.split('/').next().unwrap();
    let line = "msb-image pull registry.example/team/app:v1";
    let mut page = String::new();
    {
        let cache = tempfile::tempdir().unwrap();
        served.hold_at_start();
        let mut terminal = served.pull(cache.path(), 80, &[], &[]);
        let screen = terminal.until(|screen| {
            screen.contains(" 0/40")
                && screen.lines().skip(2).filter(|it| it.contains('>')).count() == 4
        });
        page.push_str(&section(
            "A pull at its start",
            line,
            &named(&screen, host, cache.path()),
        ));
        served.release();
        terminal.end();
    }
    for (title, columns) in [("In the middle", 80), ("In the middle, in 60 columns", 60)] {
        served.hold_at_middle();
        let cache = tempfile::tempdir().unwrap();
        let mut terminal = served.pull(cache.path(), columns, &[], &[]);
        let screen = terminal.until(is_middle);
        served.release();
        page.push_str(&section(title, line, &named(&screen, host, cache.path())));
        if columns == 80 {
            let screen = terminal.until(|screen| screen.contains("merging the layers"));
            let screen = named(&screen, host, cache.path());
            page.push_str(&section("While the layers are merged", line, &screen));
            let (screen, _, _) = terminal.end();
            let screen = named(&screen, host, cache.path());
            page.push_str(&section("At its end", line, &screen));
        }
    }
    page + &piped(line)
}

/// Returns what a pull prints that is not on a terminal.
fn piped(line: &str) -> String {
    let served = Served::of_one_layer();
    let cache = tempfile::tempdir().unwrap();
    let host = served.reference.split('/').next().unwrap();
    let output = run(cache.path(), served.args());
    ok(&output);
    let text = named(stderr(&output).trim_end(), host, cache.path());
    section("Standard error in a pipe", &format!("{line} | cat"), &text)
}

/// Fills a cache with two images that share a layer.
fn fill(cache: &Path) {
    let base = || Layer::recipe("dir bin\nfile bin/tool size=300000 seed=1 fill=random").gzip();
    let config = json!({
        "Entrypoint": ["/bin/tool"], "Env": ["PATH=/bin"], "WorkingDir": "/srv",
        "ExposedPorts": {"8080/tcp": {}}, "Labels": {"org.opencontainers.image.title": "app"}
    });
    let app = ImageBuilder::new()
        .layer(base())
        .layer(Layer::recipe("dir srv\nfile srv/data size=700000 seed=2 fill=random").zstd())
        .config(config);
    let tool = ImageBuilder::new().layer(base());
    for (image, name) in [(app, "team/app:v1"), (tool, "team/tool:v3")] {
        let layout = tempfile::tempdir().unwrap();
        image.write_layout(layout.path(), "v1").unwrap();
        let name = format!("{HOST}/{name}");
        let path = layout.path().to_str().unwrap();
        let platform = ["--platform", "linux/amd64"];
        ok(&run(
            cache,
            [&["load", path, "--tag", &name, "-q"][..], &platform].concat(),
        ));
    }
    let pin = ["pin", "production", "registry.example/team/app:v1"];
    ok(&run(
        cache,
        [&pin[..], &["--platform", "linux/amd64"]].concat(),
    ));
}

fn tables() -> String {
    let cache = tempfile::tempdir().unwrap();
    fill(cache.path());
    let mut page = String::new();
    for (title, args) in [
        ("The cached images", vec!["ls"]),
        ("One image", vec!["inspect", "registry.example/team/app:v1"]),
        ("The space that they take", vec!["df"]),
    ] {
        let line = format!("msb-image {}", args.join(" "));
        let platform = ["--platform", "linux/amd64"];
        let platform: &[&str] = if args.len() > 1 { &platform } else { &[] };
        let output = run(cache.path(), [&args, platform].concat());
        let text = named(ok(&output).trim_end(), HOST, cache.path());
        page.push_str(&section(title, &line, &text));
    }
    page
}

fn errors() -> String {
    let cache = tempfile::tempdir().unwrap();
    fill(cache.path());
    let served = Served::new();
    served.require_credentials();
    let host = served.reference.split('/').next().unwrap();
    let mut page = String::new();
    let mut show = |title: &str, args: &[&str]| {
        let hidden: &[&str] = if args[0] == "tags" {
            &[]
        } else {
            &["--platform", "linux/amd64"]
        };
        let terminal = Terminal::start(cache.path(), 80, &[args, hidden].concat(), &[]);
        let (_, status, written) = terminal.end();
        assert_eq!(status.code(), Some(1));
        // As it was written: the terminal breaks long lines.
        let text = String::from_utf8(written).unwrap().replace("\r\n", "\n");
        let args: Vec<_> = args
            .iter()
            .filter(|arg| !arg.contains("retry") && **arg != "0")
            .copied()
            .collect();
        let line = format!("msb-image {}", named(&args.join(" "), host, cache.path()));
        let text = named(text.trim_end(), host, cache.path());
        page.push_str(&section(title, &line, &text));
    };
    show(
        "An image that is not cached",
        &["tree", "registry.example/team/ap:v1"],
    );
    show(
        "A registry that needs a login",
        &["inspect", "--remote", &served.reference],
    );
    show(
        "A registry that refuses the connection",
        &["tags", "127.0.0.1:1/team/app", "--retry-seconds", "0"],
    );
    page
}

fn help() -> String {
    let mut page = String::new();
    let cache = tempfile::tempdir().unwrap();
    for (title, args) in [
        ("Help", vec!["--help"]),
        ("Help of a command", vec!["ls", "-h"]),
    ] {
        let plain = [("TERM", "xterm"), ("NO_COLOR", "1")];
        let (_, _, written) = Terminal::start(cache.path(), 80, &args, &plain).end();
        let text = String::from_utf8(written).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        let line = format!("msb-image {}", args.join(" "));
        page.push_str(&section(title, &line, lines.join("\n").trim_end()));
    }
    page
}
