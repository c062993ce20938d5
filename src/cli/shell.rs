//! The hidden commands `lisa completions` and `lisa man`: what a shell and `man` say about the command line, made from the types
//! that parse it, so that it is that of this very program wherever it is installed. `scripts/install.sh` calls them; they cost
//! the program a hundredth of its size, and a second program with the same types would be as large as this one.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::roff::{bold, roman, Roff};
use clap_mangen::Man;

use super::streams::print_part;
use super::Cli;

/// Print what completes the commands and flags of `lisa` in a shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa completions bash > ~/.local/share/bash-completion/completions/lisa
  lisa completions zsh > ~/.zfunc/_lisa
  lisa completions fish > ~/.config/fish/completions/lisa.fish")]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run_completions(args: CompletionsArgs) -> anyhow::Result<()> {
    // Without hidden commands, which the script for bash would offer.
    let lisa = Cli::command();
    let mut shown = Command::new("lisa")
        .args(lisa.get_arguments().cloned())
        .subcommands(shown_commands(&lisa).cloned());
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown, "lisa", &mut script);
    print_part(String::from_utf8_lossy(&script));
    Ok(())
}

/// Write the manual pages: lisa.1, and one for each command.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for the pages; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn run_man(args: ManArgs) -> anyhow::Result<()> {
    let mut lisa = Cli::command().disable_help_subcommand(true);
    lisa.build();
    std::fs::create_dir_all(&args.out)
        .and_then(|()| write_pages(&lisa, &args.out))
        .with_context(|| format!("cannot write the pages to {}", args.out.display()))
}

fn shown_commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set())
}

/// Writes the page of a command and those of the commands below it, except hidden ones.
fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    for below in shown_commands(command) {
        write_pages(below, folder)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), page(command)?)
}

/// A page in roff. What follows the flags in `--help` becomes sections of its own, in which lines that are indented stay lines.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let flags = command
        .clone()
        .after_help(Resettable::Reset)
        .after_long_help(Resettable::Reset);
    Man::new(flags)
        .source(concat!("lisa ", env!("CARGO_PKG_VERSION")))
        .manual("LISA, reasoning segmentation")
        .render(&mut page)?;
    let mut end = Roff::new();
    let help = command.get_after_long_help().or(command.get_after_help());
    if let Some(help) = help {
        add_sections(&mut end, &help.to_string());
    }
    end.control("SH", ["EXIT STATUS"]);
    end.text([roman(
        "0: done. 1: it failed, and a line on standard error says why and what to do. 2: the arguments were wrong. \
        130, 143 or 129: SIGINT, SIGTERM or SIGHUP ended it early.",
    )]);
    if command
        .get_display_name()
        .is_some_and(|name| name != "lisa")
    {
        end.control("SH", ["SEE ALSO"]);
        end.text([bold("lisa"), roman("(1)")]);
    }
    page.extend(end.to_roff().into_bytes());
    Ok(page)
}

/// `Example:` or `Examples:` begins the section of that name, and what comes behind the blank line after them the section of notes.
fn add_sections(roff: &mut Roff, help: &str) {
    let (mut is_example, mut is_verbatim, mut is_titled) = (false, false, false);
    for line in help.lines() {
        let indented = line.starts_with("  ");
        if is_verbatim && !indented {
            roff.control("fi", []);
            is_verbatim = false;
        }
        if matches!(line, "Example:" | "Examples:") {
            roff.control("SH", ["EXAMPLES"]);
            (is_example, is_titled) = (true, true);
        } else if line.is_empty() && is_example {
            (is_example, is_titled) = (false, false);
        } else if line.is_empty() {
            roff.control("PP", []);
        } else {
            if !is_titled {
                roff.control("SH", ["NOTES"]);
                is_titled = true;
            }
            if indented && !is_verbatim {
                roff.control("nf", []);
                is_verbatim = true;
            }
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    if is_verbatim {
        roff.control("fi", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_lines_and_the_rest_becomes_paragraphs() {
        let mut roff = Roff::new();
        add_sections(
            &mut roff,
            "Examples:\n  lisa a\n  lisa b\n\nOne thing.\n\nAnother:\n  .x  1",
        );
        let said = roff.to_roff();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines,
            [
                ".SH EXAMPLES",
                ".nf",
                "lisa a",
                "lisa b",
                ".fi",
                ".SH NOTES",
                "One thing.",
                ".PP",
                "Another:",
                ".nf",
                "\\&.x  1",
                ".fi"
            ]
        );
    }

    /// A page that is not there, or a command whose examples were lost, would be noticed by nobody else.
    #[test]
    fn every_command_has_a_page_and_its_examples_are_on_it() {
        let folder = tempfile::tempdir().unwrap();
        run_man(ManArgs {
            out: folder.path().join("man1"),
        })
        .unwrap();
        let read =
            |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
        let lisa = Cli::command();
        for command in shown_commands(&lisa) {
            let said = read(&format!("lisa-{}.1", command.get_name()));
            assert!(
                said.contains(".SH EXAMPLES\n.nf\n"),
                "{}",
                command.get_name()
            );
            assert!(!said.contains("EXTRA"), "{}", command.get_name());
        }
        assert!(read("lisa-train.1").contains("\ncheckpoint_activations "));
        assert!(read("lisa-bag-annotate.1").contains("\\-\\-instruction"));
        assert!(read("lisa.1").contains("lisa\\-segment(1)"));
        assert!(!folder.path().join("man1/lisa-completions.1").exists());
    }
}
