#!/usr/bin/env python3
"""Answers by PyTorch at its best, stage by stage as `lisa bench` measures them: keys and values are kept, attention is torch's
scaled_dot_product_attention, logits are computed for the last position alone, and every encoder runs once. A second question about
the frame computes all again but SAM's features, as a program would that keeps those.

Pixels are given; `lisa bench` also resizes the frame.
"""

import torch

import common


def main():
    parser = common.arguments(__doc__.split('\n')[0])
    parser.add_argument('--sam-attention', choices=('sdpa', 'eager'), default='sdpa')
    options = parser.parse_args()
    ours = common.start(options)
    config = ours['config']
    clip, sizes = config['clip'], config['sam']
    tower, model = common.clip_tower(clip), common.sam(sizes, options.sam_attention)
    projector, language, fcs = common.Projector(config), None, common.text_hidden_fcs(config)
    if ours['language']:
        language = common.llama(config['llama'])
    frame = torch.randn(1, 3, sizes['image_size'], sizes['image_size'])
    picture = torch.randn(1, 3, clip['image_size'], clip['image_size'])
    words = torch.randint(0, config['llama']['vocab_size'], (1, ours['prompt'] - ours['image']))

    def image_tokens():
        return projector(common.features_of(tower, clip, picture))

    def sam_features():
        return model.vision_encoder(frame).last_hidden_state

    def prefill(image):
        embedded = language.model.embed_tokens(words)
        prompt = torch.cat([embedded[:, :36], image, embedded[:, 36:]], dim=1)
        return language(inputs_embeds=prompt, use_cache=True, logits_to_keep=1, output_hidden_states=True)

    def step(last):
        token = last.logits[:, -1].argmax(-1, keepdim=True)
        return language(input_ids=token, past_key_values=last.past_key_values, use_cache=True, logits_to_keep=1,
                        output_hidden_states=True)

    def answer(clock, known):
        """One answer; `known` are SAM's features of an earlier one. Returns them."""
        image = clock.time('clip', image_tokens)
        hidden = torch.zeros(1, config['llama']['hidden_size'])
        if language is not None:
            last = clock.time('prefill', lambda: prefill(image))
            for _ in range(ours['tokens'] - 1):
                last = clock.time('token', lambda: step(last))
            hidden = last.hidden_states[-1][:, -1]
        embedding = known if known is not None else clock.time('sam', sam_features)
        masks = clock.time('decode', lambda: common.decode_masks(model, embedding, fcs(hidden)))
        clock.time('postprocess', lambda: common.at_frame(masks, sizes['image_size']) > 0)
        return embedding

    clock, ignored = common.Clock(), common.Clock()
    with torch.inference_mode():
        features = answer(ignored, None)
        for _ in range(options.cycles):
            if language is None:
                answer(clock, None)
                continue
            features = clock.time('answer', lambda: answer(clock, None))
            clock.time('second_question', lambda: answer(ignored, features))
    peak = common.peak_rss()
    common.report(variant=options.sam_attention, stages=clock.times, peak_rss=peak, machine=common.machine())


if __name__ == '__main__':
    main()
