//! Masks as polygons for ReasonSeg, whose reader draws each polygon's line and fills what it encloses
//! (`cv2.polylines` and `cv2.fillPoly`).
//!
//! A polygon's corners are therefore centres of the mask's outermost pixels, and drawn that way it gives the
//! mask back pixel for pixel. The layout has no way to say "not this part", so a part with a hole is cut through
//! the hole into parts without one; these overlap in the row of the cut.

/// The corners of a closed polygon, at least three, x and y in pixels. A single pixel repeats its corner.
pub type Polygon = Vec<[u32; 2]>;

/// Polygons that together cover exactly the pixels inside the mask. An empty mask gives none.
///
/// # Shapes
/// `inside` holds `width` times any number of rows, row by row.
pub fn polygons(width: u32, inside: &[bool]) -> Vec<Polygon> {
    let mut found = Vec::new();
    let Some(grid) = Grid::from_frame(width as usize, inside) else {
        return found;
    };
    let mut rest = grid.parts();
    // Depth first and from the top, so that the order is that of the picture.
    rest.reverse();
    while let Some(part) = rest.pop() {
        match part.row_through_a_hole() {
            None => found.push(part.outline()),
            Some(row) => {
                let mut pieces = part.rows(0, row + 1).parts();
                pieces.extend(part.rows(row, part.height).parts());
                rest.extend(pieces.into_iter().rev());
            }
        }
    }
    found
}

/// Pixels in a box of the frame, with a border of one empty pixel all around.
struct Grid {
    /// The width of the box with its border.
    width: usize,
    height: usize,
    inside: Vec<bool>,
    /// Frame coordinates of the box's first pixel inside the border.
    left: usize,
    top: usize,
}

impl Grid {
    fn empty(width: usize, height: usize, left: usize, top: usize) -> Self {
        Self {
            width,
            height,
            inside: vec![false; width * height],
            left,
            top,
        }
    }

    fn from_frame(width: usize, inside: &[bool]) -> Option<Self> {
        if width == 0 || !inside.contains(&true) {
            return None;
        }
        let height = inside.len() / width;
        let mut grid = Self::empty(width + 2, height + 2, 0, 0);
        for (y, row) in inside.chunks_exact(width).enumerate() {
            let start = (y + 1) * grid.width + 1;
            grid.inside[start..start + width].copy_from_slice(row);
        }
        Some(grid)
    }

    /// Rows `from..to` of the box with its border, bordered again.
    fn rows(&self, from: usize, to: usize) -> Self {
        let (from, to) = (from.max(1), to.min(self.height - 1));
        let mut grid = Self::empty(
            self.width,
            to.saturating_sub(from) + 2,
            self.left,
            self.top + from - 1,
        );
        let kept = &self.inside[from * self.width..to.max(from) * self.width];
        grid.inside[self.width..self.width + kept.len()].copy_from_slice(kept);
        grid
    }

    /// The 8-connected parts, in the order of their first pixels, each in its tight box.
    fn parts(&self) -> Vec<Self> {
        let mut left_over = self.inside.clone();
        let mut parts = Vec::new();
        for start in 0..left_over.len() {
            if !left_over[start] {
                continue;
            }
            left_over[start] = false;
            let mut members = vec![start];
            let mut next = 0;
            while next < members.len() {
                for step in self.around() {
                    let to = members[next].wrapping_add_signed(step);
                    if left_over[to] {
                        left_over[to] = false;
                        members.push(to);
                    }
                }
                next += 1;
            }
            parts.push(self.crop(&members));
        }
        parts
    }

    fn crop(&self, members: &[usize]) -> Self {
        let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
        for &k in members {
            let (x, y) = (k % self.width, k / self.width);
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        let mut grid = Self::empty(
            right - left + 3,
            bottom - top + 3,
            self.left + left - 1,
            self.top + top - 1,
        );
        for &k in members {
            let (x, y) = (k % self.width - left + 1, k / self.width - top + 1);
            grid.inside[y * grid.width + x] = true;
        }
        grid
    }

    /// Steps to the eight neighbours, clockwise from the left one.
    fn around(&self) -> [isize; 8] {
        let w = self.width as isize;
        [-1, -w - 1, -w, -w + 1, 1, w + 1, w, w - 1]
    }

    /// The middle row of a hole, which is empty pixels 4-connected with each other and not with the border.
    fn row_through_a_hole(&self) -> Option<usize> {
        let mut seen = self.inside.clone();
        self.flood(&mut seen, 0);
        let start = seen.iter().position(|&seen| !seen)?;
        let bottom = self.flood(&mut seen, start);
        Some((start / self.width + bottom) / 2)
    }

    /// Marks all that is 4-connected with `start` and not seen; gives the lowest row of it.
    fn flood(&self, seen: &mut [bool], start: usize) -> usize {
        let mut lowest = 0;
        let mut open = vec![start];
        seen[start] = true;
        while let Some(k) = open.pop() {
            let (x, y) = (k % self.width, k / self.width);
            lowest = lowest.max(y);
            let sides = [
                (x > 0).then(|| k - 1),
                (x + 1 < self.width).then(|| k + 1),
                (y > 0).then(|| k - self.width),
                (y + 1 < self.height).then(|| k + self.width),
            ];
            for to in sides.into_iter().flatten() {
                if !seen[to] {
                    seen[to] = true;
                    open.push(to);
                }
            }
        }
        lowest
    }

    /// Follows the outer border clockwise (Moore's neighbours), keeping the pixels where it turns.
    fn outline(&self) -> Polygon {
        let around = self.around();
        let mut corners = Vec::new();
        // The first pixel row by row: nothing of the part lies above it or to its left in its row.
        let Some(start) = self.inside.iter().position(|&inside| inside) else {
            return corners;
        };
        let step = |at: usize, came: usize| {
            // From the neighbour after the one it came over, round to the next of the part.
            (1..=8)
                .map(|turn| (came + turn) % 8)
                .find(|&way| self.inside[at.wrapping_add_signed(around[way])])
        };
        let (mut at, mut heading) = (start, None);
        // It came from the left, where nothing is.
        let Some(first) = step(start, 0) else {
            return vec![self.point(start); 3];
        };
        let mut way = first;
        loop {
            if heading != Some(way) {
                corners.push(self.point(at));
            }
            heading = Some(way);
            at = at.wrapping_add_signed(around[way]);
            // The way back is opposite; the search begins just after it.
            let Some(next) = step(at, (way + 4) % 8) else {
                break;
            };
            if at == start && next == first {
                break;
            }
            way = next;
        }
        while corners.len() < 3 {
            corners.push(corners[0]);
        }
        corners
    }

    fn point(&self, k: usize) -> [u32; 2] {
        let (x, y) = (k % self.width - 1, k / self.width - 1);
        [(self.left + x) as u32, (self.top + y) as u32]
    }
}

/// Draws polygons as ReasonSeg's reader does, for tests of what was written.
#[cfg(test)]
pub(super) fn draw(width: u32, height: u32, polygons: &[Polygon]) -> Vec<bool> {
    let mut inside = vec![false; (width * height) as usize];
    for polygon in polygons {
        let ends = polygon.iter().zip(polygon.iter().cycle().skip(1));
        for (a, b) in ends.clone() {
            // Sides run along a row, a column or a diagonal.
            let [dx, dy] = [0, 1].map(|k| i64::from(b[k]) - i64::from(a[k]));
            let length = dx.abs().max(dy.abs());
            assert!(dx == 0 || dy == 0 || dx.abs() == dy.abs());
            for i in 0..=length {
                let x = i64::from(a[0]) + dx.signum() * i;
                let y = i64::from(a[1]) + dy.signum() * i;
                inside[y as usize * width as usize + x as usize] = true;
            }
        }
        for y in 0..height {
            for x in 0..width {
                // Sides crossed by a ray to the left; a side owns its upper end.
                let crossed = ends.clone().filter(|(a, b)| {
                    let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
                    low <= y && y < high && {
                        let (ax, ay) = (f64::from(a[0]), f64::from(a[1]));
                        let (bx, by) = (f64::from(b[0]), f64::from(b[1]));
                        ax + (f64::from(y) - ay) * (bx - ax) / (by - ay) < f64::from(x)
                    }
                });
                if crossed.count() % 2 == 1 {
                    inside[(y * width + x) as usize] = true;
                }
            }
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(rows: &[&str]) -> (u32, u32, Vec<bool>) {
        let inside = rows.iter().flat_map(|row| row.bytes().map(|b| b == b'#'));
        (rows[0].len() as u32, rows.len() as u32, inside.collect())
    }

    #[track_caller]
    fn comes_back(width: u32, height: u32, inside: &[bool]) -> Vec<Polygon> {
        let polygons = polygons(width, inside);
        assert!(polygons.iter().all(|p| p.len() >= 3));
        assert_eq!(draw(width, height, &polygons), inside);
        polygons
    }

    #[test]
    fn a_box_is_its_four_corner_pixels() {
        let (w, h, inside) = mask(&["....", ".###", ".###", ".###"]);
        let polygons = comes_back(w, h, &inside);
        assert_eq!(polygons, [vec![[1, 1], [3, 1], [3, 3], [1, 3]]]);
    }

    #[test]
    fn rings_thin_lines_and_single_pixels_come_back_whole() {
        for rows in [
            &["#####", "#...#", "#.#.#", "#...#", "#####"][..],
            &["#....", ".#.##", "..#..", ".#.#.", "#...#"],
            &[".##..##.", "#..##..#", "#..##..#", ".##..##."],
            &["########", "#.#..#.#", "####.###", "#.#.##.#", "########"],
            &["#"],
            &["."],
            &["##", ".#"],
        ] {
            let (w, h, inside) = mask(rows);
            let polygons = comes_back(w, h, &inside);
            assert_eq!(polygons.is_empty(), rows == ["."]);
        }
    }

    proptest! {
        #[test]
        fn any_mask_comes_back(w in 1u32..24, h in 1u32..20, bits in prop::collection::vec(0u32..100, 480), share in 20u32..90) {
            let inside: Vec<bool> = bits.iter().take((w * h) as usize).map(|&b| b < share).collect();
            prop_assert_eq!(draw(w, h, &polygons(w, &inside)), inside);
        }
    }
}
