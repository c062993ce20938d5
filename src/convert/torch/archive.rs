//! Files as PyTorch writes them since 1.6: a zip archive in which nothing is compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use zip::{CompressionMethod, ZipArchive};

use super::locate::{locate, read_span, Span, Tensors};
use super::unpickler;

/// Finds the tensors of such a file.
///
/// # Errors
/// What is wrong with the archive, in words for a person.
pub(super) fn read(file: &File) -> Result<Tensors, String> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| {
        format!(
            "it is a zip archive that cannot be read ({e}); it may be cut short: download it again"
        )
    })?;
    let mut members = BTreeMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|e| e.to_string())?;
        let name = member.name().map_err(|e| e.to_string())?.into_owned();
        let stored = member.compression() == CompressionMethod::Stored
            && member.size() == member.compressed_size()
            && !member.encrypted();
        let span = member.data_start().filter(|_| stored).map(|at| Span {
            at,
            bytes: member.size(),
        });
        members.insert(name, span);
    }
    let mut pickles = members
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = match (pickles.next(), pickles.next()) {
        (Some(folder), None) => folder.to_owned(),
        (None, _) => {
            return Err(
                "it is a zip archive without a data.pkl; accepted: a file of torch.save".into(),
            )
        }
        _ => return Err("it is a zip archive with more than one data.pkl".to_owned()),
    };
    let scripted = |name: &String| {
        let name = name.strip_prefix(&folder).unwrap_or_default();
        name == "constants.pkl" || name.starts_with("code/")
    };
    if members.keys().any(scripted) {
        return Err("it is a TorchScript archive, which holds a program; accepted: a file of torch.save(model.state_dict(), …)".to_owned());
    }
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let find = |name: &str| -> Result<Option<Span>, String> {
        let name = format!("{folder}{name}");
        match members.get(&name) {
            None => Ok(None),
            Some(Some(span)) if span.at.checked_add(span.bytes).is_some_and(|end| end <= len) => {
                Ok(Some(*span))
            }
            Some(Some(_)) => Err(format!("its member {name} is cut short; download it again")),
            Some(None) => Err(format!(
                "its member {name} is compressed or encrypted, which torch.save never does; unpack the archive and zip it with `zip -0`"
            )),
        }
    };
    if let Some(order) = find("byteorder")? {
        if read_span(file, order, 16)? != b"little" {
            return Err(
                "its numbers are not little endian; save it again on another machine".into(),
            );
        }
    }
    let data = find("data.pkl")?.ok_or("it has no data.pkl")?;
    let pickle =
        unpickler::read(&read_span(file, data, unpickler::LONGEST)?).map_err(|e| e.to_string())?;
    locate(&pickle, |key| {
        find(&format!("data/{key}"))?.ok_or_else(|| format!("it has no member data/{key}"))
    })
}
