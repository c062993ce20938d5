//! Decompression that trusts no length it is told.

use std::io::{self, Read};

/// Bytes that are unpacked at least before a claim about their number is doubted.
const ALWAYS: u64 = 1 << 20;
/// How many times its packed size something may claim to be and get its room at once. More is unpacked as well, its room
/// growing with what comes out.
const RATIO: u64 = 64;
/// The most that a chunk or a message may unpack to.
const MOST: u64 = 1 << 30;

/// The first bytes of a zstd frame (RFC 8878, 3.1.1).
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What came out, and why it is not all.
pub(super) struct Unpacked {
    pub bytes: Vec<u8>,
    pub fault: Option<String>,
}

/// The content of zstd frames.
pub(super) fn zstd(packed: &[u8], claimed: Option<u64>) -> Unpacked {
    // In one go where the claim is believed and true, which saves the decoder a copy through its window.
    if let Some(claimed) = claimed.filter(|&claimed| claimed <= believed(packed.len())) {
        if let Ok(bytes) = zstd::bulk::decompress(packed, claimed as usize) {
            if bytes.len() as u64 == claimed {
                return Unpacked { bytes, fault: None };
            }
        }
    }
    match zstd::stream::read::Decoder::with_buffer(packed) {
        Ok(decoder) => read(decoder, packed.len(), claimed),
        Err(error) => nothing(&error),
    }
}

/// The content of an LZ4 frame.
pub(super) fn lz4(packed: &[u8], claimed: Option<u64>) -> Unpacked {
    match lz4::Decoder::new(packed) {
        Ok(decoder) => read(decoder, packed.len(), claimed),
        Err(error) => nothing(&error),
    }
}

/// The most memory that is reserved at once for unpacking `packed` bytes, however large they claim to be.
fn believed(packed: usize) -> u64 {
    (packed as u64).saturating_mul(RATIO).clamp(ALWAYS, MOST)
}

fn nothing(error: &io::Error) -> Unpacked {
    Unpacked {
        bytes: Vec::new(),
        fault: Some(error.to_string()),
    }
}

fn read(decoder: impl Read, packed: usize, claimed: Option<u64>) -> Unpacked {
    let room = claimed.unwrap_or(packed as u64).min(believed(packed));
    let mut bytes = Vec::with_capacity(room as usize);
    // One byte more than claimed is read, which shows whether there are too many.
    let most = claimed.map_or(MOST, |claimed| claimed.min(MOST));
    let end = decoder.take(most.saturating_add(1)).read_to_end(&mut bytes);
    let found = bytes.len() as u64;
    let fault = match end {
        Err(error) => Some(error.to_string()),
        Ok(_) if found > most => Some(format!("it is longer than {most} bytes")),
        Ok(_) if claimed.is_some_and(|claimed| found < claimed) => Some("it ends early".into()),
        Ok(_) => None,
    };
    bytes.truncate(most as usize);
    Unpacked { bytes, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_checked() {
        let plain = vec![7; 5 << 20];
        let packed = zstd::stream::encode_all(&plain[..], 3).unwrap();
        assert!(packed.len() < 10_000);
        let whole = zstd(&packed, Some(5 << 20));
        assert!(whole.fault.is_none() && whole.bytes == plain);
        assert!(zstd(&packed, None).bytes == plain);
        let short = zstd(&packed, Some(3));
        assert_eq!((short.bytes.len(), short.fault.is_some()), (3, true));
        let long = zstd(&packed, Some(u64::MAX));
        assert!(long.bytes == plain && long.fault.is_some());
        assert!(long.bytes.capacity() < 20 << 20);
    }

    #[test]
    fn what_comes_before_a_cut_is_kept() {
        let plain: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
        io::Write::write_all(&mut encoder, &plain).unwrap();
        let (packed_lz4, end) = encoder.finish();
        end.unwrap();
        let packed_zstd = zstd::stream::encode_all(&plain[..], 3).unwrap();
        let size = Some(plain.len() as u64);
        for (packed, unpack) in [
            (packed_lz4, lz4 as fn(&[u8], Option<u64>) -> Unpacked),
            (packed_zstd, zstd),
        ] {
            assert!(unpack(&packed, size).fault.is_none());
            let cut = unpack(&packed[..packed.len() / 2], size);
            assert!(cut.fault.is_some());
            assert!(cut.bytes.len() > plain.len() / 8, "{}", cut.bytes.len());
            assert!(plain.starts_with(&cut.bytes));
        }
    }
}
