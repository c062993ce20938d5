//! How much is kept between requests, and how often it was of use.

/// What a [`Reasoner`](super::Reasoner) keeps between requests, and how often that spared it work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheLoad {
    /// Conversations that are remembered.
    pub conversations: usize,
    /// Frames whose embeddings are kept.
    pub frames: usize,
    /// Lookups of CLIP's image tokens, one for each request.
    pub clip: HitCount,
    /// Lookups of SAM's image embedding: one for each `[SEG]`, and one for a trace.
    pub sam: HitCount,
    /// Positions of all prompts: a hit's keys and values were there already, a miss's were computed.
    pub prompt: HitCount,
}

/// How many lookups found what they looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HitCount {
    /// Lookups that found it.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
}

impl HitCount {
    /// Counts one lookup.
    pub(super) fn count(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.misses += u64::from(!hit);
    }
}
