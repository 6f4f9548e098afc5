#!/usr/bin/env python3
"""Makes or checks a reference folder: a small random DeepSeek-V3 checkpoint and what torch and transformers make of it.

    tools/make_reference.py --out DIR [--shape FILE.json] [--seed N] [--batch B] [--length T]
    tools/make_reference.py --check DIR

--out writes config.json (in the hub's style), model.safetensors (weights named and shaped as the hub's) and
reference.safetensors. --shape is a JSON object of config.json keys that replace those of the tiny shape below.
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
    more dimensions, clipped to a global norm of 1), run twice from the same weights: train.none.* and train.sign.*, the
    latter with bias += 0.01 sign(mean load - load) after every step. losses, grad_norms (10); none: lm_head after the
    last step; sign: bias.L at the end.
"""

import argparse
import json
import math
import pathlib
import re
import sys

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as v3

MTP_LOSS_WEIGHT = 0.3
STEPS = 10
GREEDY = 24

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
        self.main = v3.DeepseekV3ForCausalLM(config)
        depth = config.num_nextn_predict_layers
        if depth > 1:
            sys.exit("num_nextn_predict_layers: more than one MTP layer is not supported")
        self.mtp = MtpLayer(config) if depth else None
        self.routers = {}  # layer -> the router module
        self.routed = {}  # layer -> (logits, weights, ids) of the last forward
        blocks = list(self.main.model.layers) + ([self.mtp.block] if self.mtp else [])
        for i, block in enumerate(blocks):
            if isinstance(block.mlp, v3.DeepseekV3MoE):
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
            choice = logits.sigmoid() + self.routers[layer].e_score_correction_bias
            groups = choice.view(len(choice), c.n_group, -1)
            if c.topk_group < c.n_group:
                group = groups.topk(2).values.sum(-1).sort(descending=True).values
                least = min(least, (group[:, c.topk_group - 1] - group[:, c.topk_group]).min().item())
                kept = groups.topk(2).values.sum(-1) >= group[:, c.topk_group - 1, None]
                choice = groups.masked_fill(~kept[..., None], -math.inf).flatten(1)
            choice = choice.sort(descending=True).values
            least = min(least, (choice[:, c.num_experts_per_tok - 1] - choice[:, c.num_experts_per_tok]).min().item())
        return least


def random_weights(model, generator):
    """Larger than an initialization: routing must be decisive and every norm must matter."""
    width = model.config.hidden_size
    weights = {}
    for name, view in model.hub_views().items():
        noise = torch.randn(view.shape, generator=generator)
        if name.endswith("e_score_correction_bias"):
            weights[name] = 0.15 * noise
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

    for arm in ("none", "sign"):
        arm_losses, norms, trained, least = train(config, weights, train_ids, arm == "sign")
        margin = min(margin, least)
        out[f"train.{arm}.losses"], out[f"train.{arm}.grad_norms"] = arm_losses, norms
        if arm == "none":
            out["train.none.lm_head"] = trained.main.lm_head.weight
        else:
            out |= {f"train.sign.bias.{i}": r.e_score_correction_bias for i, r in trained.routers.items()}
    return {name: t.detach().clone().contiguous() for name, t in out.items()}, margin


def make(out, shape, seed, batch, length, margin):
    fields = TINY | shape
    config = v3.DeepseekV3Config.from_dict(fields)
    while True:
        generator = torch.Generator().manual_seed(seed)
        weights = random_weights(Model(config), generator)
        ids = torch.randint(config.vocab_size, (STEPS + 1, batch, length), generator=generator)
        reference, found = compute(config, weights, ids[0], ids[1:].clone())
        empty = sum(not g.any() for name, g in reference.items() if re.search(r"experts\.\d+\.down_proj", name))
        print(f"seed {seed}: smallest margin of a choice {found:.1e}, {empty} experts without a token", flush=True)
        # A choice that rounding could turn either way would make every later number meaningless.
        if found >= margin:
            break
        seed += 1
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(fields, indent=1) + "\n")
    save_file({k: v.contiguous() for k, v in weights.items()}, out / "model.safetensors", {"format": "pt"})
    made_by = {"torch": torch.__version__, "transformers": transformers.__version__, "seed": str(seed)}
    save_file(reference, out / "reference.safetensors", made_by)
    print(f"{out}: {sum(f.stat().st_size for f in out.iterdir())} bytes")


def check(folder, tolerance):
    """Error per quantity: max |a-b| / max |b|; integers and zeros must be equal."""
    config = v3.DeepseekV3Config.from_dict(json.loads((folder / "config.json").read_text()))
    weights = {k: v for f in sorted(folder.glob("model*.safetensors")) for k, v in load_file(f).items()}
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
    parser.add_argument("--seed", type=int, default=1, help="the first one tried")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--margin", type=float, default=1e-4, help="seeds are tried until every choice is this clear")
    parser.add_argument("--tolerance", type=float, default=5e-6, help="of --check; machines differ by rounding")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if a.check:
        sys.exit(0 if check(a.check, a.tolerance) else 1)
    make(a.out, json.loads(a.shape.read_text()) if a.shape else {}, a.seed, a.batch, a.length, a.margin)


if __name__ == "__main__":
    main()
