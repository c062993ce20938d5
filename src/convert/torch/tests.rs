//! What is read of the files of `torch.save`, and what is refused.

use std::io::Write;

use candle_core::DType;
use proptest::prelude::*;
use zip::CompressionMethod;

use super::testing::*;
use super::*;
use crate::convert::element::Element;

fn open(bytes: &[u8]) -> Result<TorchFile, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    TorchFile::open(file.path()).map_err(|e| e.to_string())
}

fn refused(bytes: &[u8]) -> String {
    open(bytes).err().expect("it was read")
}

fn values(file: &TorchFile, name: &str) -> Vec<f32> {
    let tensor = file.load(name).unwrap().unwrap();
    let flat = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

fn written() -> [TestTensor; 5] {
    [
        FLOATS,
        TestTensor {
            name: "transposed",
            shape: &[3, 2],
            strides: &[1, 3],
            ..FLOATS
        },
        TestTensor {
            name: "slice",
            offset: 20,
            shape: &[4],
            strides: &[1],
            ..FLOATS
        },
        TestTensor {
            name: "channels_last",
            shape: &[1, 2, 2, 3],
            strides: &[12, 1, 6, 2],
            ..FLOATS
        },
        TestTensor {
            name: "mask",
            class: "BoolStorage",
            key: "1",
            count: 4,
            shape: &[4],
            strides: &[1],
            ..FLOATS
        },
    ]
}

#[test]
fn archives_and_older_files_of_every_protocol_give_the_same() {
    for protocol in [2, 3, 4, 5] {
        let zipped = Pickler::new(protocol).state_dict(&written(), false).stop();
        let old = Pickler::new(protocol).state_dict(&written(), true).stop();
        for bytes in [zipped_with(&zipped), legacy_with(&old, protocol)] {
            let file = open(&bytes).unwrap();
            assert_eq!(values(&file, "floats"), [0., 1., 2., 3., 4., 5.]);
            assert_eq!(values(&file, "transposed"), [0., 3., 1., 4., 2., 5.]);
            assert_eq!(values(&file, "slice"), [20., 21., 22., 23.]);
            let channels_last = [0., 2., 4., 6., 8., 10., 1., 3., 5., 7., 9., 11.];
            assert_eq!(values(&file, "channels_last"), channels_last);
            let mask = &file.tensors()["mask"];
            assert_eq!(mask.element, Element::Other("bool".to_owned()));
            assert!(file.load("mask").unwrap().is_none());
        }
    }
}

#[test]
fn a_state_dict_may_lie_below_a_key_of_a_training_script() {
    let mut pickle = Pickler::new(2);
    pickle.code(b"}(").text("epoch").int(3);
    pickle
        .text("state_dict")
        .state_dict(&written(), false)
        .code(b"u");
    let file = open(&zipped_with(&pickle.stop())).unwrap();
    assert_eq!(file.tensors().len(), 5);
}

#[test]
fn parameters_and_typed_tensors_are_tensors() {
    let mut pickle = Pickler::new(2);
    pickle.code(b"}(");
    pickle
        .text("parameter")
        .global("torch._utils", "_rebuild_parameter");
    pickle.code(b"(").tensor(&FLOATS, false).code(&[0x88]);
    pickle.global("collections", "OrderedDict").code(b")RtR");
    pickle
        .text("classed")
        .global("torch._tensor", "_rebuild_from_type_v2");
    pickle
        .code(b"(")
        .global("torch._utils", "_rebuild_tensor_v2")
        .global("torch.nn.parameter", "Parameter");
    pickle.arguments(&FLOATS, false).code(b"}tR");
    pickle
        .text("float8")
        .global("torch._utils", "_rebuild_tensor_v3");
    let bytes = TestTensor {
        class: "UntypedStorage",
        key: "1",
        count: 4,
        ..FLOATS
    };
    pickle
        .code(b"(")
        .storage(&bytes, false)
        .int(0)
        .ints(&[4])
        .ints(&[1])
        .code(&[0x89]);
    pickle
        .global("collections", "OrderedDict")
        .code(b")R")
        .global("torch", "float8_e4m3fn")
        .code(b"tR");
    let file = open(&zipped_with(&pickle.code(b"u").stop())).unwrap();
    assert_eq!(values(&file, "parameter"), [0., 1., 2., 3., 4., 5.]);
    assert_eq!(values(&file, "classed"), [0., 1., 2., 3., 4., 5.]);
    assert_eq!(
        file.tensors()["float8"].element.to_string(),
        "float8_e4m3fn"
    );
}

#[test]
fn what_would_run_something_is_refused_by_name_and_byte() {
    let mut stack_global = Pickler::new(4);
    stack_global.text("builtins").text("eval").code(&[0x93]);
    let cases: [(Vec<u8>, &str, &str); 12] = [
        (
            b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.".to_vec(),
            "GLOBAL os.system",
            "byte 2 ",
        ),
        (
            b"\x80\x02}ctorch.hub\nload\n)R.".to_vec(),
            "GLOBAL torch.hub.load",
            "byte 3 ",
        ),
        (
            b"\x80\x02ctorch._utils\n_rebuild_qtensor\n.".to_vec(),
            "_rebuild_qtensor",
            "byte 2 ",
        ),
        (
            b"\x80\x02ctorch\nload\n)R.".to_vec(),
            "GLOBAL torch.load",
            "byte 2 ",
        ),
        (
            stack_global.stop(),
            "STACK_GLOBAL builtins.eval",
            "byte 20 ",
        ),
        (b"\x80\x02(ios\nsystem\n.".to_vec(), "INST", "byte 3 "),
        (b"\x80\x02(o.".to_vec(), "OBJ", "byte 3 "),
        (
            b"\x80\x02ccollections\nOrderedDict\n)\x81.".to_vec(),
            "NEWOBJ",
            "byte 28 ",
        ),
        (b"\x80\x02\x82\x01.".to_vec(), "EXT1", "byte 2 "),
        (b"\x80\x02P7\n.".to_vec(), "PERSID", "byte 2 "),
        (b"\x80\x02]}b.".to_vec(), "BUILD", "byte 4 "),
        (
            b"\x80\x02ctorch\nFloatStorage\n)R.".to_vec(),
            "REDUCE",
            "byte 23 ",
        ),
    ];
    for (pickle, name, byte) in cases {
        let error = refused(&zipped_with(&pickle));
        assert!(error.contains(name) && error.contains(byte), "{error}");
    }
}

#[test]
fn hostile_pickles_cost_no_more_than_their_bytes() {
    let many = unpickler::LONGEST - 16;
    let nested = |code: &[u8], times: usize| [b"\x80\x02", &code.repeat(times)[..], b"."].concat();
    // Each list holds the one before it ten times, which would be 10^40 values if they were copied.
    let mut doubling = b"\x80\x02]q\0".to_vec();
    for level in 1..40u8 {
        doubling.extend_from_slice(b"](");
        doubling.extend_from_slice(&[b'h', level - 1].repeat(10));
        doubling.extend_from_slice(&[b'e', b'q', level]);
    }
    doubling.push(b'.');
    for (pickle, word) in [
        (nested(b")\x85", 400_000), "no dict"),
        (nested(b")", many), "more than"),
        (nested(b"\x94", 9), "ends early"),
        (nested(b"N\x94", many / 2), "more than"),
        (nested(b"(", many), "ends early"),
        (doubling, "no dict"),
        (b"\x80\x02]q\0h\0a.".to_vec(), "no dict"),
        (b"\x80\x02X\xff\xff\xff\xff.".to_vec(), "ends early"),
        (
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(),
            "ends early",
        ),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.".to_vec(), "ends early"),
        (b"\x80\x02h\x07.".to_vec(), "does not hold"),
        (b"\x80\x02\xfe.".to_vec(), "0xfe is no opcode"),
        (b"\x80\x01}.".to_vec(), "protocols 2 to 5"),
        (b"\x80\x02t.".to_vec(), "ends early"),
    ] {
        let error = refused(&zipped_with(&pickle));
        assert!(error.contains(word), "{word}: {error}");
    }
    let error = refused(&zipped_with(&vec![0; unpickler::LONGEST + 1]));
    assert!(error.contains("at most"), "{error}");
}

#[test]
fn tensors_that_reach_past_their_storage_are_refused_by_name() {
    for (tensor, word) in [
        (
            TestTensor {
                shape: &[25],
                strides: &[1],
                ..FLOATS
            },
            "past the 24",
        ),
        (
            TestTensor {
                offset: 24,
                shape: &[1],
                strides: &[1],
                ..FLOATS
            },
            "past the 24",
        ),
        (
            TestTensor {
                count: 1000,
                shape: &[1000],
                strides: &[1],
                ..FLOATS
            },
            "past the 24",
        ),
        (
            TestTensor {
                shape: &[60_000, 60_000],
                strides: &[0, 0],
                ..FLOATS
            },
            "repeats",
        ),
        (
            TestTensor {
                shape: &[u32::MAX],
                strides: &[1],
                ..FLOATS
            },
            "0 or more",
        ),
        (
            TestTensor {
                shape: &[1; 9],
                strides: &[1; 9],
                ..FLOATS
            },
            "9 dimensions",
        ),
        (
            TestTensor {
                shape: &[2],
                strides: &[],
                ..FLOATS
            },
            "strides",
        ),
        (TestTensor { key: "7", ..FLOATS }, "data/7"),
    ] {
        let pickle = Pickler::new(2).state_dict(&[tensor], false).stop();
        let error = refused(&zipped_with(&pickle));
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn archives_that_torch_did_not_write_are_named_for_what_they_are() {
    let pickle = Pickler::new(2).state_dict(&written(), false).stop();
    let whole = zipped_with(&pickle);
    let stored = |members: &[(&str, &[u8])]| zip(members, CompressionMethod::Stored);
    let mut big = whole.clone();
    let order = big.windows(6).position(|w| w == b"little").unwrap();
    big[order..order + 6].copy_from_slice(b"big\0\0\0");
    for (bytes, word) in [
        (whole[..whole.len() / 2].to_vec(), "cut short"),
        (stored(&[("a/readme", b"")]), "without a data.pkl"),
        (
            stored(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)]),
            "more than one",
        ),
        (
            stored(&[("a/data.pkl", &pickle), ("a/code/x.py", b"")]),
            "TorchScript",
        ),
        (stored(&[("a/data.pkl", &pickle)]), "data/0"),
        (big, "little endian"),
    ] {
        let error = refused(&bytes);
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn older_files_that_are_damaged_or_something_else_are_named() {
    let object = Pickler::new(2).state_dict(&written(), true).stop();
    let whole = legacy_with(&object, 2);
    let tar = [&[b'x'; 257][..], b"ustar\0", &[0; 249]].concat();
    for (bytes, word) in [
        (whole[..whole.len() - 1].to_vec(), "storage 1 is cut short"),
        (whole[..whole.len() - 20].to_vec(), "storage 0 is cut short"),
        (whole[..60].to_vec(), "ends early"),
        (Pickler::new(2).int(3).stop(), "a pickle of its own"),
        (b"GGUF\x03\0\0\0".to_vec(), "GGUF"),
        (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
        (b"\n<!DOCTYPE html>".to_vec(), "web page"),
        (b"{\"error\": \"not found\"}".to_vec(), "JSON"),
        (tar, "tar"),
        (Vec::new(), "empty"),
        (b"hello, world".to_vec(), "no file of torch.save"),
    ] {
        let error = refused(&bytes);
        assert!(error.contains(word), "{word}: {error}");
    }
    // The sizes of the storages are also claims of the file.
    let mut swollen = whole.clone();
    let at = whole.len() - 4 - 8 - 96 - 8;
    swollen[at..at + 8].copy_from_slice(&(u64::MAX / 4 + 2).to_le_bytes());
    assert!(refused(&swollen).contains("cut short"));
}

proptest! {
    /// Whatever bytes are changed, reading gives a result or an error, and never a panic.
    #[test]
    fn damaged_files_never_end_the_program(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6), old: bool, protocol in 2..=5u8) {
        let pickle = Pickler::new(protocol).state_dict(&written(), old).stop();
        let mut bytes = if old { legacy_with(&pickle, protocol) } else { zipped_with(&pickle) };
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(file) = open(&bytes) {
            for name in file.tensors().keys() {
                let _ = file.load(name);
            }
        }
    }
}
