// What tests of broken runs share: a tiny recipe, ways to run it, and what must be equal between two runs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "base/config.h"
#include "base/toml.h"
#include "e2e/child.h"
#include "train/checkpoint.h"
#include "train/tiny_recipe.h"

namespace ballast::e2e {

using Words = std::vector<std::string>;
using Files = std::map<std::string, std::string>;

// --- reading a run back --------------------------------------------------------------------------------------------------

inline bool is_time(std::string_view key) { return key == "time" || key == "tok_per_s"; }

inline std::string without(const Json& object, const std::function<bool(std::string_view)>& dropped) {
  Json kept = Json::object();
  for (const auto& [key, value] : object.as_object())
    if (!dropped(key)) kept[key] = value;
  return kept.dump() + "\n";
}

inline uint64_t take_varint(std::string_view& s) {
  uint64_t v = 0;
  for (int shift = 0; !s.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(s.front());
    s.remove_prefix(1);
    v |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
  throw std::runtime_error("event file: cut off in a number");
}

// Protocol buffers' wire format: field number -> its bytes, in order.
inline std::vector<std::pair<int, std::string_view>> fields(std::string_view s) {
  std::vector<std::pair<int, std::string_view>> list;
  while (!s.empty()) {
    const uint64_t key = take_varint(s);
    const std::string_view from = s;
    size_t size = key % 8 == 1 ? 8 : key % 8 == 5 ? 4 : 0;
    if (key % 8 == 2) size = take_varint(s);
    if (key % 8 == 0) {
      take_varint(s);
      list.emplace_back(key / 8, from.substr(0, from.size() - s.size()));
      continue;
    }
    list.emplace_back(key / 8, s.substr(0, size));
    s.remove_prefix(size);
  }
  return list;
}

// Steps, tags and values of a TensorBoard file, without wall times and the scalars that measure time.
inline std::string events_of(const std::string& file) {
  std::string text;
  for (size_t at = 0; at < file.size();) {
    uint64_t length;
    std::memcpy(&length, file.data() + at, 8);
    for (const auto& [field, bytes] : fields(std::string_view(file).substr(at + 12, length))) {
      if (field == 1) continue;  // wall_time
      if (field != 5) {
        text += std::to_string(field) + ":" + std::string(bytes) + "\n";
        continue;
      }
      for (const auto& [value, scalar] : fields(bytes)) {
        const auto parts = fields(scalar);
        if (!is_time(parts.at(0).second)) text += std::string(scalar) + "\n";
      }
    }
    at += 12 + length + 4;
  }
  return text;
}

// Everything that must be equal between two runs, by file.
inline Files essence(const fs::path& run) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), run), text = slurp(entry.path());
    std::string& kept = files[name];
    if (name == "metrics.jsonl") {
      for (const Json& line : read_metrics(run)) kept += without(line, is_time);
    } else if (name.starts_with("events.")) {
      kept = events_of(text);
    } else if (name.ends_with("state.json")) {
      kept = without(Json::parse(text), [](std::string_view key) { return key == "metrics_bytes"; });
    } else if (!name.ends_with("checksums.json")) {  // which follows from the others, metrics_bytes included
      kept = text;
    }
  }
  return files;
}

inline void expect_equal_runs(const fs::path& got, const fs::path& want) {
  const Files a = essence(got), b = essence(want);
  for (const auto& [name, text] : b) {
    if (!a.contains(name)) ADD_FAILURE() << name << " is missing";
    else if (a.at(name) != text)
      ADD_FAILURE() << name << " differs" << (text.size() < 3000 ? ":\n" + a.at(name) + "\nnot\n" + text : "");
  }
  for (const auto& [name, text] : a)
    if (!b.contains(name)) ADD_FAILURE() << name << " is too much";
}

inline Files snapshot(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    files[entry.path()] = entry.is_regular_file() ? slurp(entry.path()) : "";
  return files;
}

// --- running -------------------------------------------------------------------------------------------------------------

class Resume : public testing::Test {
 protected:
  static constexpr int kSteps = 30;

  void SetUp() override {
    recipe_ = tiny_recipe(work_.path());
    recipe_.data.tokenizer = work_ / "tokenizer.json";
    recipe_.schedule.steps = kSteps;
    recipe_.train.micro_batches = 2;
    recipe_.train.eval_every = 7;
    recipe_.train.checkpoint_every = 3;
  }

  Words command(const std::string& run, const Words& more = {}) {
    spill(work_ / "recipe.toml", write_toml(config_to_json(recipe_)));
    Words words{"train", "--config", work_ / "recipe.toml", "--out", work_ / run, "-t", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  void expect_done(const Words& words) {
    const Result r = e2e::run(words);
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(Json::parse(r.out).at("steps").as_int(), recipe_.schedule.run_steps());
  }

  // The steps in metrics.jsonl so far. Counts lines, validations included.
  int64_t lines(const std::string& run) const {
    const std::string text = slurp(work_ / run / "metrics.jsonl");
    return std::count(text.begin(), text.end(), '\n');
  }
  // False where it does not come to that within a minute.
  bool wait_for_lines(const std::string& run, int64_t n, pid_t child) const {
    for (int i = 0; i < 60000 && lines(run) < n; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      siginfo_t ended{};
      if (waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child) break;
    }
    return lines(run) >= n;
  }

  TemporaryFolder work_;
  RunConfig recipe_;
};

}  // namespace ballast::e2e
