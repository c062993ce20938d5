//! Things with a screen or with keys.

use super::{black, Style};
use crate::assembly::Assembly;
use crate::paint::{Material, Paint};
use crate::texture::grey;
use crate::vector::{v, Affine};

pub fn television(thing: &mut Assembly, style: &mut Style) {
    let case = Material::plain(style.colour * 0.8).gloss(0.3);
    let programme = style.pick(4);
    let picture = Material::of(Paint::Programme(programme))
        .gloss(0.3)
        .glow(0.45);
    let (w, h, low) = (0.13, 0.078, 0.035);
    let middle = low + h;
    thing.cuboid(v(0.0, 0.0, middle), v(w, 0.011, h), &case);
    thing.cuboid(
        v(0.0, -0.0105, middle + 0.002),
        v(w - 0.009, 0.001, h - 0.011),
        &picture,
    );
    thing.cuboid(v(0.0, 0.003, 0.02), v(0.018, 0.006, 0.02), &case);
    thing.slab(v(0.0, 0.0, 0.004), v(0.062, 0.038, 0.004), 0.02, &case);
}

pub fn remote_control(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let key = if c.y > 0.25 { grey(0.05) } else { grey(0.55) };
    let face = Material::of(Paint::Buttons { base: c, key }).gloss(0.2);
    thing.slab(v(0.0, 0.0, 0.012), v(0.031, 0.095, 0.012), 0.014, &face);
}

pub fn laptop(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let key = if c.y > 0.2 { grey(0.03) } else { grey(0.16) };
    let base = Material::of(Paint::Keyboard { base: c, key }).gloss(0.3);
    let case = style.body(0.4);
    thing.slab(v(0.0, 0.0, 0.008), v(0.125, 0.085, 0.008), 0.012, &base);
    let wallpapers = [v(0.03, 0.2, 0.5), v(0.3, 0.06, 0.35), v(0.02, 0.3, 0.3)];
    let desktop = Paint::Desktop(wallpapers[style.pick(3) as usize]);
    let screen = Material::of(desktop).gloss(0.2).glow(0.45);
    let lean = style.between(0.18, 0.36);
    let hinge = Affine {
        origin: v(0.0, 0.083, 0.013),
        ..Affine::turned(v(1.0, 0.0, 0.0), -lean)
    };
    thing.moved(hinge, |thing| {
        thing.cuboid(v(0.0, 0.0, 0.08), v(0.125, 0.0045, 0.08), &case);
        thing.cuboid(v(0.0, -0.0042, 0.082), v(0.115, 0.001, 0.07), &screen);
    });
    thing.cuboid(v(0.0, 0.083, 0.012), v(0.09, 0.007, 0.007), &black());
}

pub fn phone(thing: &mut Assembly, style: &mut Style) {
    let wallpapers = [
        v(0.02, 0.07, 0.22),
        v(0.12, 0.03, 0.16),
        v(0.01, 0.14, 0.16),
    ];
    let face = Material::of(Paint::Icons {
        case: style.colour,
        wallpaper: wallpapers[style.pick(3) as usize],
    });
    thing.slab(
        v(0.0, 0.0, 0.0085),
        v(0.05, 0.095, 0.0085),
        0.014,
        &face.gloss(0.5).glow(0.15),
    );
}
