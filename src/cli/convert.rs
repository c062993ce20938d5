//! The command `lisa convert`, and the half of `lisa pull` that is the same.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use lisa::convert::{convert, ConvertOptions};
use lisa::signals::Interrupt;
use lisa::text::Template;
use lisa::weights::{DType, WeightsError};

/// Turn a published LISA checkpoint into one model directory.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa convert --lisa LISA-7B-v1 --clip clip-vit-large-patch14 --out models/lisa-7b
  lisa convert --lisa LISA-7B-v1 --clip clip-vit-large-patch14 --out models/lisa-7b-bf16 --dtype bf16")]
pub struct Args {
    /// Checkpoint folder: pytorch_model-*.bin or *.safetensors, config.json, and tokenizer.model with
    /// added_tokens.json, or tokenizer.json. LoRA that is not merged needs its adapter_config.json there
    #[arg(long, value_name = "DIR")]
    lisa: PathBuf,
    /// CLIP folder: weights, config.json, preprocessor_config.json
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Model directory to make; an earlier one is replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    making: MakingArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// How a model directory is made of a checkpoint.
#[derive(clap::Args)]
pub struct MakingArgs {
    /// Store the weights so [default: as the checkpoint has them]
    #[arg(long, value_enum)]
    dtype: Option<StoredDtype>,
    /// Conversation template the checkpoint was trained with: llava_v1 or llava_llama_2
    #[arg(long, default_value = "llava_v1")]
    template: Template,
    /// Side of SAM's input, a multiple of its patch size; smaller is faster and coarser [default: as trained]
    #[arg(long, value_name = "PIXELS")]
    sam_size: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum StoredDtype {
    F32,
    F16,
    Bf16,
}

impl MakingArgs {
    /// `options` with what the arguments say.
    pub fn apply(&self, options: ConvertOptions) -> ConvertOptions {
        ConvertOptions {
            dtype: self.dtype.map(|dtype| match dtype {
                StoredDtype::F32 => DType::F32,
                StoredDtype::F16 => DType::F16,
                StoredDtype::Bf16 => DType::Bf16,
            }),
            template: self.template,
            sam_image_size: self.sam_size,
            ..options
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let options = ConvertOptions {
        stop: interrupt.asked.clone(),
        ..ConvertOptions::new(args.lisa, args.clip, args.out)
    };
    make(&args.making.apply(options), args.json, &interrupt)
}

/// Converts with a bar, and prints what was made.
pub fn make(options: &ConvertOptions, json: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    // indicatif hides itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta:>4} {wide_msg}")
    {
        bar.set_style(style);
    }
    let report = convert(options, |done, total, tensor| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(tensor.to_owned());
    });
    bar.finish_and_clear();
    let report = match report {
        Err(error @ WeightsError::Interrupted) => {
            note!("lisa: {error}; nothing was written");
            std::process::exit(interrupt.exit_code());
        }
        report => report?,
    };
    if json {
        let mut json = serde_json::json!({
            "model": options.out,
            "name": report.config.name,
            "tensors": report.tensors,
            "bytes": report.bytes,
            "dtype": report.config.dtype,
            "left_out": report.left_out,
            "notes": report.notes,
        });
        if let Some(origin) = &options.origin {
            json["source"] = origin.source.as_str().into();
            json["licence"] = origin.licence.clone().into();
        }
        say!("{json}");
    } else {
        let out = options.out.display();
        say!(
            "{out}: {} in {} tensors, {}, stored as {}",
            report.config.name,
            report.tensors,
            indicatif::HumanBytes(report.bytes),
            candle_core::DType::from(report.config.dtype).as_str(),
        );
        for note in &report.notes {
            say!("{note}");
        }
        say!("try: lisa segment --model {out} --image PICTURE --instruction \"…\"");
    }
    Ok(())
}
