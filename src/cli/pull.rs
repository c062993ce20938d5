//! The command `lisa pull`: downloads a published checkpoint and its CLIP, and converts them.
//!
//! `model_hub` gets files by their names, and `lisa::convert` knows which are needed. The small ones come first: whether it is a
//! LISA checkpoint at all, and whether everything fits on the disk, is known before the first of its gigabytes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use lisa::convert::{
    check_before_weights, check_place, named_clip, needed_texts, needed_weights, ConvertOptions,
    Origin, Part,
};
use lisa::signals::Interrupt;
use model_hub::{check_space, Hub, HubError, Need, Plan, Repo, Revision, Settings, Snapshot, Stop};

use super::convert::{make, MakingArgs};
use super::download_progress::DownloadProgress;

/// Download a published LISA checkpoint with its CLIP, and make one model directory of them.
#[derive(clap::Args)]
#[command(
    after_help = "Files go to the cache that all programs for this hub share, and those that are there are used. An interrupted \
download goes on where it ended. Only the files that the model is made of are fetched; each is compared with its size and its \
checksum, and nothing in them is run.

Environment: HF_HOME or HF_HUB_CACHE (where the cache is), HF_TOKEN (for private and gated models), HF_ENDPOINT (another hub), \
HF_HUB_OFFLINE=1 (the cache alone), HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE.

Examples:
  lisa pull xinlai/LISA-7B-v1 --out models/lisa-7b
  lisa pull xinlai/LISA-7B-v1 --clip openai/clip-vit-large-patch14 --out models/lisa-7b --dtype bf16"
)]
pub struct Args {
    /// The checkpoint's name on the hub, OWNER/NAME
    #[arg(value_name = "NAME")]
    lisa: Repo,
    /// The name of the CLIP whose vision tower it sees with [default: the one that its config.json names]
    #[arg(long, value_name = "NAME")]
    clip: Option<Repo>,
    /// Branch, tag or commit of the checkpoint
    #[arg(long, value_name = "REVISION", default_value = "main")]
    revision: Revision,
    /// Model directory to make; an earlier one is replaced [default: the last part of NAME, in the current folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    making: MakingArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let stop = Arc::new(Stop::default());
    let asked = Arc::clone(&stop);
    interrupt.announce(move || asked.ask())?;
    let fetched = fetch(&args, &stop, &interrupt);
    let (options, licences) = match fetched {
        Err(error) if matches!(error.downcast_ref(), Some(HubError::Interrupted)) => {
            note!("lisa: {error}; what was downloaded is kept, and the same command goes on from there");
            std::process::exit(interrupt.exit_code());
        }
        fetched => fetched?,
    };
    make(&options, args.json, &interrupt)?;
    if !args.json {
        for line in licences {
            say!("{line}");
        }
    }
    Ok(())
}

/// Downloads everything, and returns what is to be converted and a line on each licence.
fn fetch(
    args: &Args,
    stop: &Arc<Stop>,
    interrupt: &Interrupt,
) -> anyhow::Result<(ConvertOptions, Vec<String>)> {
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| PathBuf::from(args.lisa.short()));
    check_place(&out)?;
    let hub = Hub::new(Settings::from_env()?, Arc::clone(stop))?;
    let mut download = Downloading {
        hub: &hub,
        progress: DownloadProgress::new(),
    };

    let lisa = download.texts(Part::Lisa, &args.lisa, &args.revision)?;
    let clip = match &args.clip {
        Some(clip) => clip.clone(),
        None => clip_of(&lisa)?,
    };
    let clip = download.texts(Part::Clip, &clip, &Revision::default())?;
    let options = args.making.apply(ConvertOptions {
        stop: interrupt.asked.clone(),
        origin: Some(Origin {
            name: args.lisa.short().to_owned(),
            source: format!(
                "{} at {} and {} at {}",
                lisa.repo(),
                lisa.commit,
                clip.repo(),
                clip.commit
            ),
            licence: lisa.licence.clone(),
        }),
        ..ConvertOptions::new(lisa.folder(), clip.folder(), out)
    });
    check_before_weights(&options)?;

    let plans = [download.weights(&lisa)?, download.weights(&clip)?];
    let mut needs: Vec<Need> = plans.iter().map(Plan::need).collect();
    needs.push(Need {
        folder: options.out.clone(),
        // At least: CLIP's vision tower comes to it, and another --dtype changes it.
        bytes: plans[0].bytes() / options.dtype.map_or(1, |_| 2),
        what: "the model".to_owned(),
        elsewhere: "for the model with --out".to_owned(),
    });
    check_space(&needs)?;
    download.progress.whole();
    hub.fetch(&plans, &mut |event| download.progress.show(&event))?;
    download.progress.finish();
    for snapshot in [&lisa, &clip] {
        hub.remember(snapshot)?;
    }
    Ok((options, [lisa, clip].iter().map(licence).collect()))
}

struct Downloading<'a> {
    hub: &'a Hub,
    progress: DownloadProgress,
}

impl Downloading<'_> {
    /// Fetches the small files of a checkpoint.
    fn texts(&mut self, part: Part, repo: &Repo, revision: &Revision) -> anyhow::Result<Snapshot> {
        let mut say = |event: model_hub::Event<'_>| self.progress.show(&event);
        let snapshot = self.hub.open(repo, revision, &mut say)?;
        let names = needed_texts(part, repo.as_str(), &snapshot.files)?;
        let plan = self.hub.plan(&snapshot, &names, &mut say)?;
        self.hub.fetch(&[plan], &mut say)?;
        Ok(snapshot)
    }

    /// Looks what the weights are, without fetching them.
    fn weights(&mut self, snapshot: &Snapshot) -> anyhow::Result<Plan> {
        let repo = snapshot.repo().as_str();
        let names = needed_weights(repo, &snapshot.folder(), &snapshot.files)?;
        let mut say = |event: model_hub::Event<'_>| self.progress.show(&event);
        Ok(self.hub.plan(snapshot, &names, &mut say)?)
    }
}

/// The CLIP that the checkpoint names.
fn clip_of(lisa: &Snapshot) -> anyhow::Result<Repo> {
    let way_out = "name it, as in --clip openai/clip-vit-large-patch14";
    let named = named_clip(&lisa.folder())?;
    let named = named.with_context(|| {
        let repo = lisa.repo();
        format!("config.json of {repo} names no CLIP; {way_out}")
    })?;
    // A path of the machine that it was trained on has no name here.
    let repo = named.parse::<Repo>().ok();
    repo.filter(|_| named.contains('/')).with_context(|| {
        let repo = lisa.repo();
        format!("config.json of {repo} names {named:?}, which is no CLIP of a hub; {way_out}")
    })
}

fn licence(snapshot: &Snapshot) -> String {
    let repo = snapshot.repo();
    match &snapshot.licence {
        Some(licence) => format!("licence of {repo}: {licence}"),
        None => format!("licence of {repo}: not stated; look at its page before you use it"),
    }
}
