"""What the PyTorch scripts share: the networks of a shape, clocks, and the yardsticks of the machine.

A shape is `config` in the output of `lisa bench --json`, which is the content of a lisa.json. The networks are those of
transformers; weights are random, as ours are.
"""

import argparse
import json
import sys
import time

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, SamConfig, SamModel
from transformers.models.sam.configuration_sam import SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

# Size of the frames of `lisa bench`, height and width.
FRAME = (480, 640)


def arguments(description):
    """The options of every script."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--ours', required=True, metavar='FILE', help='output of `lisa bench --json` for the same shape')
    parser.add_argument('--threads', type=int, required=True)
    parser.add_argument('--cycles', type=int, default=2, help='repetitions that are measured, after one that warms up')
    return parser


def start(options):
    """Sets the number of threads and returns our report of the shape."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with open(options.ours) as file:
        return json.load(file)


class Clock:
    """Times of the stages, in seconds."""

    def __init__(self):
        self.times = {}

    def time(self, stage, run):
        started = time.perf_counter()
        result = run()
        self.times.setdefault(stage, []).append(time.perf_counter() - started)
        return result


def peak_rss():
    """The most memory that this process has held, in bytes: VmHWM, as `lisa bench` reads it."""
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith('VmHWM:'))


# What importing PyTorch and transformers takes alone.
IMPORTED = peak_rss()


def machine():
    """Matrix products and copies at their best, measured as `lisa bench` measures them."""
    flops, copied = 0.0, 0.0
    for rows, inner, columns in ((2048, 2048, 2048), (4096, 768, 3072), (4096, 3072, 768)):
        a, b = torch.ones(rows, inner), torch.ones(inner, columns)
        for _ in range(5):
            started = time.perf_counter()
            a @ b
            flops = max(flops, 2 * rows * inner * columns / (time.perf_counter() - started))
    source = torch.ones(256 << 20, dtype=torch.uint8)
    target = torch.zeros_like(source)
    for _ in range(5):
        started = time.perf_counter()
        target.copy_(source)
        copied = max(copied, 2 * source.numel() / (time.perf_counter() - started))
    return {'gemm_gflops': flops / 1e9, 'copy_gbytes': copied / 1e9}


def report(**fields):
    """Prints one JSON object."""
    import transformers
    fields.update(imported_rss=IMPORTED, torch=torch.__version__, transformers=transformers.__version__, threads=torch.get_num_threads())
    json.dump(fields, sys.stdout)
    print()


class Projector(nn.Sequential):
    """LLaVA's mm_projector."""

    def __init__(self, config):
        vision, hidden = config['clip']['hidden_size'], config['llama']['hidden_size']
        layers = [nn.Linear(vision, hidden)]
        if config['projector'] == 'mlp2x_gelu':
            layers += [nn.GELU(), nn.Linear(hidden, hidden)]
        super().__init__(*layers)


def text_hidden_fcs(config):
    """LISA's projection of a hidden state to a prompt of the mask decoder."""
    hidden = config['llama']['hidden_size']
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, config['out_dim']))


def clip_tower(clip):
    """The vision tower, without the layers that come after the hidden state that is used: LISA computes them, nobody has to."""
    select = clip['select_layer']
    layers = clip['num_hidden_layers'] + 1 + select if select < 0 else select
    config = CLIPVisionConfig(
        hidden_size=clip['hidden_size'], intermediate_size=clip['intermediate_size'], num_hidden_layers=layers,
        num_attention_heads=clip['num_attention_heads'], image_size=clip['image_size'], patch_size=clip['patch_size'],
        hidden_act=clip['hidden_act'], layer_norm_eps=clip['layer_norm_eps'], attn_implementation='sdpa')
    return CLIPVisionModel(config).eval()


def llama(sizes):
    """The language model."""
    config = LlamaConfig(
        vocab_size=sizes['vocab_size'], hidden_size=sizes['hidden_size'], intermediate_size=sizes['intermediate_size'],
        num_hidden_layers=sizes['num_hidden_layers'], num_attention_heads=sizes['num_attention_heads'],
        num_key_value_heads=sizes['num_key_value_heads'], rms_norm_eps=sizes['rms_norm_eps'],
        max_position_embeddings=sizes['max_position_embeddings'], tie_word_embeddings=False, attn_implementation='sdpa')
    return LlamaForCausalLM(config).eval()


def sam(sizes, attention):
    """Segment Anything; `attention` is sdpa or eager, whichever is faster here."""
    # The deviation of transformers' own new weights, 1e-10, gives numbers that no trained network has.
    vision = SamVisionConfig(
        hidden_size=sizes['embed_dim'], output_channels=sizes['prompt_dim'], num_hidden_layers=sizes['depth'],
        num_attention_heads=sizes['num_heads'], image_size=sizes['image_size'], patch_size=sizes['patch_size'],
        window_size=sizes['window_size'], global_attn_indexes=sizes['global_attn_indexes'], mlp_dim=sizes['mlp_dim'],
        num_pos_feats=sizes['prompt_dim'] // 2, initializer_range=0.02)
    prompt = SamPromptEncoderConfig(
        hidden_size=sizes['prompt_dim'], image_size=sizes['image_size'], patch_size=sizes['patch_size'])
    decoder = SamMaskDecoderConfig(
        hidden_size=sizes['prompt_dim'], mlp_dim=sizes['decoder_mlp_dim'], num_hidden_layers=sizes['decoder_depth'],
        num_attention_heads=sizes['decoder_heads'], attention_downsample_rate=sizes['attention_downsample_rate'],
        num_multimask_outputs=sizes['num_mask_tokens'] - 1, iou_head_depth=sizes['iou_head_depth'],
        iou_head_hidden_dim=sizes['iou_head_hidden_dim'])
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder,
                       attn_implementation=attention)
    return SamModel(config).eval()


def features_of(tower, clip, pixels):
    """The tower's features `(batch, features, hidden)`."""
    states = tower(pixel_values=pixels).last_hidden_state
    return states[:, 1:] if clip['select_feature'] == 'patch' else states


def decode_masks(model, embedding, prompts):
    """Mask logits `(objects, 4·grid, 4·grid)` of prompts `(objects, dim)` on one image."""
    grid = embedding.shape[-1]
    dense = model.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(1, -1, grid, grid)
    masks = model.mask_decoder(
        image_embeddings=embedding, image_positional_embeddings=model.get_image_wide_positional_embeddings(),
        sparse_prompt_embeddings=prompts[None, :, None, :], dense_prompt_embeddings=dense, multimask_output=False)[0]
    return masks[0, :, 0]


def at_frame(masks, side):
    """Mask logits at the size of the frame, as SAM brings them there."""
    height, width = FRAME
    scale = side / max(FRAME)
    masks = nn.functional.interpolate(masks[None], (side, side), mode='bilinear', align_corners=False)
    masks = masks[..., :round(height * scale), :round(width * scale)]
    return nn.functional.interpolate(masks, FRAME, mode='bilinear', align_corners=False)[0]
