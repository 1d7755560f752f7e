use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Print a script that completes commands and options in a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that runs the script
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script for `command`, the arguments of this program.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> Result<Outcome, Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if args.shell == Shell::Bash {
        script = with_one_label(script, &command);
    }
    let mut output = Output::new();
    output
        .raw()
        .write_all(script.as_bytes())
        .map_err(Failure::Output)?;
    output.flush()?;
    Ok(Outcome::Done)
}

/// Returns the script with one label for each command. The generator of clap_complete 4.6 jumps to `a__b` for a command `a-b`, and has
/// `a__subcmd__b` in its place.
fn with_one_label(script: String, command: &Command) -> String {
    let name = command.get_name();
    let own = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    command.get_subcommands().fold(own, with_one_label)
}
