//! Two nights compared: what got better, what worse, and how sure that is.
//!
//! Instructions of one recording share a robot, a room and a light, so that they are no independent draws; recordings are taken
//! as such. Intervals are percentile bootstrap intervals (Efron 1979) over recordings: recordings are drawn with replacement as
//! many times as there are, the score's difference is computed from what was drawn, and this again and again. Where both reports
//! have the same recordings, as of two models on one night, a recording is drawn for both at once, which leaves out what differs
//! between recordings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::PartError;

/// How often recordings are drawn.
const DRAWS: usize = 10_000;
/// Of the draws' generator, so that equal reports give equal intervals.
const SEED: u64 = 0;
/// An interval needs so many recordings on each side at least; from fewer it would be too narrow to mean anything.
const LEAST_BAGS: usize = 5;

/// The rows of a report that are compared.
#[derive(Clone, Debug, Deserialize)]
pub struct NightRows {
    /// The models that were asked.
    pub model: String,
    bags: Vec<Bag>,
    instructions: Vec<Row>,
}

#[derive(Clone, Debug, Deserialize)]
struct Bag {
    bag: String,
    robot: Option<String>,
    fault: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Row {
    bag: usize,
    instruction: String,
    status: String,
    iou: Option<f64>,
    target: Option<bool>,
    overlap: Option<[u64; 2]>,
    latency_ms: Option<f64>,
}

/// Two nights compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedNights {
    /// The models of the first and of the second.
    pub models: [String; 2],
    /// Whether recordings were drawn for both at once.
    pub pairing: Pairing,
    /// How many recordings were measured in the first and in the second.
    pub bags: [usize; 2],
    /// How often recordings were drawn for an interval, and the generator's seed.
    pub draws: usize,
    /// See `draws`.
    pub seed: u64,
    /// All scores over all recordings.
    pub overall: Vec<Difference>,
    /// gIoU by robot, of those that both have.
    pub robots: Vec<Difference>,
    /// gIoU by instruction, of those that both have.
    pub instructions: Vec<Difference>,
}

/// How recordings are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// Both have the same recordings: one is drawn for both at once.
    SameBags,
    /// They have different ones: each side draws its own.
    OtherBags,
}

/// A score of both, and its difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The score, or the robot or instruction whose gIoU it is.
    pub name: String,
    /// Its value in the first and in the second; `None` where there is nothing to measure it by.
    pub values: [Option<f64>; 2],
    /// Recordings that it is computed from, in the first and in the second.
    pub bags: [usize; 2],
    /// Second less first.
    pub difference: Option<f64>,
    /// In which the difference is with 95 % confidence; `None` of fewer than five recordings on a side.
    pub interval: Option<[f64; 2]>,
    /// What that means.
    pub verdict: Verdict,
}

/// Whether the second is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval says so.
    Better,
    /// All of the interval says the opposite.
    Worse,
    /// The interval holds zero, or there is none.
    Unclear,
}

/// What scores are computed from, of a recording or of several.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    asked: f64,
    answered: f64,
    latency: f64,
    targets: f64,
    iou: f64,
    intersection: f64,
    union: f64,
    at_least_half: f64,
    missed: f64,
    absent: f64,
    refused: f64,
}

/// A score by its sums: its name, whether more is better, and the share.
type Score = (&'static str, bool, fn(&Sums) -> (f64, f64));

const GIOU: Score = ("gIoU", true, |s| (s.iou, s.targets));
const SCORES: [Score; 7] = [
    GIOU,
    ("cIoU", true, |s| (s.intersection, s.union)),
    ("precision at 0.5", true, |s| (s.at_least_half, s.targets)),
    ("refused, of the absent", true, |s| (s.refused, s.absent)),
    ("missed, of the present", false, |s| (s.missed, s.targets)),
    ("answered", true, |s| (s.answered, s.asked)),
    ("mean latency, ms", false, |s| (s.latency, s.answered)),
];

impl Sums {
    fn of(row: &Row) -> Self {
        let is = |yes: bool| f64::from(u8::from(yes));
        let (target, absent) = (row.target == Some(true), row.target == Some(false));
        let iou = row.iou.unwrap_or(0.0);
        let [intersection, union] = row.overlap.unwrap_or_default();
        Self {
            asked: 1.0,
            answered: is(row.latency_ms.is_some()),
            latency: row.latency_ms.unwrap_or(0.0),
            targets: is(target),
            iou: if target { iou } else { 0.0 },
            intersection: intersection as f64,
            union: union as f64,
            at_least_half: is(target && 2 * intersection >= union),
            missed: is(target && row.status == "text_only"),
            absent: is(absent),
            refused: is(absent && iou == 1.0),
        }
    }

    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.latency += other.latency;
        self.targets += other.targets;
        self.iou += other.iou;
        self.intersection += other.intersection;
        self.union += other.union;
        self.at_least_half += other.at_least_half;
        self.missed += other.missed;
        self.absent += other.absent;
        self.refused += other.refused;
    }

    fn all<'s>(sums: impl Iterator<Item = &'s Self>) -> Self {
        sums.fold(Self::default(), |mut all, one| {
            all.add(one);
            all
        })
    }

    fn value(&self, (_, _, share): Score) -> Option<f64> {
        let (part, whole) = share(self);
        (whole > 0.0).then(|| part / whole)
    }
}

impl NightRows {
    /// Reads the report of one recording or of many.
    ///
    /// # Errors
    /// [`PartError::Read`], [`PartError::NotANight`].
    pub fn read(path: &Path) -> Result<Self, PartError> {
        let text = std::fs::read(path).map_err(|source| PartError::Read {
            path: path.to_owned(),
            source,
        })?;
        let night = |why: String| PartError::NotANight {
            path: path.to_owned(),
            why,
        };
        let rows: Self = serde_json::from_slice(&text).map_err(|error| night(error.to_string()))?;
        let bags = rows.bags.len();
        match rows.instructions.iter().find(|row| row.bag >= bags) {
            Some(row) => Err(night(format!(
                "an instruction is of recording {} of {bags}",
                row.bag
            ))),
            None => Ok(rows),
        }
    }

    /// The measured recordings: the place of each among all.
    fn measured(&self) -> Vec<usize> {
        let bags = self.bags.iter().enumerate();
        let measured = bags.filter(|(_, bag)| bag.fault.is_none());
        measured.map(|(at, _)| at).collect()
    }

    /// What each recording's name is, sorted.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.measured().iter().map(|at| self.name(*at)).collect();
        names.sort_unstable();
        names
    }

    fn name(&self, bag: usize) -> &str {
        self.bags.get(bag).map_or("", |bag| bag.bag.as_str())
    }

    /// The sums of each recording that has rows of a group, by its place; `of` names a row's group.
    fn groups<'n>(
        &'n self,
        of: impl Fn(&'n Row) -> Option<&'n str>,
    ) -> BTreeMap<&'n str, BTreeMap<usize, Sums>> {
        let mut groups: BTreeMap<&str, BTreeMap<usize, Sums>> = BTreeMap::new();
        for row in &self.instructions {
            if let Some(name) = of(row) {
                let bags = groups.entry(name).or_default();
                bags.entry(row.bag).or_default().add(&Sums::of(row));
            }
        }
        groups
    }

    fn by_robot(&self) -> BTreeMap<&str, BTreeMap<usize, Sums>> {
        self.groups(|row| self.bags.get(row.bag)?.robot.as_deref())
    }

    fn by_instruction(&self) -> BTreeMap<&str, BTreeMap<usize, Sums>> {
        self.groups(|row| Some(row.instruction.trim()))
    }

    fn all(&self) -> BTreeMap<usize, Sums> {
        let mut all: BTreeMap<usize, Sums> = self
            .measured()
            .into_iter()
            .map(|bag| (bag, Sums::default()))
            .collect();
        for row in &self.instructions {
            all.entry(row.bag).or_default().add(&Sums::of(row));
        }
        all
    }
}

/// Compares the second night with the first.
pub fn compare_nights(first: &NightRows, second: &NightRows) -> ComparedNights {
    let names = first.names();
    let twice = names.windows(2).any(|pair| pair.first() == pair.last());
    // A name that stands twice does not tell which belongs to which.
    let pairing = match names == second.names() && !twice {
        true => Pairing::SameBags,
        false => Pairing::OtherBags,
    };
    let all = Drawn::of(pairing, [first, second], [first.all(), second.all()]);
    let by = |groups: [BTreeMap<&str, BTreeMap<usize, Sums>>; 2]| -> Vec<Difference> {
        let [ours, theirs] = &groups;
        let both: Vec<_> = ours
            .iter()
            .filter_map(|(name, one)| Some((*name, one, theirs.get(name)?)))
            .collect();
        let both = both.par_iter().map(|(name, one, other)| {
            let bags = [(*one).clone(), (*other).clone()];
            let drawn = Drawn::of(pairing, [first, second], bags);
            drawn.differences(&[GIOU]).map(|difference| Difference {
                name: (*name).to_owned(),
                ..difference
            })
        });
        let mut both: Vec<Difference> = both
            .flat_map_iter(|differences| differences)
            .filter(|difference| difference.difference.is_some())
            .collect();
        both.sort_by(|a, b| {
            let key = |d: &Difference| d.difference.unwrap_or(0.0);
            key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        both
    };
    ComparedNights {
        models: [first.model.clone(), second.model.clone()],
        pairing,
        bags: [first.measured().len(), second.measured().len()],
        draws: DRAWS,
        seed: SEED,
        overall: all.differences(&SCORES).collect(),
        robots: by([first.by_robot(), second.by_robot()]),
        instructions: by([first.by_instruction(), second.by_instruction()]),
    }
}

/// Recordings of both nights as they are drawn.
enum Drawn {
    Pairs(Vec<[Sums; 2]>),
    Each([Vec<Sums>; 2]),
}

impl Drawn {
    /// `bags`: the sums of each night's recordings, by their places.
    fn of(pairing: Pairing, nights: [&NightRows; 2], bags: [BTreeMap<usize, Sums>; 2]) -> Self {
        let [ours, theirs] = bags;
        if pairing == Pairing::OtherBags {
            return Self::Each([ours.into_values().collect(), theirs.into_values().collect()]);
        }
        let [first, second] = nights;
        // A recording that has none of a group on one side is empty there.
        let mut pairs: BTreeMap<&str, [Sums; 2]> = BTreeMap::new();
        for (bag, sums) in ours {
            pairs.entry(first.name(bag)).or_default()[0] = sums;
        }
        for (bag, sums) in theirs {
            pairs.entry(second.name(bag)).or_default()[1] = sums;
        }
        Self::Pairs(pairs.into_values().collect())
    }

    fn bags(&self) -> [usize; 2] {
        match self {
            Self::Pairs(pairs) => [pairs.len(); 2],
            Self::Each(nights) => nights.each_ref().map(Vec::len),
        }
    }

    /// What both nights add up to.
    fn sums(&self) -> [Sums; 2] {
        match self {
            Self::Pairs(pairs) => {
                [0, 1].map(|night| Sums::all(pairs.iter().map(|pair| &pair[night])))
            }
            Self::Each(nights) => nights.each_ref().map(|bags| Sums::all(bags.iter())),
        }
    }

    /// What both add up to of recordings that were drawn.
    fn draw(&self, rng: &mut ChaCha8Rng) -> [Sums; 2] {
        match self {
            Self::Pairs(pairs) => {
                let mut sums = [Sums::default(); 2];
                for _ in 0..pairs.len() {
                    let [one, other] = &pairs[rng.random_range(0..pairs.len())];
                    sums[0].add(one);
                    sums[1].add(other);
                }
                sums
            }
            Self::Each(nights) => nights.each_ref().map(|bags| {
                let mut sums = Sums::default();
                for _ in 0..bags.len() {
                    sums.add(&bags[rng.random_range(0..bags.len())]);
                }
                sums
            }),
        }
    }

    fn differences<'s>(&self, scores: &'s [Score]) -> impl Iterator<Item = Difference> + 's {
        let (bags, sums) = (self.bags(), self.sums());
        let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); scores.len()];
        if bags.iter().all(|bags| *bags >= LEAST_BAGS) {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED);
            for _ in 0..DRAWS {
                let sums = self.draw(&mut rng);
                for (score, drawn) in scores.iter().zip(&mut drawn) {
                    drawn.extend(difference(&sums, *score));
                }
            }
        }
        let each = scores.iter().zip(drawn);
        each.map(move |(score, drawn)| {
            let interval = interval(drawn);
            let (name, more_is_better, _) = *score;
            Difference {
                name: name.to_owned(),
                values: sums.map(|sums| sums.value(*score)),
                bags,
                difference: difference(&sums, *score),
                interval,
                verdict: match interval {
                    Some([low, _]) if low > 0.0 => Verdict::of(more_is_better),
                    Some([_, high]) if high < 0.0 => Verdict::of(!more_is_better),
                    _ => Verdict::Unclear,
                },
            }
        })
    }
}

impl Verdict {
    fn of(better: bool) -> Self {
        match better {
            true => Self::Better,
            false => Self::Worse,
        }
    }
}

fn difference([first, second]: &[Sums; 2], score: Score) -> Option<f64> {
    Some(second.value(score)? - first.value(score)?)
}

/// The middle 95 % of what was drawn; `None` where most draws had nothing to measure by.
fn interval(mut drawn: Vec<f64>) -> Option<[f64; 2]> {
    if drawn.len() < DRAWS / 2 {
        return None;
    }
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| drawn.get((share * (drawn.len() - 1) as f64).round() as usize);
    Some([*at(0.025)?, *at(0.975)?])
}

impl fmt::Display for ComparedNights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([one, two], [a, b]) = (&self.models, self.bags);
        let drawn = match self.pairing {
            Pairing::SameBags => "the same recordings, drawn in pairs",
            Pairing::OtherBags => "different recordings, drawn on each side",
        };
        writeln!(
            f,
            "{one}, {a} recordings, and {two}, {b} recordings: {drawn}; second less first, with 95 % intervals"
        )?;
        table(f, "", &self.overall, usize::MAX)?;
        table(f, "gIoU by robot", &self.robots, 20)?;
        let of = |verdict| {
            let all = self.instructions.iter();
            let mut all: Vec<Difference> = all.filter(|d| d.verdict == verdict).cloned().collect();
            if verdict == Verdict::Better {
                all.reverse();
            }
            all
        };
        table(f, "gIoU by instruction, better", &of(Verdict::Better), 20)?;
        table(f, "gIoU by instruction, worse", &of(Verdict::Worse), 20)?;
        let tried = self.instructions.iter().filter(|d| d.interval.is_some());
        let (tried, all) = (tried.count(), self.instructions.len());
        writeln!(
            f,
            "of {all} instructions in both, {tried} are in five recordings or more on each side; about one of twenty that did not change is \
             listed by chance"
        )
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, rows: &[Difference], most: usize) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let name = |row: &Difference| row.name.chars().take(60).collect::<String>();
    let names = rows.iter().take(most).map(|row| name(row).chars().count());
    let width = names.max().unwrap_or(0).max(title.len());
    writeln!(
        f,
        "{title:width$} {:>9} {:>9} {:>9} {:>21} {:>11}",
        "first", "second", "change", "interval", "recordings"
    )?;
    for row in rows.iter().take(most) {
        let digits = if row.name.ends_with("ms") { 1 } else { 4 };
        let number = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let signed = |value: f64| format!("{value:+.digits$}");
        let interval = row
            .interval
            .map(|[low, high]| format!("{} to {}", signed(low), signed(high)));
        let [one, two] = row.bags;
        writeln!(
            f,
            "{:width$} {:>9} {:>9} {:>9} {:>21} {:>11} {}",
            name(row),
            number(row.values[0]),
            number(row.values[1]),
            row.difference.map_or_else(|| "-".to_owned(), signed),
            interval.unwrap_or_else(|| "too few".to_owned()),
            format!("{one}, {two}"),
            match row.verdict {
                Verdict::Better => "better",
                Verdict::Worse => "worse",
                Verdict::Unclear => "",
            }
        )?;
    }
    if rows.len() > most {
        writeln!(f, "and {} more in the JSON", rows.len() - most)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A night of recordings with the given names, ten instructions each; `iou` of each is around its recording's level, which
    /// is around `level`.
    fn night(names: &str, bags: usize, level: f64, seed: u64) -> NightRows {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut instructions = Vec::new();
        for bag in 0..bags {
            let own = level + rng.random_range(-0.2..0.2);
            for k in 0..10 {
                let pixels = ((own + rng.random_range(-0.1..0.1)) * 1000.0).round() as u64;
                let iou = pixels as f64 / 1000.0;
                instructions.push(serde_json::json!({
                    "bag": bag, "instruction": format!("thing {}", k % 5), "status": "segmented", "iou": iou,
                    "target": true, "overlap": [pixels, 1000], "latency_ms": 100.0,
                }));
            }
        }
        let bags = (0..bags).map(|bag| {
            serde_json::json!({ "bag": format!("{names}/{bag}"), "robot": format!("r{}", bag % 2) })
        });
        let json = serde_json::json!({
            "model": names, "bags": bags.collect::<Vec<_>>(), "instructions": instructions,
        });
        serde_json::from_value(json).unwrap()
    }

    /// Of a hundred pairs of nights the true difference is in the interval about 95 times. Seeds are fixed, so that it is the same
    /// number each time.
    #[test]
    fn an_interval_holds_the_true_difference_as_often_as_it_says() {
        let mut held = 0;
        for k in 0..100 {
            let (a, b) = (night("a", 25, 0.5, 2 * k), night("b", 25, 0.55, 2 * k + 1));
            let compared = compare_nights(&a, &b);
            assert_eq!(compared.pairing, Pairing::OtherBags);
            let giou = &compared.overall[0];
            let [low, high] = giou.interval.unwrap();
            assert!(low < high && high - low < 0.25);
            held += usize::from((low..=high).contains(&0.05));
        }
        assert!((88..=100).contains(&held), "{held} of 100");
    }

    #[test]
    fn the_same_recordings_are_drawn_in_pairs_and_show_a_small_change() {
        let before = night("kitchen", 12, 0.5, 7);
        let mut after = before.clone();
        for row in &mut after.instructions {
            // Three hundredths better in each: far less than what recordings differ by.
            let [pixels, union] = row.overlap.unwrap();
            row.overlap = Some([pixels + 30, union]);
            row.iou = Some((pixels + 30) as f64 / 1000.0);
            row.latency_ms = Some(130.0);
        }
        let compared = compare_nights(&before, &after);
        assert_eq!(compared.pairing, Pairing::SameBags);
        let [giou, ciou, .., latency] = &compared.overall[..] else {
            panic!("{compared:?}");
        };
        for better in [giou, ciou] {
            assert!((better.difference.unwrap() - 0.03).abs() < 1e-9);
            assert_eq!(better.verdict, Verdict::Better);
        }
        assert_eq!(latency.verdict, Verdict::Worse);
        assert_eq!(giou.bags, [12, 12]);
        let nothing = compare_nights(&before, &before);
        assert_eq!(nothing.overall[0].interval, Some([0.0, 0.0]));
        assert_eq!(nothing.overall[0].verdict, Verdict::Unclear);
        // As different recordings the same change drowns.
        for bag in &mut after.bags {
            bag.bag.push('x');
        }
        let apart = compare_nights(&before, &after);
        assert_eq!(apart.pairing, Pairing::OtherBags);
        assert_eq!(apart.overall[0].verdict, Verdict::Unclear);
        // Equal reports give equal numbers.
        assert_eq!(apart, compare_nights(&before, &after));
    }

    #[test]
    fn few_recordings_have_no_interval_and_damaged_ones_do_not_count() {
        let (mut a, b) = (night("a", 4, 0.2, 1), night("b", 4, 0.8, 2));
        let compared = compare_nights(&a, &b);
        assert_eq!(compared.overall[0].interval, None);
        assert_eq!(compared.overall[0].verdict, Verdict::Unclear);
        assert!(compared.to_string().contains("too few"));
        a.bags.push(Bag {
            bag: "a/damaged".to_owned(),
            robot: None,
            fault: Some("cut".to_owned()),
        });
        assert_eq!(compare_nights(&a, &b).bags, [4, 4]);
        let names: Vec<_> = compared.robots.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names.len(), 2);
        assert_eq!(compared.instructions.len(), 5);
    }

    #[test]
    fn a_report_of_something_else_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("world.json");
        std::fs::write(&path, r#"{"giou": 0.5, "model": "lisa-mini"}"#).unwrap();
        let said = NightRows::read(&path).unwrap_err().to_string();
        assert!(said.contains("world.json holds no instructions"), "{said}");
        assert!(said.contains("accepted: "), "{said}");
        std::fs::write(
            &path,
            r#"{"model": "m", "bags": [], "instructions": [{"bag": 3, "instruction": "", "status": "", "iou": null, "latency_ms": null}]}"#,
        )
        .unwrap();
        let said = NightRows::read(&path).unwrap_err().to_string();
        assert!(said.contains("recording 3 of 0"), "{said}");
    }
}
