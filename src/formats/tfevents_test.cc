#include "formats/tfevents.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/testing.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

// A reader of what the writer should have written, from the definitions of TFRecord and of protocol buffers.
struct Cursor {
  std::string_view rest;
  template <class T>
  T raw() {
    T v;
    EXPECT_LE(sizeof v, rest.size());
    std::memcpy(&v, rest.data(), sizeof v);
    rest.remove_prefix(sizeof v);
    return v;
  }
  std::string_view take(size_t n) {
    const auto part = rest.substr(0, n);
    EXPECT_EQ(part.size(), n);
    rest.remove_prefix(part.size());
    return part;
  }
  uint64_t varint() {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t b = raw<uint8_t>();
      v |= uint64_t{b & 127u} << shift;
      if (b < 128) return v;
    }
  }
};

struct Event {
  double wall_time = 0;
  int64_t step = -1;
  std::string version;
  std::vector<std::pair<std::string, float>> scalars;
};

std::pair<std::string, float> parse_value(std::string_view bytes) {
  Cursor c{bytes};
  std::pair<std::string, float> value;
  while (!c.rest.empty()) {
    const uint64_t key = c.varint();
    if (key == (1 << 3 | 2))
      value.first = c.take(c.varint());
    else if (key == (2 << 3 | 5))
      value.second = c.raw<float>();
    else
      ADD_FAILURE() << "key " << key;
  }
  return value;
}

Event parse_event(std::string_view bytes) {
  Cursor c{bytes};
  Event event;
  while (!c.rest.empty()) {
    const uint64_t key = c.varint();
    if (key == (1 << 3 | 1))
      event.wall_time = c.raw<double>();
    else if (key == (2 << 3 | 0))
      event.step = static_cast<int64_t>(c.varint());
    else if (key == (3 << 3 | 2))
      event.version = c.take(c.varint());
    else if (key == (5 << 3 | 2)) {
      for (Cursor s{c.take(c.varint())}; !s.rest.empty();) {
        EXPECT_EQ(s.varint(), 1u << 3 | 2);
        event.scalars.push_back(parse_value(s.take(s.varint())));
      }
    } else
      ADD_FAILURE() << "key " << key;
  }
  return event;
}

std::vector<Event> parse_file(const fs::path& path) {
  const auto masked = [](std::string_view data) {
    const uint32_t crc = crc32c(data);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
  };
  const std::string text = read_file(path);
  std::vector<Event> events;
  for (Cursor c{text}; !c.rest.empty();) {
    const std::string_view head = c.rest.substr(0, 8);
    const auto length = c.raw<uint64_t>();
    EXPECT_EQ(c.raw<uint32_t>(), masked(head));
    const std::string_view data = c.take(length);
    EXPECT_EQ(c.raw<uint32_t>(), masked(data));
    events.push_back(parse_event(data));
  }
  return events;
}

TEST(TfEvents, FramesParseBackAndResume) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "events.out.tfevents.1.run";
  uint64_t checkpoint = 0;
  {
    EventWriter events(path, 1000.5);
    const EventScalar scalars[] = {{"train/loss", 2.5f}, {"lr", 1e-3f}};
    events.add(1, 1001.5, scalars);
    events.flush();
    checkpoint = events.offset();
    EXPECT_EQ(checkpoint, fs::file_size(path));
    events.add(2, 1002.5, scalars);
    events.flush();
  }
  {
    EventWriter events(path, checkpoint);
    const EventScalar scalars[] = {{"val/loss", -1.0f}};
    events.add(int64_t{1} << 40, 1003.5, scalars);
    events.flush();
  }
  const auto events = parse_file(path);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[0].wall_time, 1000.5);
  EXPECT_EQ(events[1].step, 1);
  EXPECT_EQ(events[1].scalars, (std::vector<std::pair<std::string, float>>{{"train/loss", 2.5f}, {"lr", 1e-3f}}));
  EXPECT_EQ(events[2].step, int64_t{1} << 40);
  EXPECT_EQ(events[2].wall_time, 1003.5);
  EXPECT_EQ(events[2].scalars[0].first, "val/loss");
  EXPECT_THROW(EventWriter(path, fs::file_size(path) + 1), Error);
  EXPECT_THROW(EventWriter(folder.path() / "absent", uint64_t{0}), Error);
  EXPECT_THROW(EventWriter(folder.path() / "no/such/folder", 1.0), Error);
}

TEST(TfEvents, OpensInTensorBoard) {
  const std::string import =
      "import sys; from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as A";
  if (!python_accepts(import)) GTEST_SKIP() << "Python has no tensorboard";
  const TemporaryFolder folder;
  {
    EventWriter events(folder.path() / "events.out.tfevents.1.run", 1000.5);
    for (int step = 0; step < 3; ++step) {
      const EventScalar scalars[] = {{"train/loss", 2.5f - static_cast<float>(step)}};
      events.add(step, 1000.0 + step, scalars);
    }
    events.flush();
  }
  EXPECT_TRUE(python_accepts(import + "; a = A(sys.argv[1]); a.Reload(); "
                                      "assert [(e.step, e.value) for e in a.Scalars('train/loss')] == "
                                      "[(0, 2.5), (1, 1.5), (2, 0.5)]",
                             folder.path()));
}

}  // namespace
}  // namespace ballast
