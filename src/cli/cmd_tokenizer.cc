#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "data/prepare.h"
#include "tokenizer/check.h"

namespace ballast::cli {

void cmd_tokenizer_train(CommandLine& line) {
  TokenizerRecipe config;
  std::string out = "tokenizer.json";
  int threads = 0;
  line.config(config);
  line.shortcut("--source", "corpus.source", "DIR...");
  line.shortcut("--jsonl", "corpus.jsonl", "FILE");
  line.shortcut("--field", "corpus.field", "KEY");
  line.shortcut("--vocab-size", "tokenizer.vocab_size", "N");
  line.out(out, "FILE", "where it goes (default tokenizer.json); tokenizer_config.json is written beside it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;

  const Tokenizer tokenizer = train_tokenizer(scan_corpus(config.corpus), config.tokenizer.vocab_size);
  tokenizer.save(out);
  print(fmt::format("{}: {} tokens\n", out, tokenizer.vocab_size()));
}

namespace {

// Ids with their texts from the first difference on: "@12  expected 300 "def", 5 "("; found ...".
std::string describe(const Tokenizer& tokenizer, const TokenizerCheck::Difference& d) {
  constexpr size_t kMostText = 200, kMostIds = 8;
  const auto [e, f] = std::mismatch(d.expected.begin(), d.expected.end(), d.found.begin(), d.found.end());
  const auto pieces = [&](auto from, auto end) {
    std::string out;
    for (size_t n = 0; from != end && n < kMostIds; ++from, ++n)
      out += fmt::format("  {} {}", *from, Json(tokenizer.token_bytes(*from)).dump());
    return out + (from != end ? "  ..." : "");
  };
  std::string text = fmt::format("text {}: {}{}\n", d.index, Json(d.text.substr(0, kMostText)).dump(),
                                 d.text.size() > kMostText ? fmt::format(" ... ({} bytes)", d.text.size()) : "");
  if (d.expected != d.found) {
    const auto same = static_cast<size_t>(e - d.expected.begin());
    const size_t at = tokenizer.decode(std::span(d.expected).first(same)).size();
    text += fmt::format("  equal up to token {} (byte {}), then\n  expected{}\n  found   {}\n", same, at,
                        pieces(e, d.expected.end()), pieces(f, d.found.end()));
  }
  return text + (d.decodes ? "" : "  does not decode back\n");
}

}  // namespace

void cmd_tokenizer_check(CommandLine& line) {
  std::string file, out;
  std::vector<std::string> vectors;
  int threads = 0;
  line.positional("TOKENIZER.JSON", file, "the tokenizer, or the folder that has it");
  line.positional("VECTORS", vectors,
                  "texts with their ids: .jsonl files of {\"text\", \"ids\"}, or llama.cpp's .inp beside their .out");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!file.empty() && !vectors.empty(), "a tokenizer.json and a file of vectors");

  const Tokenizer tokenizer = Tokenizer::load(file);
  std::string text;
  bool okay = true;
  for (const std::string& name : vectors) {
    const TokenizerCheck check = check_tokenizer(tokenizer, name);
    for (const TokenizerCheck::Difference& d : check.differences) text += describe(tokenizer, d);
    text += fmt::format("{}: {} of {} texts equal\n", name, check.equal, check.texts);
    okay = okay && check.okay();
  }
  emit(text + (okay ? "okay\n" : ""), out);
  if (!okay) throw Negative{};
}

void cmd_tokenizer_encode(CommandLine& line) {
  std::string file, prompt, text_file, out;
  bool control = false, pieces = false;
  std::vector<int> ids;
  int threads = 0;
  line.positional("TOKENIZER.JSON", file, "the tokenizer, or the folder that has it");
  line.option("-p,--prompt", prompt, "TEXT", "the text");
  line.option("-f,--file", text_file, "FILE", "or a file with it");
  line.option("--decode", ids, "IDS", "the other way: ids with commas between them, to text");
  line.flag("--control", control, "control strings in the text become their tokens");
  line.flag("--pieces", pieces, "a line per token: id and text");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!file.empty(), "a tokenizer.json");
  line.require(!prompt.empty() || !text_file.empty() || !ids.empty(), "a text: -p TEXT, -f FILE or --decode IDS");

  const Tokenizer tokenizer = Tokenizer::load(file);
  if (!ids.empty()) return emit(tokenizer.decode(ids) + "\n", out);
  const std::string text = text_file.empty() ? prompt : read_file(text_file);
  const std::vector<int32_t> encoded = control ? tokenizer.encode_with_control(text) : tokenizer.encode(text);
  if (!pieces) return emit(fmt::format("{}\n", fmt::join(encoded, " ")), out);
  std::string lines;
  for (const int32_t id : encoded) lines += fmt::format("{:>7}  {}\n", id, Json(tokenizer.token_bytes(id)).dump());
  emit(lines, out);
}

}  // namespace ballast::cli
