#!/usr/bin/env python3
"""Training steps by PyTorch at its best, of what config/finetune.toml trains: LoRA of rank 8 on q_proj and v_proj, and embeddings,
output layer, mask decoder and text_hidden_fcs whole; the encoders are frozen and computed without a gradient. The loss is LISA's:
cross-entropy, binary cross-entropy and DICE. AdamW, gradients clipped to a norm of 1.

Each picture has as many conversations as `lisa bench --train` computes as one sequence; here they are rows of a batch, as in LISA.
Pictures and words are random, and prepared before the clock runs.
"""

import torch
from torch import nn

import common

# Positions of a conversation beside those of the image: the prompt of `lisa bench` with an answer.
WORDS = 55


class Lora(nn.Module):
    """A frozen linear layer and its adapter."""

    def __init__(self, linear, rank=8, alpha=16, dropout=0.05):
        super().__init__()
        self.linear, self.scale, self.dropout = linear, alpha / rank, nn.Dropout(dropout)
        self.a = nn.Linear(linear.in_features, rank, bias=False)
        self.b = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.linear(x) + self.scale * self.b(self.a(self.dropout(x)))


def dice(logits, truth, scale=1000.0, eps=1e-6):
    """LISA's DICE loss of each mask."""
    p, t = logits.sigmoid().flatten(1), truth.flatten(1)
    numerator = 2 * (p / scale * t).sum(-1)
    denominator = (p / scale).sum(-1) + (t / scale).sum(-1)
    return (1 - (numerator + eps) / (denominator + eps)).mean()


def main():
    parser = common.arguments(__doc__.split('\n')[0])
    options = parser.parse_args()
    ours = common.start(options)
    config, rows = ours['config'], ours['conversations']
    clip, sizes, vocab = config['clip'], config['sam'], config['llama']['vocab_size']
    tower, model, projector = common.clip_tower(clip), common.sam(sizes, 'sdpa'), common.Projector(config)
    language, fcs = common.llama(config['llama']).train(), common.text_hidden_fcs(config)
    for module in (tower, model, projector, language):
        module.requires_grad_(False)
    for layer in language.model.layers:
        layer.self_attn.q_proj = Lora(layer.self_attn.q_proj)
        layer.self_attn.v_proj = Lora(layer.self_attn.v_proj)
    for module in (language.model.embed_tokens, language.lm_head, model.mask_decoder, fcs):
        module.requires_grad_(True)
    trained = [p for module in (language, model, fcs) for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.0)

    def step(frames, pictures, words, truth):
        images = len(frames)
        with torch.no_grad():
            embeddings = [model.vision_encoder(frame[None]).last_hidden_state for frame in frames]
            tokens = projector(common.features_of(tower, clip, pictures)).repeat_interleave(rows, 0)
        embedded = language.model.embed_tokens(words)
        prompt = torch.cat([embedded[:, :36], tokens, embedded[:, 36:]], dim=1)
        hidden = language.model(inputs_embeds=prompt, use_cache=False).last_hidden_state
        logits = language.lm_head(hidden[:, -9:-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), words[:, -8:].flatten())
        prompts = fcs(hidden[:, -4]).unflatten(0, (images, rows))
        for embedding, wanted, true in zip(embeddings, prompts, truth):
            masks = common.at_frame(common.decode_masks(model, embedding, wanted), sizes['image_size'])
            bce = nn.functional.binary_cross_entropy_with_logits(masks, true)
            loss = loss + (2.0 * bce + 0.5 * dice(masks, true)) / images
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    batches = []
    for batch in (entry['batch'] for entry in ours['batches']):
        clock = common.Clock()
        inputs = (
            torch.randn(batch, 3, sizes['image_size'], sizes['image_size']),
            torch.randn(batch, 3, clip['image_size'], clip['image_size']),
            torch.randint(0, vocab, (batch * rows, WORDS)),
            (torch.rand(batch, rows, *common.FRAME) > 0.9).float(),
        )
        # The steps of the first size warm up those of the second.
        if not batches:
            step(*inputs)
        for _ in range(options.cycles):
            clock.time('lora_step', lambda: step(*inputs))
        batches.append({'batch': batch, 'stages': clock.times, 'peak_rss': common.peak_rss()})
    common.report(batches=batches)


if __name__ == '__main__':
    main()
