//! Plain files of each scene: colour, depth and instances as PNG, and all that is true of it as JSON.

use std::path::PathBuf;

use image::ExtendedColorType;
use serde::Serialize;

use super::files::{make_folder, write_png};
use super::listing::write_json_pretty;
use super::sink::{split_name, Item, Made, Plan, Sink};
use super::{Format, WriteError};
use crate::language::Dialogue;
use crate::{Frame, Split};

/// The JSON beside the pictures. Lengths in metres, angles in radians, boxes in pixels.
#[derive(Serialize)]
struct Truth<'a> {
    split: &'static str,
    seed: u64,
    files: Files,
    camera: Camera,
    objects: Vec<Object>,
    dialogues: Vec<Asked<'a>>,
}

/// Names beside the JSON.
#[derive(Serialize)]
struct Files {
    rgb: String,
    /// 16 bits, millimetres, 0 unknown.
    depth: String,
    /// 0 background, `i + 1` object `i`.
    instances: String,
}

#[derive(Serialize)]
struct Camera {
    width: u32,
    height: u32,
    fx: f32,
    fy: f32,
    cx: f32,
    cy: f32,
    /// In the table's frame.
    position: [f32; 3],
    /// Rows; takes the table's directions to the optical frame (x right, y down, z forward).
    rotation: [[f32; 3]; 3],
}

#[derive(Serialize)]
struct Object {
    category: &'static str,
    colour: &'static str,
    /// Centre of the bounding box in the table's frame.
    position: [f32; 3],
    yaw: f32,
    size: [f32; 3],
    /// x, y, width, height of the visible pixels; absent where none is.
    roi: Option<[u32; 4]>,
    visible_pixels: u32,
    unoccluded_pixels: u32,
}

#[derive(Serialize)]
struct Asked<'a> {
    kind: &'static str,
    turns: Vec<Turn<'a>>,
}

#[derive(Serialize)]
struct Turn<'a> {
    question: &'a str,
    answer: &'a str,
    /// Objects for each `[SEG]`.
    targets: &'a [Vec<usize>],
}

pub(super) struct Frames {
    folder: PathBuf,
    split: Split,
    items: usize,
}

impl Frames {
    pub fn new(plan: &Plan) -> Result<Self, WriteError> {
        let folder = plan.folder.join("frames").join(split_name(plan.split));
        make_folder(&folder)?;
        Ok(Self {
            folder,
            split: plan.split,
            items: (plan.numbers.end - plan.numbers.start) as usize,
        })
    }

    fn truth<'a>(&self, item: &Item<'a>, files: Files) -> Truth<'a> {
        let scene = &item.annotated.scene;
        let (width, height) = item.size();
        let k = scene.camera.intrinsics(width, height);
        let pose = scene.camera.pose();
        let object = |(i, object): (usize, &crate::Object)| {
            let inside = item.inside(&[i]);
            Object {
                category: object.category.name(),
                colour: object.colour.name(),
                position: object.position,
                yaw: object.yaw,
                size: object.size,
                roi: bounds(width, &inside),
                visible_pixels: inside.iter().filter(|&&inside| inside).count() as u32,
                unoccluded_pixels: item.annotated.frame.unoccluded.get(i).copied().unwrap_or(0),
            }
        };
        let dialogues = item.annotated.dialogues.iter().chain(&item.annotated.talk);
        Truth {
            split: split_name(self.split),
            seed: item.number,
            files,
            camera: Camera {
                width,
                height,
                fx: k.fx,
                fy: k.fy,
                cx: k.cx,
                cy: k.cy,
                position: pose.position,
                rotation: pose.rotation,
            },
            objects: scene.objects.iter().enumerate().map(object).collect(),
            dialogues: dialogues.map(Asked::new).collect(),
        }
    }
}

impl<'a> Asked<'a> {
    fn new(dialogue: &'a Dialogue) -> Self {
        let turn = |turn: &'a crate::language::Turn| Turn {
            question: &turn.question,
            answer: &turn.answer,
            targets: &turn.targets,
        };
        Self {
            kind: dialogue.kind.name(),
            turns: dialogue.turns.iter().map(turn).collect(),
        }
    }
}

impl Sink for Frames {
    fn scene(&self, item: &Item) -> Result<(), WriteError> {
        let name = format!("{:09}", item.number);
        let files = Files {
            rgb: format!("{name}_rgb.png"),
            depth: format!("{name}_depth.png"),
            instances: format!("{name}_instances.png"),
        };
        let (frame, size) = (&item.annotated.frame, item.size());
        let path = |name: &str| self.folder.join(name);
        write_png(
            &path(&files.rgb),
            size,
            frame.image.as_raw(),
            ExtendedColorType::Rgb8,
        )?;
        let depth: Vec<u8> = millimetres(frame).flat_map(u16::to_ne_bytes).collect();
        write_png(&path(&files.depth), size, &depth, ExtendedColorType::L16)?;
        write_png(
            &path(&files.instances),
            size,
            &frame.instances,
            ExtendedColorType::L8,
        )?;
        write_json_pretty(&path(&format!("{name}.json")), &self.truth(item, files))
    }

    fn finish(&mut self) -> Result<Made, WriteError> {
        Ok(Made {
            format: Format::Frames,
            path: self.folder.clone(),
            items: self.items,
            unit: "frames",
        })
    }
}

/// Depth as cameras give it (REP 118): whole millimetres, 0 where unknown or beyond 65.535 m.
pub(super) fn millimetres(frame: &Frame) -> impl Iterator<Item = u16> + '_ {
    frame.depth.iter().map(|&metres| {
        let millimetres = (metres * 1000.0).round();
        if (0.0..=65_535.0).contains(&millimetres) {
            millimetres as u16
        } else {
            0
        }
    })
}

/// The tight box x, y, width, height; `None` around nothing.
pub(super) fn bounds(width: u32, inside: &[bool]) -> Option<[u32; 4]> {
    let set = || (0u32..).zip(inside).filter(|(_, &inside)| inside);
    let (left, right) = set().fold((u32::MAX, 0), |(low, high), (k, _)| {
        (low.min(k % width), high.max(k % width))
    });
    let (top, bottom) = (set().next()?.0 / width, set().last()?.0 / width);
    Some([left, top, right - left + 1, bottom - top + 1])
}
