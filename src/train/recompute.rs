//! Activation checkpointing of the language model: each layer's input is kept, and everything else is computed again.
//!
//! The whole graph of a 7B model's 32 layers is some ten gigabytes for one sequence. Here the layers first run without a
//! graph, and only their inputs are kept. In the backward pass each layer runs a second time, with a graph that is dropped
//! before the next layer's turn. The gradients are the same.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use super::Gradients;
use crate::model::{AttentionQuery, Llama, Sequence};
use crate::nn::Result;

/// What the forward pass keeps: the inputs of the layers, without a graph, and the results that the loss depends on.
pub struct LayerInputs {
    inputs: Vec<Tensor>,
    query: Option<AttentionQuery>,
    /// The output of the last layer, as a variable for the loss to be computed from.
    pub output: Var,
    /// The attention scores that were asked for, as another such variable.
    pub scores: Option<Var>,
}

/// Gradients of the loss at the results of [`forward`].
pub struct OutputGradients {
    /// At the output of the last layer.
    pub output: Tensor,
    /// At the scores, if the loss depends on them.
    pub scores: Option<Tensor>,
}

/// Runs all layers without a graph. `query` says which attention scores are wanted.
pub fn forward(
    llama: &Llama,
    embeddings: &Tensor,
    sequence: &Sequence,
    query: Option<&AttentionQuery>,
) -> Result<LayerInputs> {
    let mut inputs = Vec::with_capacity(llama.num_layers());
    let mut scores = None;
    let mut x = embeddings.detach();
    for layer in 0..llama.num_layers() {
        inputs.push(x.clone());
        let (output, found) = llama.layer_with_scores(layer, &x, sequence, query)?;
        if let Some(found) = found {
            scores = Some(Var::from_tensor(&found.detach())?);
        }
        // Detaching drops the graph of this layer before that of the next one is built.
        x = output.detach();
    }
    Ok(LayerInputs {
        inputs,
        query: query.cloned(),
        output: Var::from_tensor(&x)?,
        scores,
    })
}

/// Runs all layers backward. Returns the gradient at the embeddings, and adds those of the `variables` to `gradients`.
pub fn backward(
    llama: &Llama,
    inputs: LayerInputs,
    grads: OutputGradients,
    sequence: &Sequence,
    variables: &BTreeMap<String, Var>,
    gradients: &mut Gradients,
) -> Result<Tensor> {
    let mut grad = grads.output;
    let query = inputs.query.filter(|_| grads.scores.is_some());
    for (layer, input) in inputs.inputs.into_iter().enumerate().rev() {
        let input = Var::from_tensor(&input)?;
        let (output, scores) =
            llama.layer_with_scores(layer, input.as_tensor(), sequence, query.as_ref())?;
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
