//! Activation checkpointing of the language model: keep each layer's input, compute the rest again.
//!
//! Held whole, the graph of a 7B model's 32 layers is some ten gigabytes for one sequence. Here the layers run without
//! a graph first, and only their inputs stay. Backward, each layer runs a second time, with a graph that lives as long
//! as that layer's turn. The gradients are the same.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use super::Gradients;
use crate::model::{Llama, Sequence};
use crate::nn::Result;

/// Inputs of the layers, without a graph.
pub struct LayerInputs {
    inputs: Vec<Tensor>,
    /// What the last layer gave, as the variable that the loss is computed from.
    pub output: Var,
}

/// Runs all layers without a graph.
pub fn forward(llama: &Llama, embeddings: &Tensor, sequence: &Sequence) -> Result<LayerInputs> {
    let mut inputs = Vec::with_capacity(llama.num_layers());
    let mut x = embeddings.detach();
    for layer in 0..llama.num_layers() {
        inputs.push(x.clone());
        // Dropped at once, the graph of this layer never meets the next one's.
        x = llama.layer(layer, &x, sequence)?.detach();
    }
    Ok(LayerInputs {
        inputs,
        output: Var::from_tensor(&x)?,
    })
}

/// Goes back from the gradient at the output to that at the embeddings, and adds up what the variables get.
pub fn backward(
    llama: &Llama,
    inputs: LayerInputs,
    grad: Tensor,
    sequence: &Sequence,
    variables: &BTreeMap<String, Var>,
    gradients: &mut Gradients,
) -> Result<Tensor> {
    let mut grad = grad;
    for (layer, input) in inputs.inputs.into_iter().enumerate().rev() {
        let input = Var::from_tensor(&input)?;
        let output = llama.layer(layer, input.as_tensor(), sequence)?;
        let mut store = (output * grad.detach())?.sum_all()?.backward()?;
        grad = match store.remove(&input) {
            Some(grad) => grad,
            None => candle_core::bail!("layer {layer} gave no gradient to its input"),
        };
        gradients.add(Gradients::take(&mut store, variables)?)?;
    }
    Ok(grad)
}
