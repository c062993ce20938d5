//! What every setting of a training run means, and which values it takes: one table for checking, help and docs.

/// One value of the configuration file.
pub struct Setting {
    /// Its table and key, e.g. `optimizer.lr`.
    pub name: &'static str,
    /// The values it takes.
    pub accepted: Accepted,
    /// The default in words; empty where a value has to be given.
    pub default: &'static str,
    /// What it sets, in words.
    pub meaning: &'static str,
}

/// The values a setting takes.
pub enum Accepted {
    /// Whole numbers, both ends included.
    Whole(i64, i64),
    /// Numbers, both ends included.
    Number(f64, f64),
    /// Numbers, from the first up to, and not including, the second.
    Below(f64, f64),
    /// Anything the type allows, in words.
    Text(&'static str),
}

use Accepted::{Below, Number, Text, Whole};

const fn setting(
    name: &'static str,
    accepted: Accepted,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        name,
        accepted,
        default,
        meaning,
    }
}

/// Every setting, in the order of the file.
pub const SETTINGS: &[Setting] = &[
    setting("model.dir", Text("a model directory"), "none", "model to start from; --model wins"),
    setting("model.init", Text("a file like lisa.json"), "none", "instead of dir: dimensions of a new model with random weights"),
    setting("model.texts", Text("a list of datasets, NAME or NAME@FOLDER"), "[]", "more datasets whose texts a new model's tokenizer is trained on"),
    setting("model.vocab_size", Whole(300, 200_000), "1024", "vocabulary of a new model's tokenizer, which is trained on the data"),
    setting("model.dtype", Text("auto, f32, bf16, f16"), "auto", "what the network computes in; auto is f32 on a CPU, on a GPU bf16 unless the model is stored as f32; variables are f32 always"),
    setting("data.root", Text("a folder"), "", "where the datasets lie, in the reference's layout"),
    setting("data.groups", Text("a list of { datasets, rate }"), "", "dataset names joined by ||, and how often the group is drawn"),
    setting("data.validation", Text("a list of { datasets, rate }"), "none", "held-out data, measured every run.validate_every steps"),
    setting("data.samples_per_image", Whole(1, 64), "3", "classes, expressions or questions an image"),
    setting("data.max_tokens", Whole(16, 8192), "512", "longest sequence, image features included; longer text is cut"),
    setting("data.augment", Text("true, false"), "false", "mirror and brighten images (never mirrors where a phrase says left or right)"),
    setting("data.explanatory", Number(0.0, 1.0), "0.1", "share of explained images answered in text only"),
    setting("data.skip_broken", Whole(0, 1_000_000_000), "0", "broken files that are left out, each named; one more ends the run, which saves first"),
    setting("objective.kind", Text("reasoning, vision"), "reasoning", "the paper's objective, or encoders and mask decoder alone"),
    setting("objective.ce", Number(0.0, 1e4), "1", "weight of the answer's cross-entropy"),
    setting("objective.bce", Number(0.0, 1e4), "2", "weight of the masks' binary cross-entropy"),
    setting("objective.dice", Number(0.0, 1e4), "0.5", "weight of the masks' DICE loss"),
    setting("objective.patch", Number(0.0, 1e4), "1", "vision: weight of the cross-entropy of what patches show, classes and attributes"),
    setting("objective.iou", Number(0.0, 1e4), "0", "weight of the squared error of the decoder's IoU estimate"),
    setting("objective.ground", Number(0.0, 1e4), "0", "reasoning: weight of the cross-entropy of patches' classes, told from projected features by word vectors"),
    setting("objective.align", Number(0.0, 1e4), "0", "reasoning: weight of the distance of a named object's [SEG] embedding to the teacher's"),
    setting("objective.attend", Number(0.0, 1e4), "0", "reasoning: weight of attention guidance: −log of the guided head's attention on what is asked for"),
    setting("objective.attend_layer", Whole(0, 10_000), "the model's", "layer of the guided head, from 0; lisa merge writes it into the model's lisa.json"),
    setting("objective.attend_head", Whole(0, 10_000), "the model's", "which of that layer's query heads, from 0"),
    setting("objective.attend_share", Number(0.01, 1.0), "0.3", "share of an image token that a mask has to cover for the token to be looked at; a mask that covers none so far has its best one"),
    setting("objective.teacher", Text("a checkpoint file"), "none", "checkpoint of a vision run: its phrase encoder is the teacher; a further vision run goes on with it"),
    setting("trainable.full", Text("a list of parts of names"), "[]", "tensors whose name contains one of these are trained whole"),
    setting("trainable.lora.rank", Whole(1, 1024), "8", "rank of the adapters"),
    setting("trainable.lora.alpha", Number(1e-6, 1e6), "16", "adapters are scaled by alpha / rank"),
    setting("trainable.lora.dropout", Below(0.0, 1.0), "0.05", "share of an adapter's inputs that are zeroed"),
    setting("trainable.lora.targets", Text("a list of layers"), "q_proj, v_proj", "linear layers of the language model that get an adapter"),
    setting("optimizer.lr", Number(1e-12, 10.0), "3e-4", "learning rate after the warm-up"),
    setting("optimizer.beta1", Below(0.0, 1.0), "0.9", "decay of the first moment"),
    setting("optimizer.beta2", Below(0.0, 1.0), "0.95", "decay of the second moment"),
    setting("optimizer.eps", Number(1e-16, 1.0), "1e-8", "added to the denominator"),
    setting("optimizer.weight_decay", Number(0.0, 10.0), "0", "decoupled weight decay"),
    setting("optimizer.clip_norm", Number(1e-6, 1e9), "1", "largest norm of all gradients together"),
    setting("optimizer.warmup", Whole(0, 10_000_000), "100", "steps over which the learning rate rises"),
    setting("optimizer.decay", Text("constant, linear, cosine"), "linear", "how it falls to 0 at the last step"),
    setting("optimizer.decay_from", Whole(0, 100_000_000), "0", "step before which it does not fall; may be set when a run is resumed, to bring it to its end"),
    setting("optimizer.ema", Below(0.0, 1.0), "0", "decay of the moving average of the weights, which is then what is validated and kept; 0 for none"),
    setting("optimizer.groups", Text("a list of { match, lr_scale, weight_decay }"), "[]", "other settings for tensors whose name contains `match`"),
    setting("run.out", Text("a folder"), "runs/lisa", "checkpoints, metrics.jsonl, loss.png"),
    setting("run.steps", Whole(1, 100_000_000), "5000", "updates"),
    setting("run.batch_size", Whole(1, 4096), "2", "images whose losses are averaged together"),
    setting("run.accumulation", Whole(1, 4096), "10", "batches whose gradients are averaged before an update"),
    setting("run.workers", Whole(1, 256), "2", "images computed at a time on the CPU, each of which takes memory; does not change the result"),
    setting("run.threads", Whole(0, 1024), "0", "threads that compute on the CPU, shared out among these images; 0 for RAYON_NUM_THREADS or all cores; does not change the result"),
    setting("run.loaders", Whole(1, 256), "2", "threads that read and prepare images; does not change the result"),
    setting("run.seed", Whole(0, i64::MAX), "0", "of the samples, dropout and new weights"),
    setting("run.validate_every", Whole(1, 100_000_000), "500", "steps between validations"),
    setting("run.validation_images", Whole(1, 1_000_000), "100", "images of a validation, the same each time"),
    setting("run.save_every", Whole(1, 100_000_000), "100", "steps between checkpoints"),
    setting("run.device", Text("auto, cpu, cuda, cuda:N"), "auto", "where the network computes; auto is the GPU, where the build and the machine have one"),
    setting("run.checkpoint_activations", Text("true, false"), "false", "compute the language model's layers again on the way back: less memory, a third more time"),
    setting("run.cached_images", Whole(0, 10_000_000), "400", "pictures whose features of frozen encoders are kept in memory"),
    setting("run.cached_gb", Number(0.0, 1e5), "2", "gigabytes of such features that are kept in the run's folder, for further pictures and for --resume"),
];

impl Setting {
    /// Checks the value in a configuration, where it is a number.
    ///
    /// # Errors
    /// One line with the name, the value and the range.
    pub fn check(&self, config: &toml::Value) -> Result<(), String> {
        let mut value = config;
        for key in self.name.split('.') {
            match value.get(key) {
                Some(found) => value = found,
                None => return Ok(()),
            }
        }
        let number = value
            .as_float()
            .or_else(|| value.as_integer().map(|v| v as f64));
        let fits = match (&self.accepted, number) {
            (Whole(low, high), Some(v)) => (*low as f64..=*high as f64).contains(&v),
            (Number(low, high), Some(v)) => (*low..=*high).contains(&v),
            (Below(low, high), Some(v)) => (*low..*high).contains(&v),
            (Text(_), _) | (_, None) => true,
        };
        if fits {
            return Ok(());
        }
        Err(format!(
            "{} is {value}; accepted: {}",
            self.name, self.accepted
        ))
    }
}

impl std::fmt::Display for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whole(low, i64::MAX) => write!(f, "{low} or more"),
            Whole(low, high) => write!(f, "{low} to {high}"),
            Number(low, high) => write!(f, "{low} to {high}"),
            Below(low, high) => write!(f, "{low} to below {high}"),
            Text(words) => f.write_str(words),
        }
    }
}

/// All settings as the text that `lisa train --help` ends with.
pub fn settings_help() -> String {
    let mut text = String::from("Settings of the configuration file (TOML):\n");
    let mut table = "";
    for setting in SETTINGS {
        let (at, key) = setting.name.rsplit_once('.').unwrap_or(("", setting.name));
        if at != table {
            text += &format!("\n  [{at}]\n");
            table = at;
        }
        let default = match setting.default {
            "" => "required".to_owned(),
            default => format!("default {default}"),
        };
        text += &format!(
            "  {key:<24} {} ({}; {default})\n",
            setting.meaning, setting.accepted
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainConfig;

    #[test]
    fn the_documentation_has_every_setting_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TRAINING.md");
        let documented = std::fs::read_to_string(path).unwrap();
        for Setting {
            name,
            accepted,
            default,
            meaning,
        } in SETTINGS
        {
            let default = if default.is_empty() {
                "required"
            } else {
                default
            };
            let row = format!(
                "| `{name}` | {} | {} | {} |",
                accepted.to_string().replace('|', "\\|"),
                default.replace('|', "\\|"),
                meaning.replace('|', "\\|")
            );
            assert!(documented.contains(&row), "docs/TRAINING.md lacks: {row}");
        }
    }

    #[test]
    fn the_table_has_every_key_of_the_file_and_no_other() {
        let all = "
            [model]
            dir = 'm'
            [data]
            root = 'd'
            groups = [{ datasets = 'refcoco' }]
            [trainable]
            full = ['mask_decoder']
            lora = {}
        ";
        let config = TrainConfig::parse(all).unwrap();
        let value = toml::Value::try_from(&config).unwrap();
        let mut keys = Vec::new();
        let mut walk = vec![(String::new(), value)];
        while let Some((prefix, value)) = walk.pop() {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        let name = if prefix.is_empty() {
                            key
                        } else {
                            format!("{prefix}.{key}")
                        };
                        walk.push((name, value));
                    }
                }
                _ => keys.push(prefix),
            }
        }
        keys.push("model.init".to_owned()); // not said: it excludes model.dir
        keys.push("objective.teacher".to_owned());
        keys.push("objective.attend_layer".to_owned());
        keys.push("objective.attend_head".to_owned());
        keys.sort();
        let mut known: Vec<&str> = SETTINGS.iter().map(|s| s.name).collect();
        known.sort_unstable();
        assert_eq!(keys, known);
    }
}
