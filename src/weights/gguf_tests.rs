//! GGUF files that the tests write themselves, as llama.cpp's converter lays them out.

use std::io::Cursor;

use candle_core::quantized::{gguf_file, GgmlDType, QTensor};
use candle_core::DType as TensorType;

use super::*;
use crate::nn::testing::{random, relative_error};

const VOCAB: usize = 40;
const HIDDEN: usize = 64;
const INNER: usize = 96;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;

/// Tensors of a network of one layer, by the checkpoints' names.
fn network() -> BTreeMap<String, Tensor> {
    let kv = HIDDEN / HEADS * KV_HEADS;
    let layer = "model.layers.0";
    let mut tensors = BTreeMap::new();
    for (name, shape) in [
        ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
        ("self_attn.k_proj", vec![kv, HIDDEN]),
        ("self_attn.v_proj", vec![kv, HIDDEN]),
        ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
        ("mlp.gate_proj", vec![INNER, HIDDEN]),
        ("mlp.up_proj", vec![INNER, HIDDEN]),
        ("mlp.down_proj", vec![HIDDEN, INNER]),
        ("input_layernorm", vec![HIDDEN]),
        ("post_attention_layernorm", vec![HIDDEN]),
    ] {
        tensors.insert(
            format!("{layer}.{name}.weight"),
            (random(shape) * 0.2).unwrap(),
        );
    }
    tensors.insert("model.embed_tokens.weight".into(), random((VOCAB, HIDDEN)));
    tensors.insert("model.norm.weight".into(), random(HIDDEN));
    tensors.insert("lm_head.weight".into(), random((VOCAB, HIDDEN)));
    tensors
}

/// What llama.cpp's converter does to a projection of queries or keys.
fn rows_as_in_llama_cpp(weight: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = weight.dims2().unwrap();
    let split = weight
        .reshape((heads, 2, rows / heads / 2, columns))
        .unwrap();
    let moved = split.transpose(1, 2).unwrap().contiguous().unwrap();
    moved.reshape((rows, columns)).unwrap()
}

fn metadata() -> BTreeMap<&'static str, Value> {
    [
        ("general.architecture", Value::String("llama".into())),
        ("llama.attention.head_count", Value::U32(HEADS as u32)),
        ("llama.attention.head_count_kv", Value::U32(KV_HEADS as u32)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.block_count", Value::U32(1)),
        ("llama.context_length", Value::U32(32)),
        ("llama.feed_forward_length", Value::U32(INNER as u32)),
        ("llama.rope.freq_base", Value::F32(5000.0)),
    ]
    .into()
}

fn write(
    path: &Path,
    metadata: &BTreeMap<&str, Value>,
    tensors: &BTreeMap<String, Tensor>,
    stored: GgmlDType,
) {
    let mut theirs = Vec::new();
    for (name, tensor) in tensors {
        let outside = NAMES.iter().find(|(ours, _)| ours == name);
        let inside = LAYER_NAMES.iter().find(|(ours, _)| name.ends_with(ours));
        let translated = match (outside, inside) {
            (Some((_, theirs)), _) => (*theirs).to_owned(),
            (_, Some((_, theirs))) => format!("blk.0.{theirs}"),
            _ => panic!("{name}"),
        };
        let tensor = match name {
            _ if name.contains("q_proj") => rows_as_in_llama_cpp(tensor, HEADS),
            _ if name.contains("k_proj") => rows_as_in_llama_cpp(tensor, KV_HEADS),
            _ => tensor.clone(),
        };
        let stored = if tensor.rank() == 1 {
            GgmlDType::F32
        } else {
            stored
        };
        theirs.push((translated, QTensor::quantize(&tensor, stored).unwrap()));
    }
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(name, value)| (*name, value))
        .collect();
    let tensors: Vec<_> = theirs
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let mut bytes = Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &metadata, &tensors).unwrap();
    std::fs::write(path, bytes.into_inner()).unwrap();
}

#[test]
fn tensors_come_out_as_the_checkpoint_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let (path, tensors) = (folder.path().join("a.gguf"), network());
    for (stored, tolerance) in [(GgmlDType::F32, 0.0), (GgmlDType::Q8_0, 0.01)] {
        write(&path, &metadata(), &tensors, stored);
        let gguf = Gguf::open(&path).unwrap();
        let config = &gguf.config;
        assert_eq!((config.vocab_size, config.hidden_size), (VOCAB, HIDDEN));
        assert_eq!((config.rope_theta, config.rope_scale), (5000.0, 1.0));
        let weights = gguf.weights(TensorType::F32, &Device::Cpu).unwrap();
        assert_eq!(weights.names().len(), tensors.len());
        for (name, tensor) in &tensors {
            let read = weights.get(tensor.dims(), name).unwrap();
            let error = relative_error(&read, tensor);
            assert!(error <= tolerance, "{name} as {stored:?}: {error}");
            let &[rows, columns] = tensor.dims() else {
                continue;
            };
            let blocks = weights.get_blocks((rows, columns), name).unwrap();
            assert_eq!(blocks.is_some(), stored == GgmlDType::Q8_0);
            if let Some(blocks) = blocks {
                let same = blocks.dequantize().unwrap();
                assert_eq!(relative_error(&same, &read), 0.0, "{name} in blocks");
            }
        }
        let missing = weights.get(HIDDEN, "model.layers.1.input_layernorm.weight");
        assert!(matches!(missing, Err(WeightsError::MissingTensor { .. })));
        let other = weights.get(HIDDEN + 1, "model.norm.weight");
        assert!(matches!(other, Err(WeightsError::Shape { .. })));
    }
}

#[test]
fn without_an_output_layer_the_embeddings_are_it_and_are_held_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut tensors) = (folder.path().join("a.gguf"), network());
    tensors.remove("lm_head.weight");
    write(&path, &metadata(), &tensors, GgmlDType::F32);
    let gguf = Gguf::open(&path).unwrap();
    let weights = gguf.weights(TensorType::F32, &Device::Cpu).unwrap();
    let read = |name| weights.get((VOCAB, HIDDEN), name).unwrap();
    let (embeddings, head) = (read("model.embed_tokens.weight"), read("lm_head.weight"));
    let address = |tensor: &Tensor| {
        let (storage, _) = tensor.storage_and_layout();
        match &*storage {
            candle_core::Storage::Cpu(cpu) => cpu.as_slice::<f32>().unwrap().as_ptr(),
            _ => panic!("not on the CPU"),
        }
    };
    assert_eq!(address(&embeddings), address(&head));
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (path, tensors) = (folder.path().join("a.gguf"), network());
    let said = |change: &dyn Fn(&mut BTreeMap<&str, Value>)| {
        let mut metadata = metadata();
        change(&mut metadata);
        write(&path, &metadata, &tensors, GgmlDType::F32);
        Gguf::open(&path).map(drop).unwrap_err().to_string()
    };
    let error = said(&|m| drop(m.insert("general.architecture", Value::String("qwen2".into()))));
    assert!(
        error.contains("general.architecture is qwen2; accepted: llama"),
        "{error}"
    );
    let error = said(&|m| drop(m.remove("llama.block_count")));
    assert!(
        error.contains("its metadata has no llama.block_count"),
        "{error}"
    );
    let error = said(&|m| drop(m.insert("llama.block_count", Value::U32(4_000_000_000))));
    assert!(error.contains("llama.block_count is 4000000000"), "{error}");
    let error = said(&|m| drop(m.insert("llama.attention.head_count", Value::U32(3))));
    assert!(
        error.contains("head_count is 3, and the embeddings are 64 wide"),
        "{error}"
    );
    let error = said(&|m| drop(m.insert("llama.rope.scaling.type", Value::String("yarn".into()))));
    assert!(error.contains("yarn; accepted: none, linear"), "{error}");

    write(&path, &metadata(), &tensors, GgmlDType::F32);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 200]).unwrap();
    let error = Gguf::open(&path).map(drop).unwrap_err().to_string();
    assert!(error.contains("is truncated"), "{error}");
    std::fs::write(&path, "no GGUF").unwrap();
    let error = Gguf::open(&path).map(drop).unwrap_err().to_string();
    assert!(error.contains("it cannot be read as GGUF"), "{error}");
}
