#!/usr/bin/env python3
"""The peer of bench/train_vs_torch: a full training step of the shape "nano" in PyTorch and transformers on the CPU.

    bench/peers/train_torch.py --dtype f32|bf16 --mode eager|compile [--experts eager|grouped_mm|batched_mm]
                               [--threads 2] [--seconds 20]

Prints one JSON line. Success: {"tok_per_s": median over the timed steps, "dtype", "mode", "experts", "threads",
"steps", "seconds" (timed), "warmup_seconds" (compilation and the first steps), "loss" (of the last step), "parameters",
"torch", "transformers"}. Failure: {"error": "..."} and exit code 1. The peer gets its best settings: SDPA attention,
fused AdamW, in bf16 all weights and optimizer state in bf16 (no f32 master to update: less work than a mixed-precision
step). --experts eager loops over the experts; grouped_mm is one grouped product.
"""

import argparse
import json
import os
import statistics
import sys
import time

BATCH, LENGTH = 8, 512
NANO = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "first_k_dense_replace": 1,
    "intermediate_size": 704,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "n_shared_experts": 1,
    "moe_intermediate_size": 128,
    "n_group": 1,
    "topk_group": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "q_lora_rank": None,
    "kv_lora_rank": 64,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "max_position_embeddings": LENGTH,
    "num_nextn_predict_layers": 0,
    "use_cache": False,
}


def run(a):
    os.environ["OMP_NUM_THREADS"] = str(a.threads)  # read when torch is imported, and by compiled kernels
    import torch
    import transformers
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    config = DeepseekV3Config(**NANO)
    config._attn_implementation = "sdpa"
    config._experts_implementation = a.experts
    model = DeepseekV3ForCausalLM(config).train()
    model = model.to({"f32": torch.float32, "bf16": torch.bfloat16}[a.dtype])
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    # A fresh batch each step: with one batch routing would settle and the sizes of the experts' products with it.
    batches = torch.randint(NANO["vocab_size"], (16, BATCH, LENGTH))
    forward = torch.compile(model) if a.mode == "compile" else model

    def step(i):
        ids = batches[i % len(batches)]
        optimizer.zero_grad(set_to_none=True)
        loss = forward(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    begin = time.perf_counter()
    for i in range(2):
        step(i)
    warmup = time.perf_counter() - begin
    times, loss = [], 0.0
    while sum(times) < a.seconds or len(times) < 3:
        begin = time.perf_counter()
        loss = step(2 + len(times))
        times.append(time.perf_counter() - begin)
    return {
        "tok_per_s": round(BATCH * LENGTH / statistics.median(times), 1),
        "dtype": a.dtype,
        "mode": a.mode,
        "experts": a.experts,
        "threads": a.threads,
        "steps": len(times),
        "seconds": round(sum(times), 2),
        "warmup_seconds": round(warmup, 2),
        "loss": round(loss, 4),
        "parameters": sum(p.numel() for p in parameters),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--experts", choices=("eager", "grouped_mm", "batched_mm"), default="grouped_mm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    try:
        result = run(parser.parse_args())
    except Exception as e:  # one line for the caller, whatever torch raised
        result = {"error": f"{type(e).__name__}: {e}".splitlines()[0]}
    print(json.dumps(result), flush=True)
    sys.exit("error" in result)


if __name__ == "__main__":
    main()
