//! The sentences that LISA puts around a class, an expression or a question (`utils/utils.py` of the reference).

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Questions about a class or an expression, which stands for `{}` in lower case.
pub const SHORT_QUESTIONS: [&str; 4] = [
    "Can you segment the {} in this image?",
    "Please segment the {} in this image.",
    "What is {} in this image? Please respond with segmentation mask.",
    "What is {} in this image? Please output segmentation mask.",
];

/// Questions that are sentences already, which stand for `{}`.
pub const LONG_QUESTIONS: [&str; 2] = [
    "{} Please respond with segmentation mask.",
    "{} Please output segmentation mask.",
];

/// What follows a question whose answer is to be explained.
pub const EXPLANATORY_QUESTIONS: [&str; 3] = [
    "Please output segmentation mask and explain why.",
    "Please output segmentation mask and explain the reason.",
    "Please output segmentation mask and give some explanation.",
];

/// Answers that give one mask.
pub const ANSWERS: [&str; 5] = [
    "It is [SEG].",
    "Sure, [SEG].",
    "Sure, it is [SEG].",
    "Sure, the segmentation result is [SEG].",
    "[SEG].",
];

/// One of the templates, chosen at random, with `words` in the place of `{}`.
pub fn fill(templates: &[&str], words: &str, rng: &mut ChaCha8Rng) -> String {
    templates
        .choose(rng)
        .map_or(String::new(), |template| template.replacen("{}", words, 1))
}
