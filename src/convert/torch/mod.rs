//! Reads files of `torch.save`, which hold a pickle that names tensors, and the numbers of the tensors beside it.
//!
//! | written | layout | file |
//! |---|---|---|
//! | since PyTorch 1.6 | a zip archive without compression: `NAME/data.pkl`, and `NAME/data/KEY` for each storage | `archive` |
//! | before | five pickles one after the other, then the storages | `legacy` |
//!
//! `unpickler` reads what `value` lists and asks `rebuild` what a call makes; `locate` and `strided` say where the numbers lie.
//!
//! Nothing in a file is run. Nothing in it makes this program take more memory than the file is large, except tensors that repeat
//! their own numbers, which `locate` limits to 2²⁴ elements.

mod archive;
mod legacy;
mod locate;
mod rebuild;
mod strided;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unpickler;
mod value;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use self::locate::Located;
use crate::weights::WeightsError;

/// An opened file, and where each of its tensors lies in it.
pub(super) struct TorchFile {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Located>,
}

impl TorchFile {
    /// Finds the tensors of a file without reading their numbers.
    ///
    /// # Errors
    /// [`WeightsError::Invalid`] where the file is not a dict of tensors as `torch.save` writes it; the reason names the object
    /// and the byte that are refused.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let mut begin = [0; 4];
        let tensors = match file.read(&mut begin).map_err(io)? {
            4 if begin == *b"PK\x03\x04" => archive::read(&file),
            _ => legacy::read(&file),
        };
        let tensors = tensors.map_err(|reason| WeightsError::Invalid {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            tensors,
        })
    }

    pub fn tensors(&self) -> &BTreeMap<String, Located> {
        &self.tensors
    }

    /// Reads a tensor of floating-point numbers, on the CPU; `None` where there is none of that name.
    pub fn load(&self, name: &str) -> Result<Option<Tensor>, WeightsError> {
        let Some(located) = self.tensors.get(name) else {
            return Ok(None);
        };
        let Some(dtype) = located.element.float() else {
            return Ok(None);
        };
        let read = || -> std::io::Result<Vec<u8>> {
            let (first, count) = located.place.reach();
            let size = located.size;
            let mut bytes = vec![0; count * size];
            let mut file = &self.file;
            file.seek(SeekFrom::Start(located.storage_at + (first * size) as u64))?;
            file.read_exact(&mut bytes)?;
            Ok(located.place.gather(bytes, size))
        };
        let bytes = read().map_err(|source| WeightsError::Io {
            path: self.path.clone(),
            source,
        })?;
        Tensor::from_raw_buffer(&bytes, dtype, located.shape(), &Device::Cpu)
            .map(Some)
            .map_err(|source| WeightsError::Tensor {
                name: name.to_owned(),
                source,
            })
    }
}
