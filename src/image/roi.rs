//! [`Roi`]: a box of pixels in a frame.

/// A rectangle of whole pixels in a frame, the fields of `sensor_msgs/RegionOfInterest`. One without pixels is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roi {
    /// First column, from 0.
    pub x: u32,
    /// First row, from 0.
    pub y: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Roi {
    /// The column after the last one.
    pub fn right(&self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The row after the last one.
    pub fn bottom(&self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// Whether it holds no pixel.
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The pixels that are in both; the default box where there are none.
    pub fn intersection(&self, other: &Roi) -> Roi {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let width = self.right().min(other.right()).saturating_sub(x);
        let height = self.bottom().min(other.bottom()).saturating_sub(y);
        let both = Roi {
            x,
            y,
            width,
            height,
        };
        if both.is_empty() {
            Roi::default()
        } else {
            both
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_intersection_lies_in_both(a: [u32; 4], b: [u32; 4], near in any::<bool>()) {
            let limit = if near { 10 } else { u32::MAX };
            let [a, b] = [a, b].map(|v| v.map(|v| v % limit)).map(|[x, y, width, height]| Roi { x, y, width, height });
            let both = a.intersection(&b);
            prop_assert_eq!(both, b.intersection(&a));
            for outer in [a, b] {
                prop_assert!(both.is_empty() || (outer.x <= both.x && both.right() <= outer.right()));
                prop_assert!(both.is_empty() || (outer.y <= both.y && both.bottom() <= outer.bottom()));
            }
        }
    }
}
