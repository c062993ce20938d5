//! The shapes of other household things.

use super::{black, steel, Style};
use crate::assembly::{full_ball, Assembly};
use crate::paint::{Material, Paint};
use crate::texture::grey;
use crate::vector::{v, Affine, Vec3};

pub fn lamp(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let metal = [
        steel(),
        black(),
        Material::plain(v(0.5, 0.35, 0.1)).gloss(0.6),
    ];
    let metal = &metal[style.pick(3) as usize];
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[
            [0.056, 0.0],
            [0.056, 0.01],
            [0.045, 0.018],
            [0.014, 0.023],
            [0.0, 0.0235],
        ],
        metal,
    );
    thing.rod(
        v(0.0, 0.0, 0.02),
        v(0.0, 0.0, 0.16),
        [0.0095, 0.0095],
        metal,
    );
    let shade = Material::plain(c).glow(0.35);
    thing.lathe(v(0.0, 0.0, 0.0), &[[0.088, 0.14], [0.05, 0.245]], &shade);
    let trim = Material::plain(c * 0.6).glow(0.2);
    thing.lathe(v(0.0, 0.0, 0.0), &[[0.0887, 0.14], [0.0862, 0.147]], &trim);
    let bulb = Material::plain(v(1.0, 0.9, 0.6)).glow(0.9);
    thing.ball(v(0.0, 0.0, 0.19), v(0.026, 0.026, 0.03), &bulb);
}

pub fn clock(thing: &mut Assembly, style: &mut Style) {
    let case = style.body(0.5);
    let (r, z) = (0.064, 0.078);
    let (front, rear) = (v(0.0, -0.024, z), v(0.0, 0.024, z));
    thing.rod(rear, front, [r * 0.94, r], &case);
    thing.ring(front, v(r, 0.0, 0.0), v(0.0, 0.0, r), 0.006, &case);
    let minute = style.between(0.0, std::f32::consts::TAU);
    let hour = style.between(0.0, std::f32::consts::TAU);
    let dial = Material::of(Paint::Dial([hour, minute]))
        .gloss(0.2)
        .glow(0.12);
    let face = Affine {
        x: v(r * 0.93, 0.0, 0.0),
        y: v(0.0, 0.0, r * 0.93),
        z: v(0.0, -1.0, 0.0),
        origin: v(0.0, -0.0255, z),
    };
    thing.add(crate::primitive::Shape::Disc { inner: 0.0 }, &dial, face);
    for side in [-1.0, 1.0] {
        let foot = v(side * 0.034, 0.0, 0.03);
        thing.rod(v(side * 0.05, 0.0, 0.0), foot, [0.008, 0.009], &steel());
        let bell = Affine {
            origin: v(side * 0.04, 0.0, z + 0.059),
            ..Affine::turned(v(0.0, 1.0, 0.0), side * 0.6)
        };
        thing.moved(bell, |thing| {
            let dome = Affine::scaled(v(0.0, 0.0, 0.0), v(0.028, 0.024, 0.024));
            thing.add(full_ball(), &steel(), dome);
        });
    }
    let points = [
        v(-0.02, 0.0, z + 0.08),
        v(0.0, 0.0, z + 0.093),
        v(0.02, 0.0, z + 0.08),
    ];
    thing.tube(&points, &[0.0055], false, &steel());
}

pub fn book(thing: &mut Assembly, style: &mut Style) {
    let ink = if style.colour.y > 0.25 {
        v(0.25, 0.03, 0.05)
    } else {
        [v(0.85, 0.72, 0.35), grey(0.85)][style.pick(2) as usize]
    };
    let cover = Material::of(Paint::Cover {
        base: style.colour,
        ink,
        style: style.pick(3),
    });
    let back = style.body(0.15);
    let pages = Material::of(Paint::Stripes(grey(0.82), v(0.55, 0.52, 0.45), 6.0, 2));
    let (w, d, h) = (0.078, 0.105, 0.04);
    thing.cuboid(v(0.0, 0.0, 0.0025), v(w, d, 0.0025), &back);
    thing.cuboid(
        v(0.001, 0.0, 0.5 * h),
        v(w - 0.005, d - 0.004, 0.5 * h - 0.004),
        &pages,
    );
    thing.cuboid(v(0.0, 0.0, h - 0.0025), v(w, d, 0.0025), &cover);
    thing.cuboid(v(-w + 0.002, 0.0, 0.5 * h), v(0.003, d, 0.5 * h), &back);
}

pub fn plant(thing: &mut Assembly, style: &mut Style) {
    let pots = [
        v(0.42, 0.15, 0.07),
        grey(0.8),
        v(0.2, 0.21, 0.23),
        v(0.12, 0.2, 0.4),
    ];
    let pot = Material::plain(pots[style.pick(4) as usize]).gloss(0.2);
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[[0.0, 0.0], [0.037, 0.0], [0.049, 0.066]],
        &pot,
    );
    thing.lathe(
        v(0.0, 0.0, 0.0),
        &[[0.054, 0.062], [0.055, 0.08], [0.047, 0.08]],
        &pot,
    );
    thing.disc(v(0.0, 0.0, 0.062), v(0.0, 0.0, 1.0), 0.04, 0.0535, &pot);
    let soil = Material::plain(v(0.05, 0.03, 0.02));
    thing.disc(v(0.0, 0.0, 0.075), v(0.0, 0.0, 1.0), 0.0, 0.049, &soil);
    let c = style.colour;
    for ring in 0..3 {
        let n = [6, 5, 3][ring];
        let lean = [1.0f32, 0.62, 0.22][ring];
        let reach = [0.05f32, 0.056, 0.062][ring];
        for i in 0..n {
            let turn = std::f32::consts::TAU * (i as f32 + 0.35 * ring as f32) / n as f32
                + style.between(-0.25, 0.25);
            let tone = style.between(0.7, 1.25);
            let green = Material::of(Paint::Mottled(c * tone, c * tone * 0.75, 1.5)).gloss(0.3);
            let (s, co) = (lean + style.between(-0.1, 0.1)).sin_cos();
            let out = v(turn.cos() * s, turn.sin() * s, co);
            let side = v(-turn.sin(), turn.cos(), 0.0);
            let leaf = Affine {
                x: side * 0.021,
                y: side.cross(out).unit() * 0.005,
                z: out * reach,
                origin: v(0.0, 0.0, 0.078 + 0.012 * ring as f32) + out * (reach * 1.0),
            };
            thing.add(full_ball(), &green, leaf);
        }
    }
}

pub fn tissue_box(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let second = c.mix(grey(0.9), 0.6);
    let paint = match style.pick(3) {
        0 => Paint::Dots(c, second, 3.0),
        1 => Paint::Stripes(c, c.mix(grey(0.9), 0.25), 5.0, 0),
        _ => Paint::Plain(c),
    };
    let (w, d, h) = (0.105, 0.058, 0.04);
    thing.cuboid(v(0.0, 0.0, h), v(w, d, h), &Material::of(paint));
    let slot: Vec<_> = (0..16)
        .map(|i| {
            let (s, co) = (std::f32::consts::TAU * i as f32 / 16.0).sin_cos();
            [0.062 * co, 0.024 * s]
        })
        .collect();
    let thin = Affine::scaled(v(0.0, 0.0, 2.0 * h), v(1.0, 1.0, 0.0008));
    thing.plate(&slot, thin, &Material::plain(grey(0.12)));
    // Paper that fans out of the slot.
    let white = Material::plain(grey(0.88)).gloss(0.02).glow(0.08);
    let shaded = Material::plain(grey(0.74)).gloss(0.02).glow(0.05);
    for (i, (x, lean, spread)) in [
        (-0.012f32, -0.38f32, 0.032f32),
        (0.012, 0.34, 0.034),
        (0.0, 0.02, 0.036),
    ]
    .into_iter()
    .enumerate()
    {
        let sheet = [
            [-0.036, 0.0],
            [0.036, 0.0],
            [spread + 0.014, 0.04],
            [0.008 + x, 0.074 - 0.005 * i as f32],
            [-spread - 0.01, 0.046],
        ];
        let upright = Affine {
            x: v(1.0, 0.0, 0.0),
            y: v(0.3 * x, 0.0, 1.0),
            z: v(0.0, 0.004, 0.0),
            origin: Vec3::default(),
        };
        let map = Affine {
            origin: v(0.0, 0.004 * i as f32 - 0.004, 2.0 * h - 0.004),
            ..Affine::turned(v(1.0, 0.0, 0.0), lean)
        };
        thing.plate(
            &sheet,
            map.after(&upright),
            if i == 1 { &shaded } else { &white },
        );
    }
}

pub fn glasses(thing: &mut Assembly, style: &mut Style) {
    let frame = style.body(0.5);
    let lens = Material::plain(v(0.42, 0.52, 0.6)).gloss(0.95);
    let z = 0.032;
    for side in [-1.0f32, 1.0] {
        let middle = v(side * 0.043, 0.0, z);
        thing.ring(
            middle,
            v(0.033, 0.0, 0.0),
            v(0.0, 0.0, 0.026),
            0.0078,
            &frame,
        );
        let glass = Affine {
            x: v(0.034, 0.0, 0.0),
            y: v(0.0, 0.0, 0.027),
            z: v(0.0, -1.0, 0.0),
            origin: middle,
        };
        thing.add(crate::primitive::Shape::Disc { inner: 0.0 }, &lens, glass);
        thing.tube(
            &[
                v(side * 0.078, 0.0, z + 0.008),
                v(side * 0.08, 0.075, z + 0.006),
                v(side * 0.076, 0.11, z - 0.024),
            ],
            &[0.0078, 0.0078, 0.009],
            false,
            &frame,
        );
    }
    thing.tube(
        &[
            v(-0.012, 0.0, z + 0.006),
            v(0.0, -0.002, z + 0.011),
            v(0.012, 0.0, z + 0.006),
        ],
        &[0.0072],
        false,
        &frame,
    );
}

pub fn key(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let brass = Material::plain(if c.x > 1.6 * c.z {
        v(0.72, 0.45, 0.08)
    } else {
        c
    })
    .gloss(0.7);
    let z = 0.011;
    thing.ring(
        v(0.0, -0.045, z),
        v(0.0295, 0.0, 0.0),
        v(0.0, 0.0265, 0.0),
        0.0115,
        &brass,
    );
    thing.rod(v(0.0, -0.018, z), v(0.0, 0.075, z), [0.011, 0.011], &brass);
    thing.cuboid(v(0.0, -0.012, z), v(0.015, 0.004, 0.01), &brass);
    for (y, reach) in [(0.066, 0.034), (0.04, 0.027)] {
        thing.cuboid(v(0.5 * reach, y, z), v(0.5 * reach, 0.0085, 0.008), &brass);
    }
}
