#include "formats/safetensors_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

const std::vector<TensorSpec> kTensors = {{"half", FileDType::bf16, {3}},    {"bytes", FileDType::u8, {5}},
                                          {"w", FileDType::f32, {2, 3}},     {"none", FileDType::f32, {0, 7}},
                                          {"count", FileDType::i64, {1, 1}}, {"scalar", FileDType::f32, {}}};

// Tensor i is filled with bytes i, i + 1, ...; passed in two pieces.
std::vector<std::byte> content(size_t i) {
  std::vector<std::byte> bytes(kTensors[i].bytes());
  for (size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::byte>(i + k);
  return bytes;
}
void source(size_t i, const TensorSink& sink) {
  const auto bytes = content(i);
  const size_t half = bytes.size() / 2;
  sink(std::span(bytes).first(half));
  sink(std::span(bytes).subspan(half));
}

void expect_content(const Checkpoint& checkpoint) {
  ASSERT_EQ(checkpoint.names().size(), kTensors.size());
  for (size_t i = 0; i < kTensors.size(); ++i) {
    const FileTensor& tensor = checkpoint.at(kTensors[i].name);
    EXPECT_EQ(tensor.dtype, kTensors[i].dtype);
    EXPECT_EQ(tensor.shape, kTensors[i].shape);
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, content(i))) << kTensors[i].name;
    // the mapping is page-aligned, so this is the alignment in the file
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % size_of(tensor.dtype), 0u) << kTensors[i].name;
  }
}

std::vector<std::string> listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(SafetensorsWriter, OneFile) {
  const TemporaryFolder folder;
  write_model_folder(folder.path() / "new/model", kTensors, source);
  EXPECT_EQ(listing(folder.path() / "new/model"), std::vector<std::string>{"model.safetensors"});
  expect_content(Checkpoint::open(folder.path() / "new/model"));
  write_safetensors(folder.path() / "b.safetensors", kTensors, source);
  EXPECT_EQ(read_file(folder.path() / "b.safetensors"), read_file(folder.path() / "new/model/model.safetensors"));
  write_safetensors(folder.path() / "empty.safetensors", {}, source, {});
  EXPECT_TRUE(SafetensorsFile(folder.path() / "empty.safetensors").tensors().empty());
}

TEST(SafetensorsWriter, ShardsAndIndex) {
  const TemporaryFolder folder;
  write_model_folder(folder.path(), kTensors, source);  // leaves a model.safetensors behind, which must go
  write_model_folder(folder.path(), kTensors, source, 24);
  // 6 + 5 bytes | 24 + 0 | 8 + 4
  EXPECT_EQ(listing(folder.path()),
            (std::vector<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                      "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  expect_content(checkpoint);
  EXPECT_EQ(checkpoint.file_of("w").filename(), "model-00002-of-00003.safetensors");
  const Json index = Json::read(folder.path() / "model.safetensors.index.json");
  EXPECT_EQ(index.at("metadata").at("total_size").as_int(), 47);
  write_model_folder(folder.path(), kTensors, source);
  EXPECT_EQ(listing(folder.path()), std::vector<std::string>{"model.safetensors"});
}

TEST(SafetensorsWriter, FailureLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_model_folder(folder.path(), kTensors, source);
  const std::string before = read_file(folder.path() / "model.safetensors");
  const TensorSource failing = [](size_t i, const TensorSink& sink) {
    if (i == 2) fail(ErrorKind::device, "", "lost");
    source(i, sink);
  };
  EXPECT_THROW(write_model_folder(folder.path(), kTensors, failing, 24), Error);
  EXPECT_EQ(listing(folder.path()), std::vector<std::string>{"model.safetensors"});
  EXPECT_EQ(read_file(folder.path() / "model.safetensors"), before);
  std::ofstream(folder.path() / "file") << "in the way";
  EXPECT_THROW(write_model_folder(folder.path() / "file", kTensors, source), Error);
}

TEST(SafetensorsWriterDeathTest, SourceMustDeliverEveryByte) {
  const TemporaryFolder folder;
  EXPECT_DEATH(write_safetensors(folder.path() / "x", {{"w", FileDType::f32, {4}}}, [](size_t, const TensorSink&) {}),
               "offset");
}

TEST(SafetensorsWriter, OpensInPython) {
  if (!python_accepts("import safetensors, numpy")) GTEST_SKIP() << "Python has no safetensors and numpy";
  const TemporaryFolder folder;
  const std::vector<TensorSpec> tensors = {{"b", FileDType::u8, {3}}, {"w", FileDType::f32, {2, 3}}};
  const float w[] = {0, 1, 2, 3, 4, 0.5f};
  write_safetensors(folder.path() / "x.safetensors", tensors, [&](size_t i, const TensorSink& sink) {
    sink(i == 1 ? std::as_bytes(std::span(w)) : std::as_bytes(std::span("abc", 3)));
  });
  EXPECT_TRUE(
      python_accepts("import sys; from safetensors import safe_open; "
                     "f = safe_open(sys.argv[1], 'np'); assert f.metadata() == {'format': 'pt'}; "
                     "assert f.get_tensor('w').tolist() == [[0, 1, 2], [3, 4, 0.5]]; "
                     "assert bytes(f.get_tensor('b')) == b'abc'",
                     folder.path() / "x.safetensors"));
}

}  // namespace
}  // namespace ballast
