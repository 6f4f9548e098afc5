#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "infer/generate.h"
#include "infer/memory_plan.h"
#include "infer/shipped_model.h"
#include "tokenizer/chat.h"
#include "train/config.h"

namespace ballast::cli {
namespace {

struct GenerateKeys {
  GenerateOptions options;
  std::string dtype = "auto";
  int64_t seed = 0;

  struct Section {
    GenerateKeys& keys;
    template <class V>
    void visit(V& v) {
      v("max_new_tokens", keys.options.max_new_tokens, "tokens to add at most");
      v("temperature", keys.options.temperature, "0 takes the most probable token; 1 draws as the model says");
      v("top_p", keys.options.top_p, "draw among the most probable tokens that make up this share");
      v("stop", keys.options.stop, "end before the first of these strings");
      v("seed", keys.seed, "seed of the draws");
      v("dtype", keys.dtype, "type of the matrices: auto, f32 or bf16");
    }
  };
  template <class V>
  void visit(V& v) {
    Section section{*this};
    v.section("generate", section, "one completion");
    v.section("skip", options.skip, "which of the chosen experts run");
  }
};

// The prompt's ids; the tokens that end a turn go to `end_tokens`.
std::vector<int32_t> encode_chat(const Tokenizer& tokenizer, const std::string& text,
                                 const std::optional<std::string>& system, std::vector<int32_t>& end_tokens) {
  const ChatTemplate chat(tokenizer);
  std::vector<ChatMessage> messages;
  if (system) messages.push_back({"system", *system});
  messages.push_back({"user", text});
  end_tokens = chat.end_tokens();
  return chat.encode(messages);
}

}  // namespace

void cmd_generate(CommandLine& line) {
  GenerateKeys config;
  std::string model_folder, text, file, out;
  std::optional<std::string> suffix, system;
  bool chat = false;
  int threads = 0;
  line.config(config);
  line.option("-m,--model", model_folder, "DIR",
              "the model: a checkpoint of ours or a Hugging Face folder (default: ballast-nano, which comes with the "
              "program)");
  line.option("-p,--prompt", text, "TEXT", "the text to go on from");
  line.option("-f,--file", file, "FILE", "or a file with it");
  line.option("--suffix", suffix, "TEXT", "fill in the middle: the text that follows the gap");
  line.flag("--chat", chat, "the prompt is a user's message: put it into the model's chat template");
  line.option("--system", system, "TEXT", "with --chat: the message before it that says how to behave");
  line.shortcut("-n", "generate.max_new_tokens", "N");
  line.shortcut("--temp", "generate.temperature", "T");
  line.shortcut("--top-p", "generate.top_p", "P");
  line.shortcut("--stop", "generate.stop", "TEXT...");
  line.shortcut("--seed", "generate.seed", "N");
  line.out(out, "FILE", "write the completion there instead of printing it as it grows");
  line.threads(threads);
  if (!line.parse()) return;
  line.require(!text.empty() || !file.empty(), "a prompt, -p TEXT or -f FILE");
  if (system && !chat) fail(ErrorKind::usage, "--system", "a system message is for --chat");
  if (suffix && chat)
    fail(ErrorKind::usage, "--suffix", "a gap is filled in plain text, not in a chat: leave out --chat");

  config.options.seed = static_cast<uint64_t>(config.seed);
  const auto device = Device::make(DeviceKind::cpu, threads);
  const std::filesystem::path folder = model_or_shipped(model_folder);
  OpenedModel opened = open_model(folder);
  if (!file.empty()) text = read_file(file);
  const auto ids = chat ? encode_chat(opened.tokenizer(), text, system, config.options.end_tokens)
                        : encode_prompt(opened.tokenizer(), {text, suffix});
  const int64_t context = static_cast<int64_t>(ids.size()) + config.options.max_new_tokens;
  check_positions(opened.config, context, "generate.max_new_tokens",
                  fmt::format("a prompt of {} tokens and {} more", ids.size(), config.options.max_new_tokens));
  const DType storage = compute_dtype(config.dtype);
  const EngineOptions options{.slots = 1, .context = context};
  admit(plan_memory(opened, *device, storage, options), available_memory(), folder);
  const LoadedModel model = load_model(std::move(opened), *device, storage);
  Engine engine(*model.model, options);
  const Generation g = generate(engine, model.tokenizer(), ids, config.options, [&](std::string_view piece) {
    if (out.empty()) print(piece);
    return !interrupted();
  });
  emit(out.empty() ? "\n" : g.text, out);
  log_info("prompt {} tokens, {:.1f} tok/s; {} generated, {:.1f} tok/s", g.prompt_tokens,
           static_cast<double>(g.prompt_tokens) / g.prefill_seconds, g.tokens.size(),
           g.decode_seconds > 0 ? static_cast<double>(g.decode_steps) / g.decode_seconds : 0.0);
  if (interrupted()) fail(ErrorKind::interrupted, "generate", "interrupted");
}

}  // namespace ballast::cli
