#include "report/run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace ballast::report {
namespace {

namespace fs = std::filesystem;

std::string read_optional(const fs::path& file) { return fs::exists(file) ? read_file(file) : std::string(); }

template <class Use>
void each_record(const fs::path& file, Use&& use) {
  const std::string text = read_optional(file);
  int line = 1;
  for (size_t begin = 0; begin < text.size(); ++line) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;
    const std::string_view record = std::string_view(text).substr(begin, end - begin);
    const std::string where = file.string() + ":" + std::to_string(line);
    if (record.find_first_not_of(" \t\r") != std::string_view::npos) use(Json::parse(record, where), where);
    begin = end + 1;
  }
}

std::string string_or_empty(const Json& record, std::string_view key) {
  const Json* value = record.find(key);
  return value && value->is_string() ? value->as_string() : std::string();
}

void read_metrics(Run& run) {
  each_record(run.folder / "metrics.jsonl", [&](const Json& record, const std::string& where) {
    const Json* step = record.is_object() ? record.find("step") : nullptr;
    if (!step) return;  // a header or an event
    const int64_t at = step->as_int(where);
    for (const auto& [key, value] : record.as_object(where))
      if (key != "step" && value.is_number()) run.metrics[key].push_back({at, value.as_double(where)});
  });
}

// The value of a key of the header's Python dictionary, up to the comma or bracket that ends it.
std::string header_value(const std::string& header, std::string_view key, const std::string& where) {
  const size_t at = header.find("'" + std::string(key) + "'");
  const size_t colon = at == std::string::npos ? at : header.find(':', at);
  if (colon == std::string::npos) fail(ErrorKind::format, where, "npy header lacks '{}'", key);
  const size_t begin = header.find_first_not_of(' ', colon + 1);
  if (begin == std::string::npos) fail(ErrorKind::format, where, "npy header ends after '{}'", key);
  const size_t end = header[begin] == '(' ? header.find(')', begin) : header.find_first_of(",}", begin);
  if (end == std::string::npos) fail(ErrorKind::format, where, "npy header ends inside '{}'", key);
  return header.substr(begin, end - begin);
}

std::vector<int64_t> parse_shape(const std::string& text, const std::string& where) {
  std::vector<int64_t> shape;
  for (size_t i = 0; i < text.size();) {
    if (text[i] < '0' || text[i] > '9') {
      ++i;
      continue;
    }
    int64_t extent = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
      extent = extent * 10 + (text[i] - '0');
      if (extent > int64_t{1} << 40) fail(ErrorKind::format, where, "npy shape ({}) is too large", text.substr(1));
    }
    shape.push_back(extent);
  }
  return shape;
}

}  // namespace

double Loads::fair_load() const {
  double sum = 0;
  for (const int64_t c : count) sum += static_cast<double>(c);
  return count.empty() ? 0 : sum / static_cast<double>(count.size());
}

Loads read_loads(const fs::path& file) {
  const std::string bytes = read_file(file), where = file.string();
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) fail(ErrorKind::format, where, "not an npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const size_t version = byte(6);
  if (version != 1 && version != 2) fail(ErrorKind::format, where, "npy format {}.x is not known", version);
  const size_t begin = version == 1 ? 10 : 12;
  const size_t length =
      version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - begin) fail(ErrorKind::format, where, "truncated inside the npy header");
  const std::string header = bytes.substr(begin, length);
  const std::string dtype = header_value(header, "descr", where);
  if (dtype != "'<i8'") fail(ErrorKind::format, where, "dtype {} where int64 ('<i8') is expected", dtype);
  if (header_value(header, "fortran_order", where) != "False")
    fail(ErrorKind::format, where, "Fortran order where C order is expected");
  const std::vector<int64_t> shape = parse_shape(header_value(header, "shape", where), where);
  if (shape.size() != 3)
    fail(ErrorKind::format, where, "{} dimensions where [steps, layers, experts] is expected", shape.size());
  Loads loads{shape[0], shape[1], shape[2], {}};
  const double cells = static_cast<double>(shape[0]) * static_cast<double>(shape[1]) * static_cast<double>(shape[2]);
  const size_t held = (bytes.size() - begin - length) / sizeof(int64_t);
  if (cells > static_cast<double>(held))
    fail(ErrorKind::format, where, "truncated: the header promises {:.0f} numbers, the file holds {}", cells, held);
  loads.count.resize(static_cast<size_t>(cells));
  if (!loads.count.empty()) std::memcpy(loads.count.data(), bytes.data() + begin + length, loads.count.size() * 8);
  return loads;
}

const std::vector<Sample>& Run::metric(std::string_view key) const {
  static const std::vector<Sample> kNone;
  const auto found = metrics.find(key);
  return found == metrics.end() ? kNone : found->second;
}

std::optional<double> Run::tokens_at(int64_t step) const {
  const std::vector<Sample>& known = metric("tokens");
  if (known.empty()) return std::nullopt;
  const auto after = std::lower_bound(known.begin(), known.end(), step,
                                      [](const Sample& sample, int64_t wanted) { return sample.step < wanted; });
  if (after != known.end() && after->step == step) return after->value;
  const Sample before = after == known.begin() ? Sample{0, 0} : *(after - 1);
  if (after == known.end()) return before.step > 0 ? before.value * step / before.step : before.value;
  if (after->step == before.step) return after->value;
  return before.value + (after->value - before.value) * (step - before.step) / (after->step - before.step);
}

Run load_run(const fs::path& folder) {
  Run run;
  run.folder = folder;
  run.name = folder.filename().empty() ? folder.parent_path().filename().string() : folder.filename().string();
  run.config = read_optional(folder / "config.toml");
  read_metrics(run);
  if (fs::exists(folder / "loads.npy")) run.loads = read_loads(folder / "loads.npy");
  each_record(folder / "samples.jsonl", [&](const Json& record, const std::string& where) {
    const Json* step = record.is_object() ? record.find("step") : nullptr;
    run.samples.push_back(
        {step ? step->as_int(where) : 0, string_or_empty(record, "prompt"), string_or_empty(record, "text")});
  });
  return run;
}

RunGroup load_group(const fs::path& folder) {
  if (!fs::is_directory(folder)) fail(ErrorKind::file, folder.string(), "no such run folder");
  RunGroup group;
  group.folder = folder;
  Run own = load_run(folder);
  group.name = own.name;
  group.config = own.config;
  const fs::path summary = folder / "summary.json";
  group.summary = fs::exists(summary) ? Json::read(summary) : Json::object();
  if (!group.summary.is_object()) fail(ErrorKind::format, summary.string(), "an object is expected");
  if (!own.metrics.empty()) {
    group.runs.push_back(std::move(own));
    return group;
  }
  std::vector<fs::path> arms;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && fs::exists(entry.path() / "metrics.jsonl")) arms.push_back(entry.path());
  const auto rank = [](const fs::path& arm) {
    static constexpr std::array<std::string_view, 3> kOrder{"none", "aux_global", "sign_centered"};
    return std::find(kOrder.begin(), kOrder.end(), arm.filename().string()) - kOrder.begin();
  };
  std::sort(arms.begin(), arms.end(),
            [&](const fs::path& a, const fs::path& b) { return std::pair(rank(a), a) < std::pair(rank(b), b); });
  for (const fs::path& arm : arms) group.runs.push_back(load_run(arm));
  return group;
}

const Json* lookup(const Json& tree, std::initializer_list<std::string_view> path) {
  const Json* at = &tree;
  for (const std::string_view key : path) {
    at = at->is_object() ? at->find(key) : nullptr;
    if (!at) return nullptr;
  }
  return at->is_null() ? nullptr : at;
}

std::optional<double> number(const Json& tree, std::initializer_list<std::string_view> path) {
  const Json* value = lookup(tree, path);
  if (!value || !value->is_number()) return std::nullopt;
  return value->as_double();
}

std::string text(const Json& tree, std::initializer_list<std::string_view> path) {
  const Json* value = lookup(tree, path);
  if (!value) return {};
  return value->is_string() ? value->as_string() : value->dump();
}

std::vector<Sample> running_mean(const std::vector<Sample>& samples, int64_t window) {
  std::vector<Sample> out;
  double sum = 0;
  size_t first = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    sum += samples[i].value;
    while (samples[first].step <= samples[i].step - window) sum -= samples[first++].value;
    out.push_back({samples[i].step, sum / static_cast<double>(i - first + 1)});
  }
  return out;
}

}  // namespace ballast::report
