//! Fruit.

use std::f32::consts::{FRAC_PI_2, TAU};

use super::Style;
use crate::assembly::{full_ball, Assembly};
use crate::paint::{Material, Paint};
use crate::vector::{v, Affine};

pub fn orange(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let peel = Material::of(Paint::Mottled(c * 0.86, c * 1.06, 22.0)).gloss(0.25);
    thing.ball(v(0.0, 0.0, 0.046), v(0.05, 0.05, 0.046), &peel);
    let green = Material::plain(v(0.05, 0.16, 0.03));
    thing.ball(v(0.0, 0.0, 0.092), v(0.006, 0.006, 0.003), &green);
    leaf(thing, style, 0.092);
}

pub fn apple(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let skin = Material::of(Paint::Mottled(
        c * 0.9,
        (c * 1.05) + v(0.04, 0.03, 0.0),
        2.0,
    ))
    .gloss(0.5);
    // Wider above the middle, a hollow at the stem, narrow at the bottom.
    let profile = [
        [0.006, 0.004],
        [0.02, 0.0],
        [0.031, 0.008],
        [0.04, 0.024],
        [0.046, 0.044],
        [0.0475, 0.058],
        [0.045, 0.073],
        [0.038, 0.084],
        [0.028, 0.0895],
        [0.018, 0.088],
        [0.008, 0.081],
        [0.0015, 0.073],
    ];
    thing.lathe(v(0.0, 0.0, 0.0), &profile, &skin);
    let stem = Material::plain(v(0.1, 0.05, 0.02));
    let lean = style.between(-0.012, 0.012);
    thing.rod(
        v(0.0, 0.0, 0.072),
        v(lean, 0.004, 0.112),
        [0.0035, 0.0045],
        &stem,
    );
    leaf(thing, style, 0.1);
}

fn leaf(thing: &mut Assembly, style: &mut Style, z: f32) {
    let green = Material::plain(v(0.06, 0.3, 0.05)).gloss(0.3);
    let spin = Affine::turned(v(0.0, 0.0, 1.0), style.between(0.0, TAU));
    let tilt = Affine::turned(v(0.0, 1.0, 0.0), -0.35);
    let blade = Affine::scaled(v(0.02, 0.0, 0.004), v(0.021, 0.011, 0.002));
    let place = Affine {
        origin: v(0.0, 0.0, z),
        ..spin.after(&tilt)
    };
    thing.add(full_ball(), &green, place.after(&blade));
}

pub fn banana(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let peel = Material::of(Paint::Mottled(c, c * 0.88, 1.5)).gloss(0.2);
    let end = Material::plain(v(0.12, 0.07, 0.02));
    let stalk = Material::plain(v(0.42, 0.36, 0.06));
    // An arc that lies on its side.
    let at = |t: f32| {
        let (s, c) = (FRAC_PI_2 + 0.95 * t).sin_cos();
        v(0.105 * c, 0.105 * s, 0.021)
    };
    let n = 23;
    let (mut points, mut radii) = (Vec::new(), Vec::new());
    for i in 0..n {
        let t = -1.0 + 2.0 * i as f32 / (n - 1) as f32;
        points.push(at(t * 0.94));
        radii.push(0.0225 * (1.0 - 0.62 * t.abs().powi(4)).max(0.1));
    }
    thing.tube(&points, &radii, false, &peel);
    thing.tube(&[at(0.94), at(1.14)], &[0.009, 0.0075], false, &stalk);
    thing.rod(at(1.14), at(1.19), [0.008, 0.0085], &end);
    thing.tube(&[at(-0.96), at(-1.03)], &[0.0085, 0.006], false, &end);
}

pub fn lemon(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let peel = Material::of(Paint::Mottled(c, c * 0.9, 14.0)).gloss(0.3);
    let profile = [
        [0.001, -0.06],
        [0.0085, -0.057],
        [0.012, -0.0495],
        [0.022, -0.0415],
        [0.0315, -0.0275],
        [0.0355, -0.01],
        [0.0358, 0.008],
        [0.032, 0.026],
        [0.0235, 0.04],
        [0.0135, 0.0485],
        [0.0085, 0.0545],
        [0.001, 0.057],
    ];
    let lie = Affine {
        origin: v(0.0, 0.0, 0.036),
        ..Affine::turned(v(0.0, 1.0, 0.0), FRAC_PI_2)
    };
    thing.moved(lie, |thing| {
        thing.lathe(v(0.0, 0.0, 0.0), &profile, &peel);
    });
    let green = Material::plain(v(0.12, 0.2, 0.03));
    thing.ball(v(-0.0595, 0.0, 0.036), v(0.003, 0.006, 0.006), &green);
}
