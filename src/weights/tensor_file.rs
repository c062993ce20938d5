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

use super::WeightsError;

/// A safetensors file whose header was read.
pub(super) struct TensorFile {
    path: PathBuf,
    file: File,
    /// Where the bytes of the tensors begin.
    start: u64,
    tensors: BTreeMap<String, TensorInfo>,
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
        let mut tensors = BTreeMap::new();
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
            tensors.insert(name, info);
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            start: end,
            tensors,
        })
    }

    /// All tensors by their names, sorted.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The tensor of that name in the type that it is stored in, on `device`.
    pub fn load(&self, name: &str, device: &Device) -> candle_core::Result<Tensor> {
        let Some(info) = self.tensors.get(name) else {
            candle_core::bail!("there is no tensor {name:?}")
        };
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0u8; to - from];
        self.read(info, 0, &mut bytes)?;
        Tensor::from_raw_buffer(&bytes, info.dtype.try_into()?, &info.shape, device)
    }

    /// Fills `bytes` from the bytes of a tensor, beginning at the byte `at` of it.
    pub fn read(&self, info: &TensorInfo, at: usize, bytes: &mut [u8]) -> candle_core::Result<()> {
        let at = self.start + (info.data_offsets.0 + at) as u64;
        let read = self.file.read_exact_at(bytes, at);
        read.map_err(|e| candle_core::Error::Msg(format!("{}: {e}", self.path.display())))
    }
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
