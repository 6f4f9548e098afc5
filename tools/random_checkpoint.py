#!/usr/bin/env python3
"""Writes a checkpoint of a real model's shape with random weights: for trying what does not depend on the weights (memory,
speed, whether it loads) without a download.

    tools/random_checkpoint.py --out DIR [--shape FILE.json] [--dtype fp8|bf16] [--seed N] [--tokenizer FILE] [--shard-gb G]

--shape is a config.json in the hub's style; without it, DeepSeek-V2-Lite's (15.7 B parameters, 16.1 GB in fp8). fp8 stores what
DeepSeek-V3 stores so: every matrix but embedding, head and router as e4m3 codes with a scale per 128 x 128 block
(weight_scale_inv); everything else is bf16. Matrices are normal with a deviation of initializer_range, norms are 1.
--tokenizer is copied beside it. Tensors are drawn and written one at a time, so memory stays below a gigabyte and a half.
Needs numpy. The last line on stdout is the bytes of all tensors.
"""

import argparse
import json
import math
import pathlib
import shutil
import sys

import numpy as np

# huggingface.co/deepseek-ai/DeepSeek-V2-Lite/blob/main/config.json
V2_LITE = {
    "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "attention_bias": False,
    "bos_token_id": 100000, "eos_token_id": 100001, "first_k_dense_replace": 1, "hidden_act": "silu",
    "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 10944, "kv_lora_rank": 512,
    "max_position_embeddings": 163840, "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_group": 1,
    "n_routed_experts": 64, "n_shared_experts": 2, "norm_topk_prob": False, "num_attention_heads": 16,
    "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16, "q_lora_rank": None,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
    "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
                     "original_max_position_embeddings": 4096, "type": "yarn"},
    "rope_theta": 10000, "routed_scaling_factor": 1.0, "scoring_func": "softmax", "tie_word_embeddings": False,
    "topk_group": 1, "topk_method": "greedy", "torch_dtype": "bfloat16", "use_cache": True, "v_head_dim": 128,
    "vocab_size": 102400,
}
BLOCK = 128
E4M3_LARGEST = 448.0


def tensors_of(c):
    """(name, shape, kind) in the hub's order; kind is linear, plain (a matrix that stays bf16), ones or zeros."""
    width, heads = c["hidden_size"], c["num_attention_heads"]
    rope, nope, value, rank = c["qk_rope_head_dim"], c["qk_nope_head_dim"], c["v_head_dim"], c["kv_lora_rank"]

    def attention(at):
        queries = heads * (nope + rope)
        if c.get("q_lora_rank"):
            yield at + "q_a_proj.weight", (c["q_lora_rank"], width), "linear"
            yield at + "q_a_layernorm.weight", (c["q_lora_rank"],), "ones"
            yield at + "q_b_proj.weight", (queries, c["q_lora_rank"]), "linear"
        else:
            yield at + "q_proj.weight", (queries, width), "linear"
        yield at + "kv_a_proj_with_mqa.weight", (rank + rope, width), "linear"
        yield at + "kv_a_layernorm.weight", (rank,), "ones"
        yield at + "kv_b_proj.weight", (heads * (nope + value), rank), "linear"
        yield at + "o_proj.weight", (width, heads * value), "linear"
        if c.get("attention_bias"):
            if c.get("q_lora_rank"):
                yield at + "q_a_proj.bias", (c["q_lora_rank"],), "zeros"
            yield at + "kv_a_proj_with_mqa.bias", (rank + rope,), "zeros"
            yield at + "o_proj.bias", (width,), "zeros"

    def feed_forward(at, inner):
        yield at + "gate_proj.weight", (inner, width), "linear"
        yield at + "up_proj.weight", (inner, width), "linear"
        yield at + "down_proj.weight", (width, inner), "linear"

    yield "model.embed_tokens.weight", (c["vocab_size"], width), "plain"
    layers, predicting = c["num_hidden_layers"], c.get("num_nextn_predict_layers") or 0
    for layer in range(layers + predicting):
        at = f"model.layers.{layer}."
        if layer >= layers:
            for norm in ("enorm", "hnorm", "shared_head.norm"):
                yield at + norm + ".weight", (width,), "ones"
            yield at + "eh_proj.weight", (width, 2 * width), "linear"
        yield at + "input_layernorm.weight", (width,), "ones"
        yield from attention(at + "self_attn.")
        yield at + "post_attention_layernorm.weight", (width,), "ones"
        if layer < c["first_k_dense_replace"] or layer % c.get("moe_layer_freq", 1):
            yield from feed_forward(at + "mlp.", c["intermediate_size"])
            continue
        yield at + "mlp.gate.weight", (c["n_routed_experts"], width), "plain"
        if c["topk_method"] == "noaux_tc":
            yield at + "mlp.gate.e_score_correction_bias", (c["n_routed_experts"],), "zeros"
        for expert in range(c["n_routed_experts"]):
            yield from feed_forward(f"{at}mlp.experts.{expert}.", c["moe_intermediate_size"])
        if c.get("n_shared_experts"):
            yield from feed_forward(at + "mlp.shared_experts.", c["n_shared_experts"] * c["moe_intermediate_size"])
    yield "model.norm.weight", (width,), "ones"
    if not c.get("tie_word_embeddings"):
        yield "lm_head.weight", (c["vocab_size"], width), "plain"


def normal_quantiles(n):
    """Normal values at n equally probable places: a draw is a uniform index."""
    rng = np.random.default_rng(0)
    return np.sort(rng.standard_normal(64 * n).reshape(n, 64), axis=None).reshape(n, 64).mean(axis=1).astype(np.float32)


def e4m3_codes(values):
    """The nearest codes of finite values within +-448."""
    code = np.arange(127)
    magnitudes = np.where(code < 8, code * 2.0**-9, (1 + code % 8 / 8) * 2.0 ** (code // 8 - 7))
    nearest = np.searchsorted((magnitudes[1:] + magnitudes[:-1]) / 2, np.abs(values))
    return (nearest | np.where(values < 0, 0x80, 0)).astype(np.uint8)


def bf16_bits(values):
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


class Draws:
    def __init__(self, seed, deviation):
        table = normal_quantiles(1 << 16)
        self.rng = np.random.default_rng(seed)
        self.deviation = deviation
        self.largest = float(np.abs(table).max())
        self.codes = e4m3_codes(table / self.largest * E4M3_LARGEST)
        self.halves = bf16_bits(table * deviation)

    def index(self, shape):
        return np.frombuffer(self.rng.bytes(2 * math.prod(shape)), np.uint16)

    def bytes_of(self, shape, dtype, kind):
        if kind == "scale":  # all near the one that makes the deviation right
            scale = self.deviation * self.largest / E4M3_LARGEST
            return (scale * self.rng.uniform(0.8, 1.25, shape)).astype(np.float32).tobytes()
        if dtype == "F8_E4M3":
            return self.codes[self.index(shape)].tobytes()
        if kind in ("ones", "zeros"):
            return bf16_bits(np.full(shape, float(kind == "ones"))).tobytes()
        return self.halves[self.index(shape)].tobytes()


SIZES = {"F32": 4, "BF16": 2, "F8_E4M3": 1}


def stored(config, dtype):
    """(name, shape, dtype, kind) of every tensor of the files."""
    for name, shape, kind in tensors_of(config):
        if dtype == "fp8" and kind == "linear":
            yield name, shape, "F8_E4M3", kind
            yield name + "_scale_inv", tuple((n + BLOCK - 1) // BLOCK for n in shape), "F32", "scale"
        else:
            yield name, shape, "BF16", kind


def write_shard(path, tensors, draws):
    tensors = sorted(tensors, key=lambda t: -SIZES[t[2]])  # large elements first: all are aligned
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, dtype, _ in tensors:
        size = math.prod(shape) * SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, shape, dtype, kind in tensors:
            f.write(draws.bytes_of(shape, dtype, kind))
    partial.rename(path)
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--shape", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["fp8", "bf16"], default="fp8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", type=pathlib.Path)
    parser.add_argument("--shard-gb", type=float, default=4.0)
    args = parser.parse_args()

    config = json.loads(args.shape.read_text()) if args.shape else dict(V2_LITE)
    if args.dtype == "fp8":
        config["quantization_config"] = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                         "weight_block_size": [BLOCK, BLOCK]}
    args.out.mkdir(parents=True)
    shards, room = [[]], 0
    for tensor in stored(config, args.dtype):
        size = math.prod(tensor[1]) * SIZES[tensor[2]]
        if shards[-1] and room + size > args.shard_gb * 1e9:
            shards.append([])
            room = 0
        shards[-1].append(tensor)
        room += size
    draws, index, total = Draws(args.seed, config["initializer_range"]), {}, 0
    for i, tensors in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        total += write_shard(args.out / name, tensors, draws)
        index.update({t[0]: name for t in tensors})
        print(name, file=sys.stderr)
    (args.out / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=1))
    if args.tokenizer:
        shutil.copy(args.tokenizer, args.out / "tokenizer.json")
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    print(total)


if __name__ == "__main__":
    main()
