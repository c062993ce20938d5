//! The command `lisa convert`, and the half of `lisa pull` that is the same.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use lisa::convert::{convert, restore, ConvertOptions, ConvertReport, Origin, RestoreOptions};
use lisa::signals::Interrupt;
use lisa::text::Template;
use lisa::weights::{find_model, BlockType, DType, QuantizationChange, WeightsError};

/// Turn a published LISA checkpoint into one model directory.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lisa convert --lisa LISA-7B-v1 --clip clip-vit-large-patch14 --out models/lisa-7b
  lisa convert --lisa LISA-7B-v1 --clip clip-vit-large-patch14 --out models/lisa-7b-bf16 --dtype bf16
  lisa convert --lisa LISA-7B-v1 --clip clip-vit-large-patch14 --out models/lisa-7b-4bit --quantize q4_k
  lisa convert --model models/kitchen --out models/kitchen-small --quantize q8_0 --quantize-encoders q8_0")]
pub struct Args {
    /// Checkpoint folder: pytorch_model-*.bin or *.safetensors, config.json, and tokenizer.model with
    /// added_tokens.json, or tokenizer.json. LoRA that is not merged needs its adapter_config.json there
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    lisa: Option<PathBuf>,
    /// CLIP folder: weights, config.json, preprocessor_config.json
    #[arg(long, value_name = "DIR", required_unless_present = "model")]
    clip: Option<PathBuf>,
    /// A model directory instead, to be stored once more with another --dtype or --quantize
    #[arg(long, value_name = "DIR", conflicts_with_all = ["lisa", "clip", "template", "sam_size"])]
    model: Option<PathBuf>,
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
    #[command(flatten)]
    quantize: QuantizeArgs,
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

impl From<StoredDtype> for DType {
    fn from(dtype: StoredDtype) -> Self {
        match dtype {
            StoredDtype::F32 => Self::F32,
            StoredDtype::F16 => Self::F16,
            StoredDtype::Bf16 => Self::Bf16,
        }
    }
}

/// Which weights become blocks of small integers.
#[derive(clap::Args)]
pub struct QuantizeArgs {
    /// Store the language model's linear layers in blocks: q8_0 (8.5 bits a number), q4_k (4.5 bits) or none
    #[arg(long, value_name = "TYPE", value_parser = language_blocks)]
    quantize: Option<Blocks>,
    /// Store the linear layers of the image encoders in blocks: q8_0 or none
    #[arg(long, value_name = "TYPE", value_parser = encoder_blocks)]
    quantize_encoders: Option<Blocks>,
}

/// A block type, or that there are to be no blocks.
type Blocks = Option<BlockType>;

fn language_blocks(text: &str) -> Result<Blocks, String> {
    match text {
        "none" => Ok(None),
        "q8_0" => Ok(Some(BlockType::Q8_0)),
        "q4_k" => Ok(Some(BlockType::Q4K)),
        _ => Err("accepted: q8_0, q4_k, none".to_owned()),
    }
}

fn encoder_blocks(text: &str) -> Result<Blocks, String> {
    match text {
        "none" => Ok(None),
        "q8_0" => Ok(Some(BlockType::Q8_0)),
        // Masks suffer from fewer bits before the file gets much smaller: the language model is most of it.
        _ => Err("accepted: q8_0, none".to_owned()),
    }
}

impl QuantizeArgs {
    /// What is asked for.
    pub fn change(&self) -> QuantizationChange {
        QuantizationChange {
            language_model: self.quantize,
            encoders: self.quantize_encoders,
        }
    }
}

impl MakingArgs {
    /// `options` with what the arguments say.
    pub fn apply(&self, options: ConvertOptions) -> ConvertOptions {
        ConvertOptions {
            dtype: self.dtype.map(DType::from),
            quantization: self.quantize.change(),
            template: self.template,
            sam_image_size: self.sam_size,
            ..options
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    if let Some(model) = args.model {
        let model = find_model(&model);
        let options = RestoreOptions {
            quantization: args.making.quantize.change(),
            dtype: args.making.dtype.map(DType::from),
            stop: interrupt.asked.clone(),
            model,
            out: args.out,
        };
        let made = with_bar(&interrupt, |progress| restore(&options, progress))?;
        return report(&options.out, &made, None, args.json);
    }
    let (Some(lisa), Some(clip)) = (args.lisa, args.clip) else {
        anyhow::bail!("accepted: --lisa and --clip, or --model")
    };
    let options = ConvertOptions {
        stop: interrupt.asked.clone(),
        ..ConvertOptions::new(lisa, clip, args.out)
    };
    make(&args.making.apply(options), args.json, &interrupt)
}

/// Converts with a bar, and prints what was made.
pub fn make(options: &ConvertOptions, json: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let made = with_bar(interrupt, |progress| convert(options, progress))?;
    report(&options.out, &made, options.origin.as_ref(), json)
}

/// Runs `work` with a bar for its progress. Interrupted, the process ends.
fn with_bar(
    interrupt: &Interrupt,
    work: impl FnOnce(&mut dyn FnMut(u64, u64, &str)) -> Result<ConvertReport, WeightsError>,
) -> anyhow::Result<ConvertReport> {
    // indicatif hides itself where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta:>4} {wide_msg}")
    {
        bar.set_style(style);
    }
    let report = work(&mut |done, total, tensor| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(tensor.to_owned());
    });
    bar.finish_and_clear();
    match report {
        Err(error @ WeightsError::Interrupted) => {
            note!("lisa: {error}; nothing was written");
            std::process::exit(interrupt.exit_code());
        }
        report => Ok(report?),
    }
}

/// Says what was made.
fn report(
    out: &Path,
    report: &ConvertReport,
    origin: Option<&Origin>,
    json: bool,
) -> anyhow::Result<()> {
    let quantization = report.config.quantization;
    if json {
        let mut json = serde_json::json!({
            "model": out,
            "name": report.config.name,
            "tensors": report.tensors,
            "bytes": report.bytes,
            "dtype": report.config.dtype,
            "quantization": quantization,
            "left_out": report.left_out,
            "notes": report.notes,
        });
        if let Some(origin) = origin {
            json["source"] = origin.source.as_str().into();
            json["licence"] = origin.licence.clone().into();
        }
        say!("{json}");
    } else {
        let out = out.display();
        let quantized = quantization.map_or(String::new(), |q| format!("; {q}"));
        say!(
            "{out}: {} in {} tensors, {}, stored as {}{quantized}",
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
