//! The command `lisa bench`.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context};
use lisa::bench::{Answers, Languages, Machine, Scratch, Shape, Stage, Training, SHAPES};
use lisa::compute;
use lisa::engine::{DTypeSpec, DeviceSpec, EngineConfig, LisaReasoner};
use lisa::train::Threads;
use lisa::weights::{find_model, shipped_model, write_safetensors, QuantizationChange};
use serde_json::{json, Value};

use super::convert::QuantizeArgs;
use super::output_paths;

/// Measure how long each stage of an answer takes on this machine, and how much memory it needs.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:
  lisa bench --model models/lisa-7b
  lisa bench --shape small --threads 2 --json
  lisa bench --shape lisa-7b --dtype f16 --quantize q4_k --cycles 1
  lisa bench --shape small --train
  lisa bench --gguf SmolLM2-135M-Instruct.gguf

Shapes, of random weights, for which no file is needed:
{}
An answer is one that the node would give, about a new frame of 640x480, except that its tokens are dictated: one of \
them is a [SEG]. `make bench` measures PyTorch beside it, and docs/BENCH.md says how to read the numbers.", shapes()))]
pub struct Args {
    /// Model directory, or the name of an installed model [default: lisa-mini, which comes with the project]
    #[arg(long, value_name = "DIR", group = "what")]
    model: Option<PathBuf>,
    /// A network of random weights: small, sam-h, lisa-mini or lisa-7b
    #[arg(long, value_name = "NAME", group = "what")]
    shape: Option<Shape>,
    /// A language model by itself, in llama.cpp's file format: reads --ids and writes the likeliest --tokens
    #[arg(long, value_name = "FILE", group = "what")]
    gguf: Option<PathBuf>,
    /// Measure training steps, LoRA as in config/finetune.toml, instead of answers
    #[arg(long, requires = "shape", conflicts_with_all = ["model", "gguf"])]
    train: bool,
    /// Frames that are measured, or training steps; one more warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cycles: u32,
    /// Tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=32768), conflicts_with = "train")]
    tokens: u32,
    /// Threads of the CPU that compute [default: RAYON_NUM_THREADS, or one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceSpec,
    /// auto, f32, f16 or bf16; a CPU computes in f32 and holds large weights so
    #[arg(long, default_value = "auto", conflicts_with = "train")]
    dtype: DTypeSpec,
    #[command(flatten)]
    quantize: QuantizeArgs,
    // What an option requires is not asked for where it conflicts with another one that was given, so both are said.
    /// Images of a training step, joined by commas
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1,4",
        value_parser = clap::value_parser!(u32).range(1..=12),
        requires = "train",
        conflicts_with_all = ["model", "gguf"]
    )]
    batch: Vec<u32>,
    /// Write the shape's model there, load it from its file as a model of yours is, and remove it afterwards. --train does that
    /// always, with pictures and checkpoints, about five times the model [default with --train: the system's folder]
    #[arg(long, value_name = "DIR", requires = "shape", conflicts_with_all = ["model", "gguf"])]
    scratch: Option<PathBuf>,
    /// Token ids of the prompt of --gguf, joined by commas
    #[arg(
        long,
        value_name = "ID,…",
        value_delimiter = ',',
        default_value = "1,2,3,4,5,6,7,8",
        requires = "gguf",
        conflicts_with_all = ["model", "shape"]
    )]
    ids: Vec<u32>,
    /// Write the logits of --gguf at every position of the prompt
    #[arg(long, value_name = "FILE.safetensors", requires = "gguf", conflicts_with_all = ["model", "shape"])]
    dump: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn shapes() -> String {
    let line = |shape: &Shape| format!("  {:<10} {}\n", shape.name, shape.about);
    SHAPES.iter().map(line).collect()
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(dump) = &args.dump {
        output_paths::check_file(dump)?;
    }
    let threads = args.threads.map_or_else(compute::threads, |n| n as usize);
    if args.train {
        let images = args.batch.iter().copied().min().unwrap_or(1) as usize;
        let threads = Threads {
            images: threads,
            threads,
        };
        super::train::threads_of_products(args.device, threads, images)?;
    } else {
        std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
    }
    let (mut report, mut stages, title) = match (&args.gguf, args.shape) {
        (Some(file), _) => language(&args, file)?,
        (None, Some(shape)) if args.train => training(&args, shape, threads)?,
        (None, shape) => answers(&args, shape)?,
    };
    if args.train {
        return print(&args, report, &title, &stages, None);
    }
    // Measured last, so that its buffers are not in the peak of the memory.
    let device = args.device.open()?;
    let dtype = args
        .dtype
        .precision(candle_core::DType::F32, &device)
        .computed;
    let machine = Machine::measure(&device, dtype)?;
    stages.iter_mut().for_each(|stage| stage.compare(&machine));
    report["threads"] = threads.into();
    report["stages"] = serde_json::to_value(&stages)?;
    report["machine"] = serde_json::to_value(machine)?;
    print(&args, report, &title, &stages, Some(machine))
}

type Measured = (Value, Vec<Stage>, String);

fn answers(args: &Args, shape: Option<Shape>) -> anyhow::Result<Measured> {
    let mut engine = EngineConfig::new("");
    (engine.device, engine.dtype) = (args.device, args.dtype);
    let quantization = args.quantize.change();
    if shape.is_none() && quantization != QuantizationChange::default() {
        bail!("--quantize and --quantize-encoders are for --shape; accepted for a model: what `lisa convert --model … --quantize …` makes of it");
    }
    let scratch = args.scratch.as_deref().map(Scratch::new).transpose()?;
    let mut reasoner = match (shape, &scratch) {
        (Some(shape), None) => shape.reasoner(&engine, quantization)?,
        (Some(shape), Some(folder)) => {
            engine.model = shape.write(folder, quantization)?;
            LisaReasoner::load(&engine)?
        }
        (None, _) => {
            let model = args.model.as_deref().map(find_model).or_else(shipped_model);
            engine.model = model.context("--model or --shape is needed: models/lisa-mini, the model of the project, is not installed; `make install-data` in the project's folder installs it")?;
            LisaReasoner::load(&engine)?
        }
    };
    let measured = Answers {
        cycles: args.cycles as usize,
        tokens: args.tokens as usize,
        language: shape.is_none_or(|shape| shape.language),
    };
    let times = measured.measure(&mut reasoner)?;
    let info = reasoner.info();
    let mut title = format!(
        "{} on {} in {}, {} parameters; {} frames",
        info.model, info.device, info.dtype, info.parameters, args.cycles
    );
    if measured.language {
        title += &format!(
            ", prompts of {} positions, answers of {} tokens; a second question computes {} positions",
            times.prompt, times.tokens, times.second_prompt
        );
    }
    let mut report = json!({
        "model": info.model,
        "device": info.device,
        "dtype": info.dtype,
        "parameters": info.parameters,
        "language": measured.language,
        "cycles": args.cycles,
        "config": reasoner.config(),
    });
    merge(&mut report, serde_json::to_value(&times)?);
    Ok((report, times.stages, title))
}

fn language(args: &Args, file: &Path) -> anyhow::Result<Measured> {
    let measured = Languages {
        prompt: args.ids.clone(),
        tokens: args.tokens as usize,
        cycles: args.cycles as usize,
    };
    if args.device.open()?.is_cuda() || !matches!(args.dtype, DTypeSpec::Auto | DTypeSpec::F32) {
        bail!("--gguf computes on the CPU in f32; accepted: --device cpu, --dtype f32");
    }
    let times = measured.measure(file)?;
    if let Some(dump) = &args.dump {
        write_safetensors(dump, [("logits", &times.logits)])?;
    }
    let title = format!(
        "{} in f32, a prompt of {} tokens and {} more, {} times",
        file.display(),
        args.ids.len(),
        args.tokens,
        args.cycles
    );
    let mut report = json!({"file": file, "prompt": args.ids.len(), "cycles": args.cycles});
    merge(&mut report, serde_json::to_value(&times)?);
    Ok((report, times.stages, title))
}

fn training(args: &Args, shape: Shape, workers: usize) -> anyhow::Result<Measured> {
    let measured = Training {
        batches: args.batch.iter().map(|batch| *batch as usize).collect(),
        steps: args.cycles as usize,
        workers,
        device: args.device,
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        quantization: args.quantize.change(),
    };
    let times = measured.measure(shape)?;
    let title = format!(
        "{shape}, LoRA as in config/finetune.toml: {} conversations a picture, {workers} pictures at a time; {} steps",
        times.conversations, args.cycles
    );
    let mut report = json!({
        "model": shape.name,
        "config": shape.config(),
        "threads": workers,
        "cycles": args.cycles,
    });
    merge(&mut report, serde_json::to_value(&times)?);
    let steps = times.batches.into_iter().chain(times.kept);
    let stages = steps.map(|step| step.stage).collect();
    Ok((report, stages, title))
}

/// Adds the fields of one object to another.
fn merge(report: &mut Value, more: Value) {
    if let (Value::Object(report), Value::Object(more)) = (report, more) {
        report.extend(more);
    }
}

fn print(
    args: &Args,
    report: Value,
    title: &str,
    stages: &[Stage],
    machine: Option<Machine>,
) -> anyhow::Result<()> {
    if args.json {
        say!("{report}");
        return Ok(());
    }
    say!("{title}");
    say!(
        "{:<16} {:>10} {:>10} {:>10} {:>7} {:>5}  of the machine",
        "stage",
        "median",
        "min",
        "max",
        "spread",
        "n"
    );
    for (index, stage) in stages.iter().enumerate() {
        let name = match args.batch.get(index % args.batch.len().max(1)) {
            Some(batch) if args.train => format!("{}, batch {batch}", stage.stage),
            _ => stage.stage.to_owned(),
        };
        let of = match (stage.share, stage.work.gflop) {
            (Some(share), Some(_)) => format!("{:.0} % of its products", 100.0 * share),
            (Some(share), None) => format!("{:.0} % of its copying", 100.0 * share),
            (None, _) => String::new(),
        };
        let s = &stage.seconds;
        let line = format!(
            "{name:<16} {:>10} {:>10} {:>10} {:>5.0} % {:>5}  {of}",
            seconds(s.median),
            seconds(s.min),
            seconds(s.max),
            100.0 * s.spread,
            s.count
        );
        say!("{}", line.trim_end());
    }
    if let Some(bytes) = peak_of(&report) {
        say!("most memory held: {:.2} GB", bytes / 1e9);
    }
    if let Some(machine) = machine {
        say!(
            "this machine, by candle's products and by copying: {:.0} GFLOP/s, {:.1} GB/s",
            machine.gemm_gflops,
            machine.copy_gbytes
        );
    }
    Ok(())
}

/// The peak of the memory in a report: its own, or that of its last batch.
fn peak_of(report: &Value) -> Option<f64> {
    let last = report["batches"]
        .as_array()
        .and_then(|batches| batches.last());
    last.unwrap_or(report)["peak_rss"].as_f64()
}

/// A time with the unit that suits it.
fn seconds(time: f64) -> String {
    match time {
        _ if time >= 1.0 => format!("{time:.2} s"),
        _ if time >= 1e-3 => format!("{:.2} ms", 1e3 * time),
        _ => format!("{:.0} µs", 1e6 * time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(seconds(12.345), "12.35 s");
        assert_eq!(seconds(0.0321), "32.10 ms");
        assert_eq!(seconds(0.00004), "40 µs");
    }

    #[test]
    fn the_last_batch_has_the_peak() {
        let report = json!({"batches": [{"peak_rss": 1}, {"peak_rss": 5}]});
        assert_eq!(peak_of(&report), Some(5.0));
        assert_eq!(peak_of(&json!({"peak_rss": 3})), Some(3.0));
        assert_eq!(peak_of(&json!({"peak_rss": null})), None);
    }
}
