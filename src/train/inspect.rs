//! `lisa train --inspect`: prints and draws what a training would learn from.

use candle_core::Device;

use super::config::TrainConfig;
use super::init::open_tokenizer;
use super::objective::Preparation;
use super::packing::Piece;
use super::setup::open_data;
use super::TrainError;
use crate::data::read_picture;
use crate::image::{draw_overlay, Mask, OverlayObject};
use crate::weights::ModelDir;

/// Prints every dataset and `count` samples through `say`, and draws the samples' masks into `run.out`.
///
/// If the configuration names a model directory, the samples' ids and labels and the tensors that would be trained are printed
/// as well.
///
/// # Errors
/// Whatever is missing or broken, by name.
pub fn inspect(
    config: &TrainConfig,
    count: usize,
    mut say: impl FnMut(String),
) -> Result<(), TrainError> {
    let data = open_data(config)?;
    say(data.describe());
    let preparation = match &config.model.dir {
        Some(dir) => {
            let model = ModelDir::open(dir)?;
            say(trained_tensors(config, &model)?);
            let tokenizer = open_tokenizer(dir)?;
            let max = config.data.max_tokens;
            let mut preparation =
                Preparation::new(&model.config, tokenizer, max, config.data.augment)?;
            preparation.attend_share = config.objective.attend_share();
            if let Some(head) = config.objective.guided_head(&model.config)? {
                say(format!("guided: layer {}, head {}", head.layer, head.head));
            }
            Some(preparation)
        }
        None => None,
    };
    let out = &config.run.out;
    std::fs::create_dir_all(out).map_err(TrainError::io(out))?;
    for index in 0..count as u64 {
        let sample = data.sample(index)?;
        let path = out.join(format!("sample-{index}.png"));
        say(format!(
            "\nsample {index}: {}, {}",
            sample.source,
            sample.image.display()
        ));
        let image = read_picture(&sample.image)?;
        let mut masks = Vec::new();
        for conversation in &sample.conversations {
            for turn in &conversation.turns {
                say(format!("  Q {}\n  A {}", turn.question, turn.answer));
            }
            for (mask, phrase) in conversation.masks.iter().zip(&conversation.phrases) {
                masks.push((frame(mask), phrase.clone()));
            }
        }
        let objects: Vec<OverlayObject> = masks
            .iter()
            .map(|(mask, phrase)| OverlayObject {
                roi: mask.roi(),
                mask: mask.pixels(),
                label: phrase,
                score: 1.0,
            })
            .collect();
        draw_overlay(&image, &objects, None, 0.4)
            .save(&path)
            .map_err(|e| TrainError::Unusable(format!("{}: {e}", path.display())))?;
        say(format!("  {} masks: {}", masks.len(), path.display()));
        if let Some(preparation) = &preparation {
            let example = preparation.prepare(sample, &mut data.rng(index))?;
            let tokenizer = preparation.encoder().tokenizer();
            let pieces: Vec<String> = example
                .sequence
                .pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Image => "<image>".to_owned(),
                    Piece::Text(ids) => ids
                        .iter()
                        .map(|id| tokenizer.token_text(*id).unwrap_or("?").to_owned())
                        .collect::<Vec<_>>()
                        .join(" "),
                })
                .collect();
            let learned: Vec<&str> = example
                .sequence
                .targets
                .iter()
                .map(|(_, id)| tokenizer.token_text(*id).unwrap_or("?"))
                .collect();
            say(format!(
                "  {} positions: {}\n  learned: {}",
                example.sequence.rows(),
                pieces.join(" | "),
                learned.join(" ")
            ));
            for guided in &example.guided {
                say(format!(
                    "  position {} looks at {:?}{}",
                    guided.row,
                    guided.columns,
                    if guided.absent {
                        ", as for what is absent"
                    } else {
                        ""
                    }
                ));
            }
        }
    }
    Ok(())
}

fn frame(mask: &crate::data::TruthMask) -> Mask {
    let pixels = mask
        .pixels
        .iter()
        .map(|p| if *p == 1 { 255 } else { 0 })
        .collect();
    let frame = image::GrayImage::from_raw(mask.width, mask.height, pixels).unwrap_or_default();
    Mask::from_frame(&frame)
}

fn trained_tensors(config: &TrainConfig, model: &ModelDir) -> Result<String, TrainError> {
    let mut parameters = super::Parameters::open(model, candle_core::DType::F32, &Device::Cpu)?;
    parameters.train(&config.trainable.full, &[])?;
    let names: Vec<String> = parameters
        .trained()
        .iter()
        .map(|(name, var)| format!("  {name} {:?}", var.dims()))
        .collect();
    Ok(format!("trained whole:\n{}", names.join("\n")))
}
