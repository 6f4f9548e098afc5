#!/usr/bin/env python3
"""Opens a model folder in transformers and compares what it computes with results written by another program.

    tools/open_in_transformers.py DIR RESULTS.safetensors [--tolerance 1e-5]

RESULTS holds input_ids (B,T), logits (B,T,V) and, where the model has an MTP layer, mtp_logits (B,T-1,V): row t joins the
final-norm hidden state of t with the embedding of token t+1 and predicts token t+2. The model is computed in float32 on the
CPU, FP8 weights dequantized (which needs accelerate, and matrices whose sides are up to 128 or multiples of it: transformers
5.23 takes the sides over the number of scales for the size of a block); the MTP layer in transformers' own MtpModel. Prints
max |a-b| / max |b| of each; exits with 1 where one is above the tolerance or a tensor of the folder was not used.
tools/transformers_venv installs what this needs.
"""

import argparse
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, FineGrainedFP8Config
from transformers.utils import logging

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("results", type=pathlib.Path)
parser.add_argument("--tolerance", type=float, default=1e-5)
arguments = parser.parse_args()
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)

results = load_file(arguments.results)
config = json.loads((arguments.folder / "config.json").read_text())
more = {"quantization_config": FineGrainedFP8Config(dequantize=True)} if config.get("quantization_config") else {}
model, loading = AutoModelForCausalLM.from_pretrained(
    arguments.folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **more
)
model.float().eval()  # norms of an FP8 folder come as stored
mtp_layer = f"model.layers.{config['num_hidden_layers']}."
unused = [k for k in loading["unexpected_keys"] if not k.startswith(mtp_layer)]
bad = [f"{kind}: {keys[:5]}" for kind, keys in (("missing", list(loading["missing_keys"])), ("unused", unused)) if keys]


def compare(name, got):
    error = ((got - results[name]).abs().max() / results[name].abs().max()).item()
    print(f"{name:10} {error:.2e}")
    if not error <= arguments.tolerance:
        bad.append(f"{name} differs by {error:.2e}, more than {arguments.tolerance:g}")


ids = results["input_ids"]
with torch.no_grad():
    hidden = model.model(ids, use_cache=False).last_hidden_state
    compare("logits", model.lm_head(hidden))
    if "mtp_logits" in results:
        from transformers.modeling_layers import MtpModel

        # The class knows the layer by DeepSeek-V3's own number, 61.
        model._keys_to_ignore_on_load_unexpected = {mtp_layer.replace(".", r"\.") + ".*"}
        mtp = MtpModel.from_pretrained(model).float().eval()
        positions = torch.arange(1, ids.shape[1])[None]
        last = mtp.forward_layer(0, hidden[:, :-1], positions, None, input_ids=ids[:, 1:])
        compare("mtp_logits", mtp._project_to_logits(last))
if bad:
    sys.exit(f"{arguments.folder}: " + "; ".join(bad))
