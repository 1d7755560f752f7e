use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use microsandbox_image::escape_path;

use crate::failure::{Failure, Outcome};
use crate::output::{Output, count, is_quiet};

/// Write the manual pages of all commands into a directory
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory of section 1, which is created if it is missing, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `command`, the arguments of this program.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<Outcome, Failure> {
    let directory = &args.directory;
    let failed = |source| Failure::ManualPages {
        path: directory.clone(),
        source,
    };
    fs::create_dir_all(directory).map_err(failed)?;
    // `help` is a page of no use: `msb-image help pull` prints the help of pull.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = write(&command, directory).map_err(failed)?;
    let mut output = Output::new();
    if !is_quiet() {
        output.line(format_args!(
            "{}: {}",
            escape_path(directory),
            count(pages, "manual page")
        ))?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// Writes the pages of a command and of all below it, and returns their number.
fn write(command: &Command, directory: &Path) -> io::Result<u64> {
    let mut pages = 1;
    for subcommand in command.get_subcommands() {
        pages += write(subcommand, directory)?;
    }
    let page = Man::new(command.clone());
    fs::write(directory.join(page.get_filename()), render(&page, command)?)?;
    Ok(pages)
}

/// Returns the text of a page, in roff.
fn render(page: &Man, command: &Command) -> io::Result<String> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let name = command.get_display_name();
    let name = name.unwrap_or_else(|| command.get_name());
    // The renderer leaves out an empty date, so that the source takes its place.
    let title = format!(
        ".TH {} 1 \"\" \"msb-image {}\" \"User Commands\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let lines = text.split_inclusive('\n').map(|line| {
        if line.starts_with(".TH ") {
            title.as_str()
        } else {
            line
        }
    });
    // A blank line is a paragraph of its own, without the breaks around it.
    Ok(lines.collect::<String>().replace(".br\n\n.br\n", ".sp\n"))
}
