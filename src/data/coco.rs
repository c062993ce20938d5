//! COCO's annotations: polygons and run lengths become masks, pixel for pixel as pycocotools makes them.

use serde::Deserialize;

use super::TruthMask;

/// A mask as COCO's JSON holds it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Segmentation {
    /// Outlines, x and y in turn; their union.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths of the whole picture.
    Rle(Rle),
    /// Several of them, as the refer datasets and TableWorld write it.
    Rles(Vec<Rle>),
}

/// Run lengths down the columns, background first.
#[derive(Clone, Debug, Deserialize)]
pub struct Rle {
    /// Height and width.
    pub size: [usize; 2],
    pub counts: Counts,
}

/// Plain, or in COCO's packed letters.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    Plain(Vec<u32>),
    Packed(String),
}

impl Segmentation {
    /// The mask of a picture of this size.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn mask(&self, width: u32, height: u32) -> Result<TruthMask, String> {
        let (w, h) = (width as usize, height as usize);
        let mut columns = vec![0u8; w * h];
        let rles = match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    if polygon.len() < 6 || polygon.len() % 2 != 0 {
                        return Err(format!(
                            "a polygon has {} numbers; accepted: x and y of three points or more",
                            polygon.len()
                        ));
                    }
                    fill_runs(&mut columns, &polygon_runs(polygon, w, h));
                }
                &[]
            }
            Self::Rle(rle) => std::slice::from_ref(rle),
            Self::Rles(rles) => rles.as_slice(),
        };
        for rle in rles {
            if rle.size != [h, w] {
                return Err(format!(
                    "run lengths are of {}×{} pixels, the picture has {w}×{h}",
                    rle.size[1], rle.size[0]
                ));
            }
            let runs = match &rle.counts {
                Counts::Plain(runs) => runs.clone(),
                Counts::Packed(letters) => unpack(letters)?,
            };
            let total: u64 = runs.iter().map(|r| u64::from(*r)).sum();
            if total != (w * h) as u64 {
                return Err(format!(
                    "run lengths add up to {total}, the picture has {}",
                    w * h
                ));
            }
            fill_runs(&mut columns, &runs);
        }
        let mut pixels = vec![0u8; w * h];
        for (x, column) in columns.chunks_exact(h.max(1)).enumerate() {
            for (y, value) in column.iter().enumerate() {
                pixels[y * w + x] = *value;
            }
        }
        Ok(TruthMask {
            width,
            height,
            pixels,
        })
    }
}

/// Sets every second run.
fn fill_runs(columns: &mut [u8], runs: &[u32]) {
    let mut at = 0usize;
    for (i, run) in runs.iter().enumerate() {
        let end = (at + *run as usize).min(columns.len());
        if i % 2 == 1 {
            columns[at..end].fill(1);
        }
        at = end;
    }
}

/// COCO's letters: five bits each, the sixth says that more follow, and from the third run on differences to the run
/// before the last.
fn unpack(letters: &str) -> Result<Vec<u32>, String> {
    let mut runs: Vec<i64> = Vec::new();
    let mut bytes = letters.bytes();
    while let Some(first) = bytes.next() {
        let (mut value, mut shift, mut byte) = (0i64, 0u32, first);
        loop {
            let bits = match byte.checked_sub(48) {
                Some(bits) if bits < 64 && shift < 60 => i64::from(bits),
                _ => {
                    return Err("run lengths hold a letter that COCO's packing does not".to_owned())
                }
            };
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1i64 << shift;
                }
                break;
            }
            byte = bytes
                .next()
                .ok_or("run lengths end in the middle of a number")?;
        }
        if runs.len() > 2 {
            value += runs[runs.len() - 2];
        }
        runs.push(value);
    }
    runs.into_iter()
        .map(|run| u32::try_from(run).map_err(|_| format!("a run is {run} long")))
        .collect()
}

/// Where a polygon's outline crosses the pixel columns, as run lengths: traced at five times the resolution.
fn polygon_runs(polygon: &[f64], width: usize, height: usize) -> Vec<u32> {
    const SCALE: f64 = 5.0;
    let mut corners: Vec<(i64, i64)> = polygon
        .chunks_exact(2)
        .map(|p| ((SCALE * p[0] + 0.5) as i64, (SCALE * p[1] + 0.5) as i64))
        .collect();
    corners.push(corners[0]);
    let mut outline = Vec::new();
    for side in corners.windows(2) {
        let ((mut xs, mut ys), (mut xe, mut ye)) = (side[0], side[1]);
        let (dx, dy) = ((xe - xs).abs(), (ye - ys).abs());
        let flip = (dx >= dy && xs > xe) || (dx < dy && ys > ye);
        if flip {
            std::mem::swap(&mut xs, &mut xe);
            std::mem::swap(&mut ys, &mut ye);
        }
        let long = dx.max(dy);
        let slope = match long {
            0 => 0.0,
            _ if dx >= dy => (ye - ys) as f64 / dx as f64,
            _ => (xe - xs) as f64 / dy as f64,
        };
        for step in 0..=long {
            let t = if flip { long - step } else { step };
            outline.push(if dx >= dy {
                (t + xs, (ys as f64 + slope * t as f64 + 0.5) as i64)
            } else {
                ((xs as f64 + slope * t as f64 + 0.5) as i64, t + ys)
            });
        }
    }
    let mut crossings: Vec<u64> = Vec::new();
    for pair in outline.windows(2) {
        let ((u0, v0), (u1, v1)) = (pair[0], pair[1]);
        if u0 == u1 {
            continue;
        }
        let x = (if u1 < u0 { u1 } else { u1 - 1 }) as f64;
        let x = (x + 0.5) / SCALE - 0.5;
        if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
            continue;
        }
        let y = (v0.min(v1) as f64 + 0.5) / SCALE - 0.5;
        let y = y.clamp(0.0, height as f64).ceil();
        crossings.push((x as u64) * height as u64 + y as u64);
    }
    crossings.push((width * height) as u64);
    crossings.sort_unstable();
    let mut runs = Vec::with_capacity(crossings.len());
    let mut before = 0;
    for crossing in crossings {
        runs.push((crossing - before) as u32);
        before = crossing;
    }
    // Empty runs join their neighbours.
    let mut joined: Vec<u32> = vec![runs[0]];
    let mut i = 1;
    while i < runs.len() {
        if runs[i] > 0 {
            joined.push(runs[i]);
            i += 1;
        } else {
            i += 1;
            if let (Some(run), Some(last)) = (runs.get(i), joined.last_mut()) {
                *last += run;
                i += 1;
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(mask: &TruthMask) -> Vec<String> {
        mask.pixels
            .chunks(mask.width as usize)
            .map(|row| {
                row.iter()
                    .map(|p| if *p == 1 { '#' } else { '.' })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_polygon_fills_the_pixels_that_pycocotools_fills() {
        let square = Segmentation::Polygons(vec![vec![1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]]);
        let mask = square.mask(6, 4).unwrap();
        assert_eq!(rows(&mask), ["......", ".###..", ".###..", "......"]);
        let bad = Segmentation::Polygons(vec![vec![1.0, 1.0, 2.0, 2.0]]);
        assert!(bad.mask(6, 4).unwrap_err().contains("4 numbers"));
    }

    #[test]
    fn packed_and_plain_run_lengths_agree() {
        let plain: Segmentation =
            serde_json::from_str(r#"{"size": [4, 5], "counts": [5, 2, 2, 2, 9]}"#).unwrap();
        let mask = plain.mask(5, 4).unwrap();
        assert_eq!(rows(&mask), [".....", ".##..", ".##..", "....."]);
        // 5, 2, 2, 2−2, 9−2
        let packed: Segmentation =
            serde_json::from_str(r#"[{"size": [4, 5], "counts": "52207"}]"#).unwrap();
        assert_eq!(packed.mask(5, 4).unwrap(), mask);
        assert!(packed.mask(4, 5).unwrap_err().contains("4×5"));
        let cut: Segmentation =
            serde_json::from_str(r#"{"size": [4, 5], "counts": "5220P"}"#).unwrap();
        assert!(cut.mask(5, 4).unwrap_err().contains("middle"));
    }
}
