//! Scenes made by hand, with frames that no renderer is needed for.

use image::{Rgb, RgbImage};

use super::AnnotatedScene;
use crate::language::{Absence, Dialogue, Query, QuestionKind, Turn};
use crate::scene::Object;
use crate::{Camera, Category, Colour, Frame, Light, Scene, Table};

pub(super) const WIDTH: u32 = 64;
pub(super) const HEIGHT: u32 = 48;

/// A red mug, a ring of a bowl and a lemon that lies in it; each shifted with the seed.
pub(super) fn annotated(seed: u64) -> AnnotatedScene {
    let shift = (seed % 5) as u32;
    let objects = [
        (Category::Mug, Colour::Red),
        (Category::Bowl, Colour::White),
        (Category::Lemon, Colour::Yellow),
    ];
    let object = |(i, (category, colour))| Object {
        category,
        colour,
        position: [i as f32 * 0.1, 0.0, 0.05],
        yaw: 0.25,
        size: [0.1, 0.1, 0.1],
    };
    let instance = |x: u32, y: u32| {
        let from_bowl = x.abs_diff(40).pow(2) + y.abs_diff(24).pow(2);
        match (x.wrapping_sub(4 + shift), y.wrapping_sub(10)) {
            (0..14, 0..20) => 1,
            _ if from_bowl < 16 => 3,
            _ if (64..200).contains(&from_bowl) => 2,
            _ => 0,
        }
    };
    let image = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb([instance(x, y) * 60, seed as u8, 90])
    });
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    let instances: Vec<u8> = pixels.map(|(x, y)| instance(x, y)).collect();
    AnnotatedScene {
        scene: Scene {
            seed,
            objects: objects.into_iter().enumerate().map(object).collect(),
            camera: Camera::default(),
            light: Light::default(),
            table: Table::default(),
        },
        frame: Frame {
            image,
            depth: instances.iter().map(|&i| f32::from(i) * 0.25).collect(),
            unoccluded: vec![280, 400, 45],
            instances,
        },
        dialogues: vec![
            asked(QuestionKind::Explicit, "the red mug", &[0]),
            asked(QuestionKind::Reasoning, "I want some soup.", &[1]),
            asked(QuestionKind::WorldKnowledge, "the sour fruit", &[2]),
            asked(QuestionKind::Explanatory, "Where can I put soup?", &[1]),
            asked(QuestionKind::Several, "the dishes", &[0, 1]),
            asked(QuestionKind::Absent, "the hammer", &[]),
            in_two_turns(),
        ],
        talk: ["Is there a mug?", "What colour is it?", "And the bowl?"]
            .map(|question| asked(QuestionKind::Vqa, question, &[]))
            .into(),
    }
}

fn asked(kind: QuestionKind, text: &str, targets: &[usize]) -> Dialogue {
    let found = !targets.is_empty();
    let words = if found { "It is [SEG]." } else { "It is red." };
    Dialogue {
        kind,
        turns: vec![Turn {
            question: text.into(),
            answer: words.into(),
            targets: found.then(|| targets.into()).into_iter().collect(),
        }],
        query: Query {
            text: text.into(),
            is_sentence: text.ends_with(['.', '?']),
        },
        explanation: Some(format!("About {text}.")),
        names: vec![],
        worded_as: kind,
        absence: (kind == QuestionKind::Absent).then_some(Absence::Plain),
        candidates: vec![],
    }
}

fn in_two_turns() -> Dialogue {
    let mut dialogue = asked(QuestionKind::MultiTurn, "Please segment it.", &[2]);
    let first = Turn {
        question: "What is sour?".into(),
        answer: "The lemon.".into(),
        targets: vec![],
    };
    dialogue.query.text.clone_from(&first.question);
    dialogue.turns.insert(0, first);
    dialogue
}
