#include "study/sample_hook.h"

#include <memory>

#include "base/jsonl.h"
#include "base/log.h"
#include "infer/generate.h"

namespace ballast {

std::function<void(Model&, int64_t)> sample_hook(const std::filesystem::path& tokenizer, std::string prompt,
                                                 const std::filesystem::path& jsonl) {
  constexpr int64_t kContext = 256;
  constexpr int kNewTokens = 32;
  const auto text = std::make_shared<Tokenizer>(Tokenizer::load(tokenizer));
  return [text, prompt = std::move(prompt), jsonl](Model& model, int64_t step) {
    Engine engine(model, {.slots = 1, .context = kContext, .prefill_chunk = 128});
    const auto ids = encode_prompt(*text, {prompt, {}}, kContext - kNewTokens);
    GenerateOptions options;
    options.max_new_tokens = kNewTokens;
    const std::string output = generate(engine, *text, std::span<const int32_t>(ids), options).text;
    const size_t line = prompt.find_last_of('\n');
    log_info("sample at step {}: {:?} -> {:?}", step, line == std::string::npos ? prompt : prompt.substr(line + 1),
             output);
    Json record = Json::object();
    record["step"] = step;
    record["prompt"] = prompt;
    record["text"] = output;
    JsonlWriter(jsonl).write(record);
  };
}

}  // namespace ballast
