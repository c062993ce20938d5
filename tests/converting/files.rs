//! Which files are taken, and what is said of those that cannot be.

use std::path::Path;

use lisa::convert::{convert, ConvertOptions};

use super::Theirs;
use crate::{copy, names, pickled};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn names_that_training_wrapped_are_unwrapped() {
    for wrapper in [
        "module.",
        "module.module.",
        "_orig_mod.",
        "module.base_model.model.",
    ] {
        let mut theirs = Theirs::new();
        let expected = theirs.tensor("lm_head.weight").values();
        theirs.tensors = std::mem::take(&mut theirs.tensors)
            .into_iter()
            .map(|(name, tensor)| (format!("{wrapper}{name}"), tensor))
            .collect();
        assert_eq!(theirs.converted("lm_head.weight"), expected);
    }
}

/// A folder of whole pickles, with something put beside them.
fn beside(put: impl Fn(&Path)) -> Vec<String> {
    let golden = pickled();
    let folder = tempfile::tempdir().unwrap();
    let lisa = folder.path().join("lisa");
    copy(&golden.lisa_folder(), &lisa);
    put(&lisa.join("model.safetensors"));
    let options = ConvertOptions::new(&lisa, golden.clip_folder(), folder.path().join("model"));
    let report = convert(&options, |_, _, _| ()).unwrap();
    lisa::weights::ModelDir::open(&options.out).unwrap();
    report.notes
}

#[test]
fn what_is_whole_is_taken_before_what_is_not() {
    let whole = Theirs::new();
    whole.save();
    let whole = std::fs::read(whole.lisa().join("model.safetensors")).unwrap();
    let tensor =
        candle_core::Tensor::zeros((2, 2), candle_core::DType::F32, &candle_core::Device::Cpu)
            .unwrap();
    let part = safetensors::serialize([("lm_head.weight", &tensor)], None).unwrap();
    for (bytes, why) in [
        (part, "missing"),
        (whole[..whole.len() - 1000].to_vec(), "truncated"),
        (POINTER.as_bytes().to_vec(), "LFS"),
        (b"<html>502</html>".to_vec(), "web page"),
        (
            b"PK: no archive, and no tensors".to_vec(),
            "does not begin as",
        ),
    ] {
        let notes = beside(|path| std::fs::write(path, &bytes).unwrap());
        let note = notes.iter().find(|note| note.starts_with("took")).unwrap();
        assert!(
            note.contains("pytorch_model.bin.index.json (2 files); model.safetensors is not whole"),
            "{note}"
        );
        assert!(note.contains(why), "{note}");
    }
}

#[test]
fn of_two_whole_sets_it_is_said_which_was_taken() {
    let theirs = Theirs::new();
    std::fs::write(theirs.lisa().join("pytorch_model.bin"), "never looked at").unwrap();
    let notes = theirs.convert().notes;
    assert!(
        notes
            .iter()
            .any(|n| n.contains("model.safetensors; pytorch_model.bin beside it was not needed")),
        "{notes:?}"
    );
}

#[test]
fn where_no_set_is_whole_each_says_why() {
    let mut theirs = Theirs::new();
    theirs.tensors.remove("model.norm.weight");
    std::fs::write(theirs.lisa().join("pytorch_model.bin"), "GGUF").unwrap();
    let error = theirs.refused();
    for word in [
        "none of its sets",
        "model.norm.weight",
        "pytorch_model.bin",
        "GGUF",
    ] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn pointers_of_git_lfs_are_named_with_the_way_out() {
    for file in ["model.safetensors", "config.json", "tokenizer.model"] {
        let theirs = Theirs::new();
        theirs.save();
        std::fs::write(theirs.lisa().join(file), POINTER).unwrap();
        let error = convert(&theirs.options(), |_, _, _| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(file) && error.contains("git lfs pull"),
            "{error}"
        );
    }
    let theirs = Theirs::new();
    theirs.convert();
    let out = theirs.options().out;
    std::fs::write(out.join("model.safetensors"), POINTER).unwrap();
    let error = lisa::weights::ModelDir::open(&out)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("git lfs pull"), "{error}");
}

#[test]
fn a_pickle_that_would_run_something_is_refused_and_runs_nothing() {
    let theirs = Theirs::new();
    let proof = theirs.lisa().join("proof");
    // The first pickle of a file from before PyTorch 1.6, so it needs no archive around it.
    let mut pickle = b"\x80\x02cos\nsystem\nX".to_vec();
    let command = format!("touch {}", proof.display());
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"\x85R.");
    std::fs::remove_file(theirs.lisa().join("model.safetensors")).unwrap();
    std::fs::write(theirs.lisa().join("pytorch_model.bin"), pickle).unwrap();
    let error = convert(&theirs.options(), |_, _, _| ())
        .unwrap_err()
        .to_string();
    for word in ["pytorch_model.bin", "GLOBAL os.system", "byte 2"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(!names(&theirs.lisa()).contains(&"proof".to_owned()));
}

#[test]
fn a_folder_without_its_configuration_is_told_what_it_is() {
    let theirs = Theirs::new();
    theirs.convert();
    // What was converted already is no checkpoint any more.
    let mut options = theirs.options();
    options.lisa = theirs.options().out;
    options.out = theirs.lisa().with_file_name("again");
    let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
    assert!(
        error.contains("model/config.json") && error.contains("is a model directory already"),
        "{error}"
    );
    std::fs::remove_dir_all(theirs.options().out).unwrap();
    let mut options = theirs.options();
    std::fs::remove_file(theirs.lisa().join("config.json")).unwrap();
    let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
    let words = "config.json not found: ";
    assert!(
        error.starts_with(words) && error.contains("beside the weights"),
        "{error}"
    );
    let theirs = Theirs::new();
    let clip = theirs.lisa().with_file_name("clip");
    copy(&options.clip, &clip);
    std::fs::remove_file(clip.join("preprocessor_config.json")).unwrap();
    (options.lisa, options.clip) = (theirs.lisa(), clip);
    let error = convert(&options, |_, _, _| ()).unwrap_err().to_string();
    assert!(
        error.contains("preprocessor_config.json not found"),
        "{error}"
    );
}
