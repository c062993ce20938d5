//! The command `lisa train`.

use std::io::Write;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use lisa::engine::DeviceSpec;
use lisa::signals::Interrupt;
use lisa::train::{
    inspect, settings_help, Alone, Communicator, Ended, Record, Threads, TrainConfig, Trainer,
};
use lisa::weights::find_model;

const EXAMPLES: &str = "Examples:
  lisa train --config config/finetune.toml --model models/lisa-7b
  lisa train --config config/finetune.toml --model models/lisa-7b --resume
  lisa train --config config/finetune.toml --inspect 8 --out look
  mpirun -n 2 lisa train --config config/finetune.toml      with a lisa that was built with the feature mpi

Ctrl-C finishes the step under way and saves it; --resume goes on from there with the same numbers. A training that was
stopped ends with 130 (Ctrl-C), 143 (SIGTERM) or 129 (SIGHUP, unless nohup keeps it away).";

/// Train or fine-tune a model, as a configuration file says.
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n`--help` lists every setting of the configuration file with its range and default."))]
#[command(after_long_help = format!("{EXAMPLES}\n{}", settings_help()))]
pub struct Args {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "settings")]
    config: Option<PathBuf>,
    /// Model directory to start from, instead of the file's model.dir
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder of the datasets, instead of the file's data.root
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the run (with --inspect: of the pictures), instead of the file's run.out
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Stop after so many steps, instead of the file's run.steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Go on with the run in the folder
    #[arg(long)]
    resume: bool,
    /// Do not look at all files of the data before the first step
    #[arg(long)]
    no_check: bool,
    /// Train nothing: print the datasets' sizes and N samples as the model sees them, with overlays in the folder
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "4", conflicts_with = "resume")]
    inspect: Option<usize>,
    /// Print every setting of the configuration file
    #[arg(long)]
    settings: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let Some(path) = args.config.filter(|_| !args.settings) else {
        say!("{}", settings_help());
        return Ok(());
    };
    let mut config = TrainConfig::read(&path)?;
    if let Some(model) = args.model {
        (config.model.dir, config.model.init) = (Some(find_model(&model)), None);
    }
    if let Some(root) = args.data {
        config.data.root = root;
    }
    if let Some(out) = args.out {
        config.run.out = out;
    }
    if let Some(steps) = args.steps {
        config.run.steps = steps;
    }
    let ranks = match args.inspect {
        None => super::ranks::join(&mut config.run.device)?,
        Some(_) => Box::new(Alone),
    };
    threads_of_products(
        config.run.device,
        config.threads(),
        config.images_per_step(),
    )?;
    if let Some(count) = args.inspect {
        return inspect(&config, count, |line| say!("{line}")).map_err(Into::into);
    }

    let (rank, several) = (ranks.rank(), ranks.size() > 1);
    match train(config, args.resume, !args.no_check, ranks) {
        // A process that ends without leaving the others ends them, too.
        Err(error) if several => {
            note!("rank {rank}: {error:#}");
            std::process::exit(1);
        }
        ended => ended,
    }
}

/// Trains, alone or as one of several processes, of which the first one speaks.
fn train(
    config: TrainConfig,
    resume: bool,
    check_files: bool,
    ranks: Box<dyn Communicator>,
) -> anyhow::Result<()> {
    let (steps, out) = (config.run.steps, config.run.out.clone());
    let (first, size) = (ranks.rank() == 0, ranks.size());
    let interrupt = Interrupt::listen()?;
    if first {
        interrupt.announce(|| note!("finishing this step; once more to stop at once"))?;
    }
    let mut trainer = Trainer::with_ranks(config, resume, ranks)?;
    if first && check_files {
        check(&trainer)?;
    }
    let trained: usize = trainer
        .parameters()
        .trained()
        .values()
        .map(|v| v.elem_count())
        .sum();
    let frozen = trainer.parameters().frozen_numbers();
    let shared = match size {
        1 => String::new(),
        _ => format!("; {size} processes"),
    };
    if first {
        note!(
            "{trained} numbers trained, {frozen} frozen; step {} of {steps}; {}{shared}",
            trainer.step(),
            out.display()
        );
    }
    let progress = first.then(|| Progress::new(trainer.step(), steps));
    let ended = trainer.run(&interrupt.asked, |record| {
        progress.iter().for_each(|progress| progress.show(record));
    })?;
    progress
        .iter()
        .for_each(|progress| progress.bar.finish_and_clear());
    trainer.leave();
    let (out, step) = (out.display(), trainer.step());
    match ended {
        Ended::Finished if !first => {}
        Ended::Stopped if !first => std::process::exit(interrupt.exit_code()),
        Ended::Finished => tell(&format!(
            "{out}: {step} steps\ntry: lisa merge --run {out} --out MODEL"
        )),
        Ended::Stopped => {
            tell(&format!(
                "{out}: stopped after step {step}; --resume goes on"
            ));
            // Not 0, so that `lisa train … && lisa merge …` ends here.
            std::process::exit(interrupt.exit_code());
        }
    }
    Ok(())
}

/// Sets how many threads candle's operations use while a network is trained by steps of `images` images; to be called before the
/// first of them, when there are no other threads.
///
/// # Errors
/// A device that cannot be opened.
pub fn threads_of_products(
    device: DeviceSpec,
    threads: Threads,
    images: usize,
) -> anyhow::Result<()> {
    if device.open()?.is_cpu() {
        // A product is cut into so many parts, which run on the threads that compute the image.
        let parts = threads.most(images).max(1);
        std::env::set_var("RAYON_NUM_THREADS", parts.to_string());
        // Candle's other operations would share one pool, which serves one image at a time and whose threads spin meanwhile.
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    Ok(())
}

/// Checks all files of the data, with a bar on a terminal.
fn check(trainer: &Trainer) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files looked at") {
        bar.set_style(style);
    }
    let started = std::time::Instant::now();
    let checked = trainer.check(&|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    tracing::info!(
        "all files of the data looked at in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(checked?)
}

/// Prints how the training ended. A failure to print is ignored, because the result is on disk.
fn tell(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

/// A bar on a terminal, or else a line every 50 steps.
struct Progress {
    bar: ProgressBar,
    started: std::time::Instant,
    first: u64,
    steps: u64,
}

impl Progress {
    fn new(first: u64, steps: u64) -> Self {
        let bar = ProgressBar::new(steps).with_position(first);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len} {eta_precise} {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.reset_eta();
        Self {
            bar,
            started: std::time::Instant::now(),
            first,
            steps,
        }
    }

    fn show(&self, record: &Record) {
        let line = describe(record);
        if record.split != "train" {
            self.bar.println(&line);
        } else {
            self.bar.set_position(record.step);
            self.bar.set_message(line.clone());
        }
        let log = record.split != "train" || record.step % 50 == 0 || record.step == self.first + 1;
        if self.bar.is_hidden() && log {
            let done = (record.step - self.first).max(1) as f64;
            let left =
                self.started.elapsed().as_secs_f64() / done * (self.steps - record.step) as f64;
            note!(
                "{line}, {} left",
                indicatif::HumanDuration(std::time::Duration::from_secs_f64(left))
            );
        }
    }
}

fn describe(record: &Record) -> String {
    let mut line = format!("{} {}: loss {:.4}", record.split, record.step, record.loss);
    for (name, loss) in &record.losses {
        line += &format!(" {name} {loss:.3}");
    }
    if let Some(giou) = record.giou {
        line += &format!(", gIoU {giou:.3}");
    }
    if let (Some(attended), Some(presence)) = (record.attended, record.presence) {
        line += &format!(", attended {attended:.3}, presence {presence:.3}");
    }
    line
}
