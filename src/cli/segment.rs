//! The command `lisa segment`.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context};
use image::RgbImage;
use lisa::engine::{Answer, Engine, Event, Frame, Request};
use lisa::image::read_image;
use lisa::text::Instruction;
use lisa::weights::{write_safetensors, LisaConfig};

use super::model_args::{ModelArgs, SamplingArgs};
use super::output::{stem_of, timing_line, to_json, write_pictures};
use super::output_paths::{self, OutputFile};
use super::streams::print_part;

/// Opacity of the heat of `--attention`, 0 to 1.
const HEAT: f32 = 0.6;

/// Answer one instruction about one or more pictures: overlay, masks and text.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa segment --model models/lisa-7b --image kitchen.jpg --instruction \"Where can I wash my hands?\"
  lisa segment --model models/kitchen --image mug.png --instruction \"Where is the mug?\" --attention looked.png
  lisa segment --model models/lisa-7b --image *.png --instruction \"the food with high vitamin C\" --out masks --json

Writes NAME_overlay.png, NAME_mask.png (all objects) and NAME_mask_0.png, … (one each) into the --out folder.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// PNG, JPEG, WebP or BMP; several may follow
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    image: Vec<PathBuf>,
    /// What to find, in your own words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    instruction: String,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "lisa-out")]
    out: PathBuf,
    /// Print one JSON object a picture, a line each
    #[arg(long)]
    json: bool,
    /// Write where the model looked before it answered, as heat over the picture. The model needs a guided head
    #[arg(long, value_name = "FILE.png")]
    attention: Option<PathBuf>,
    /// Write input_ids, output_ids, clip_features, sam_embedding and mask_logits, for comparison with a reference
    #[arg(long, value_name = "FILE.safetensors")]
    dump: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    // Cheap mistakes first: they should not wait for the model.
    for (name, file) in [("--dump", &args.dump), ("--attention", &args.attention)] {
        if file.is_some() && args.image.len() > 1 {
            bail!("{name} takes one --image, {} were given", args.image.len());
        }
    }
    output_paths::check_folder(&args.out)?;
    if let Some(dump) = &args.dump {
        output_paths::check_file(dump)?;
    }
    if let Some(file) = &args.attention {
        check_attention(file, &args.model.path()?)?;
    }
    let stems = stems(&args.image);
    check_overwriting(&args, &stems)?;
    Instruction::parse(&args.instruction)?;
    let frames = args
        .image
        .iter()
        .map(|path| Ok((path, Frame::new(read_image(path)?))))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let engine = args.model.start(false)?;
    for ((path, frame), stem) in frames.iter().zip(stems) {
        if !args.json && frames.len() > 1 {
            say!("{}:", path.display());
        }
        let answer = ask(&engine, &args, frame)?;
        let mut files =
            write_pictures(&args.out, &stem, frame.pixels(), &args.instruction, &answer)?;
        if let Some(file) = &args.attention {
            write_attention(file, frame.pixels(), &answer)?;
            files.attention = Some(file.clone());
        }
        if let Some(dump) = &args.dump {
            write_dump(dump, &answer)?;
        }
        if args.json {
            say!("{}", to_json(path, &args.instruction, &answer, &files));
        } else {
            say!("{}", timing_line(&answer.timings));
            for object in &answer.objects {
                let roi = object.roi;
                say!(
                    "object {}: score {:.2}, box {}x{} at ({}, {}), {} pixels",
                    object.index,
                    object.score,
                    roi.width,
                    roi.height,
                    roi.x,
                    roi.y,
                    object.area
                );
            }
            if let (Some(file), Some(attention)) = (&files.attention, &answer.attention) {
                say!(
                    "attention: {:.2} on the picture, {:.2} on <s>: {}",
                    attention.on_image(),
                    attention.sink,
                    file.display()
                );
            }
            say!("{}: {}", answer.status.name(), files.overlay.display());
        }
    }
    Ok(())
}

/// Checks that the file can be written as a PNG, and that the model has a guided head.
fn check_attention(file: &Path, model: &Path) -> anyhow::Result<()> {
    if !file
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"))
    {
        bail!(
            "--attention is {}; accepted: a name that ends in .png",
            file.display()
        );
    }
    let config = model.join("lisa.json");
    LisaConfig::read(&config)?.needs_guided_head(&config)?;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    output_paths::check_folder(folder)?;
    output_paths::check_file(file)
}

/// Checks that no file that is read is overwritten, and none is written twice.
fn check_overwriting(args: &Args, stems: &[String]) -> anyhow::Result<()> {
    let files: Vec<OutputFile> = [("--dump", &args.dump), ("--attention", &args.attention)]
        .into_iter()
        .filter_map(|(option, file)| Some(OutputFile::new(option, file.as_deref()?)))
        .collect();
    let model = args.model.files();
    let read: Vec<&Path> = args
        .image
        .iter()
        .chain(&model)
        .map(PathBuf::as_path)
        .collect();
    output_paths::check_distinct(&files, &read)?;
    let written = |stem: &str| stems.iter().any(|own| own == stem);
    for path in read.into_iter().chain(files.iter().map(|file| file.path)) {
        if output_paths::is_in(path, &args.out) && stem_of(path).is_some_and(written) {
            bail!(
                "a picture of the answer would be written over {}; accepted: an --out where nothing is read or written that \
                 is named like them",
                path.display()
            );
        }
    }
    Ok(())
}

/// The stems of the files, with numbers appended where two would be equal.
fn stems(paths: &[PathBuf]) -> Vec<String> {
    let own = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let all: Vec<String> = paths.iter().map(own).collect();
    let mut taken: HashSet<String> = HashSet::new();
    let mut stems = Vec::new();
    for stem in &all {
        let mut unique = stem.clone();
        let mut number = 2;
        // The second of two pictures called mug is mug-2, unless a third one is called that.
        while taken.contains(&unique) || (unique != *stem && all.contains(&unique)) {
            unique = format!("{stem}-{number}");
            number += 1;
        }
        taken.insert(unique.clone());
        stems.push(unique);
    }
    stems
}

/// Asks the engine. On a terminal the answer's text is printed while it is generated.
fn ask(engine: &Engine, args: &Args, frame: &Frame) -> anyhow::Result<Answer> {
    let mut options = args.model.options(args.sampling.seed);
    options.trace = args.dump.is_some();
    options.attention = args.attention.is_some();
    let ticket = engine.submit(Request {
        instruction: args.instruction.clone(),
        frame: frame.clone(),
        conversation_id: None,
        options,
    })?;
    let stream = !args.json && std::io::stdout().is_terminal();
    for event in ticket.events.iter() {
        match event {
            Event::TextDelta { text, .. } if stream => {
                print_part(text);
            }
            Event::Done(answer) => {
                match (args.json, stream) {
                    (true, _) => {}
                    (false, true) => say!(""),
                    (false, false) => say!("{}", answer.text),
                }
                return Ok(*answer);
            }
            Event::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
    bail!("the engine ended without an answer")
}

fn write_attention(file: &Path, frame: &RgbImage, answer: &Answer) -> anyhow::Result<()> {
    let attention = answer
        .attention
        .as_ref()
        .context("the answer does not say where the model looked")?;
    let drawn = attention.draw(frame, HEAT);
    drawn
        .save(file)
        .with_context(|| format!("cannot write {}", file.display()))
}

fn write_dump(path: &Path, answer: &Answer) -> anyhow::Result<()> {
    let trace = answer
        .trace
        .as_ref()
        .context("the answer carries no trace")?;
    let tensors = trace.iter().map(|(name, tensor)| (name.as_str(), tensor));
    write_safetensors(path, tensors)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_one_name_are_told_apart_from_each_other_and_from_all_others() {
        let paths = ["x/mug.png", "y/mug.png", "mug-2.png", "mug.jpg"].map(PathBuf::from);
        assert_eq!(stems(&paths), ["mug", "mug-3", "mug-2", "mug-4"]);
    }
}
