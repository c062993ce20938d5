//! Activation checkpointing of the language model: keep each layer's input, compute the rest again.
//!
//! Held whole, the graph of a 7B model's 32 layers is some ten gigabytes for one sequence. Here the layers run without
//! a graph first, and only their inputs stay. Backward, each layer runs a second time, with a graph that lives as long
//! as that layer's turn. The gradients are the same.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use super::Gradients;
use crate::model::{Llama, Look, Sequence};
use crate::nn::Result;

/// Inputs of the layers, without a graph.
pub struct LayerInputs {
    inputs: Vec<Tensor>,
    look: Option<Look>,
    /// What the last layer gave, as the variable that the loss is computed from.
    pub output: Var,
    /// The scores that were asked for, as another.
    pub scores: Option<Var>,
}

/// The loss's gradients at what [`forward`] gave.
pub struct OutputGradients {
    pub output: Tensor,
    pub scores: Option<Tensor>,
}

/// Runs all layers without a graph.
pub fn forward(
    llama: &Llama,
    embeddings: &Tensor,
    sequence: &Sequence,
    look: Option<&Look>,
) -> Result<LayerInputs> {
    let mut inputs = Vec::with_capacity(llama.num_layers());
    let mut scores = None;
    let mut x = embeddings.detach();
    for layer in 0..llama.num_layers() {
        inputs.push(x.clone());
        let (output, found) = llama.layer_looking(layer, &x, sequence, look)?;
        if let Some(found) = found {
            scores = Some(Var::from_tensor(&found.detach())?);
        }
        // Dropped at once, the graph of this layer never meets the next one's.
        x = output.detach();
    }
    Ok(LayerInputs {
        inputs,
        look: look.cloned(),
        output: Var::from_tensor(&x)?,
        scores,
    })
}

/// Goes back from the gradients at the output to that at the embeddings, and adds up what the variables get.
pub fn backward(
    llama: &Llama,
    inputs: LayerInputs,
    grads: OutputGradients,
    sequence: &Sequence,
    variables: &BTreeMap<String, Var>,
    gradients: &mut Gradients,
) -> Result<Tensor> {
    let mut grad = grads.output;
    let look = inputs.look.filter(|_| grads.scores.is_some());
    for (layer, input) in inputs.inputs.into_iter().enumerate().rev() {
        let input = Var::from_tensor(&input)?;
        let (output, scores) =
            llama.layer_looking(layer, input.as_tensor(), sequence, look.as_ref())?;
        let mut sum = (output * grad.detach())?.sum_all()?;
        if let (Some(scores), Some(grad)) = (scores, &grads.scores) {
            let through_scores = (scores * grad.detach())?.sum_all()?;
            sum = (sum.to_dtype(through_scores.dtype())? + through_scores)?;
        }
        let mut store = sum.backward()?;
        grad = match store.remove(&input) {
            Some(grad) => grad,
            None => candle_core::bail!("layer {layer} gave no gradient to its input"),
        };
        gradients.add(Gradients::take(&mut store, variables)?)?;
    }
    Ok(grad)
}
