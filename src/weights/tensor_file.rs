//! [`TensorFile`]: the tensors of a safetensors file, each read when it is asked for.
//!
//! A memory map would count the whole file to the memory that the process uses, beside the tensors that were made of it, and a file
//! that is cut short meanwhile would end the process. Reading costs the same, since each tensor is copied once in any case.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::TensorInfo;
use serde_json::Value;

use super::quantized::{parse_stored_name, BlockMatrix};
use super::WeightsError;
use cpu_kernels::BlockFormat;

/// A safetensors file whose header was read.
pub(super) struct TensorFile {
    path: PathBuf,
    file: File,
    /// Where the bytes of the tensors begin.
    start: u64,
    /// By the names in the file.
    tensors: BTreeMap<String, TensorInfo>,
    /// The weights that are stored in blocks, by their own names.
    blocks: BTreeMap<String, Blocks>,
}

/// Where a weight is that is stored in blocks.
struct Blocks {
    stored_name: String,
    format: BlockFormat,
    rows: usize,
    columns: usize,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    /// [`WeightsError::Io`], and [`WeightsError::Invalid`] where it is no safetensors header.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let mut length = [0u8; 8];
        file.read_exact_at(&mut length, 0).map_err(io)?;
        let end = u64::from_le_bytes(length).saturating_add(8);
        // What stands in a broken file may be any number; a header is never longer than its file.
        let size = file.metadata().map_err(io)?.len();
        let mut header = vec![0u8; end.min(size).saturating_sub(8) as usize];
        file.read_exact_at(&mut header, 8).map_err(io)?;
        let invalid = |reason: String| WeightsError::Invalid {
            path: path.to_owned(),
            reason: format!("its safetensors header cannot be read: {reason}"),
        };
        let mut entries: BTreeMap<String, Value> =
            serde_json::from_slice(&header).map_err(|e| invalid(e.to_string()))?;
        entries.remove("__metadata__"); // notes of whoever wrote the file
        let (mut tensors, mut blocks) = (BTreeMap::new(), BTreeMap::new());
        for (name, entry) in entries {
            let info: TensorInfo =
                serde_json::from_value(entry).map_err(|e| invalid(format!("{name}: {e}")))?;
            if bytes_of(&info).is_none_or(|bytes| end.saturating_add(bytes) > size) {
                let (from, to) = info.data_offsets;
                return Err(invalid(format!(
                    "{name} of type {:?} and shape {:?} cannot lie in its bytes {from} to {to}",
                    info.dtype, info.shape
                )));
            }
            if let Some((weight, format)) = parse_stored_name(&name) {
                let found = in_blocks(&name, format, &info).ok_or_else(|| {
                    invalid(format!(
                        "{name} of type {:?} and shape {:?} is no matrix of blocks in the format that its name ends in",
                        info.dtype, info.shape
                    ))
                })?;
                blocks.insert(weight.to_owned(), found);
            }
            tensors.insert(name, info);
        }
        if let Some(name) = blocks.keys().find(|name| tensors.contains_key(*name)) {
            return Err(invalid(format!(
                "{name} is in it twice, as numbers and in blocks"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            start: end,
            tensors,
            blocks,
        })
    }

    /// All tensors by their names in the file, sorted. [`weight_of`](Self::weight_of) translates the names.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The name of the weight that a tensor in the file stands for.
    pub fn weight_of(stored_name: &str) -> &str {
        parse_stored_name(stored_name).map_or(stored_name, |(name, _)| name)
    }

    /// The names and shapes of all weights, however they are stored.
    pub fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> + '_ {
        self.tensors.keys().map(|stored| {
            let name = Self::weight_of(stored);
            (name.to_owned(), self.shape(name).unwrap_or_default())
        })
    }

    /// The shape of a weight; `None` where there is none of that name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let whole = || self.tensors.get(name).map(|info| info.shape.clone());
        match self.blocks.get(name) {
            Some(blocks) => Some(vec![blocks.rows, blocks.columns]),
            None => whole(),
        }
    }

    /// The weight of that name in the type that it is stored in, on `device`. One that is stored in blocks becomes f32.
    pub fn load(&self, name: &str, device: &Device) -> candle_core::Result<Tensor> {
        if let Some(blocks) = self.load_blocks(name)? {
            return blocks.dequantize()?.to_device(device);
        }
        let Some(info) = self.tensors.get(name) else {
            candle_core::bail!("there is no tensor {name:?}")
        };
        let bytes = self.bytes(info)?;
        Tensor::from_raw_buffer(&bytes, info.dtype.try_into()?, &info.shape, device)
    }

    /// The weight of that name if it is stored in blocks.
    pub fn load_blocks(&self, name: &str) -> candle_core::Result<Option<BlockMatrix>> {
        let found = self.blocks.get(name);
        let Some((blocks, info)) = found.and_then(|b| Some((b, self.tensors.get(&b.stored_name)?)))
        else {
            return Ok(None);
        };
        let shape = (blocks.rows, blocks.columns);
        BlockMatrix::new(blocks.format, shape, self.bytes(info)?).map(Some)
    }

    fn bytes(&self, info: &TensorInfo) -> candle_core::Result<Vec<u8>> {
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0u8; to - from];
        self.read(info, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` from the bytes of a tensor, beginning at the byte `at` of it.
    pub fn read(&self, info: &TensorInfo, at: usize, bytes: &mut [u8]) -> candle_core::Result<()> {
        let at = self.start + (info.data_offsets.0 + at) as u64;
        let read = self.file.read_exact_at(bytes, at);
        read.map_err(|e| candle_core::Error::Msg(format!("{}: {e}", self.path.display())))
    }
}

/// The matrix that a tensor of bytes holds in blocks; `None` where it is none.
fn in_blocks(stored_name: &str, format: BlockFormat, info: &TensorInfo) -> Option<Blocks> {
    let &[rows, row_bytes] = info.shape.as_slice() else {
        return None;
    };
    let whole = info.dtype == safetensors::Dtype::U8 && row_bytes % format.bytes() == 0;
    whole.then(|| Blocks {
        stored_name: stored_name.to_owned(),
        format,
        rows,
        columns: row_bytes / format.bytes() * format.numbers(),
    })
}

/// Where the bytes of a tensor end, if they are as many as its type and shape need.
fn bytes_of(info: &TensorInfo) -> Option<u64> {
    let (from, to) = info.data_offsets;
    let elements = info
        .shape
        .iter()
        .try_fold(1usize, |n, side| n.checked_mul(*side))?;
    let bits = elements.checked_mul(info.dtype.bitsize())?;
    (to.checked_sub(from)?.checked_mul(8)? == bits).then_some(to as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn file_of(header: &str, bytes: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut content = (header.len() as u64).to_le_bytes().to_vec();
        content.extend(header.as_bytes());
        content.extend(vec![0u8; bytes]);
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn tensors_come_back_as_they_were_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let a = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap();
        let a = a.reshape((2, 3)).unwrap();
        let b = Tensor::new(&[1u8, 2, 3], &Device::Cpu).unwrap();
        let all = HashMap::from([("a", a.clone()), ("b", b.clone())]);
        safetensors::serialize_to_file(&all, None, file.path()).unwrap();
        let opened = TensorFile::open(file.path()).unwrap();
        assert_eq!(opened.tensors().len(), 2);
        let load = |name| opened.load(name, &Device::Cpu).unwrap();
        assert_eq!(
            load("a").to_vec2::<f32>().unwrap(),
            a.to_vec2::<f32>().unwrap()
        );
        assert_eq!(
            load("b").to_vec1::<u8>().unwrap(),
            b.to_vec1::<u8>().unwrap()
        );
        assert!(opened.load("c", &Device::Cpu).is_err());
    }

    #[test]
    fn a_weight_in_blocks_has_the_name_and_shape_of_its_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let weight = crate::nn::testing::random((3, 64));
        let matrix = BlockMatrix::quantize(&weight, BlockFormat::Q8_0).unwrap();
        let stored = Tensor::from_vec(matrix.bytes().to_vec(), (3, 68), &Device::Cpu).unwrap();
        let all = HashMap::from([("a.weight.q8_0", stored)]);
        safetensors::serialize_to_file(&all, None, file.path()).unwrap();
        let opened = TensorFile::open(file.path()).unwrap();
        let shapes: Vec<_> = opened.shapes().collect();
        assert_eq!(shapes, [("a.weight".to_owned(), vec![3, 64])]);
        let numbers = opened.load("a.weight", &Device::Cpu).unwrap();
        let same = matrix.dequantize().unwrap();
        assert_eq!(
            numbers.to_vec2::<f32>().unwrap(),
            same.to_vec2::<f32>().unwrap()
        );
        let blocks = opened.load_blocks("a.weight").unwrap().unwrap();
        assert_eq!(blocks.bytes(), matrix.bytes());
        assert!(opened.load_blocks("b.weight").unwrap().is_none());
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let entry = |shape: &str, offsets: &str| {
            format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
        };
        TensorFile::open(file_of(&entry("[2]", "[0,8]"), 8).path()).unwrap();
        for (header, bytes) in [
            (entry("[2]", "[0,8]"), 7),
            (entry("[3]", "[0,8]"), 8),
            (entry("[2]", "[8,0]"), 8),
            (entry("[4294967296,4294967296,4294967296]", "[0,8]"), 8),
            (entry("[2]", "[0,8]").replace("\"a\"", "\"a.q8_0\""), 8),
            ("{\"a\": 3}".to_owned(), 8),
            ("no json".to_owned(), 8),
        ] {
            let file = file_of(&header, bytes);
            let error = TensorFile::open(file.path()).err().unwrap().to_string();
            assert!(error.contains("header"), "{header}: {error}");
        }
    }

    /// Whoever shortens the file while it is open gets an error from the tensors that are gone, and from no other.
    #[test]
    fn a_file_that_is_cut_short_meanwhile_is_an_error() {
        let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
        let file = file_of(header, 16);
        let opened = TensorFile::open(file.path()).unwrap();
        let length = file.as_file().metadata().unwrap().len();
        file.as_file().set_len(length - 4).unwrap();
        assert!(opened.load("a", &Device::Cpu).is_ok());
        assert!(opened.load("b", &Device::Cpu).is_err());
    }
}
