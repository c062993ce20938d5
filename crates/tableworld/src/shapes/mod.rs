//! The things themselves, category by category, built from primitives.

mod electronics;
mod food;
mod household;
mod kitchen;
mod tools;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::assembly::Assembly;
use super::catalogue::{Category, Colour};
use super::paint::Material;
use super::scene::Object;
use super::texture::{grey, linear};
use super::vector::{v, Vec3};

/// The choices that make one thing differ from the next of its category and colour.
pub struct Style {
    rng: ChaCha8Rng,
    /// The thing's colour, linear, a shade of its [`Colour`].
    pub colour: Vec3,
}

impl Style {
    fn new(seed: u64, colour: Colour) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let base = linear(colour.srgb());
        let bright = rng.random_range(0.85..1.15);
        let tint = v(
            rng.random_range(0.94..1.06),
            rng.random_range(0.94..1.06),
            rng.random_range(0.94..1.06),
        );
        let shade = (base * bright).times(tint).min(grey(0.95));
        Self { rng, colour: shade }
    }

    /// Uniform between the two.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        self.rng.random_range(low..high)
    }

    /// One of `0..n`.
    pub fn pick(&mut self, n: u32) -> u32 {
        self.rng.random_range(0..n)
    }

    /// The thing's colour, with that gloss.
    pub fn body(&self, gloss: f32) -> Material {
        Material::plain(self.colour).gloss(gloss)
    }
}

/// Bright metal.
fn steel() -> Material {
    Material::plain(v(0.55, 0.57, 0.6)).gloss(0.7)
}

fn black() -> Material {
    Material::plain(grey(0.015)).gloss(0.3)
}

/// The thing at the origin, at its usual size.
fn build(category: Category, style: &mut Style) -> Assembly {
    let mut thing = Assembly::default();
    let make = match category {
        Category::Television => electronics::television,
        Category::RemoteControl => electronics::remote_control,
        Category::Laptop => electronics::laptop,
        Category::Phone => electronics::phone,
        Category::Lamp => household::lamp,
        Category::Clock => household::clock,
        Category::Book => household::book,
        Category::Plant => household::plant,
        Category::TissueBox => household::tissue_box,
        Category::Glasses => household::glasses,
        Category::Key => household::key,
        Category::Mug => kitchen::mug,
        Category::Bottle => kitchen::bottle,
        Category::Bowl => kitchen::bowl,
        Category::Spoon => kitchen::spoon,
        Category::Knife => kitchen::knife,
        Category::CupNoodles => kitchen::cup_noodles,
        Category::Orange => food::orange,
        Category::Apple => food::apple,
        Category::Banana => food::banana,
        Category::Lemon => food::lemon,
        Category::Scissors => tools::scissors,
        Category::Hammer => tools::hammer,
        Category::Screwdriver => tools::screwdriver,
    };
    make(&mut thing, style);
    thing
}

/// Full extents at the usual size, metres.
pub fn usual_size(category: Category, colour: Colour) -> [f32; 3] {
    build(category, &mut Style::new(0, colour))
        .extents()
        .array()
}

/// The object's primitives in the table's frame. Its details (hands of the clock, title of the book) follow from its
/// size, so that it looks the same wherever it stands.
pub fn assemble(object: &Object) -> Assembly {
    let seed = object
        .size
        .iter()
        .fold(object.category.index() as u64 + 1, |h, s| {
            (h ^ u64::from(s.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
    let mut thing = build(object.category, &mut Style::new(seed, object.colour));
    thing.place(object);
    thing
}

/// Whether a thing of that category is turned so that its front can be seen.
pub fn has_front(category: Category) -> bool {
    matches!(
        category,
        Category::Television
            | Category::Laptop
            | Category::Clock
            | Category::Glasses
            | Category::Lamp
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_household_size() {
        for category in Category::ALL {
            for &colour in category.colours() {
                let size = usual_size(category, colour);
                let largest = size.iter().fold(0.0f32, |a, &b| a.max(b));
                assert!(
                    (0.07..0.32).contains(&largest) && size.iter().all(|&s| s > 0.004),
                    "{category:?} {colour:?}: {size:?}"
                );
            }
        }
    }
}
