#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/testing.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

class Safetensors : public ::testing::Test {
 protected:
  // A file with this header (its length field can lie) and this many bytes of data, 0 1 2 ...
  fs::path write(const std::string& name, const std::string& header, size_t data, int64_t length = -1) {
    const uint64_t n = length < 0 ? header.size() : static_cast<uint64_t>(length);
    std::ofstream out(dir_ / name, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&n), sizeof n);
    out << header;
    for (size_t i = 0; i < data; ++i) out.put(static_cast<char>(i));
    return dir_ / name;
  }

  std::string format_error(const std::string& header, size_t data, int64_t length = -1) {
    const fs::path file = write("bad.safetensors", header, data, length);
    try {
      SafetensorsFile{file};
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, ErrorKind::format) << e.what();
      EXPECT_NE(std::string(e.what()).find(file.string()), std::string::npos) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "accepted: " << header;
    return "";
  }

  TemporaryFolder folder_;
  const fs::path dir_ = folder_.path();
};

TEST_F(Safetensors, ReadsWhatTheHeaderSays) {
  const SafetensorsFile file(
      write("a.safetensors",
            R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
            R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
            R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]}}   )",
            11));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.find("a")->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(file.find("b")->dtype, FileDType::u8);
  EXPECT_EQ(file.find("b")->bytes[0], std::byte{8});
  EXPECT_EQ(file.find("none")->elements(), 0);
  EXPECT_EQ(file.find("c"), nullptr);
}

// One tensor of a type that nothing here computes in must not make the others unreadable.
TEST_F(Safetensors, EveryTypeOfTheFormatIsKnownByItsSize) {
  const std::map<std::string, size_t> sizes = {
      {"BOOL", 1},        {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1}, {"F8_E4M3FNUZ", 1},
      {"F8_E5M2FNUZ", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},     {"BF16", 2},    {"I32", 4},     {"U32", 4},
      {"F32", 4},         {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  std::string header = "{";
  size_t end = 0;
  for (const auto& [name, size] : sizes) {
    header += (end ? "," : "") +
              fmt::format(R"("{0}":{{"dtype":"{0}","shape":[3],"data_offsets":[{1},{2}]}})", name, end, end + 3 * size);
    end += 3 * size;
  }
  const Checkpoint c = Checkpoint::open(write("a.safetensors", header + "}", end));
  for (const auto& [name, size] : sizes) {
    EXPECT_STREQ(name_of(c.at(name).dtype), name.c_str());
    EXPECT_EQ(c.at(name).bytes.size(), 3 * size) << name;
    EXPECT_EQ(c.at(name).elements(), 3) << name;
  }
  std::vector<float> out(3);
  try {
    c.read("I8", std::vector<int64_t>{3}, std::span<float>(out));
    ADD_FAILURE() << "read";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::unsupported);
    EXPECT_NE(std::string(e.what()).find("tensor 'I8': is of dtype I8"), std::string::npos) << e.what();
  }
}

TEST_F(Safetensors, ShardsWithoutTheirIndexAreNamed) {
  const auto message = [&] {
    try {
      Checkpoint::open(dir_);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message().find("holds neither"), std::string::npos) << message();
  write("weights-1.safetensors", "{}", 0);
  write("weights-2.safetensors", "{}", 0);
  EXPECT_NE(message().find("weights-1.safetensors, weights-2.safetensors"), std::string::npos) << message();
  EXPECT_NE(message().find("model.safetensors.index.json"), std::string::npos) << message();
}

TEST_F(Safetensors, BadFilesNameFileAndTensor) {
  const auto mentions = [](const std::string& message, const char* what) {
    EXPECT_NE(message.find(what), std::string::npos) << message;
  };
  const auto one = [](const std::string& entry) { return R"({"wte":{)" + entry + "}}"; };
  mentions(format_error("{}", 0, 100), "truncated");
  mentions(format_error("{}", 0, INT64_MAX), "truncated");
  mentions(format_error("[]", 0), "not a JSON object");
  mentions(format_error("{\"a\":", 0), "header");
  mentions(format_error("{\"\xff\xfe\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "header");
  mentions(format_error(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 4), "wte");       // truncated
  mentions(format_error(one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), 8), "12 bytes");  // mislabelled
  mentions(format_error(one(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])"), 8), "16 bytes");
  mentions(format_error(one(R"("dtype":"Q4","shape":[2],"data_offsets":[0,8])"), 8), "Q4");
  mentions(format_error(one(R"("dtype":"U8","shape":[-2],"data_offsets":[0,8])"), 8), "negative");
  mentions(format_error(one(R"("dtype":"U8","shape":[2],"data_offsets":[-2,0])"), 8), "negative");
  mentions(format_error(one(R"("dtype":"U8","shape":[2],"data_offsets":[4,2])"), 8), "wte");
  mentions(format_error(one(R"("dtype":"U8","shape":[2.5],"data_offsets":[0,2])"), 2), "wte");
  mentions(format_error(one(R"("dtype":"U8","shape":[2],"data_offsets":[0])"), 2), "two numbers");
  mentions(format_error(one(R"("dtype":"U8","shape":2,"data_offsets":[0,2])"), 2), "wte");
  mentions(format_error(one(R"("dtype":"U8","shape":[2])"), 2), "data_offsets");
  mentions(format_error(one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"), 8), "64 bits");
  mentions(format_error(one(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])"), 0), "64 bits");
  mentions(format_error(one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2])"), 3), "after the last");
  mentions(format_error(one(R"("dtype":"U8","shape":[2],"data_offsets":[1,3])"), 3), "hole");
  mentions(format_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                        R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                        3),
           "'b': overlaps");
  mentions(format_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                        R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                        2),
           "a");
  mentions(format_error(R"({"__metadata__":{"format":1}})", 0), "format");
  std::ofstream(dir_ / "short.safetensors") << "abc";
  EXPECT_THROW(SafetensorsFile{dir_ / "short.safetensors"}, Error);
  EXPECT_THROW(SafetensorsFile{dir_ / "absent.safetensors"}, Error);
}

// Every prefix of a good file, and every single-byte change of its header, is refused or read; nothing else happens.
TEST_F(Safetensors, DamagedFilesNeverCrash) {
  const fs::path good = write("good.safetensors",
                              R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                              R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
                              11);
  const std::string text = read_file(good);
  int refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    std::ofstream(dir_ / "damaged.safetensors", std::ios::binary) << bytes;
    try {
      const SafetensorsFile file(dir_ / "damaged.safetensors");
      size_t total = 0;
      for (const auto& [name, tensor] : file.tensors()) total += tensor.bytes.size();
      EXPECT_EQ(total, 11u);
    } catch (const Error&) {
      ++refused;
    }
  };
  for (size_t n = 0; n < text.size(); ++n) attempt(text.substr(0, n));
  EXPECT_EQ(refused, static_cast<int>(text.size()));
  for (size_t i = 0; i + 11 < text.size(); ++i)
    for (const char c : {'\0', '9', '"', '[', '\xff'}) {
      std::string bytes = text;
      bytes[i] = c;
      attempt(bytes);
    }
}

TEST_F(Safetensors, ReadsWithConversion) {
  // 1.5 as F64, F32, F16, BF16; -2^-24 (the smallest subnormal) as F16; an unaligned F32; an I32.
  const std::string header =
      R"({"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"f":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
      R"("h":{"dtype":"F16","shape":[4],"data_offsets":[12,20]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[20,22]},)"
      R"("u":{"dtype":"BOOL","shape":[1],"data_offsets":[22,23]},"odd":{"dtype":"F32","shape":[1],"data_offsets":[23,27]},)"
      R"("i":{"dtype":"I32","shape":[1],"data_offsets":[27,31]},"e":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[31,32]}})";
  std::string data(32, '\0');
  const double d = 1.5;
  const float f = 1.5f;
  const uint16_t h[4] = {0x3e00, 0x8001, 0x7c00, 0x3555}, b = 0x3fc0;
  const int32_t i = -7;
  std::memcpy(&data[0], &d, 8), std::memcpy(&data[8], &f, 4), std::memcpy(&data[12], h, 8);
  std::memcpy(&data[20], &b, 2), data[22] = 1, std::memcpy(&data[23], &f, 4), std::memcpy(&data[27], &i, 4);
  const uint64_t n = header.size();
  std::ofstream(dir_ / "x.safetensors", std::ios::binary)
      << std::string_view(reinterpret_cast<const char*>(&n), 8) << header << data;

  const Checkpoint checkpoint = Checkpoint::open(dir_ / "x.safetensors");
  const std::vector<int64_t> one{1}, four{4}, scalar{};
  for (const char* name : {"d", "b", "odd"}) {
    float out = 0;
    checkpoint.read(name, one, std::span(&out, 1));
    EXPECT_EQ(out, 1.5f) << name;
  }
  double x = 0;
  checkpoint.read("f", scalar, std::span(&x, 1));
  EXPECT_EQ(x, 1.5);
  float halves[4];
  checkpoint.read("h", four, halves);
  EXPECT_EQ(halves[0], 1.5f);
  EXPECT_EQ(halves[1], -0x1p-24f);
  EXPECT_EQ(halves[2], INFINITY);
  EXPECT_EQ(halves[3], 0x1.554p-2f);
  int64_t whole = 0;
  checkpoint.read("i", one, std::span(&whole, 1));
  EXPECT_EQ(whole, -7);
  checkpoint.read("u", one, std::span(&whole, 1));
  EXPECT_EQ(whole, 1);

  const auto kind = [&](auto&& call) -> std::pair<ErrorKind, std::string> {
    try {
      call();
    } catch (const Error& e) {
      return {e.kind, e.what()};
    }
    return {ErrorKind::device, "no error"};
  };
  const auto [shape_kind, message] = kind([&] { checkpoint.read("h", one, std::span(&x, 1)); });
  EXPECT_EQ(shape_kind, ErrorKind::shape);
  for (const char* part : {"x.safetensors", "'h'", "expected shape (1)", "found (4)"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(kind([&] { checkpoint.read("e", one, std::span(&x, 1)); }).first, ErrorKind::unsupported);
  EXPECT_EQ(kind([&] { checkpoint.read("d", one, std::span(&whole, 1)); }).first, ErrorKind::unsupported);
  EXPECT_EQ(kind([&] { checkpoint.at("nope"); }).first, ErrorKind::format);
}

TEST_F(Safetensors, Shards) {
  write("model-00001-of-00002.safetensors", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2);
  write("model-00002-of-00002.safetensors", R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3);
  const auto index = [&](const std::string& map) {
    std::ofstream(dir_ / "model.safetensors.index.json") << R"({"metadata":{},"weight_map":)" << map << "}";
  };
  EXPECT_THROW(Checkpoint::open(dir_), Error);  // neither file nor index
  index(R"({"b":"model-00002-of-00002.safetensors","a":"model-00001-of-00002.safetensors"})");
  const Checkpoint checkpoint = Checkpoint::open(dir_);
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.total_bytes(), 5u);
  EXPECT_EQ(checkpoint.file_of("b").filename(), "model-00002-of-00002.safetensors");
  for (const char* bad : {R"({"a":"model-00002-of-00002.safetensors"})", R"({"a":"../model.safetensors"})",
                          R"({"a":"model-00003-of-00002.safetensors"})", R"({"a":5})", R"([])"}) {
    index(bad);
    EXPECT_THROW(Checkpoint::open(dir_), Error) << bad;
  }
}

// Files that PyTorch and safetensors wrote.
TEST_F(Safetensors, ReadsSomeElements) {
  const SafetensorsFile file(write("a.safetensors",
                                   R"({"h":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},)"
                                   R"("q":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[8,11]}})",
                                   11));
  std::vector<float> two(2);
  EXPECT_TRUE(read_elements(*file.find("h"), 1, two));
  EXPECT_EQ(two[0], std::ldexp(0x302, -24));  // bytes 2 and 3: a subnormal
  EXPECT_EQ(two[1], (1 + 0x104 / 1024.0f) * std::ldexp(1, -14));
  EXPECT_FALSE(read_elements(*file.find("q"), 0, two));
}

TEST(SafetensorsGoldens, Open) {
  const fs::path goldens = shared_dir() / "data/goldens";
  SKIP_WITHOUT(goldens);
  for (const char* model : {"v3", "moonlight", "v2-lite", "v2", "v3-fp8"}) {
    const Checkpoint checkpoint = Checkpoint::open(goldens / model);
    EXPECT_TRUE(checkpoint.contains("model.embed_tokens.weight")) << model;
    const Checkpoint reference = Checkpoint::open(goldens / model / "reference.safetensors");
    const FileTensor& ids = reference.at("input_ids");
    std::vector<int64_t> values(ids.elements());
    reference.read("input_ids", ids.shape, values);
    for (const int64_t id : values) ASSERT_TRUE(id >= 0 && id < 263) << model;
  }
}

}  // namespace
}  // namespace ballast
