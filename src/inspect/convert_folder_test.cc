// What convert makes of folders and checkpoints that are not as ours are.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/testing.h"
#include "inspect/convert.h"
#include "inspect/edited_model.h"
#include "model/hub_tensors.h"
#include "model/weights.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;
using testing::RawTensor, testing::rewritten_model, testing::set_scale, testing::tiny_bias, testing::tiny_model;

const std::string kMatrix = "model.layers.1.mlp.experts.3.up_proj.weight", kScales = kMatrix + "_scale_inv";

class ConvertFolder : public FolderTest {
 protected:
  std::string error_of(const fs::path& from, const fs::path& to, const ConvertOptions& options = {}) const {
    try {
      convert(from, to, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  static bool mentions(const std::string& text, const std::string& what) {
    return text.find(what) != std::string::npos;
  }
  static bool has(const std::vector<std::string>& list, const std::string& what) {
    return std::find(list.begin(), list.end(), what) != list.end();
  }
  static std::vector<std::string> entries(const fs::path& of) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(of)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  // Every number as 1, in this type.
  fs::path ones(FileDType dtype, const std::string& name) const {
    return rewritten_model(tiny_model(), folder / name, [&](auto& tensors) {
      for (auto& [key, t] : tensors) {
        const size_t n = t.bytes.size() / size_of(t.spec.dtype), size = size_of(dtype);
        const double wide = 1;
        const uint16_t half = 0x3C00;
        t.spec.dtype = dtype;
        t.bytes.resize(n * size);
        for (size_t i = 0; i < n; ++i)
          std::memcpy(t.bytes.data() + i * size, dtype == FileDType::f64 ? static_cast<const void*>(&wide) : &half,
                      size);
      }
    });
  }
};

TEST_F(ConvertFolder, ABareNameAsTarget) {
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  const std::string said = error_of(tiny_model(), "plain");
  const std::string inside = error_of("plain", "plain/copy");
  fs::current_path(before);
  EXPECT_EQ(said, "");
  EXPECT_TRUE(fs::exists(folder / "plain/model.safetensors"));
  EXPECT_TRUE(mentions(inside, "lies in the folder that is converted")) << inside;
}

TEST_F(ConvertFolder, NotIntoTheSource) {
  const fs::path from = rewritten_model(tiny_model(), folder / "from", [](auto&) {});
  fs::create_directory_symlink(from, folder / "link");
  const std::vector<std::string> before = entries(from);
  for (const char* to : {"from/to", "from/deep/er", "link/to", "from/../from/to"})
    EXPECT_TRUE(mentions(error_of(from, folder / to), "lies in the folder that is converted")) << to;
  EXPECT_EQ(entries(from), before);
  EXPECT_EQ(error_of(from, folder / "from-2"), "");
}

TEST_F(ConvertFolder, TargetsThatCannotBeMade) {
  write_file_atomic(folder / "file", "");
  EXPECT_TRUE(mentions(error_of(tiny_model(), folder / "file/to"), "file: is a file"));
  const fs::path bad = rewritten_model(tiny_model(), folder / "bad", [&](auto& tensors) {
    set_scale(tensors[kMatrix], INFINITY);  // a value, here
  });
  EXPECT_TRUE(mentions(error_of(bad, folder / "a/b/to", {.dtype = "fp8"}), "only finite values"));
  EXPECT_EQ(entries(folder), (std::vector<std::string>{"bad", "file"}));  // no a/b
  if (geteuid() == 0) return;                                             // who writes everywhere
  fs::create_directory(folder / "closed");
  fs::permissions(folder / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_TRUE(mentions(error_of(tiny_model(), folder / "closed/to"), "Permission denied; change the permissions"));
  fs::permissions(folder / "closed", fs::perms::owner_all);
}

// Weights are the files that the index names, whatever their names; another weight file is not carried beside them.
TEST_F(ConvertFolder, ShardsOfOtherNames) {
  convert(tiny_model(), folder / "sharded", {.max_shard_bytes = 40'000});
  std::string index = read_file(folder / "sharded/model.safetensors.index.json");
  for (const std::string& name : safetensors_in(folder / "sharded")) {
    if (name == "reference.safetensors") continue;
    const std::string other = "weights-" + name.substr(6);
    fs::rename(folder / "sharded" / name, folder / "sharded" / other);
    for (size_t at = 0; (at = index.find(name, at)) != std::string::npos;) index.replace(at, name.size(), other);
  }
  write_file_atomic(folder / "sharded/model.safetensors.index.json", index);
  write_file_atomic(folder / "sharded/consolidated.safetensors", "more of the same");
  write_file_atomic(folder / "sharded/model-extra.safetensors", "more of the same");
  const ConvertReport report = convert(folder / "sharded", folder / "to", {.dtype = "bf16"});
  EXPECT_EQ(entries(folder / "to"),
            (std::vector<std::string>{"config.json", "model.safetensors", "reference.safetensors"}));
  EXPECT_EQ(report.left_out, (std::vector<std::string>{"consolidated.safetensors", "model-extra.safetensors"}));
}

TEST_F(ConvertFolder, WhatIsNoFileStays) {
  const fs::path from = rewritten_model(tiny_model(), folder / "from", [](auto&) {});
  ASSERT_EQ(mkfifo((from / "pipe").c_str(), 0600), 0);
  fs::create_symlink("nowhere", from / "broken");
  fs::create_symlink(folder, from / "elsewhere");
  write_file_atomic(folder / "blob", "text");
  fs::create_symlink("../blob", from / "tokenizer.json");
  write_file_atomic(from / "empty", "");
  write_file_atomic(from / "large", "");
  fs::resize_file(from / "large", (20 << 20) + 3);
  const ConvertReport report = convert(from, folder / "to", {});
  EXPECT_EQ(report.carried, (std::vector<std::string>{"empty", "large", "tokenizer.json"}));
  EXPECT_EQ(report.left_out,
            (std::vector<std::string>{"broken (a broken link)", "elsewhere/", "pipe (not a regular file)"}));
  EXPECT_EQ(read_file(folder / "to/tokenizer.json"), "text");
  EXPECT_EQ(fs::file_size(folder / "to/large"), (20u << 20) + 3);
  EXPECT_TRUE(mentions(report.to_text(), "pipe (not a regular file)"));
}

TEST_F(ConvertFolder, HalfAndDoubleBecomeTheTypeThatConfigNames) {
  for (const FileDType dtype : {FileDType::f16, FileDType::f64}) {
    const std::string name = name_of(dtype);
    const fs::path from = ones(dtype, name);
    const fs::path bf16_folder = folder / (name + "-bf16"), fp8_folder = folder / (name + "-fp8");
    const ConvertReport narrow = convert(from, bf16_folder, {.dtype = "bf16"});
    const ConvertReport coded = convert(from, fp8_folder, {.dtype = "fp8"});
    const HubTensors hub(make_param_table(read_model_config(from)));
    for (const fs::path& to : {bf16_folder, fp8_folder}) {
      const Checkpoint c = Checkpoint::open(to);
      for (const std::string& tensor : c.names()) {
        const HubRole role = hub.role(tensor);
        const bool small = role == HubRole::full || role == HubRole::bias || role == HubRole::scale;
        const bool block = to == fp8_folder && role == HubRole::block_matrix;
        EXPECT_EQ(c.at(tensor).dtype, small ? FileDType::f32 : block ? FileDType::f8_e4m3 : FileDType::bf16) << tensor;
      }
      EXPECT_EQ(testing::floats_of(to, tiny_bias(1)), std::vector<float>(12, 1));
      EXPECT_EQ(testing::floats_of(to, "lm_head.weight").front(), 1);
    }
    EXPECT_EQ(narrow.other_types.size(), 1u);
    EXPECT_TRUE(mentions(narrow.to_text(), "F32 norms, gates and biases")) << narrow.to_text();
    EXPECT_TRUE(mentions(coded.to_text(), "BF16 embedding, head and MTP projection")) << coded.to_text();
    EXPECT_GT(coded.to_json().at("other_types").as_object().front().second.as_int(), 2);
  }
}

TEST_F(ConvertFolder, TypesThatNothingHereComputesInPass) {
  const fs::path from = rewritten_model(tiny_model(), folder / "from", [&](auto& tensors) {
    const std::vector<std::byte> six = {std::byte{1}, std::byte{2}, std::byte{3},
                                        std::byte{4}, std::byte{5}, std::byte{6}};
    tensors["a"] = {{"a", FileDType::i8, {2, 3}}, six};
    tensors["b"] = {{"b", FileDType::u16, {3}}, six};
    tensors["c"] = {{"c", FileDType::f8_e5m2, {6}}, six};
    tensors["wide"] = {{"wide", FileDType::f64, {1, 2}}, std::vector<std::byte>(16)};
  });
  const ConvertReport report = convert(from, folder / "to", {.dtype = "bf16"});
  const Checkpoint before = Checkpoint::open(from), after = Checkpoint::open(folder / "to");
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(after.at(name).dtype, before.at(name).dtype) << name;
    EXPECT_TRUE(std::equal(after.at(name).bytes.begin(), after.at(name).bytes.end(), before.at(name).bytes.begin()));
  }
  EXPECT_EQ(after.at("wide").dtype, FileDType::bf16);
  EXPECT_EQ(report.other_types.at("I8 not computed in by this program"), 1);
}

TEST_F(ConvertFolder, ScalesThatAreNoNumbersOrNotThere) {
  convert(tiny_model(), folder / "fp8", {.dtype = "fp8"});
  const auto changed = [&](const char* name, auto&& change) {
    return rewritten_model(folder / "fp8", folder / name, change);
  };
  const fs::path nan = changed("nan", [](auto& tensors) { set_scale(tensors[kScales], NAN); });
  const fs::path inf = changed("inf", [](auto& tensors) { set_scale(tensors[kScales], INFINITY); });
  const fs::path gone = changed("gone", [](auto& tensors) { tensors.erase(kScales); });
  for (const char* dtype : {"bf16", "f32"}) {
    for (const fs::path& from : {nan, inf}) {
      const std::string message = error_of(from, folder / "to", {.dtype = dtype});
      EXPECT_TRUE(mentions(message, kMatrix) && mentions(message, "block (0, 0) is")) << message;
    }
  }
  for (const char* dtype : {"bf16", "f32", "fp8", ""}) {
    const std::string message = error_of(gone, folder / "to", {.dtype = dtype});
    EXPECT_TRUE(mentions(message, kMatrix) && mentions(message, "are not there")) << message;
  }
  EXPECT_FALSE(fs::exists(folder / "to"));
  // What stays FP8 passes byte for byte, and the report says what it is.
  const ConvertReport passed = convert(nan, folder / "to", {});
  EXPECT_EQ(passed.ill_scales.size(), 1u);
  EXPECT_TRUE(mentions(passed.to_text(), kMatrix)) << passed.to_text();
}

}  // namespace
}  // namespace ballast
