//! The command `lisa eval metres`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use lisa::engine::{Engine, Frame, Request};
use lisa::eval::metres::{
    measure_scene, Conditions, MaskSource, MetresReport, MetresSettings, PredictedMask,
};
use lisa::eval::EvalError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tableworld::language::{dialogues, QuestionKind};
use tableworld::{render, Scene, Split};

use super::model_args::{in_range, ModelArgs};
use super::output_paths::{check_distinct, check_file, OutputFile};
use super::world::{size, split};

#[derive(clap::Args)]
pub struct Args {
    /// train, val or test
    #[arg(long, value_parser = split)]
    split: Split,
    /// Scenes
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Seed of the first scene
    #[arg(long = "seed", value_name = "S0", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..900_000_000))]
    seed0: u64,
    /// Size of the pictures
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    size: (u32, u32),
    /// Speed of a moving camera, m/s
    #[arg(long, value_name = "V", default_value_t = 0.5, value_parser = in_range(0.0..=5.0))]
    speed: f64,
    /// Seconds from the picture to the newest transform: what an answer takes
    #[arg(long, value_name = "S", default_value_t = 0.2, value_parser = in_range(0.0..=5.0))]
    delay: f64,
    /// Also measure the masks that the model predicts for every object that a name alone tells from the others
    #[arg(long)]
    predicted: bool,
    /// Take all of a mask for the object, the surface that it stands on included
    #[arg(long)]
    keep_support: bool,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(json) = &args.json {
        check_file(json)?;
        let model = args.model.files();
        let model: Vec<_> = model.iter().map(PathBuf::as_path).collect();
        check_distinct(&[OutputFile::new("--json", json)], &model)?;
    }
    let settings = MetresSettings {
        size: args.size,
        speed: args.speed,
        delay: args.delay,
        leave_out_support: !args.keep_support,
        ..MetresSettings::new(args.split, args.seed0)
    };
    let engine = match args.predicted {
        true => Some(args.model.start(false)?),
        false => None,
    };
    let mut conditions = Conditions::all();
    conditions.retain(|c| args.predicted || c.masks != MaskSource::Predicted);
    let bar = ProgressBar::new(u64::from(args.count));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} scenes {eta:>4}") {
        bar.set_style(style);
    }
    let seeds: Vec<u64> = (args.seed0..args.seed0 + u64::from(args.count)).collect();
    let scenes: Vec<Scene> = seeds
        .iter()
        .map(|seed| Scene::sample(args.split, *seed))
        .collect();
    let predicted = match &engine {
        Some(engine) => scenes
            .iter()
            .map(|scene| predict(engine, &args, scene))
            .collect::<anyhow::Result<Vec<_>>>()?,
        None => vec![Vec::new(); scenes.len()],
    };
    let measured = scenes.par_iter().zip(&predicted).map(|(scene, predicted)| {
        let measured = measure_scene(scene, &settings, &conditions, predicted);
        bar.inc(1);
        measured
    });
    let measured = measured.collect::<Result<Vec<_>, EvalError>>()?;
    bar.finish_and_clear();
    let model = engine.map(|engine| engine.model().to_string());
    let report = MetresReport::new(&settings, &measured, model);
    say!("{report}");
    if let Some(file) = &args.json {
        report.write_json(file)?;
        say!("{}", file.display());
    }
    Ok(())
}

/// The model's masks of the objects that are asked for by name.
fn predict(engine: &Engine, args: &Args, scene: &Scene) -> anyhow::Result<Vec<PredictedMask>> {
    let (width, height) = args.size;
    let seen = render(scene, width, height);
    let mut rng = ChaCha8Rng::seed_from_u64(scene.seed);
    let frame = Frame::new(seen.image.clone());
    let mut masks = Vec::new();
    for dialogue in dialogues(scene, &seen, args.split, &mut rng) {
        let [object] = *dialogue.targets() else {
            continue;
        };
        let [turn] = dialogue.turns.as_slice() else {
            continue;
        };
        if dialogue.kind != QuestionKind::Explicit {
            continue;
        }
        let request = Request {
            instruction: turn.question.clone(),
            frame: frame.clone(),
            conversation_id: None,
            options: args.model.options(0),
        };
        let answer = engine.submit(request)?.wait()?;
        if let Some(mask) = answer.union_mask(width, height) {
            masks.push(PredictedMask { object, mask });
        }
    }
    Ok(masks)
}
