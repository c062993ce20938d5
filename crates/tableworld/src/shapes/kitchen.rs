//! Crockery and cutlery.

use super::{black, steel, Style};
use crate::assembly::{full_ball, Assembly};
use crate::paint::{Material, Paint};
use crate::texture::grey;
use crate::vector::{v, Affine};

pub fn mug(thing: &mut Assembly, style: &mut Style) {
    let glaze = style.body(0.55);
    let inside = Material::plain(grey(0.75)).gloss(0.3);
    let coffee = Material::plain(v(0.045, 0.018, 0.008)).gloss(0.5);
    let (r, h) = (0.043, 0.105);
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[[0.0, 0.0], [r - 0.004, 0.0], [r, 0.006], [r, h]],
        &glaze,
    );
    match style.pick(3) {
        0 => {
            let band = Material::plain(grey(0.85)).gloss(0.5);
            thing.lathe(
                v(0.0, 0.0, 0.0),
                &[[r + 0.0004, 0.04], [r + 0.0004, 0.06]],
                &band,
            );
        }
        1 => {
            let dark = Material::plain(style.colour * 0.5).gloss(0.5);
            thing.lathe(
                v(0.0, 0.0, 0.0),
                &[[r + 0.0004, 0.012], [r + 0.0004, 0.03]],
                &dark,
            );
        }
        _ => {}
    }
    thing.disc(v(0.0, 0.0, h), v(0.0, 0.0, 1.0), r - 0.004, r, &glaze);
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[[r - 0.004, 0.08], [r - 0.004, h]],
        &inside,
    );
    thing.disc(
        v(0.0, 0.0, 0.084),
        v(0.0, 0.0, 1.0),
        0.0,
        r - 0.004,
        &coffee,
    );
    let points: Vec<_> = (0..9)
        .map(|i| {
            let (s, c) = (-1.45 + 2.9 * i as f32 / 8.0).sin_cos();
            v(r - 0.006 + 0.038 * c, 0.0, 0.055 + 0.034 * s)
        })
        .collect();
    thing.tube(&points, &[0.0085], false, &glaze);
}

pub fn bottle(thing: &mut Assembly, style: &mut Style) {
    let glass = style.body(0.9);
    let cap = Material::plain([grey(0.8), grey(0.03), v(0.6, 0.45, 0.1)][style.pick(3) as usize]);
    let label = Material::of(Paint::Label {
        base: grey(0.82),
        ink: style.colour * 0.7,
    });
    let r = 0.037;
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[
            [0.0, 0.0],
            [r - 0.004, 0.0],
            [r, 0.007],
            [r, 0.13],
            [r - 0.003, 0.145],
            [r - 0.012, 0.163],
            [0.017, 0.178],
            [0.0145, 0.19],
            [0.0145, 0.212],
        ],
        &glass,
    );
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[[r + 0.0005, 0.04], [r + 0.0005, 0.108]],
        &label,
    );
    thing.cylinder(v(0.0, 0.0, 0.205), 0.0175, 0.026, &cap.gloss(0.3));
}

pub fn bowl(thing: &mut Assembly, style: &mut Style) {
    let glaze = style.body(0.5);
    let inside = Material::plain(style.colour.mix(grey(0.85), 0.45)).gloss(0.4);
    let profile = [
        [0.0, 0.0],
        [0.036, 0.0],
        [0.036, 0.006],
        [0.05, 0.013],
        [0.064, 0.028],
        [0.073, 0.047],
        [0.078, 0.07],
    ];
    thing.lathe(v(0.0, 0.0, 0.0), &profile, &glaze);
    let inner: Vec<_> = profile[2..]
        .iter()
        .map(|&[r, z]| [r - 0.005, z + 0.001])
        .collect();
    thing.lathe(v(0.0, 0.0, 0.0), &inner, &inside);
    thing.disc(v(0.0, 0.0, 0.007), v(0.0, 0.0, 1.0), 0.0, 0.033, &inside);
    thing.disc(
        v(0.0, 0.0, 0.0705),
        v(0.0, 0.0, 1.0),
        0.0725,
        0.0782,
        &glaze,
    );
    if style.pick(2) == 0 {
        let band = Material::of(Paint::Plain(grey(0.8))).gloss(0.4);
        thing.lathe(v(0.0, 0.0, 0.0), &[[0.0745, 0.05], [0.0785, 0.066]], &band);
    }
}

pub fn spoon(thing: &mut Assembly, style: &mut Style) {
    let wooden = style.colour.x > style.colour.z * 2.0;
    let (outside, hollow) = if wooden {
        let c = style.colour;
        (
            Material::of(Paint::Grain(c * 1.7, c * 1.3)),
            Material::plain(c * 0.95),
        )
    } else {
        (steel(), Material::plain(grey(0.28)).gloss(0.8))
    };
    let bowl = Affine::scaled(v(0.0, 0.078, 0.013), v(0.033, 0.045, 0.0135));
    thing.add(full_ball(), &outside, bowl);
    let pit = Affine::scaled(v(0.0, 0.079, 0.022), v(0.025, 0.035, 0.0066));
    thing.add(full_ball(), &hollow, pit);
    let end = if wooden { 0.0105 } else { 0.0125 };
    let flat = Affine::scaled(v(0.0, 0.0, 0.011), v(1.0, 1.0, 0.6));
    thing.moved(flat, |thing| {
        thing.tube(
            &[
                v(0.0, 0.045, 0.0),
                v(0.0, 0.015, 0.004),
                v(0.0, -0.06, 0.0),
                v(0.0, -0.11, -0.004),
            ],
            &[0.0105, 0.0095, 0.0105, end],
            false,
            &outside,
        );
    });
}

pub fn knife(thing: &mut Assembly, style: &mut Style) {
    let blade = Material::plain(v(0.62, 0.64, 0.67)).gloss(0.9);
    let edge = Material::plain(grey(0.85)).gloss(0.9);
    let outline = [
        [-0.019, -0.005],
        [-0.019, 0.07],
        [-0.014, 0.105],
        [-0.002, 0.132],
        [0.0165, 0.148],
        [0.019, 0.14],
        [0.019, -0.005],
    ];
    let flat = Affine::scaled(v(0.0, 0.0, 0.012), v(1.0, 1.0, 0.0022));
    thing.plate(&outline, flat, &blade);
    let ground = [
        [-0.0195, 0.0],
        [-0.0195, 0.07],
        [-0.0145, 0.106],
        [-0.002, 0.1335],
        [-0.004, 0.118],
        [-0.011, 0.09],
        [-0.0125, 0.0],
    ];
    let rim = Affine::scaled(v(0.0, 0.0, 0.012), v(1.0, 1.0, 0.003));
    thing.plate(&ground, rim, &edge);
    let grip = style.body(0.25);
    let handle = v(0.003, -0.06, 0.012);
    thing.slab(handle, v(0.016, 0.06, 0.012), 0.012, &grip);
    for y in [-0.09, -0.06, -0.03] {
        thing.disc(v(0.003, y, 0.0243), v(0.0, 0.0, 1.0), 0.0, 0.0048, &steel());
    }
    thing.cuboid(v(0.003, 0.002, 0.012), v(0.0155, 0.003, 0.011), &black());
}

pub fn cup_noodles(thing: &mut Assembly, style: &mut Style) {
    let white = Material::plain(grey(0.86)).gloss(0.2);
    let print = Material::of(Paint::Label {
        base: grey(0.86),
        ink: style.colour,
    });
    let colour = style.body(0.3);
    let (low, high, h) = (0.038, 0.054, 0.11);
    let r = |z: f32| low + (high - low) * z / h;
    let side = |thing: &mut Assembly, a: f32, b: f32, m: &Material| {
        thing.lathe(v(0.0, 0.0, 0.0), &[[r(a), a], [r(b), b]], m);
    };
    side(thing, 0.0, 0.03, &colour);
    side(thing, 0.03, 0.074, &print);
    side(thing, 0.074, 0.103, &colour);
    side(thing, 0.103, h, &white);
    thing.ring(
        v(0.0, 0.0, h),
        v(high, 0.0, 0.0),
        v(0.0, high, 0.0),
        0.0035,
        &white,
    );
    let noodles = Material::of(Paint::Noodles).gloss(0.3);
    thing.disc(
        v(0.0, 0.0, h - 0.004),
        v(0.0, 0.0, 1.0),
        0.0,
        r(h - 0.004),
        &noodles,
    );
    // The lid, half torn off and bent up behind.
    let foil = Material::plain(v(0.8, 0.78, 0.72)).gloss(0.5);
    let flap: Vec<_> = (0..11)
        .map(|i| {
            let (s, c) = (std::f32::consts::PI * i as f32 / 10.0).sin_cos();
            [0.05 * c, 0.058 * s]
        })
        .collect();
    let lean = Affine {
        origin: v(0.0, 0.034, h + 0.001),
        ..Affine::turned(v(1.0, 0.0, 0.0), style.between(0.9, 1.3))
    };
    let thin = Affine::scaled(v(0.0, 0.0, 0.0), v(1.0, 1.0, 0.0015));
    thing.plate(&flap, lean.after(&thin), &foil);
}
