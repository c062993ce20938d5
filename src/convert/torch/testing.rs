//! Writes files of `torch.save` byte by byte, for the tests.

use std::io::Write;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::legacy;

/// A tensor to write: class, key and number of elements of its storage, and its place in the storage.
pub(super) struct TestTensor {
    pub name: &'static str,
    pub class: &'static str,
    pub key: &'static str,
    pub count: u32,
    pub offset: u32,
    pub shape: &'static [u32],
    pub strides: &'static [u32],
}

pub(super) const FLOATS: TestTensor = TestTensor {
    name: "floats",
    class: "FloatStorage",
    key: "0",
    count: 24,
    offset: 0,
    shape: &[2, 3],
    strides: &[3, 1],
};

/// A pickle that is being written.
pub(super) struct Pickler {
    pub protocol: u8,
    pub bytes: Vec<u8>,
}

impl Pickler {
    pub fn new(protocol: u8) -> Self {
        let bytes = vec![0x80, protocol];
        Self { protocol, bytes }
    }

    pub fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        match self.protocol {
            4.. => self
                .code(&[0x8c, text.len() as u8])
                .code(text.as_bytes())
                .code(&[0x94]),
            _ => {
                let length = (text.len() as u32).to_le_bytes();
                self.code(b"X").code(&length).code(text.as_bytes())
            }
        }
    }

    pub fn int(&mut self, value: u32) -> &mut Self {
        self.code(b"J").code(&value.to_le_bytes())
    }

    pub fn ints(&mut self, values: &[u32]) -> &mut Self {
        self.code(b"(");
        for value in values {
            self.int(*value);
        }
        self.code(b"t")
    }

    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        match self.protocol {
            4.. => self.text(module).text(name).code(&[0x93, 0x94]),
            _ => self.code(format!("c{module}\n{name}\n").as_bytes()),
        }
    }

    pub fn storage(&mut self, tensor: &TestTensor, view: bool) -> &mut Self {
        self.code(b"(")
            .text("storage")
            .global("torch", tensor.class);
        self.text(tensor.key).text("cpu").int(tensor.count);
        if view {
            self.code(b"N");
        }
        self.code(b"tQ")
    }

    /// Writes the arguments of `_rebuild_tensor_v2`: storage, offset, shape, strides, requires_grad, hooks.
    pub fn arguments(&mut self, tensor: &TestTensor, view: bool) -> &mut Self {
        self.code(b"(").storage(tensor, view).int(tensor.offset);
        self.ints(tensor.shape).ints(tensor.strides);
        self.code(&[0x89])
            .global("collections", "OrderedDict")
            .code(b")Rt")
    }

    pub fn tensor(&mut self, tensor: &TestTensor, view: bool) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.arguments(tensor, view).code(b"R")
    }

    pub fn state_dict(&mut self, tensors: &[TestTensor], view: bool) -> &mut Self {
        self.global("collections", "OrderedDict").code(b")R(");
        for tensor in tensors {
            self.text(tensor.name).tensor(tensor, view);
        }
        // `_metadata`, which every state dict carries as an attribute.
        self.code(b"u}").text("_metadata").code(b"}sb")
    }

    pub fn stop(&mut self) -> Vec<u8> {
        self.code(b".");
        std::mem::take(&mut self.bytes)
    }
}

pub(super) fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The numbers 0 to 23 as f32.
pub(super) fn numbers() -> Vec<u8> {
    (0..24).flat_map(|n| (n as f32).to_le_bytes()).collect()
}

pub(super) fn zipped_with(pickle: &[u8]) -> Vec<u8> {
    let numbers = numbers();
    let members: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", pickle),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &numbers),
        ("archive/data/1", &[1, 0, 1, 1]),
        ("archive/version", b"3\n"),
    ];
    zip(&members, CompressionMethod::Stored)
}

pub(super) fn legacy_with(object: &[u8], protocol: u8) -> Vec<u8> {
    let mut file = Pickler::new(protocol)
        .code(&[0x8a, 10])
        .code(&legacy::MAGIC)
        .stop();
    file.extend(Pickler::new(protocol).int(1001).stop());
    let mut system = Pickler::new(protocol);
    system.code(b"}").text("little_endian").code(&[0x88, b's']);
    file.extend(system.stop());
    file.extend_from_slice(object);
    let mut keys = Pickler::new(protocol);
    keys.code(b"](").text("0").text("1").code(b"e");
    file.extend(keys.stop());
    file.extend(24u64.to_le_bytes());
    file.extend(numbers());
    file.extend(4u64.to_le_bytes());
    file.extend([1, 0, 1, 1]);
    file
}
