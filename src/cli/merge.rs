//! The command `lisa merge`.

use std::path::PathBuf;

use lisa::signals::Interrupt;
use lisa::train::{merge, MergeOptions, TrainError, BEST, LAST};
use lisa::weights::{find_model, DType, WeightsError};

use super::convert::QuantizeArgs;

/// Fold what a run trained, adapters too, into a model directory.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa merge --run runs/kitchen --out models/kitchen --dtype bf16
  lisa merge --run runs/kitchen --out models/kitchen --quantize q4_k")]
pub struct Args {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Its best step in validation, or its last; best where there is one
    #[arg(long, value_enum)]
    checkpoint: Option<CheckpointChoice>,
    /// The model directory that was trained, where it has moved
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Another model of the same shapes, to put the trained tensors into; only for runs without adapters
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    onto: Option<PathBuf>,
    /// Model directory to make; an earlier one is replaced, but for the one that is read
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Store the weights so: f32, f16 or bf16 [default: as the trained model]
    #[arg(long, value_parser = stored)]
    dtype: Option<DType>,
    #[command(flatten)]
    quantize: QuantizeArgs,
    /// What the model is called [default: as the trained model]
    #[arg(long, allow_hyphen_values = true)]
    name: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum CheckpointChoice {
    Best,
    Last,
}

fn stored(text: &str) -> Result<DType, String> {
    match text {
        "f32" => Ok(DType::F32),
        "f16" => Ok(DType::F16),
        "bf16" => Ok(DType::Bf16),
        _ => Err("accepted: f32, f16, bf16".to_owned()),
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let best = args.run.join(BEST);
    let checkpoint = match args.checkpoint {
        Some(CheckpointChoice::Best) => best,
        Some(CheckpointChoice::Last) => args.run.join(LAST),
        None if best.is_file() => best,
        None => args.run.join(LAST),
    };
    let interrupt = Interrupt::listen()?;
    let merged = merge(&MergeOptions {
        model: args.model.as_deref().map(find_model),
        onto: args.onto.as_deref().map(find_model),
        dtype: args.dtype,
        quantization: args.quantize.change(),
        name: args.name,
        stop: interrupt.asked.clone(),
        ..MergeOptions::new(&checkpoint, &args.out)
    });
    let report = match merged {
        Err(TrainError::Weights(error @ WeightsError::Interrupted)) => {
            note!("lisa: {error}; nothing was written");
            std::process::exit(interrupt.exit_code());
        }
        merged => merged?,
    };
    say!(
        "{}: step {} of {}; {} of {} tensors replaced, {} adapters folded",
        args.out.display(),
        report.step,
        checkpoint.display(),
        report.replaced,
        report.tensors,
        report.adapters
    );
    Ok(())
}
