//! `lisa bag play` and `lisa bag record`. They need the libraries of ROS 2, which `lisa` does without, so they run the program
//! `lisa_bag`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{bail, Context};

/// Everything after the command's name, for `lisa_bag`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    rest: Vec<OsString>,
}

/// Replaces this process by `lisa_bag COMMAND …`.
pub fn run(command: &str, args: Args) -> anyhow::Result<()> {
    let Some(program) = program()? else {
        bail!(
            "`lisa bag {command}` speaks ROS 2 and is a program of its own, lisa_bag, which is not beside this one: build with \
             `make build` or colcon"
        );
    };
    // Checked here, because the dynamic loader's error about missing libraries would not say what to do.
    if std::env::var_os("AMENT_PREFIX_PATH").is_none() {
        bail!("`lisa bag {command}` speaks ROS 2, and none is sourced: source its setup.bash first, or scripts/env.sh");
    }
    let error = Command::new(&program).arg(command).args(args.rest).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// The path of `lisa_bag`: beside this program, or where ROS 2 installs it.
fn program() -> anyhow::Result<Option<PathBuf>> {
    let own = std::env::current_exe()?.canonicalize()?;
    let folder = own.parent().map(PathBuf::from).unwrap_or_default();
    let candidates = [
        folder.join("lisa_bag"),
        folder.join("../lib/lisa_ros/lisa_bag"),
    ];
    Ok(candidates.into_iter().find(|path| path.is_file()))
}
