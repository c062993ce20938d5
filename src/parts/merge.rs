//! Parts to runs. What comes out depends on the inputs and their order alone, not on who measured them nor on the order of parts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::part::{Content, Part, PlacedBag, QuestionUnit};
use super::plan::{Plan, Work};
use super::{NightReport, PartError};
use crate::eval::metres::world_places;
use crate::eval::{Report, Run, Tally, WorstCases, WORST};
use crate::replay::BagRecord;

/// Runs whose parts are all there.
#[derive(Clone, Debug)]
pub struct Merged {
    /// By their inputs, then by their models.
    pub runs: Vec<MergedRun>,
    /// The worst cases of all.
    pub worst: WorstCases,
}

/// A run, whole.
#[derive(Clone, Debug)]
pub struct MergedRun {
    /// What it is.
    pub plan: Plan,
    /// What computed its answers, each once.
    pub engines: Vec<String>,
    /// The records of all its inputs, in their order.
    pub content: Content,
}

/// The parts of each run by their shards' numbers; a run is its inputs and the content of its model.
type Runs = BTreeMap<(Work, String), BTreeMap<usize, (PathBuf, Part)>>;

/// Puts parts together, in whatever order they come. Those of several runs over recordings may stand together: other recordings, or
/// other models on the same ones.
///
/// # Errors
/// [`PartError`]: parts that are missing, there twice, or made in different ways.
pub fn merge(parts: Vec<(PathBuf, Part)>) -> Result<Merged, PartError> {
    let Some((first, one)) = parts.first() else {
        return Err(PartError::Nothing);
    };
    for (path, part) in &parts {
        if let Some(what) = one.plan.differs(&part.plan) {
            return Err(PartError::OtherWay {
                one: first.clone(),
                other: path.clone(),
                what,
            });
        }
    }
    let mut runs = Runs::new();
    for (path, part) in parts {
        let key = (part.plan.work.clone(), part.plan.model.sha256.clone());
        let of_run = runs.entry(key).or_default();
        let (number, of) = (part.shard.number(), part.shard.of());
        let meets = of_run
            .values()
            .find(|(_, other)| other.shard.of() != of || other.shard.number() == number);
        if let Some((other, _)) = meets {
            return Err(twice(other, &path));
        }
        of_run.insert(number, (path, part));
    }
    same_bag(&runs)?;
    let (mut merged, mut worst, mut before) = (Vec::new(), WorstCases::new(WORST), 0);
    for of_run in runs.into_values() {
        let parts: Vec<Part> = of_run.into_values().map(|(_, part)| part).collect();
        let of = parts.first().map_or(0, |part| part.shard.of());
        let is_there = |number: &usize| parts.iter().any(|part| part.shard.number() == *number);
        let missing: Vec<usize> = (1..=of).filter(|number| !is_there(number)).collect();
        if !missing.is_empty() {
            return Err(PartError::Missing { of, missing });
        }
        for case in parts.iter().flat_map(|part| &part.worst) {
            let mut case = case.clone();
            case.input += before;
            worst.put(case);
        }
        before += parts.iter().map(|part| part.content.len()).sum::<usize>();
        merged.extend(MergedRun::of(parts));
    }
    Ok(Merged {
        runs: merged,
        worst,
    })
}

fn twice(one: &Path, other: &Path) -> PartError {
    PartError::Twice {
        one: one.to_owned(),
        other: other.to_owned(),
    }
}

/// No recording may be counted twice for one model, where several runs stand together.
fn same_bag(runs: &Runs) -> Result<(), PartError> {
    let mut seen: BTreeMap<(&str, &str), (&Path, &Work)> = BTreeMap::new();
    for ((work, model), of_run) in runs {
        for (path, part) in of_run.values() {
            let Content::Bags(bags) = &part.content else {
                continue;
            };
            for bag in bags {
                // A run may name a recording twice: that is what was asked for.
                let key = (model.as_str(), bag.record.bag.as_str());
                let (other, of) = *seen.entry(key).or_insert((path, work));
                if of != work {
                    return Err(twice(other, path));
                }
            }
        }
    }
    Ok(())
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Bags(bags) => bags.len(),
            Self::Questions(units) => units.len(),
        }
    }
}

impl MergedRun {
    /// `parts` are those of all shards, in the shards' order.
    fn of(parts: Vec<Part>) -> Option<Self> {
        let plan = parts.first()?.plan.clone();
        let mut engines: Vec<String> = Vec::new();
        let (mut bags, mut units): (Vec<PlacedBag>, Vec<QuestionUnit>) = (Vec::new(), Vec::new());
        for part in parts {
            if !part.engine.is_empty() && !engines.contains(&part.engine) {
                engines.push(part.engine);
            }
            match part.content {
                Content::Bags(own) => bags.extend(own),
                Content::Questions(own) => units.extend(own),
            }
        }
        bags.sort_by_key(|bag| bag.input);
        units.sort_by_key(|unit| unit.unit);
        let content = match plan.work {
            Work::Bags(_) => Content::Bags(bags),
            Work::Questions { .. } => Content::Questions(units),
        };
        Some(Self {
            plan,
            engines,
            content,
        })
    }

    /// The run as reports name it.
    fn run(&self) -> Run {
        let (dataset, split, seed) = match &self.plan.work {
            Work::Bags(bags) => ("bag".to_owned(), bags_name(bags), None),
            Work::Questions {
                dataset,
                split,
                seed,
                ..
            } => (dataset.clone(), split.clone(), *seed),
        };
        let mut settings = self.plan.settings.clone();
        if !self.engines.is_empty() {
            settings.insert("model".to_owned(), self.engines.join("; ").into());
        }
        Run {
            model: self.plan.model.name.clone(),
            protocol: self.plan.protocol,
            dataset,
            split,
            seed,
            settings,
        }
    }

    /// The report of questions; `None` of recordings.
    fn questions(&self) -> Option<Report> {
        let Content::Questions(units) = &self.content else {
            return None;
        };
        let mut tally = Tally::default();
        for question in units.iter().flat_map(|unit| &unit.questions) {
            question.add_to(&mut tally);
        }
        let mut report = tally.report(self.run());
        if let Work::Questions {
            size: Some(size), ..
        } = &self.plan.work
        {
            let places = units.iter().filter_map(|unit| unit.places.clone());
            report.places = world_places(*size, places);
        }
        Some(report)
    }
}

/// One recording by its name, several by their number.
fn bags_name(bags: &[String]) -> String {
    match bags {
        [bag] => {
            let bag = Path::new(bag);
            let name = bag.file_name().unwrap_or(bag.as_os_str());
            name.to_string_lossy().into_owned()
        }
        _ => format!("{} recordings", bags.len()),
    }
}

impl Merged {
    /// The report of a dataset's questions; `None` where recordings were measured.
    pub fn questions(&self) -> Option<Report> {
        self.runs.first()?.questions()
    }

    /// The report of recordings; `None` where a dataset was measured.
    pub fn night(&self) -> Option<NightReport> {
        let mut bags: Vec<(&str, &BagRecord)> = Vec::new();
        let mut inputs: Vec<String> = Vec::new();
        let mut run = self.runs.first()?.run();
        let mut models: Vec<&str> = Vec::new();
        for of in &self.runs {
            let Content::Bags(own) = &of.content else {
                return None;
            };
            let model = of.plan.model.name.as_str();
            if !models.contains(&model) {
                models.push(model);
            }
            bags.extend(own.iter().map(|bag| (model, &bag.record)));
            for bag in own {
                if !inputs.contains(&bag.record.bag) {
                    inputs.push(bag.record.bag.clone());
                }
            }
        }
        run.model = models.join(", ");
        run.split = bags_name(&inputs);
        Some(NightReport::of(&bags, run))
    }
}
