//! What would be converted without a word, and not load afterwards.

use safetensors::Dtype;
use serde_json::json;

use super::{Stored, Theirs};
use crate::pickled;
use crate::{copy, names};

const Q_PROJ: &str = "model.layers.1.self_attn.q_proj.weight";
const EMBED: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

#[test]
fn an_index_that_names_what_its_shard_lacks_is_refused() {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let lisa = folder.path().join("lisa");
    copy(&golden.lisa_folder(), &lisa);
    let index = lisa.join("pytorch_model.bin.index.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    json["weight_map"]["model.layers.9.extra"] = "pytorch_model-00001-of-00002.bin".into();
    std::fs::write(&index, json.to_string()).unwrap();
    let options = lisa::convert::ConvertOptions::new(
        &lisa,
        golden.clip_folder(),
        folder.path().join("model"),
    );
    let error = lisa::convert::convert(&options, |_, _, _| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.layers.9.extra") && error.contains("index.json"),
        "{error}"
    );
    assert_eq!(names(folder.path()), ["lisa"]);
}

#[test]
fn a_tensor_that_two_shards_hold_is_named_with_both() {
    let theirs = Theirs::new();
    theirs.save();
    let lisa = theirs.lisa();
    let whole = lisa.join("model.safetensors");
    std::fs::copy(&whole, lisa.join("model-00001-of-00002.safetensors")).unwrap();
    let norm = candle_core::safetensors::load(&whole, &candle_core::Device::Cpu).unwrap();
    let norm = &norm["model.norm.weight"];
    std::fs::remove_file(&whole).unwrap();
    let second = lisa.join("model-00002-of-00002.safetensors");
    lisa::weights::write_safetensors(&second, [("model.norm.weight", norm)]).unwrap();
    let error = lisa::convert::convert(&theirs.options(), |_, _, _| ())
        .unwrap_err()
        .to_string();
    for word in [
        "model.norm.weight lies in both",
        "model-00001-of-00002.safetensors and model-00002-of-00002.safetensors",
    ] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn quantized_tensors_are_refused_by_name_and_type() {
    for (dtype, name) in [
        (Dtype::I8, "int8"),
        (Dtype::F8_E4M3, "float8_e4m3fn"),
        (Dtype::F8_E5M2, "float8_e5m2"),
    ] {
        let mut theirs = Theirs::new();
        *theirs.tensor(Q_PROJ) = theirs.tensor(Q_PROJ).zeros(dtype);
        let error = theirs.refused();
        assert!(
            error.contains(Q_PROJ) && error.contains(name) && error.contains("f16, bf16"),
            "{error}"
        );
    }
    // Four bits lie two in a byte, in another shape.
    let mut theirs = Theirs::new();
    *theirs.tensor(Q_PROJ) = Stored {
        dtype: Dtype::U8,
        shape: vec![4608, 1],
        bytes: vec![0; 4608],
    };
    let error = theirs.refused();
    assert!(error.contains(Q_PROJ) && error.contains("uint8"), "{error}");
    // GPTQ has other names.
    let mut theirs = Theirs::new();
    let weight = theirs.tensors.remove(Q_PROJ).unwrap();
    theirs.tensors.insert(
        Q_PROJ.replace("weight", "qweight"),
        weight.zeros(Dtype::I32),
    );
    let error = theirs.refused();
    assert!(error.contains(Q_PROJ) && error.contains("GPTQ"), "{error}");
}

#[test]
fn a_tied_output_table_is_filled_in_where_the_configuration_says_so() {
    let mut theirs = Theirs::new();
    theirs.tensors.remove(HEAD);
    let error = theirs.refused();
    assert!(
        error.contains(HEAD) && error.contains("tie_word_embeddings"),
        "{error}"
    );
    theirs.config["tie_word_embeddings"] = true.into();
    let expected = theirs.tensor(EMBED).values();
    assert_eq!(theirs.converted(HEAD), expected);
    let report = theirs.convert();
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("tie_word_embeddings")),
        "{:?}",
        report.notes
    );
}

#[test]
fn a_tied_model_with_two_tables_is_converted_only_where_they_are_equal() {
    let mut theirs = Theirs::new();
    theirs.config["tie_word_embeddings"] = true.into();
    let error = theirs.refused();
    assert!(error.contains(HEAD) && error.contains("differ"), "{error}");
    let embed = theirs.tensor(EMBED).clone();
    let expected = embed.values();
    *theirs.tensor(HEAD) = embed;
    assert_eq!(theirs.converted(HEAD), expected);
}

#[test]
fn what_is_no_lisa_is_told_so() {
    for part in [
        "text_hidden_fcs",
        "visual_model.mask_decoder",
        "visual_model",
    ] {
        let mut theirs = Theirs::new();
        theirs.tensors.retain(|name, _| !name.contains(part));
        let error = theirs.refused();
        assert!(
            error.contains(part) && error.contains("LISA's own checkpoints"),
            "{error}"
        );
    }
}

#[test]
fn a_table_needs_a_row_for_every_token() {
    let mut theirs = Theirs::new();
    let rows = theirs.tensor(EMBED).shape[0];
    for name in [EMBED, HEAD] {
        *theirs.tensor(name) = theirs.tensor(name).rows(rows - 1);
    }
    let error = theirs.refused();
    let numbers = [rows.to_string(), (rows - 1).to_string()];
    assert!(
        numbers.iter().all(|n| error.contains(n)) && error.contains("tokenizer"),
        "{error}"
    );
    // Tables are padded to a round number of rows.
    for name in [EMBED, HEAD] {
        *theirs.tensor(name) = theirs.tensor(name).rows(rows + 60);
    }
    let report = theirs.convert();
    assert!(
        report.notes.iter().any(|note| note.contains("rows")),
        "{:?}",
        report.notes
    );
    let mut config = lisa::engine::EngineConfig::new(theirs.options().out);
    config.device = "cpu".parse().unwrap();
    drop(lisa::engine::Engine::start(config).unwrap());
    // One table only.
    *theirs.tensor(HEAD) = theirs.tensor(HEAD).rows(rows);
    std::fs::remove_dir_all(theirs.options().out).unwrap();
    let error = theirs.refused();
    assert!(error.contains(HEAD), "{error}");
}

#[test]
fn a_configuration_of_other_sizes_is_refused_with_both() {
    for (field, value, words) in [
        ("hidden_size", json!(48), &["shape", "48", "96"][..]),
        ("intermediate_size", json!(201), &["mlp", "201", "200"]),
        ("num_key_value_heads", json!(6), &["k_proj", "96", "32"]),
        (
            "num_hidden_layers",
            json!(4),
            &["model.layers.3.", "missing"],
        ),
        (
            "num_hidden_layers",
            json!(2),
            &["model.layers.2.", "num_hidden_layers is 2"],
        ),
        ("head_dim", json!(32), &["head_dim", "32"]),
        ("num_attention_heads", json!(96), &["is 1 wide", "even"]),
        ("out_dim", json!(128), &["out_dim is 128", "are 64 wide"]),
        (
            "mm_hidden_size",
            json!(99),
            &["mm_hidden_size is 99", "are 48 wide"],
        ),
        (
            "mm_projector_type",
            json!("linear"),
            &["mm_projector_type is linear", "of mlp2x_gelu"],
        ),
        (
            "mm_vision_select_layer",
            json!(5),
            &["mm_vision_select_layer is 5", "4 layers", "-5 to 4"],
        ),
        (
            "mm_vision_select_layer",
            json!(-9),
            &["mm_vision_select_layer is -9", "-5 to 4"],
        ),
        (
            "partial_rotary_factor",
            json!(0.5),
            &["partial_rotary_factor is 0.5", "accepted: 1"],
        ),
        ("rms_norm_eps", json!(-1), &["rms_norm_eps is -1", "0 to"]),
        ("rms_norm_eps", json!(1e30), &["rms_norm_eps is 1", "0 to"]),
        (
            "sliding_window",
            json!(16),
            &["sliding_window is 16", "max_position_embeddings is 1024"],
        ),
        (
            "num_attention_heads",
            json!(0),
            &["num_attention_heads", "1 or more"],
        ),
        (
            "max_position_embeddings",
            json!(1u64 << 50),
            &["max_position_embeddings", "at most"],
        ),
        (
            "rope_scaling",
            json!({"type": "yarn", "factor": 2}),
            &["rope_scaling", "yarn"],
        ),
    ] {
        let mut theirs = Theirs::new();
        theirs.config[field] = value;
        let error = theirs.refused();
        for word in words.iter().chain(&["config.json"]) {
            assert!(error.contains(word), "{field}: {error}");
        }
    }
}

#[test]
fn the_forms_of_rotary_parameters_reach_the_model() {
    for (field, value, theta, scale) in [
        (
            "rope_parameters",
            json!({"rope_type": "default", "rope_theta": 1e6}),
            1e6,
            1.0,
        ),
        (
            "rope_parameters",
            json!({"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6}),
            1e6,
            4.0,
        ),
        ("rope_scaling", json!({"rope_type": "default"}), 1e4, 1.0),
        (
            "rope_scaling",
            json!({"rope_type": "linear", "type": "linear", "factor": 4}),
            1e4,
            4.0,
        ),
    ] {
        let mut theirs = Theirs::new();
        theirs.config[field] = value;
        let llama = theirs.convert().config.llama;
        assert_eq!(
            (llama.rope_theta, llama.rope_scale),
            (theta, scale),
            "{field}"
        );
    }
}

#[test]
fn buffers_are_passed_over_and_weights_without_a_place_are_not() {
    let mut theirs = Theirs::new();
    let truth = Stored {
        dtype: Dtype::BOOL,
        shape: vec![4],
        bytes: vec![1; 4],
    };
    theirs
        .tensors
        .insert("model.layers.0.self_attn.mask".into(), truth);
    let report = theirs.convert();
    assert!(
        report
            .left_out
            .iter()
            .any(|name| name.ends_with("self_attn.mask")),
        "{:?}",
        report.left_out
    );

    let mut theirs = Theirs::new();
    let bias = Stored::f16(&[96], [0.0; 96]);
    theirs
        .tensors
        .insert(Q_PROJ.replace("weight", "bias"), bias);
    let error = theirs.refused();
    assert!(
        error.contains("q_proj.bias") && error.contains("no place"),
        "{error}"
    );

    // What somebody's training added beside the network, too.
    let mut theirs = Theirs::new();
    let head = Stored::f16(&[96], [0.0; 96]);
    theirs.tensors.insert("my_extra_head.weight".into(), head);
    let error = theirs.refused();
    assert!(
        error.contains("my_extra_head.weight") && error.contains("no place"),
        "{error}"
    );
}

#[test]
fn numbers_that_are_not_finite_where_they_are_stored_are_refused() {
    let mut theirs = Theirs::new();
    let q_proj = theirs.tensor(Q_PROJ);
    let mut values = q_proj.values();
    values[7] = 1e6;
    q_proj.dtype = Dtype::F32;
    q_proj.bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let error = theirs.refused();
    assert!(
        error.contains(Q_PROJ) && error.contains("--dtype"),
        "{error}"
    );
    let mut options = theirs.options();
    options.dtype = Some(lisa::weights::DType::Bf16);
    lisa::convert::convert(&options, |_, _, _| ()).unwrap();
}
