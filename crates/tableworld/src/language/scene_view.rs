//! What of a scene can be asked about: how much of each object shows, and where.

use crate::catalogue::Category;
use crate::scene::{Frame, Object, Scene};

/// Visible pixels that an object needs to be asked for, in a picture of 640×480.
const ENOUGH: u64 = 1200;

/// Where an object shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visibility {
    /// Visible pixels.
    pub pixels: u32,
    /// Pixels it would cover alone.
    pub unoccluded: u32,
    /// Horizontal mean of the visible pixels: 0 the picture's left edge, 1 the right one.
    pub across: f32,
    /// Mean distance of the visible pixels, in metres along the optical axis.
    pub depth: f32,
    /// Whether enough of it shows.
    pub visible: bool,
}

/// A scene with what shows of its objects.
pub struct SceneView<'a> {
    scene: &'a Scene,
    /// One for each object.
    visibilities: Vec<Visibility>,
}

impl<'a> SceneView<'a> {
    pub fn new(scene: &'a Scene, frame: &Frame) -> Self {
        let (width, height) = frame.image.dimensions();
        let mut sums = vec![(0u32, 0f64, 0f64); scene.objects.len()];
        for (at, instance) in frame.instances.iter().enumerate() {
            let Some(sum) = usize::from(*instance)
                .checked_sub(1)
                .and_then(|i| sums.get_mut(i))
            else {
                continue;
            };
            sum.0 += 1;
            sum.1 += (at % width.max(1) as usize) as f64 + 0.5;
            sum.2 += f64::from(frame.depth.get(at).copied().unwrap_or(0.0));
        }
        let area = u64::from(width) * u64::from(height);
        let visibility = |(i, (pixels, across, depth)): (usize, (u32, f64, f64))| {
            let mean = |sum: f64| sum / f64::from(pixels.max(1));
            Visibility {
                pixels,
                unoccluded: frame.unoccluded.get(i).copied().unwrap_or(pixels),
                across: (mean(across) / f64::from(width.max(1))) as f32,
                depth: mean(depth) as f32,
                visible: u64::from(pixels) * 640 * 480 >= ENOUGH * area,
            }
        };
        Self {
            scene,
            visibilities: sums.into_iter().enumerate().map(visibility).collect(),
        }
    }

    pub fn object(&self, index: usize) -> &Object {
        &self.scene.objects[index]
    }

    pub fn visibility(&self, index: usize) -> &Visibility {
        &self.visibilities[index]
    }

    /// Indices of all objects.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.scene.objects.len()
    }

    /// Indices of a category's objects, hidden ones too.
    pub fn of(&self, category: Category) -> Vec<usize> {
        self.all()
            .filter(|i| self.object(*i).category == category)
            .collect()
    }

    /// Indices of the objects of any of these categories; `None` where one of them hardly shows.
    pub fn visible_of(&self, categories: &[Category]) -> Option<Vec<usize>> {
        let objects: Vec<_> = self
            .all()
            .filter(|i| categories.contains(&self.object(*i).category))
            .collect();
        objects
            .iter()
            .all(|i| self.visibilities[*i].visible)
            .then_some(objects)
    }

    /// Whether there is one of them in the scene, hidden or not.
    pub fn any_of(&self, categories: &[Category]) -> bool {
        self.all()
            .any(|i| categories.contains(&self.object(i).category))
    }

    /// Whether one of them is in sight.
    pub fn shows_any_of(&self, categories: &[Category]) -> bool {
        self.in_sight()
            .any(|i| categories.contains(&self.object(i).category))
    }

    /// Indices of the objects of which enough shows.
    pub fn in_sight(&self) -> impl Iterator<Item = usize> + '_ {
        self.all().filter(|i| self.visibility(*i).visible)
    }

    /// The object and the others of its category, in their order, where there are others and all are in sight; none
    /// otherwise.
    pub fn rivals(&self, index: usize) -> Vec<usize> {
        let same = self.visible_of(&[self.object(index).category]);
        same.filter(|same| same.len() > 1).unwrap_or_default()
    }

    /// The categories of which the scene has nothing, hidden or not, in the order of the catalogue.
    pub fn missing(&self) -> Vec<Category> {
        let absent = |category: &Category| !self.any_of(&[*category]);
        Category::ALL.into_iter().filter(absent).collect()
    }

    /// Indices of the visible objects, left to right.
    pub fn left_to_right(&self) -> Vec<usize> {
        let mut order: Vec<_> = self.in_sight().collect();
        order.sort_by(|a, b| {
            self.visibilities[*a]
                .across
                .total_cmp(&self.visibilities[*b].across)
        });
        order
    }

    /// The categories in the scene, each once, in the order of the catalogue.
    pub fn categories(&self) -> Vec<Category> {
        let mut categories: Vec<_> = self.scene.objects.iter().map(|o| o.category).collect();
        categories.sort();
        categories.dedup();
        categories
    }
}
