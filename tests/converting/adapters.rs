//! LoRA as PEFT leaves it in checkpoints.

use serde_json::json;

use super::{Stored, Theirs};

const LAYER: &str = "model.layers.1.self_attn.q_proj";
const DIM: usize = 96;
const RANK: usize = 2;

/// Small numbers that are not all alike, exact in f16.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7 + seed) % 11) as f32 / 64.0)
        .collect()
}

/// A checkpoint with one layer adapted; `named` names base weight and adapter.
fn adapted(base: &str, adapter: &str) -> Theirs {
    let mut theirs = Theirs::new();
    let weight = theirs.tensors.remove(&format!("{LAYER}.weight")).unwrap();
    let a = Stored::f16(&[RANK, DIM], numbers(RANK * DIM, 1));
    let b = Stored::f16(&[DIM, RANK], numbers(DIM * RANK, 5));
    theirs.tensors.insert(format!("{LAYER}.{base}"), weight);
    theirs
        .tensors
        .insert(format!("{LAYER}.lora_A.{adapter}weight"), a);
    theirs
        .tensors
        .insert(format!("{LAYER}.lora_B.{adapter}weight"), b);
    theirs
}

fn describe(theirs: &Theirs, json: serde_json::Value) {
    std::fs::write(theirs.lisa().join("adapter_config.json"), json.to_string()).unwrap();
}

#[test]
fn adapters_are_merged_where_their_configuration_lies_beside_them() {
    for (adapter, wrapper, json, scale) in [
        (
            "default.",
            "base_model.model.",
            json!({"peft_type": "LORA", "r": 2, "lora_alpha": 16, "use_dora": false}),
            8.0,
        ),
        (
            "",
            "",
            json!({"r": 2, "lora_alpha": 6.0, "alpha_pattern": {}, "use_rslora": null}),
            3.0,
        ),
        (
            "default.",
            "module.base_model.model.",
            json!({"r": 2, "lora_alpha": 4, "use_rslora": true}),
            4.0 / 2f32.sqrt(),
        ),
    ] {
        let mut theirs = adapted("base_layer.weight", adapter);
        let w = theirs
            .tensor(&format!("{LAYER}.base_layer.weight"))
            .values();
        let (a, b) = (numbers(RANK * DIM, 1), numbers(DIM * RANK, 5));
        theirs.tensors = std::mem::take(&mut theirs.tensors)
            .into_iter()
            .map(|(name, tensor)| (format!("{wrapper}{name}"), tensor))
            .collect();
        describe(&theirs, json);
        let merged = theirs.converted(&format!("{LAYER}.weight"));
        for (i, merged) in merged.iter().enumerate() {
            let (row, column) = (i / DIM, i % DIM);
            let product: f32 = (0..RANK)
                .map(|k| b[row * RANK + k] * a[k * DIM + column])
                .sum();
            let expected = w[i] + scale * product;
            assert!(
                (merged - expected).abs() <= 1e-3 * (1.0 + expected.abs()),
                "{merged} {expected}"
            );
        }
        let notes = theirs.convert().notes;
        assert!(
            notes.iter().any(|note| note.contains("merged 1 LoRA")),
            "{notes:?}"
        );
    }
}

#[test]
fn a_part_that_was_trained_whole_takes_the_place_of_the_old_one() {
    let mut theirs = adapted("base_layer.weight", "default.");
    describe(&theirs, json!({"r": 2, "lora_alpha": 16}));
    let old = theirs.tensors.remove("lm_head.weight").unwrap();
    let new = Stored::f16(&old.shape, numbers(old.values().len(), 3));
    let expected = new.values();
    theirs
        .tensors
        .insert("lm_head.original_module.weight".into(), old);
    theirs
        .tensors
        .insert("lm_head.modules_to_save.default.weight".into(), new);
    assert_eq!(theirs.converted("lm_head.weight"), expected);
}

#[test]
fn adapters_that_nobody_describes_are_refused_with_the_way_to_merge_them() {
    let error = adapted("base_layer.weight", "default.").refused();
    for word in [
        "adapter_config.json",
        LAYER,
        "merge_and_unload",
        "merge_lora_weights_and_save_hf_model.py",
    ] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn adapters_beside_plain_names_are_refused_whatever_describes_them() {
    let theirs = adapted("weight", "default.");
    for _ in 0..2 {
        let error = theirs.refused();
        assert!(
            error.contains(LAYER) && error.contains("merged into it already"),
            "{error}"
        );
        describe(&theirs, json!({"r": 2, "lora_alpha": 16}));
    }
    let theirs = Theirs::new();
    std::fs::write(theirs.lisa().join("adapter_model.safetensors"), "").unwrap();
    let error = theirs.refused();
    assert!(
        error.contains("adapter_model.safetensors lies beside it"),
        "{error}"
    );
}

#[test]
fn adapters_of_other_kinds_are_refused_by_name() {
    for (json, word) in [
        (
            json!({"r": 2, "lora_alpha": 16, "use_dora": true}),
            "use_dora",
        ),
        (
            json!({"r": 2, "lora_alpha": 16, "fan_in_fan_out": true}),
            "fan_in_fan_out",
        ),
        (json!({"r": 8, "lora_alpha": 16}), "r is 8"),
        (
            json!({"r": 2, "lora_alpha": 16, "alpha_pattern": {"q_proj": 8}}),
            "alpha_pattern",
        ),
        (json!({"peft_type": "IA3", "lora_alpha": 1}), "IA3"),
        (json!({"r": 2}), "lora_alpha"),
    ] {
        let theirs = adapted("base_layer.weight", "default.");
        describe(&theirs, json);
        let error = theirs.refused();
        assert!(error.contains(word), "{error}");
    }
    let mut theirs = adapted("base_layer.weight", "default.");
    theirs
        .tensors
        .remove(&format!("{LAYER}.lora_B.default.weight"));
    describe(&theirs, json!({"r": 2, "lora_alpha": 16}));
    let error = theirs.refused();
    assert!(error.contains("lacks"), "{error}");
    let mut theirs = Theirs::new();
    let vector = Stored::f16(&[DIM], numbers(DIM, 0));
    theirs.tensors.insert(
        format!("{LAYER}.lora_magnitude_vector.default.weight"),
        vector,
    );
    let error = theirs.refused();
    assert!(error.contains("lora_magnitude_vector"), "{error}");
}
