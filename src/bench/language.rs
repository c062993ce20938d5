//! A language model by itself, from a GGUF file: how fast it reads and writes, and what it writes.

use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, D};
use serde::Serialize;

use super::{peak_rss, BenchError, Stage, Work};
use crate::model::Llama;
use crate::weights::Gguf;

/// How a language model is measured.
#[derive(Clone, Debug)]
pub struct Languages {
    /// Token ids of the prompt; 1 or more.
    pub prompt: Vec<u32>,
    /// Tokens to write.
    pub tokens: usize,
    /// Times that it is done after a first time, which warms up.
    pub cycles: usize,
}

/// How fast a language model reads and writes, and what.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageTimes {
    /// `prefill` is reading the prompt and finding the first token, `token` one more token.
    pub stages: Vec<Stage>,
    /// Ids of the likeliest continuation, as many as were asked for.
    pub greedy: Vec<u32>,
    /// The most memory that the process has held, in bytes.
    pub peak_rss: Option<u64>,
    /// Logits of every position of the prompt, `(prompt, vocab)`, f32.
    #[serde(skip)]
    pub logits: Tensor,
}

impl Languages {
    /// Loads the file in f32 on the CPU, and lets it go on with the prompt.
    ///
    /// # Errors
    /// A file that cannot be used, a token that it does not have, or a text longer than its context.
    pub fn measure(&self, file: &Path) -> Result<LanguageTimes, BenchError> {
        let gguf = Gguf::open(file)?;
        let config = gguf.config.clone();
        if let Some(token) = self
            .prompt
            .iter()
            .find(|id| **id as usize >= config.vocab_size)
        {
            return Err(BenchError::Token {
                found: *token,
                size: config.vocab_size,
            });
        }
        if self.prompt.len() + self.tokens > config.max_position_embeddings {
            return Err(BenchError::Context {
                prompt: self.prompt.len(),
                tokens: self.tokens,
                context: config.max_position_embeddings,
            });
        }
        let llama = Llama::load(&gguf.weights(DType::F32, &Device::Cpu)?, &config)?;
        let (mut prefill, mut steps, mut greedy) = (Vec::new(), Vec::new(), Vec::new());
        for cycle in 0..=self.cycles {
            let (written, times) = self.write(&llama)?;
            greedy = written;
            if cycle > 0 || self.cycles == 0 {
                prefill.extend(times.first());
                steps.extend(times.into_iter().skip(1));
            }
        }
        let reading = Work::prefill(&config, self.prompt.len(), 0);
        let stages = [
            Stage::new("prefill", &prefill, reading),
            Stage::new("token", &steps, Work::token(&config, 4)),
        ];
        let peak_rss = peak_rss();
        Ok(LanguageTimes {
            stages: stages.into_iter().flatten().collect(),
            greedy,
            peak_rss,
            logits: self.logits(&llama)?,
        })
    }

    /// The likeliest tokens, and the time of each.
    fn write(&self, llama: &Llama) -> Result<(Vec<u32>, Vec<Duration>), BenchError> {
        let (mut cache, mut new) = (llama.new_cache(), self.prompt.clone());
        let (mut written, mut times) = (Vec::new(), Vec::new());
        for _ in 0..self.tokens {
            let started = Instant::now();
            let embeddings = llama.embed(&new, &Device::Cpu)?.unsqueeze(0)?;
            let hidden = llama.forward(&embeddings, Some(&mut cache), &|| false)?;
            let last = hidden.narrow(1, new.len() - 1, 1)?.squeeze(0)?;
            let token = llama.logits(&last)?.argmax(D::Minus1)?.to_vec1::<u32>()?[0];
            times.push(started.elapsed());
            written.push(token);
            new = vec![token];
        }
        Ok((written, times))
    }

    fn logits(&self, llama: &Llama) -> Result<Tensor, BenchError> {
        let embeddings = llama.embed(&self.prompt, &Device::Cpu)?.unsqueeze(0)?;
        let hidden = llama.forward(&embeddings, None, &|| false)?;
        Ok(llama.logits(&hidden.squeeze(0)?)?)
    }
}
