//! The command `lisa chat`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, Context};
use image::RgbImage;
use lisa::engine::{Answer, CancelToken, Engine, Event, Frame, Request, RequestError};
use lisa::image::read_image;
use lisa::signals::{exit_code, on_each};
use rustyline::error::ReadlineError;
use rustyline::DefaultEditor;
use signal_hook::consts::SIGINT;

use super::model_args::{ModelArgs, SamplingArgs};
use super::output::{stem_of, timing_line, write_pictures};
use super::output_paths;
use super::streams::print_part;

/// Talk about a picture over several turns; masks are saved a turn.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa chat --model models/lisa-7b --image kitchen.jpg

In the conversation: /image FILE another picture (history stays), /reset forgets the history, /help, /quit.
Ctrl-C takes back the running answer; Ctrl-D ends.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// PNG, JPEG, WebP or BMP
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Folder for the masks
    #[arg(long, value_name = "DIR", default_value = "lisa-out")]
    out: PathBuf,
}

const HELP: &str = "/image FILE   another picture; the history stays
/reset        forget the history
/quit         end (or Ctrl-D)
anything else is a question; Ctrl-C takes back the running answer";

const CONVERSATION: &str = "chat";

/// What a line asks for.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Nothing,
    Question(&'a str),
    Image(&'a str),
    Reset,
    Help,
    Quit,
    Unknown(&'a str),
}

fn parse(line: &str) -> Line<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Line::Nothing;
    }
    if !line.starts_with('/') {
        return Line::Question(line);
    }
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (command, rest.trim()) {
        ("/image", file) if !file.is_empty() => Line::Image(file),
        ("/reset", "") => Line::Reset,
        ("/help", "") => Line::Help,
        ("/quit" | "/exit", "") => Line::Quit,
        _ => Line::Unknown(line),
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut frame = Frame::new(read_image(&args.image)?);
    output_paths::check_folder(&args.out)?;
    check_overwriting(&args.image, &args.out)?;
    let engine = args.model.start(true)?;
    let running: Arc<Mutex<Option<CancelToken>>> = Arc::default();
    cancel_on_interrupt(&running)?;
    // The editor handles a terminal's lines; where lines are piped in, it reads them as they are.
    let mut editor = DefaultEditor::new().context("cannot read from the terminal")?;
    let prompt = if std::io::stdin().is_terminal() {
        "> "
    } else {
        ""
    };
    if std::io::stdout().is_terminal() {
        say!(
            "{} ({} tokens at most an answer); /help for help",
            args.image.display(),
            args.model.options(args.sampling.seed).max_new_tokens
        );
    }
    let mut turn = 0;
    loop {
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            // Only this line is lost; the next one may be UTF-8 again.
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                say!("this line is not UTF-8; accepted: text in UTF-8");
                continue;
            }
            Err(error) => return Err(error).context("cannot read from the terminal"),
        };
        // The editor's history is only a convenience, so a failure to add to it is ignored.
        let _ = editor.add_history_entry(&line);
        match parse(&line) {
            Line::Nothing => {}
            Line::Quit => return Ok(()),
            Line::Help => say!("{HELP}"),
            Line::Unknown(line) => say!("{line:?} is no command\n{HELP}"),
            Line::Reset => {
                engine.reset_conversation(Some(CONVERSATION));
                say!("the history is forgotten");
            }
            Line::Image(file) => match picture(file, &args.out) {
                Ok(pixels) => {
                    frame = Frame::new(pixels);
                    say!("{file}: {}x{}", frame.width(), frame.height());
                }
                Err(error) => say!("{error}"),
            },
            Line::Question(question) => match ask(&engine, &args, &frame, question, &running) {
                Ok(answer) => {
                    turn += 1;
                    report(&args.out, turn, &frame, question, &answer)?;
                }
                Err(error @ (RequestError::ShuttingDown | RequestError::Panicked(_))) => {
                    return Err(error.into())
                }
                // The next question works all the same.
                Err(error) => say!("{error}"),
            },
        }
    }
}

/// Another picture to talk about.
fn picture(file: &str, out: &Path) -> anyhow::Result<RgbImage> {
    check_overwriting(Path::new(file), out)?;
    Ok(read_image(file)?)
}

/// Checks that the picture would not be overwritten by one of a turn.
fn check_overwriting(image: &Path, out: &Path) -> anyhow::Result<()> {
    let turn = |stem: &str| {
        let number = stem.strip_prefix("turn");
        number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    if output_paths::is_in(image, out) && stem_of(image).is_some_and(turn) {
        bail!(
            "a picture of a turn could be written over {}; accepted: a picture of another name, or another --out",
            image.display()
        );
    }
    Ok(())
}

/// Ctrl-C takes back the running answer; at the prompt the editor sees the key before it becomes a signal. Signals that no
/// key sends end the chat.
fn cancel_on_interrupt(running: &Arc<Mutex<Option<CancelToken>>>) -> anyhow::Result<()> {
    let running = Arc::clone(running);
    on_each(
        move |signal| match &*running.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(cancel) if signal == SIGINT => cancel.cancel(),
            _ => std::process::exit(exit_code(signal)),
        },
    )
    .context("cannot handle Ctrl-C")
}

fn ask(
    engine: &Engine,
    args: &Args,
    frame: &Frame,
    question: &str,
    running: &Mutex<Option<CancelToken>>,
) -> Result<Answer, RequestError> {
    let set = |cancel: Option<CancelToken>| {
        *running.lock().unwrap_or_else(PoisonError::into_inner) = cancel
    };
    let ticket = engine.submit(Request {
        instruction: question.to_owned(),
        frame: frame.clone(),
        conversation_id: Some(CONVERSATION.to_owned()),
        options: args.model.options(args.sampling.seed),
    })?;
    set(Some(ticket.cancel.clone()));
    let mut result = Err(RequestError::ShuttingDown);
    for event in ticket.events.iter() {
        match event {
            Event::TextDelta { text, .. } => print_part(text),
            Event::Done(answer) => result = Ok(*answer),
            Event::Failed(error) => result = Err(error),
            _ => {}
        }
    }
    set(None);
    say!("");
    result
}

fn report(
    out: &Path,
    turn: usize,
    frame: &Frame,
    question: &str,
    answer: &Answer,
) -> anyhow::Result<()> {
    for note in &answer.notes {
        say!("note: {note}");
    }
    let files = write_pictures(
        out,
        &format!("turn{turn:02}"),
        frame.pixels(),
        question,
        answer,
    )?;
    match &files.mask {
        Some(mask) => say!(
            "[{}: {}; {}]",
            answer.status.name(),
            mask.display(),
            files.overlay.display()
        ),
        None => say!("[{}: no object was named]", answer.status.name()),
    }
    say!("[{}]", timing_line(&answer.timings));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        assert_eq!(parse("  the red mug "), Line::Question("the red mug"));
        assert_eq!(parse("/image a b.png"), Line::Image("a b.png"));
        assert_eq!(parse("/image"), Line::Unknown("/image"));
        assert_eq!(parse("/quit"), Line::Quit);
        assert_eq!(parse("/reset now"), Line::Unknown("/reset now"));
        assert_eq!(parse("   "), Line::Nothing);
    }
}
