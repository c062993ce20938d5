//! The command `lisa bag annotate`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lisa::node::{bounds, Settings, Subscribers};
use lisa::replay::{
    camera_topic, instruction_topics, AnnotateOptions, Annotator, Asker, Questions, ReplayError,
    Timeline,
};
use lisa::signals::Interrupt;
use lisa::text::Instruction;
use rosbag2::{namespace, Bag};

use super::super::model_args::{as_the_node, in_range, ModelArgs};
use super::space_args::SpaceArgs;
use crate::cli::streams::{print, warn};

/// Answer over a whole recording, offline: masks, answers and overlays into a second bag, at the moments of the frames.
#[derive(clap::Args)]
#[command(
    mut_arg("max_new_tokens", as_the_node),
    after_help = "Examples:
  lisa bag annotate kitchen --instruction \"Where can I wash my hands?\" --out kitchen-answers
  lisa bag annotate kitchen --instruction-topic /instruction_stamped --out kitchen-answers --copy
  ros2 bag play -i kitchen -i kitchen-answers

Without --instruction the recorded instructions are answered. OUT has /lisa/result, /lisa/mask, /lisa/answer,
/lisa/overlay/compressed, /lisa/detections and /lisa/label_info, as the node publishes them; where the bag has depth images and
calibrations the objects have their places, and OUT also has /lisa/detections_3d and /lisa/markers. Stopped at any moment, the same command goes on. Exit code 1 where
nothing could be answered."
)]
pub struct Args {
    /// A rosbag2, mcap or sqlite3: its folder, or one of its files
    bag: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Ask this of every frame, instead of what was recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    instruction: Option<String>,
    /// With --instruction: ask of every Nth frame only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Topic with instructions (lisa_ros/Instruction, std_msgs/String); without it the only one of each type there is
    #[arg(long, value_name = "TOPIC", conflicts_with = "instruction")]
    instruction_topic: Option<String>,
    /// Topic with images, raw or compressed; without it the only camera there is
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// A stamped instruction takes the frame nearest its stamp, at most so many seconds away (0 to 10)
    #[arg(long, value_name = "SECONDS", default_value_t = Settings::default().sync_slop_s, value_parser = in_range(bounds::SYNC_SLOP_S))]
    sync_slop_s: f64,
    /// The bag to write; must not exist
    #[arg(long, value_name = "BAG")]
    out: PathBuf,
    /// Of the topics that are written, by ROS's rules for names; from the root on, with or without its slash
    #[arg(long, value_name = "NAME", default_value = "/lisa", value_parser = namespace)]
    namespace: String,
    /// Write no overlays
    #[arg(long)]
    no_overlay: bool,
    /// Opacity of the masks in the overlays (0 to 1)
    #[arg(long, value_name = "ALPHA", default_value_t = Settings::default().overlay_alpha)]
    overlay_alpha: f32,
    /// Write the recording's own topics into the bag, too
    #[arg(long)]
    copy: bool,
    /// Write the objects' points, too (sensor_msgs/PointCloud2, 20 bytes a pixel of a mask)
    #[arg(long)]
    object_points: bool,
    #[command(flatten)]
    space: SpaceArgs,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    // Cheap mistakes first: they should not wait for the model.
    if let Some(text) = &args.instruction {
        Instruction::parse(text)?;
    }
    let accepted = bounds::OVERLAY_ALPHA;
    if !accepted.contains(&f64::from(args.overlay_alpha)) {
        bail!(
            "--overlay-alpha is {}; accepted: {} to {}",
            args.overlay_alpha,
            accepted.start(),
            accepted.end()
        );
    }
    let bag = Bag::open(&args.bag)?;
    super::say_notes(&bag);
    let images = camera_topic(&bag, args.topic.as_deref())?;
    let questions = questions(&args, &bag)?;
    let asked = match &questions {
        Questions::Recorded(topics) => topics.as_slice(),
        Questions::EveryNthFrame { .. } => std::slice::from_ref(&images.name),
    };
    let expected = super::messages_on(&bag, asked)?;
    if expected == 0 {
        bail!(
            "{}: there is nothing on {}",
            args.bag.display(),
            asked.join(", ")
        );
    }
    let expected = expected.div_ceil(u64::from(args.every));
    let options = args.model.options(0);
    let space = args.space.find(&bag, &images)?;
    let node = Settings {
        answer: options.clone(),
        sync_slop_s: args.sync_slop_s,
        publish_overlay: !args.no_overlay,
        overlay_alpha: args.overlay_alpha,
        space: args.space.settings(space.as_ref()),
        ..Settings::default()
    };
    let mut timeline = Timeline::new(
        &bag,
        images.clone(),
        questions.clone(),
        node.clone(),
        Subscribers::default(),
    )?;
    let space_settings = format!("{space:?} {:?}", node.space);
    if let Some(space) = space {
        timeline = timeline.with_space(space)?;
    }
    let model = args.model.path()?;
    let settings: BTreeMap<String, String> = [
        ("bag", args.bag.display().to_string()),
        ("images", images.name.clone()),
        ("questions", format!("{questions:?}")),
        ("model", model.display().to_string()),
        ("options", format!("{options:?}")),
        ("sync_slop_s", args.sync_slop_s.to_string()),
        ("namespace", args.namespace.clone()),
        ("overlay", (!args.no_overlay).to_string()),
        ("space", space_settings),
        ("object_points", args.object_points.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut annotator = Annotator::begin(
        &bag,
        &args.out,
        AnnotateOptions {
            namespace: args.namespace,
            node,
            object_points: args.object_points,
            copy: args.copy,
            settings,
        },
    )?;
    if annotator.done() > 0 {
        let done = annotator.done();
        print(format_args!("{done} answers are there already; going on"));
    }
    let engine = match args.model.start(false) {
        Ok(engine) => engine,
        Err(error) => {
            annotator.abandon()?;
            return Err(error);
        }
    };
    let mut asker = Asker::new(&bag, &engine);
    let interrupt = Interrupt::listen()?;
    let bar = ProgressBar::new(expected);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta:>4} {wide_msg}") {
        bar.set_style(style);
    }
    let (mut answered, mut refused) = (0usize, 0usize);
    for resolved in timeline.by_ref() {
        bar.inc(1);
        let known = annotator.is_done(&resolved);
        // A turn of a conversation is asked again: later ones build on it.
        if known && resolved.question.conversation_id.is_empty() {
            continue;
        }
        if interrupt.asked.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            let answers = answered + annotator.done();
            let part = annotator.pause()?;
            note!(
                "lisa: stopped; {answers} answers are in {}, {answered} of them new; the same command goes on",
                part.display()
            );
            std::process::exit(interrupt.exit_code());
        }
        let ended = asker.ask(resolved);
        if known {
            continue;
        }
        match &ended.result.outcome {
            Ok(answer) => {
                answered += 1;
                bar.set_message(answer.text.clone());
            }
            Err(refusal) => {
                refused += 1;
                bar.suspend(|| {
                    warn(format_args!(
                        "instruction {}: {}",
                        ended.question().instruction_id,
                        refusal.why
                    ))
                });
            }
        }
        annotator.write(&ended)?;
    }
    bar.finish_and_clear();
    super::say_faults(timeline.faults());
    let answered = answered + annotator.done();
    if answered + refused == 0 {
        annotator.abandon()?;
        bail!("there was nothing to answer: no instruction, or no frame");
    }
    annotator.finish()?;
    let out = args.out.display();
    let not = match (answered, refused) {
        (_, 0) => String::new(),
        (0, _) => bail!("none of {refused} instructions could be answered; {out} says of each why"),
        (_, n) => format!(", {n} could not be answered"),
    };
    print(format_args!("{out}: {answered} answers{not}"));
    Ok(())
}

fn questions(args: &Args, bag: &Bag) -> anyhow::Result<Questions> {
    if let Some(text) = &args.instruction {
        return Ok(Questions::EveryNthFrame {
            text: text.clone(),
            every: args.every as usize,
        });
    }
    match instruction_topics(bag, args.instruction_topic.as_deref()) {
        Ok(topics) => Ok(Questions::Recorded(topics)),
        Err(ReplayError::Choose { found, .. }) if found.is_empty() => Err(anyhow!(
            "{}: no instructions are in it; give --instruction TEXT to ask the same of every frame, or name a topic of \
             std_msgs/String with --instruction-topic",
            args.bag.display()
        )),
        Err(error) => Err(error.into()),
    }
}
