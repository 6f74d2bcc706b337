//! A treemap: rectangles whose areas are the numbers, after M. Bruls, K. Huizing and J. J. van Wijk, "Squarified
//! Treemaps" (2000): rows are filled along the shorter side as long as that makes them more like squares.

/// A rectangle; the units are the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// Returns what is left when so much is taken from every side.
    #[must_use]
    pub fn inset(self, by: f64) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            w: (self.w - 2.0 * by).max(0.0),
            h: (self.h - 2.0 * by).max(0.0),
        }
    }
}

/// Returns a rectangle inside `place` for each weight, in their order. The weights are in falling order; together they
/// fill the place.
#[must_use]
pub fn squarified(weights: &[u64], place: Rect) -> Vec<Rect> {
    let total: f64 = weights.iter().map(|w| *w as f64).sum();
    let mut rects = Vec::with_capacity(weights.len());
    if total <= 0.0 || place.w <= 0.0 || place.h <= 0.0 {
        rects.resize(weights.len(), Rect { w: 0.0, h: 0.0, ..place });
        return rects;
    }
    let areas: Vec<f64> = weights.iter().map(|w| *w as f64 * place.w * place.h / total).collect();
    let (mut left, mut rest) = (areas.as_slice(), place);
    while !left.is_empty() {
        let side = rest.w.min(rest.h);
        let mut n = 1;
        while n < left.len() && worst(left.get(..=n), side) <= worst(left.get(..n), side) {
            n += 1;
        }
        let (row, others) = left.split_at(n);
        let depth = if side > 0.0 { row.iter().sum::<f64>() / side } else { 0.0 };
        let mut at = 0.0;
        for area in row {
            let length = if depth > 0.0 { area / depth } else { 0.0 };
            rects.push(if rest.w >= rest.h {
                Rect { x: rest.x, y: rest.y + at, w: depth, h: length }
            } else {
                Rect { x: rest.x + at, y: rest.y, w: length, h: depth }
            });
            at += length;
        }
        if rest.w >= rest.h {
            rest = Rect { x: rest.x + depth, w: (rest.w - depth).max(0.0), ..rest };
        } else {
            rest = Rect { y: rest.y + depth, h: (rest.h - depth).max(0.0), ..rest };
        }
        left = others;
    }
    rects
}

/// Returns how far from a square the worst rectangle of a row is; 1 is a square.
fn worst(row: Option<&[f64]>, side: f64) -> f64 {
    let row = row.unwrap_or_default();
    let sum: f64 = row.iter().sum();
    let (least, most) = row.iter().fold((f64::MAX, 0.0_f64), |(a, b), area| (a.min(*area), b.max(*area)));
    if sum <= 0.0 || least <= 0.0 {
        return f64::MAX;
    }
    (side * side * most / (sum * sum)).max(sum * sum / (side * side * least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_have_the_areas_fill_the_place_and_do_not_overlap() {
        let place = Rect { x: 10.0, y: 20.0, w: 300.0, h: 200.0 };
        for weights in [&[6, 6, 4, 3, 2, 2, 1][..], &[1], &[1_000_000, 1, 1, 1], &[5; 40]] {
            let rects = squarified(weights, place);
            let total: u64 = weights.iter().sum();
            assert_eq!(rects.len(), weights.len());
            for (weight, r) in weights.iter().zip(&rects) {
                let expected = *weight as f64 / total as f64 * place.w * place.h;
                assert!((r.w * r.h - expected).abs() < 0.01, "{r:?} {expected}");
                assert!(r.x >= place.x - 0.01 && r.x + r.w <= place.x + place.w + 0.01, "{r:?}");
                assert!(r.y >= place.y - 0.01 && r.y + r.h <= place.y + place.h + 0.01, "{r:?}");
            }
            for (i, a) in rects.iter().enumerate() {
                for b in rects.iter().skip(i + 1) {
                    let wide = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
                    let high = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
                    assert!(wide < 0.01 || high < 0.01, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_to_show_takes_no_place() {
        let place = Rect { w: 10.0, h: 10.0, ..Rect::default() };
        assert_eq!(squarified(&[], place), []);
        assert_eq!(squarified(&[0, 0], place).iter().map(|r| r.w * r.h).sum::<f64>(), 0.0);
    }
}
