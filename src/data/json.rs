//! JSON files as people's editors save them: in UTF-8 with or without a byte order mark, UTF-16, or Windows-1252.

use std::borrow::Cow;
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GBK, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::de::DeserializeOwned;

use super::files::{broken, read};
use super::schema::Schema;
use super::DataError;

const ACCEPTED: &str = "accepted: UTF-8, UTF-16, Windows-1252; save it as UTF-8";

/// Reads a JSON file.
///
/// A file that is not UTF-8 is read as Windows-1252, as in the reference: a few of ReasonSeg's files have that encoding. The
/// reference reads every other encoding as Windows-1252 too and trains on wrong letters; here such a file is refused, and the
/// error names the encoding that it seems to have.
///
/// # Errors
/// A file that is missing, in another encoding, or against its schema; by its path and, if it is against the schema, the place
/// in the file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, schema: &Schema) -> Result<T, DataError> {
    let bytes = read(path)?;
    let text = decode(&bytes).map_err(broken(path))?;
    serde_json::from_str(&text).map_err(|error| {
        // Some files have a hundred megabytes, so only one that is wrong is parsed a second time for its fault.
        let fault = || schema.fault(&serde_json::from_str(&text).ok()?);
        let said = no_number(&text, &error).or_else(fault);
        broken(path)(said.unwrap_or_else(|| error.to_string()))
    })
}

/// Whether parsing stopped at a word like `NaN`, which Python writes as a number but JSON does not have.
fn no_number(text: &str, error: &serde_json::Error) -> Option<String> {
    let line = text.split('\n').nth(error.line().checked_sub(1)?)?;
    let stopped = error.column();
    ["-Infinity", "Infinity", "NaN"].into_iter().find_map(|word| {
        let here = |at: &usize| (*at..=at + word.len()).contains(&stopped);
        let mut places = line.match_indices(word).map(|(at, _)| at);
        let at = places.find(here).filter(|_| error.is_syntax())?;
        let (line, column) = (error.line(), at + 1);
        Some(format!(
            "line {line}, column {column}: {word} is no number in JSON; accepted: numbers such as 1.5"
        ))
    })
}

/// The text of a file, without a byte order mark.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => {
            let text = std::str::from_utf8(rest);
            let text = text.map_err(|e| {
                let at = 3 + e.valid_up_to();
                format!("it says that it is UTF-8, and is not at byte {at}; {ACCEPTED}")
            });
            text.map(Cow::Borrowed)
        }
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(named("UTF-32")),
        [0xff, 0xfe, rest @ ..] => utf16(UTF_16LE, rest),
        [0xfe, 0xff, rest @ ..] => utf16(UTF_16BE, rest),
        // UTF-16 and UTF-32 without a mark are known by the zeros: JSON begins with an ASCII letter.
        [1..=255, 0, 0, 0, ..] | [0, 0, 0, 1..=255, ..] => Err(named("UTF-32")),
        [1..=255, 0, ..] => utf16(UTF_16LE, bytes),
        [0, 1..=255, ..] => utf16(UTF_16BE, bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => western(bytes),
        },
    }
}

fn named(encoding: &str) -> String {
    format!("it is in {encoding}; {ACCEPTED}")
}

fn utf16<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, String> {
    let name = encoding.name();
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| format!("it begins as {name}, and is cut or damaged; {ACCEPTED}"))
}

/// Decodes text as Windows-1252, unless it seems to have another encoding.
fn western(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let likely = detector.guess(None, Utf8Detection::Deny);
    if likely != WINDOWS_1252 && letters_that_differ(bytes, likely) > 1 {
        let name = match likely == GBK {
            true => "GBK (GB2312)",
            false => likely.name(),
        };
        return Err(format!(
            "it is not in UTF-8, and looks like {name}; {ACCEPTED}"
        ));
    }
    // Windows-1252 has no letters for these bytes, and Python, and so the reference, refuses them.
    let unused = |byte: &u8| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d);
    if let Some(at) = bytes.iter().position(unused) {
        return Err(format!(
            "it is neither UTF-8 nor Windows-1252, whose code page lacks byte 0x{:02x} (at {at}); {ACCEPTED}",
            bytes[at]
        ));
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    Ok(text)
}

/// How many letters another encoding would read differently from Windows-1252. A single one says little: the sign in "a £5
/// note" is the same byte in many encodings.
fn letters_that_differ(bytes: &[u8], other: &'static Encoding) -> usize {
    let high = bytes.iter().filter(|byte| **byte >= 0x80);
    match other.is_single_byte() {
        true => {
            let differs = |byte: &&u8| {
                let letter = [**byte];
                let read = |encoding: &'static Encoding| {
                    let (text, _) = encoding.decode_without_bom_handling(&letter);
                    text.into_owned()
                };
                read(other) != read(WINDOWS_1252)
            };
            high.filter(differs).count()
        }
        false => high.count(),
    }
}

/// Decodes base64, in which some tools write line breaks.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    match text.contains(|c: char| c.is_ascii_whitespace()) {
        true => {
            let letters: String = text.split_ascii_whitespace().collect();
            base64::decode(letters)
        }
        false => base64::decode(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{BIG5, EUC_KR, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251};

    fn json(words: &str) -> String {
        format!(r#"{{"text": ["{words}"], "is_sentence": true, "shapes": []}}"#)
    }

    fn encoded(encoding: &'static Encoding, words: &str) -> Vec<u8> {
        let text = json(words);
        let (bytes, _, lost) = encoding.encode(&text);
        assert!(!lost, "{words}");
        bytes.into_owned()
    }

    fn utf16(words: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        json(words).encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_mark_is_skipped_and_utf_16_is_read() {
        let words = "la tasse où je bois, 红色的杯子";
        let mut marked = vec![0xef, 0xbb, 0xbf];
        marked.extend(json(words).bytes());
        let (little, big) = (
            utf16(words, u16::to_le_bytes),
            utf16(words, u16::to_be_bytes),
        );
        let with = |mark: [u8; 2], rest: &[u8]| [&mark, rest].concat();
        for bytes in [
            json(words).into_bytes(),
            marked,
            with([0xff, 0xfe], &little),
            with([0xfe, 0xff], &big),
            little,
            big,
        ] {
            assert_eq!(decode(&bytes).as_deref(), Ok(json(words).as_str()));
        }
    }

    #[test]
    fn the_western_code_page_is_read_as_the_reference_does() {
        for words in [
            "café",
            "the dog’s bowl",
            "the “quoted” thing – and its crème brûlée…",
            "Größe über die Straße",
            "¿Dónde está la taza?",
            "El niño que está más cerca del árbol",
            "a £5 note",
            "10 µm",
            "naïve – approach",
            "the Škoda",
            "žlutý", // in Windows-1250 it is the same bytes
        ] {
            let bytes = encoded(WINDOWS_1252, words);
            assert_eq!(decode(&bytes).as_deref(), Ok(json(words).as_str()));
        }
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        for (encoding, words, name) in [
            (GBK, "红高的", "GBK (GB2312)"),
            (GBK, "哪个东西可以用来喝水？", "GBK (GB2312)"),
            (BIG5, "紅色的杯子", "Big5"),
            (SHIFT_JIS, "赤いカップ", "Shift_JIS"),
            (EUC_KR, "빨간 컵", "EUC-KR"),
            (WINDOWS_1251, "красная чашка", "windows-1251"),
            (WINDOWS_1250, "Łódź, który wózek", "windows-1250"),
        ] {
            let said = decode(&encoded(encoding, words)).unwrap_err();
            let named = format!("looks like {name}; accepted: UTF-8, UTF-16, Windows-1252");
            assert!(said.contains(&named), "{words}: {said}");
        }
        let utf32: Vec<u8> = "{}".bytes().flat_map(|b| [b, 0, 0, 0]).collect();
        assert!(decode(&utf32).unwrap_err().contains("UTF-32"));
        assert!(decode(&[0xff, 0xfe, 0, 0, b'{', 0, 0, 0])
            .unwrap_err()
            .contains("UTF-32"));
        assert!(decode(b"\xef\xbb\xbf{\"a\": \"\xff\"}")
            .unwrap_err()
            .contains("not at byte 10"));
        assert!(decode(b"\xff\xfe{\0\"").unwrap_err().contains("UTF-16LE"));
        assert!(decode(b"{\"a\": \"caf\x8d\"}")
            .unwrap_err()
            .contains("0x8d"));
    }

    #[test]
    fn what_python_takes_for_numbers_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for (json, said) in [
            (r#"{"x": NaN}"#, "line 1, column 7: NaN is no number"),
            (
                "{\n  \"x\": [1.0, -Infinity]}",
                "line 2, column 14: -Infinity is",
            ),
            (r#"["NaN", Infinity]"#, "line 1, column 9: Infinity is no"),
        ] {
            std::fs::write(&path, json).unwrap();
            let refused = read_json::<serde_json::Value>(&path, &Schema::Any);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
        std::fs::write(&path, r#"["NaN", "#).unwrap();
        let refused = read_json::<serde_json::Value>(&path, &Schema::Any);
        assert!(refused.unwrap_err().to_string().contains("EOF"));
    }

    #[test]
    fn short_files_are_no_panic() {
        for length in 0..5 {
            for byte in [0, 1, 0x80, 0xfe, 0xff] {
                let _ = decode(&vec![byte; length]);
            }
        }
        assert_eq!(decode(b"").as_deref(), Ok(""));
    }
}
