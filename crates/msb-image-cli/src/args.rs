use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::cache_args::{CacheArgs, GLOBAL};
use crate::commands::{
    cat, completions, config, df, export, inspect, load, login, logout, ls, man, pin, prune, pull,
    push, rm, run_with_lease, save, tags, tree, verify,
};
use crate::config::Config;
use crate::output::Format;

const EXAMPLES_AND_CODES: &str = "Examples:\n  msb-image pull alpine                   Pull an image, and build a disk from its layers\n  msb-image inspect alpine --format qemu  Print the options with which QEMU boots the disk\n  msb-image export alpine -o alpine.raw   Write the disk as one file\n  msb-image ls                            List the cached images\n\nExit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted by a signal";

/// Pull OCI images into disks that microVMs boot from, and keep them in a local cache
#[derive(Debug, Parser)]
#[command(name = "msb-image", version, max_term_width = 100, after_help = EXAMPLES_AND_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// Configuration file [default: msb-image/config.toml in the system's configuration folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,

    /// Increase logging verbosity on stderr (-v: info, -vv: debug)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub(crate) verbose: u8,

    /// Print results only: of a pull or a load the path of the VMDK descriptor; of ls the references; no progress and no warnings
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub(crate) quiet: bool,

    /// Format of log lines on stderr
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t, help_heading = GLOBAL)]
    pub(crate) log_format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(pull::PullArgs),
    Load(load::LoadArgs),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Tags(tags::TagsArgs),
    Tree(tree::TreeArgs),
    Cat(cat::CatArgs),
    Export(export::ExportArgs),
    Save(save::SaveArgs),
    Push(push::PushArgs),
    RunWithLease(run_with_lease::RunWithLeaseArgs),
    #[cfg(target_os = "linux")]
    Mount(crate::commands::mount::MountArgs),
    #[cfg(target_os = "linux")]
    Umount(crate::commands::umount::UmountArgs),
    Upper(crate::commands::upper::UpperArgs),
    Config(config::ConfigArgs),
    Verify(verify::VerifyArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Df(df::DfArgs),
    Rm(rm::RmArgs),
    Prune(prune::PruneArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Cli {
    /// Sets what neither a flag nor a variable of the environment sets.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.cache.configure(config);
        match &mut self.command {
            Command::Pull(args) => args.configure(config),
            Command::Load(args) => args.configure(config),
            Command::Push(args) => args.configure(config),
            Command::Login(args) => args.configure(config),
            Command::Logout(args) => args.configure(config),
            Command::Inspect(args) => args.configure(config),
            Command::Tags(args) => args.configure(config),
            _ => {}
        }
    }
}
