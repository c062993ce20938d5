//! Tools.

use super::{steel, Style};
use crate::assembly::Assembly;
use crate::paint::{Material, Paint};
use crate::texture::grey;
use crate::vector::{v, Affine};

pub fn scissors(thing: &mut Assembly, style: &mut Style) {
    let grip = style.body(0.4);
    let open = style.between(0.13, 0.24);
    let blade = [
        [-0.013, -0.03],
        [0.013, -0.03],
        [0.016, 0.02],
        [0.0125, 0.075],
        [0.004, 0.112],
        [-0.007, 0.108],
        [-0.014, 0.02],
    ];
    for (side, z) in [(1.0f32, 0.011), (-1.0, 0.015)] {
        let turn = Affine::turned(v(0.0, 0.0, 1.0), side * open);
        thing.moved(turn, |thing| {
            let flat = Affine::scaled(v(0.0, 0.0, z), v(-side, 1.0, 0.002));
            thing.plate(&blade, flat, &steel());
            let (x, y) = (side * 0.016, -0.078);
            thing.tube(
                &[v(0.0, -0.012, 0.0125), v(x * 0.35, -0.048, 0.0125)],
                &[0.013, 0.0125],
                false,
                &grip,
            );
            thing.ring(
                v(x, y, 0.0125),
                v(0.0235, 0.0, 0.0),
                v(0.0, 0.031, 0.0),
                0.0125,
                &grip,
            );
        });
    }
    let rivet = Material::plain(grey(0.2)).gloss(0.6);
    thing.disc(v(0.0, 0.0, 0.0262), v(0.0, 0.0, 1.0), 0.0, 0.007, &rivet);
}

pub fn hammer(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let brown = c.x > c.y && c.y > c.z && c.x < 0.35;
    let grip = if brown {
        Material::of(Paint::Grain(c * 1.6, c * 1.15))
    } else {
        style.body(0.3)
    };
    let iron = Material::plain(v(0.2, 0.21, 0.23)).gloss(0.7);
    let z = 0.021;
    let flat = Affine::scaled(v(0.0, 0.0, z), v(1.0, 1.0, 0.8));
    thing.moved(flat, |thing| {
        thing.tube(
            &[
                v(0.0, -0.13, 0.0),
                v(0.0, -0.07, 0.0),
                v(0.0, 0.0, 0.0),
                v(0.0, 0.085, 0.0),
            ],
            &[0.0155, 0.0165, 0.0125, 0.012],
            false,
            &grip,
        );
    });
    // Head across the handle: the face on the right, the claw on the left.
    thing.cuboid(v(0.0, 0.082, z), v(0.02, 0.019, 0.017), &iron);
    thing.rod(
        v(0.015, 0.082, z),
        v(0.038, 0.082, z),
        [0.0145, 0.0145],
        &iron,
    );
    thing.rod(
        v(0.036, 0.082, z),
        v(0.056, 0.082, z),
        [0.021, 0.021],
        &iron,
    );
    let claw = [
        [-0.018, 0.062],
        [-0.018, 0.1],
        [-0.04, 0.098],
        [-0.064, 0.074],
        [-0.062, 0.066],
        [-0.04, 0.072],
    ];
    for dz in [-0.009, 0.009] {
        let prong = Affine::scaled(v(0.0, 0.0, z + dz), v(1.0, 1.0, 0.0065));
        thing.plate(&claw, prong, &iron);
    }
}

pub fn screwdriver(thing: &mut Assembly, style: &mut Style) {
    let c = style.colour;
    let grip = Material::plain(c).gloss(0.6);
    let dark = Material::plain(grey(0.02)).gloss(0.3);
    let z = 0.021;
    let lie = Affine {
        origin: v(0.0, 0.0, z),
        ..Affine::turned(v(1.0, 0.0, 0.0), -std::f32::consts::FRAC_PI_2)
    };
    thing.moved(lie, |thing| {
        thing.lathe(
            v(0.0, 0.0, 0.0),
            &[
                [0.0, -0.108],
                [0.014, -0.107],
                [0.0195, -0.1],
                [0.021, -0.088],
                [0.021, -0.035],
                [0.018, -0.022],
                [0.0145, -0.014],
                [0.0165, -0.005],
                [0.0165, 0.0],
                [0.0, 0.0005],
            ],
            &grip,
        );
        thing.lathe(
            v(0.0, 0.0, 0.0),
            &[[0.0212, -0.075], [0.0212, -0.048]],
            &dark,
        );
        thing.rod(
            v(0.0, 0.0, 0.0),
            v(0.0, 0.0, 0.095),
            [0.0092, 0.0092],
            &steel(),
        );
    });
    let tip = [
        [-0.009, 0.09],
        [0.009, 0.09],
        [0.0125, 0.104],
        [0.0095, 0.122],
        [-0.0095, 0.122],
        [-0.0125, 0.104],
    ];
    let flat = Affine::scaled(v(0.0, 0.0, z), v(1.0, 1.0, 0.0035));
    thing.plate(&tip, flat, &steel());
}
