#!/usr/bin/env python3
"""Makes or checks a reference folder: a small random checkpoint of the DeepSeek family and what torch and transformers
make of it.

    tools/make_reference.py --out DIR [--shape FILE.json] [--seed N] [--batch B] [--length T]
    tools/make_reference.py --out DIR --random COUNT [--seed N] [...]
    tools/make_reference.py --check DIR

--out writes config.json (in the hub's style), model.safetensors (weights named and shaped as the hub's) and
reference.safetensors. --shape is a JSON object of config.json keys that replace those of the tiny shape below.
--random makes DIR/v3-N, DIR/moonlight-N, DIR/v2-N, DIR/v2-lite-N, DIR/v3-(N+1), ..., COUNT folders in all: shapes drawn
from family and number, with and without query latent, groups, YaRN, attention biases, a tied head, an MTP layer and FP8
weights, with config.json in the hub's style or in transformers 5's.
--check recomputes everything in DIR/reference.safetensors from DIR's weights and prints the error of every quantity.
All is computed in float32 on the CPU, one thread, with deterministic algorithms. Needs torch, transformers and
safetensors; written with torch 2.15 and transformers 5.23.

reference.safetensors holds, for B sequences of T tokens (N = B*T rows, flattened):
  input_ids (B,T); logits (B,T,V); hidden.i (B,T,D): input of layer i, the last one after the final norm
  mtp_logits (B,T-1,V): row t joins the final-norm hidden state of t with the embedding of token t+1, predicts t+2
  loss_main, loss_mtp: mean cross-entropies in nats; loss = loss_main + 0.3 loss_mtp
  router.L.logits/experts/weights (N,E)/(N,K)/(N,K): experts ascending; the MTP layer has B*(T-1) rows
  grad.NAME: gradient of loss
  greedy (1,P+24): a prompt, input_ids[0,:P] with P = min(16,T), and 24 greedy tokens
  train_ids (10,B,T): batches of ten AdamW steps (lr 1e-3, betas 0.9/0.95, eps 1e-8, decay 0.1 on tensors with two or
    more dimensions, clipped to a global norm of 1), run twice from the same weights: train.none.* and, where the router
    has a bias, train.sign.*, the latter with bias += 0.01 sign(mean load - load) after every step. losses, grad_norms
    (10); none: lm_head after the last step; sign: bias.L at the end.
"""

import argparse
import json
import math
import pathlib
import random
import re
import sys

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as v3

MTP_LOSS_WEIGHT = 0.3
STEPS = 10
GREEDY = 24
ALLOWED = {"losses": 1e-5, "grad_norms": 5e-5, "lm_head": 2e-4}  # by `ballast verify`, of the ten steps

# Odd widths, groups, YaRN with a factor on cos and sin that is not 1, biases of both signs, one MTP layer, an epsilon
# that differs from the latent norms' fixed 1e-6; below 300 kB with its reference.
TINY = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 26,
    "initializer_range": 0.02,
    "intermediate_size": 29,
    "kv_lora_rank": 10,
    "max_position_embeddings": 256,
    "moe_intermediate_size": 7,
    "moe_layer_freq": 1,
    "n_group": 4,
    "n_routed_experts": 12,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 2,
    "num_experts_per_tok": 3,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 14,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 8,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 4,
        "mscale": 1.0,
        "mscale_all_dim": 0.8,
        "original_max_position_embeddings": 64,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 2,
    "topk_method": "noaux_tc",
    "torch_dtype": "float32",
    "use_cache": True,
    "v_head_dim": 5,
    "vocab_size": 67,
}


class MtpLayer(nn.Module):
    """The hub's layer num_hidden_layers; embedding and head are the model's."""

    def __init__(self, config):
        super().__init__()
        self.enorm = v3.DeepseekV3RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = v3.DeepseekV3RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = v3.DeepseekV3DecoderLayer(config, config.num_hidden_layers)
        self.shared_head_norm = v3.DeepseekV3RMSNorm(config.hidden_size, config.rms_norm_eps)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        config._attn_implementation = "eager"
        config._experts_implementation = "eager"
        self.config = config
        self.biased = config.model_type == "deepseek_v3"
        self.main = (v3.DeepseekV3ForCausalLM if self.biased else v2.DeepseekV2ForCausalLM)(config)
        self.main.tie_weights()
        depth = config.num_nextn_predict_layers if self.biased else 0
        if depth > 1:
            sys.exit("num_nextn_predict_layers: more than one MTP layer is not supported")
        self.mtp = MtpLayer(config) if depth else None
        self.routers = {}  # layer -> the router module
        self.routed = {}  # layer -> (logits, weights, ids) of the last forward
        blocks = list(self.main.model.layers) + ([self.mtp.block] if self.mtp else [])
        for i, block in enumerate(blocks):
            if isinstance(block.mlp, (v3.DeepseekV3MoE, v2.DeepseekV2Moe)):
                self.routers[i] = block.mlp.gate
                block.mlp.gate.register_forward_hook(lambda _m, _a, out, i=i: self.routed.__setitem__(i, out))

    def forward(self, ids):
        """(B,T) -> logits, hidden states, MTP logits (or None), losses as a dict."""
        out = self.main.model(ids, output_hidden_states=True, use_cache=False)
        logits = self.main.lm_head(out.last_hidden_state)
        losses = {"main": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())}
        losses["total"] = losses["main"]
        mtp_logits = None
        if self.mtp:
            m, rows = self.mtp, ids.shape[1] - 1
            embedding = self.main.model.embed_tokens(ids[:, 1:])
            x = m.eh_proj(torch.cat((m.enorm(embedding), m.hnorm(out.last_hidden_state[:, :-1])), dim=-1))
            positions = torch.arange(rows)[None]
            mask = torch.full((rows, rows), -math.inf).triu(1)[None, None]
            rotary = self.main.model.rotary_emb(x, positions)
            x = m.block(x, attention_mask=mask, position_ids=positions, position_embeddings=rotary)
            mtp_logits = self.main.lm_head(m.shared_head_norm(x))
            losses["mtp"] = F.cross_entropy(mtp_logits[:, :-1].flatten(0, 1), ids[:, 2:].flatten())
            losses["total"] = losses["main"] + MTP_LOSS_WEIGHT * losses["mtp"]
        return logits, out.hidden_states, mtp_logits, losses

    def hub_views(self, of=lambda p: p):
        """hub name -> view into of(parameter or bias); transformers keeps the experts of a layer in two tensors."""
        views = {}
        tensors = list(self.named_parameters())
        tensors += [(n, b) for n, b in self.named_buffers() if n.endswith("e_score_correction_bias")]
        for name, p in tensors:
            t = of(p)
            if t is None:
                continue
            name = name.removeprefix("main.")
            mtp = f"model.layers.{self.config.num_hidden_layers}."
            name = re.sub(r"^mtp\.(block\.)?", mtp, name).replace("shared_head_norm", "shared_head.norm")
            if name.endswith("experts.gate_up_proj"):
                base, inner = name.removesuffix("gate_up_proj"), t.shape[1] // 2
                for e in range(t.shape[0]):
                    views[f"{base}{e}.gate_proj.weight"] = t[e, :inner]
                    views[f"{base}{e}.up_proj.weight"] = t[e, inner:]
            elif name.endswith("experts.down_proj"):
                for e in range(t.shape[0]):
                    views[f"{name.removesuffix('down_proj')}{e}.down_proj.weight"] = t[e]
            else:
                views[name] = t
        return views

    @torch.no_grad()
    def load(self, weights):
        views = self.hub_views()
        if views.keys() != weights.keys():
            sys.exit(f"weights do not fit the config: {sorted(views.keys() ^ weights.keys())[:5]} ...")
        for name, view in views.items():
            view.copy_(weights[name])
        return self

    @torch.no_grad()
    def margin(self):
        """The smallest gap between a choice and the runner-up in the last forward: groups and experts, all routers."""
        least = math.inf
        c = self.config
        for layer, (logits, _, _) in self.routed.items():
            if self.biased:
                choice = logits.sigmoid() + self.routers[layer].e_score_correction_bias
                scores = choice.view(len(choice), c.n_group, -1).topk(2).values.sum(-1)
            else:
                choice = logits  # ordered as the softmax, whose small scores lie closer than they are uncertain
                limited = c.topk_method == "group_limited_greedy"
                scores = choice.view(len(choice), c.n_group if limited else 1, -1).max(-1).values
            if scores.shape[1] > (c.topk_group or 1):
                group = scores.sort(descending=True).values
                least = min(least, (group[:, c.topk_group - 1] - group[:, c.topk_group]).min().item())
                kept = scores >= group[:, c.topk_group - 1, None]
                choice = choice.view(*kept.shape, -1).masked_fill(~kept[..., None], -math.inf).flatten(1)
            choice = choice.sort(descending=True).values
            if choice.shape[1] > c.num_experts_per_tok:
                gap = choice[:, c.num_experts_per_tok - 1] - choice[:, c.num_experts_per_tok]
                least = min(least, gap.min().item())
        return least


def random_weights(model, generator, bias_center=0.0):
    """Larger than an initialization: routing must be decisive and every norm must matter."""
    width = model.config.hidden_size
    weights = {}
    for name, view in model.hub_views().items():
        noise = torch.randn(view.shape, generator=generator)
        if name.endswith("e_score_correction_bias"):
            weights[name] = bias_center + 0.15 * noise
        elif name.endswith(".bias"):
            weights[name] = 0.3 * noise
        elif view.dim() == 1:
            weights[name] = (1 + 0.2 * noise).clamp(0.3, 1.7)
        else:
            weights[name] = noise * ((3.0 if name.endswith("gate.weight") else 0.6) / math.sqrt(width))
    return weights


def train(config, weights, batches, sign_rule):
    """Ten steps; returns losses, gradient norms, the model and the smallest router margin."""
    model = Model(config).load(weights)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8,
    )  # fmt: skip
    losses, norms, margin = [], [], math.inf
    for ids in batches:
        optimizer.zero_grad()
        loss = model(ids)[3]["total"]
        loss.backward()
        margin = min(margin, model.margin())
        norms.append(nn.utils.clip_grad_norm_(parameters, 1.0).item())
        losses.append(loss.item())
        optimizer.step()
        if sign_rule:
            for layer, router in model.routers.items():
                load = torch.bincount(model.routed[layer][2].flatten(), minlength=config.n_routed_experts).float()
                router.e_score_correction_bias += 0.01 * torch.sign(load.mean() - load)
    as_f64 = lambda values: torch.tensor(values, dtype=torch.float64)
    return as_f64(losses), as_f64(norms), model, margin


def compute(config, weights, ids, train_ids):
    """Everything in reference.safetensors, and the smallest margin of any choice in it."""
    model = Model(config).load(weights)
    logits, hidden, mtp_logits, losses = model(ids)
    losses["total"].backward()
    margin = model.margin()
    out = {"input_ids": ids, "train_ids": train_ids, "logits": logits}
    out |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
    if mtp_logits is not None:
        out["mtp_logits"] = mtp_logits
    for key, loss in losses.items():
        out["loss" if key == "total" else f"loss_{key}"] = loss.detach().double().reshape(1)
    for layer, (router_logits, router_weights, experts) in model.routed.items():
        experts, order = experts.sort(dim=-1)
        out[f"router.{layer}.logits"] = router_logits
        out[f"router.{layer}.experts"] = experts
        out[f"router.{layer}.weights"] = router_weights.gather(1, order)
    out |= {f"grad.{name}": g for name, g in model.hub_views(lambda p: p.grad).items()}

    greedy = ids[:1, : min(16, ids.shape[1])]
    with torch.no_grad():
        for _ in range(GREEDY):
            best = model.main(greedy, use_cache=False).logits[0, -1].topk(2)
            margin = min(margin, (best.values[0] - best.values[1]).item())
            greedy = torch.cat((greedy, best.indices[None, :1]), dim=1)
    out["greedy"] = greedy

    for arm in ("none", "sign") if model.biased else ("none",):
        arm_losses, norms, trained, least = train(config, weights, train_ids, arm == "sign")
        margin = min(margin, least)
        out[f"train.{arm}.losses"], out[f"train.{arm}.grad_norms"] = arm_losses, norms
        if arm == "none":
            out["train.none.lm_head"] = trained.main.lm_head.weight
        else:
            out |= {f"train.sign.bias.{i}": r.e_score_correction_bias for i, r in trained.routers.items()}
    return {name: t.detach().clone().contiguous() for name, t in out.items()}, margin


def config_of(fields):
    fields = {k: v for k, v in fields.items() if k != "quantization_config"}
    kind = v2.DeepseekV2Config if fields["model_type"] == "deepseek_v2" else v3.DeepseekV3Config
    return kind.from_dict(fields)


BLOCK = 128


def quantized(weights):
    """What an FP8 file holds of these weights: e4m3 codes with scales for the big matrices, bf16 for the others."""
    stored = {}
    for name, w in weights.items():
        if name.endswith("e_score_correction_bias"):
            stored[name] = w
        elif w.dim() < 2 or re.search(r"embed_tokens|lm_head|mlp\.gate\.|eh_proj", name):
            stored[name] = w.bfloat16()
        else:
            rows, cols = [(n + BLOCK - 1) // BLOCK for n in w.shape]
            padded = F.pad(w, (0, cols * BLOCK - w.shape[1], 0, rows * BLOCK - w.shape[0]))
            blocks = padded.view(rows, BLOCK, cols, BLOCK)
            scale = blocks.abs().amax(dim=(1, 3)) / 448
            codes = (blocks / scale[:, None, :, None]).view_as(padded)[: w.shape[0], : w.shape[1]]
            stored[name] = codes.to(torch.float8_e4m3fn).contiguous()
            stored[name + "_scale_inv"] = scale
    return stored


def in_f32(stored):
    """The same as a model computes with them."""
    weights = {}
    for name, w in stored.items():
        if name.endswith("_scale_inv"):
            continue
        weights[name] = w.float()
        if name + "_scale_inv" in stored:
            scale = stored[name + "_scale_inv"].repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
            weights[name] *= scale[: w.shape[0], : w.shape[1]]
    return weights


def random_shape(family, number):
    """config.json of a shape of the family, whether it is written in transformers 5's style, where its biases lie."""
    r = random.Random(f"{family} {number}")
    biased, grouped = family in ("v3", "moonlight"), family in ("v3", "v2")
    fp8 = biased and r.random() < 0.4
    heads = r.randint(1, 4)
    groups, per_group = (r.randint(2, 4), r.randint(2, 5)) if grouped else (1, r.randint(3, 14))
    kept = r.randint(1, groups)
    layers = r.randint(1, 3)
    fields = TINY | {
        "architectures": ["DeepseekV3ForCausalLM" if biased else "DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v3" if biased else "deepseek_v2",
        "vocab_size": r.randint(40, 260),
        "hidden_size": heads * (r.randint(130, 160) // heads if fp8 else r.randint(8, 24)),
        "intermediate_size": r.randint(9, 60),
        "moe_intermediate_size": r.randint(5, 40),
        "num_hidden_layers": layers,
        "first_k_dense_replace": layers if r.random() < 0.1 else r.randint(0, layers - 1),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "n_shared_experts": r.randint(1, 2),
        "n_routed_experts": groups * per_group,
        "n_group": groups,
        "topk_group": kept,
        # A single expert's weight is not normalized here, as in the published code; transformers makes it 1.
        "num_experts_per_tok": r.randint(2 if biased else 1, min(6, kept * per_group)),
        "q_lora_rank": r.randint(8, 40) if grouped else None,
        # Odd ones are as good, but transformers' V2 turns pairs as complex numbers and wants them at even places.
        "kv_lora_rank": r.randint(6, 40) if biased else 2 * r.randint(3, 20),
        "qk_nope_head_dim": r.randint(3, 20) if biased else 2 * r.randint(2, 10),
        "qk_rope_head_dim": 2 * r.randint(1, 8),
        "v_head_dim": r.randint(3, 20),
        "num_nextn_predict_layers": r.randint(0, 1) if biased else 0,
        "rms_norm_eps": r.choice([1e-6, 1e-5]),
        "rope_theta": r.choice([10000, 50000.0, 500000]),
        "rope_scaling": None,
        "attention_bias": r.random() < 0.3,
        "tie_word_embeddings": r.random() < 0.3,
        "scoring_func": "sigmoid" if biased else "softmax",
        "topk_method": "noaux_tc" if biased else "group_limited_greedy" if grouped else "greedy",
        "norm_topk_prob": biased and r.random() < 0.8,
        "routed_scaling_factor": r.choice([1.0, 2.446, 2.5]) if biased else 16.0 if grouped else 1.0,
    }
    if r.random() < 0.5:
        fields["rope_scaling"] = {
            "type": "yarn",
            "factor": r.choice([1, 2, 8, 40]),
            "beta_fast": 32,
            "beta_slow": 1,
            "original_max_position_embeddings": r.choice([32, 64]),
        } | r.choice([{}, {"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 1.0, "mscale_all_dim": 0.707}])
        yarn = fields["rope_scaling"]
        fields["max_position_embeddings"] = max(64, yarn["factor"] * yarn["original_max_position_embeddings"])
    if fp8:
        fields["quantization_config"] = {
            "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK],
        }  # fmt: skip
    return fields, r.random() < 0.4 and not fp8, r.choice([0.0, 2.0])


def rounding(config, weights, reference):
    """How far the ten steps in float32 are from the same in float64, as a share of what `ballast verify` allows. Adam
    divides small gradients by themselves: some weights (V2's, scaled by 16, above all) turn rounding into updates."""
    torch.set_default_dtype(torch.float64)
    try:
        double = {k: w.double() for k, w in weights.items()}
        losses, norms, model, _ = train(config, double, reference["train_ids"], False)
    finally:
        torch.set_default_dtype(torch.float32)
    exact = {"losses": losses, "grad_norms": norms, "lm_head": model.main.lm_head.weight.detach()}
    error = {k: (reference[f"train.none.{k}"] - e).abs().max().item() / e.abs().max().item() for k, e in exact.items()}
    return max(error[k] / allowed for k, allowed in ALLOWED.items())


def make(out, fields, seed, batch, length, margin, transformers_style=False, bias_center=0.0):
    config = config_of(fields)
    while True:
        generator = torch.Generator().manual_seed(seed)
        weights = stored = random_weights(Model(config), generator, bias_center)
        if "quantization_config" in fields:
            stored = quantized(weights)
            weights = in_f32(stored)
        ids = torch.randint(config.vocab_size, (STEPS + 1, batch, length), generator=generator)
        reference, found = compute(config, weights, ids[0], ids[1:].clone())
        empty = sum(not g.any() for name, g in reference.items() if re.search(r"experts\.\d+\.down_proj", name))
        error = rounding(config, weights, reference) if found >= margin else math.inf
        print(f"seed {seed}: smallest margin of a choice {found:.1e}, {empty} experts without a token, "
              f"float32 takes {error:.2f} of the error allowed in training", flush=True)  # fmt: skip
        # A choice that rounding could turn either way would make every later number meaningless.
        if found >= margin and error <= 0.25:
            break
        seed += 1
    out.mkdir(parents=True, exist_ok=True)
    if transformers_style:
        fields = json.loads(config.to_json_string(use_diff=False))
    (out / "config.json").write_text(json.dumps(fields, indent=1) + "\n")
    save_file({k: v.contiguous() for k, v in stored.items()}, out / "model.safetensors", {"format": "pt"})
    made_by = {"torch": torch.__version__, "transformers": transformers.__version__, "seed": str(seed)}
    save_file(reference, out / "reference.safetensors", made_by)
    print(f"{out}: {sum(f.stat().st_size for f in out.iterdir())} bytes")


def check(folder, tolerance):
    """Error per quantity: max |a-b| / max |b|; integers and zeros must be equal."""
    config = config_of(json.loads((folder / "config.json").read_text()))
    weights = in_f32({k: v for f in sorted(folder.glob("model*.safetensors")) for k, v in load_file(f).items()})
    expected = load_file(folder / "reference.safetensors")
    got, _ = compute(config, weights, expected["input_ids"], expected["train_ids"])
    bad = sorted(expected.keys() ^ got.keys())
    if bad:
        print("only on one side:", *bad)
    worst = {}
    for name in sorted(expected.keys() & got.keys()):
        a, b = got[name], expected[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            error = math.inf
        elif not b.dtype.is_floating_point or not b.any():
            error = 0.0 if torch.equal(a, b) else math.inf
        else:
            error = ((a - b).abs().max() / b.abs().max()).item()
        kind = "grad" if name.startswith("grad.") else name
        worst[kind] = max(worst.get(kind, (0.0, "")), (error, name))
        if error > tolerance:
            bad.append(name)
    for kind, (error, name) in worst.items():
        print(f"{kind:28} {error:.2e}" + (f"  {name}" if kind != name and error else ""))
    print("okay" if not bad else f"{len(bad)} quantities differ by more than {tolerance:g}")
    return not bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=pathlib.Path)
    what.add_argument("--check", type=pathlib.Path)
    parser.add_argument("--shape", type=pathlib.Path)
    parser.add_argument("--random", type=int, metavar="COUNT", help="as many random shapes, each in a folder of DIR")
    parser.add_argument("--seed", type=int, default=1, help="the first one tried; with --random the first number")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--margin", type=float, help="seeds are tried until every choice is this clear (1e-4; random 2e-5)")
    parser.add_argument("--tolerance", type=float, default=5e-6, help="of --check; machines differ by rounding")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if a.check:
        sys.exit(0 if check(a.check, a.tolerance) else 1)
    if not a.random:
        shape = json.loads(a.shape.read_text()) if a.shape else {}
        return make(a.out, TINY | shape, a.seed, a.batch, a.length, a.margin or 1e-4)
    families = ("v3", "moonlight", "v2", "v2-lite")
    for i in range(a.random):
        family, number = families[i % len(families)], a.seed + i // len(families)
        fields, style, center = random_shape(family, number)
        make(a.out / f"{family}-{number}", fields, number, a.batch, a.length, a.margin or 2e-5, style, center)


if __name__ == "__main__":
    main()
