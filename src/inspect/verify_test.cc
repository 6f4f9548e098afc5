#include "inspect/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

void expect_okay(const fs::path& folder, DeviceKind kind, DType storage, size_t at_least = 50) {
  auto device = Device::make(kind);
  const Verification v = verify(folder, *device, storage);
  EXPECT_GE(v.quantities.size(), at_least) << folder;
  EXPECT_TRUE(v.okay()) << folder << "\n" << v.worst_by_group();
  if (std::getenv("BALLAST_VERBOSE")) std::fputs(v.worst_by_group().c_str(), stderr);
}

fs::path own() { return fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }

TEST(Verify, OwnReferenceOnRefF64) { expect_okay(own(), DeviceKind::ref, DType::f64); }
TEST(Verify, OwnReferenceOnRefF32) { expect_okay(own(), DeviceKind::ref, DType::f32); }
TEST(Verify, OwnReferenceOnCpu) { expect_okay(own(), DeviceKind::cpu, DType::f32); }

TEST(Verify, SharedGoldens) {
  const fs::path goldens = shared_dir() / "data/goldens";
  SKIP_WITHOUT(goldens);
  for (const char* name : {"v3", "moonlight", "v2", "v2-lite", "v3-fp8"}) {
    const size_t at_least = std::string_view(name) == "v3-fp8" ? 15 : 80;  // no gradients and no training there
    expect_okay(goldens / name, DeviceKind::ref, DType::f64, at_least);
    expect_okay(goldens / name, DeviceKind::cpu, DType::f32, at_least);
  }
}

// Shapes of all four families that transformers computes here and now (tools/make_reference.py --random).
// BALLAST_RANDOM_SHAPES sets how many, BALLAST_PYTHON the interpreter. From number 4 on: three of the eight are in FP8.
TEST(SlowVerify, RandomShapesOfTheFamily) {
  const char* set = std::getenv("BALLAST_RANDOM_SHAPES");
  const std::string count = set ? set : "8";
  if (!python_accepts("import torch, transformers, safetensors"))
    GTEST_SKIP() << python_program() << " has no torch, transformers and safetensors; BALLAST_PYTHON names another";
  const TemporaryFolder folder;
  const std::string script = (fs::path(BALLAST_SOURCE_DIR) / "tools/make_reference.py").string();
  ASSERT_EQ(run_python({script, "--seed", "4", "--random", count, "--out", folder.path().string()}), 0);
  std::vector<fs::path> made;
  for (const auto& entry : fs::directory_iterator(folder.path())) made.push_back(entry.path());
  std::sort(made.begin(), made.end());
  EXPECT_EQ(std::to_string(made.size()), count);
  for (const fs::path& shape : made) {
    expect_okay(shape, DeviceKind::ref, DType::f64, 15);
    expect_okay(shape, DeviceKind::cpu, DType::f32, 15);
  }
}

// A copy of the small reference with something changed; what verify says of it.
class DamagedReference : public FolderTest {
 protected:
  void SetUp() override { fs::copy(own(), copy_, fs::copy_options::recursive); }
  void set_config(const std::vector<std::pair<std::string, std::string>>& values) {
    Json config = Json::read(copy_ / "config.json");
    for (const auto& [key, value] : values) config[key] = value;
    write_file_atomic(copy_ / "config.json", config.dump());
  }
  // The header of reference.safetensors, as a tensor's entry {dtype, shape, data_offsets}, and the bytes behind it.
  void edit(const std::string& tensor, const std::function<void(Json&, std::span<int64_t>)>& change) {
    const fs::path file = copy_ / "reference.safetensors";
    std::string bytes = read_file(file);
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    Json header = Json::parse(bytes.substr(sizeof size, size), file.string());
    std::string data = bytes.substr(sizeof size + size);
    const auto offsets = header.at(tensor).at("data_offsets").as_array();
    const int64_t begin = offsets[0].as_int(), end = offsets[1].as_int();
    std::vector<int64_t> values(static_cast<size_t>((end - begin) / 8));
    std::memcpy(values.data(), data.data() + begin, values.size() * 8);
    change(header[tensor], values);
    std::memcpy(data.data() + begin, values.data(), values.size() * 8);
    const std::string text = header.dump();
    size = text.size();
    write_file_atomic(file, std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + data);
  }
  void expect_refused(const std::vector<std::string>& said) {
    const auto device = Device::make(DeviceKind::cpu, 1);
    try {
      verify(copy_, *device, DType::f32);
      ADD_FAILURE() << "verified";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, ErrorKind::format);
      for (const std::string& each : said) EXPECT_NE(std::string(e.what()).find(each), std::string::npos) << e.what();
    }
  }
  const fs::path copy_ = folder / "copy";
};

TEST_F(DamagedReference, ARouterWithoutTheBiasOfTheReference) {
  set_config({{"scoring_func", "softmax"}, {"topk_method", "greedy"}});
  expect_refused({"reference.safetensors", "train.sign.bias.1", "softmax, greedy"});
}

TEST_F(DamagedReference, TokensThatTheModelDoesNotHave) {
  for (const char* name : {"input_ids", "train_ids", "greedy"})
    for (const int64_t id : {int64_t{-1}, int64_t{67}, int64_t{1} << 40}) {
      int64_t before = 0;
      edit(name, [&](Json&, std::span<int64_t> ids) { before = std::exchange(ids[1], id); });
      expect_refused({name, std::to_string(id), "vocabulary of 67"});
      edit(name, [&](Json&, std::span<int64_t> ids) { ids[1] = before; });
    }
}

TEST_F(DamagedReference, TokensInAnotherShape) {
  for (const char* name : {"input_ids", "train_ids", "greedy"}) {
    Json before;
    edit(name, [&](Json& entry, std::span<int64_t> ids) {
      before = std::exchange(entry["shape"], Json(Json::Array{Json(std::ssize(ids))}));
    });
    expect_refused({name, "axes"});
    edit(name, [&](Json& entry, std::span<int64_t>) { entry["shape"] = before; });
  }
}

TEST(Verify, SaysWhatIsMissing) {
  auto device = Device::make(DeviceKind::cpu, 1);
  EXPECT_THROW(verify("/nonexistent", *device, DType::f32), Error);
}

}  // namespace
}  // namespace ballast
