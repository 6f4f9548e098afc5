#include "cli/commands.h"

#include "base/file.h"

namespace ballast::cli {

std::span<const Command> commands() {
  static constexpr Command kCommands[] = {
      {"quickstart", "from the Python source on this machine to a trained model, its figures and a report",
       "ballast quickstart", cmd_quickstart},
      {"corpus report", "what a corpus was made of and what each rule dropped: tables and a page with plots",
       "ballast corpus report data", cmd_corpus_report},
      {"corpus", "source files to token shards: collect, filter, split, tokenize", "ballast corpus --source ~/src --out data",
       cmd_corpus},
      {"tokenizer train", "learn a byte-level BPE tokenizer from source files",
       "ballast tokenizer train --vocab-size 8192 --out tokenizer.json", cmd_tokenizer_train},
      {"tokenizer check", "compare a tokenizer with ids that another implementation gave",
       "ballast tokenizer check tokenizer.json vectors.jsonl", cmd_tokenizer_check},
      {"tokenizer encode", "text to ids, or ids to text", "ballast tokenizer encode tokenizer.json -p 'def main():'",
       cmd_tokenizer_encode},
      {"train", "train a model by a recipe", "ballast train --config configs/nano.toml --out run/nano", cmd_train,
       true},
      {"generate", "go on from a text, or fill the gap in one", "ballast generate -p 'def add(a, b):' -n 40",
       cmd_generate},
      {"eval", "held-out bits per byte and line completion, each beside its trivial rivals",
       "ballast eval -m run/quickstart/model --context 256", cmd_eval},
      {"study skip", "what skipping experts costs and buys, measured on this machine",
       "ballast study skip -m run/nano/checkpoints/step-000400 --text src", cmd_study_skip},
      {"report", "one HTML page about one or more runs", "ballast report run/quickstart", cmd_report},
      {"inspect", "what is in a model folder, a weight file or a shard", "ballast inspect run/nano/checkpoints/step-000400", cmd_inspect},
      {"doctor", "is the router of a checkpoint, and its balancing bias, in good health", "ballast doctor run/quickstart/model",
       cmd_doctor},
      {"convert", "a checkpoint in another type (f32, bf16, FP8) or in files of another size",
       "ballast convert run/quickstart/model --dtype bf16 --out run/quickstart-bf16", cmd_convert},
      {"verify", "compare with reference results of torch: logits, gradients, training steps", "ballast verify", cmd_verify},
      {"roofline", "what skipping experts can gain at most, from a config.json alone",
       "ballast roofline configs/deepseek-v3.json", cmd_roofline},
      {"completion", "a script for bash, zsh or fish that completes commands, flags and keys",
       "ballast completion bash --out ~/.local/share/bash-completion/completions/ballast", cmd_completion},
  };
  return kCommands;
}

void emit(const std::string& text, const std::string& file) {
  if (file.empty()) {
    print(text);
  } else {
    write_file_atomic(file, text);
  }
}

}  // namespace ballast::cli
