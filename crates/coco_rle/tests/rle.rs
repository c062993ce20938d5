//! What is encoded decodes, the letters are COCO's, and what is no mask is refused with a reason.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says so by panicking

use coco_rle::{pack, spans, unpack, Counts, Rle, RleError};
use proptest::prelude::*;

fn packed(size: [usize; 2], letters: &str) -> Rle {
    Rle {
        size,
        counts: Counts::Packed(letters.to_owned()),
    }
}

/// A mask of squares of the given size.
fn squares(width: u32, height: u32, seed: u64, coarse: u32) -> Vec<bool> {
    (0..height * width)
        .map(|k| {
            let cell = u64::from(k % width / coarse) * 31 + u64::from(k / width / coarse);
            (cell.wrapping_add(seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1
        })
        .collect()
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(width in 1u32..40, height in 1u32..90, seed: u64, coarse in 1u32..30) {
        let inside = squares(width, height, seed, coarse);
        let rle = Rle::encode(width, height, &inside).unwrap();
        prop_assert_eq!(rle.decode(width, height).unwrap(), inside.clone());
        let runs = rle.runs(width, height).unwrap().into_owned();
        let plain = Rle { size: rle.size, counts: Counts::Plain(runs) };
        prop_assert_eq!(plain.decode(width, height).unwrap(), inside);
    }

    #[test]
    fn unpacking_undoes_packing(runs in proptest::collection::vec(any::<u32>(), 0..40)) {
        prop_assert_eq!(unpack(&pack(&runs)).unwrap(), runs);
    }

    #[test]
    fn any_text_is_run_lengths_or_an_error(text in "\\PC{0,40}", letters in "[0-o]{0,80}") {
        for text in [text, letters] {
            if let Ok(runs) = unpack(&text) {
                prop_assert!(runs.len() <= text.len());
                prop_assert_eq!(unpack(&pack(&runs)).unwrap(), runs);
            }
            let _ = packed([7, 5], &text).decode(5, 7);
        }
    }
}

/// As `pycocotools.mask.encode` gives them.
#[test]
fn the_letters_are_cocos() {
    let square: Vec<bool> = (0..48)
        .map(|k| (2..5).contains(&(k / 8)) && (3..6).contains(&(k % 8)))
        .collect();
    for (width, height, inside, letters) in [
        (8, 6, &square[..], "d033000:"),
        (3, 2, &[true; 6], "06"),
        (3, 2, &[false; 6], "6"),
        // Pixels that are missing are background.
        (3, 2, &[], "6"),
    ] {
        let rle = Rle::encode(width, height, inside).unwrap();
        assert_eq!(rle, packed([height as usize, width as usize], letters));
        let read = rle.decode(width, height).unwrap();
        assert_eq!(read[..inside.len()], *inside);
    }
}

#[test]
fn json_is_read_and_written_in_both_forms() {
    for json in [
        r#"{"size":[4,5],"counts":[5,2,2,2,9]}"#,
        r#"{"size":[4,5],"counts":"52207"}"#,
    ] {
        let rle: Rle = serde_json::from_str(json).unwrap();
        assert_eq!(*rle.runs(5, 4).unwrap(), [5, 2, 2, 2, 9]);
        assert_eq!(serde_json::to_string(&rle).unwrap(), json);
    }
    for json in [
        r#"{"size":[4,5]}"#,
        r#"{"size":[4,5],"counts":[-1]}"#,
        r#"{"size":[4],"counts":"52207"}"#,
        r#"{"size":[4,5],"counts":null}"#,
    ] {
        assert!(serde_json::from_str::<Rle>(json).is_err(), "{json}");
    }
}

#[test]
fn what_is_no_mask_of_this_size_is_refused_with_the_reason() {
    let total = |total| RleError::Total { total, pixels: 6 };
    for (letters, error) in [
        ("", total(0)),
        ("5", total(5)),
        ("7", total(7)),
        ("\u{7f}", RleError::Letter),
        ("06x", RleError::Letter),
        ("\u{e9}", RleError::Letter),
        ("P", RleError::Cut),
        ("O", RleError::Run { length: -1 }),
        (&"o".repeat(20), RleError::Letter),
    ] {
        let read = packed([2, 3], letters).decode(3, 2);
        assert_eq!(read, Err(error), "{letters:?}");
    }
    let other = packed([2, 3], "6").decode(2, 3).unwrap_err();
    assert_eq!(
        other.to_string(),
        "run lengths are of 3×2 pixels, the picture has 2×3"
    );
    let long = Rle {
        size: [2, 3],
        counts: Counts::Plain(vec![u32::MAX; 3]),
    };
    assert_eq!(long.runs(3, 2), Err(total(3 * u64::from(u32::MAX))));
}

#[test]
fn a_size_from_a_file_reserves_nothing() {
    let vast = packed([usize::MAX, usize::MAX], "6");
    assert!(matches!(vast.decode(3, 2), Err(RleError::Size { .. })));
    let side = u32::MAX;
    let vast = packed([side as usize, side as usize], "6");
    assert!(matches!(
        vast.decode(side, side),
        Err(RleError::Total { .. })
    ));
    let refused = Rle::encode(65_536, 65_536, &[]).unwrap_err();
    assert!(matches!(refused, RleError::Area { .. }), "{refused}");
}

#[test]
fn spans_are_the_runs_inside_the_mask() {
    let spans: Vec<_> = spans(&[5, 2, 0, 3, 9]).collect();
    assert_eq!(spans, [5..7, 7..10]);
}
