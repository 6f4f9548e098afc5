#include "inspect/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <numeric>
#include <optional>
#include <set>

#include "base/checksums.h"
#include "base/error.h"
#include "base/file.h"
#include "base/human.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "base/utf8.h"
#include "formats/safetensors_writer.h"
#include "inspect/carried_files.h"
#include "inspect/weight_statistics.h"
#include "model/hub_tensors.h"
#include "model/weights.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kTaskElements = 1 << 18;  // of a worker's task, at least
constexpr size_t kPassedBytes = size_t{16} << 20;
constexpr uint64_t kMostFiles = 512;  // all are open until the last is written

enum class Work {
  pass,    // the stored bytes
  values,  // read as f32, written as f32 or bf16
  codes,   // quantized: e4m3
  scales,  // and the scales of that
  center   // minus the mean
};

// A tensor to be written.
struct Planned {
  std::string source;
  Work work;
};

bool is_floating(FileDType t) {
  return t == FileDType::f64 || t == FileDType::f32 || t == FileDType::f16 || t == FileDType::bf16;
}

// Rows and columns; more axes than two are rows.
Fp8Shape matrix_of(const std::vector<int64_t>& shape) {
  const int64_t cols = shape.empty() ? 1 : shape.size() == 1 ? 1 : shape.back();
  const int64_t n = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  return {cols == 0 ? 0 : n / cols, cols};
}

class Converter {
 public:
  Converter(const fs::path& from, const ConvertOptions& options)
      : options_(options),
        source_(Checkpoint::open(from)),
        hub_(make_param_table(read_model_config(from, source_))),
        pool_(options.threads),
        changes_(static_cast<size_t>(pool_.size())) {
    if (!options.compare.empty()) original_.emplace(Checkpoint::open(options.compare));
    report_.compared = original_.has_value();
    report_.bytes_before = source_.total_bytes();
    if (options.dtype.empty() || options.dtype == "fp8") report_.ill_scales = fp8_statistics(source_).bad;
    std::set<std::string> ordered;
    for (const std::string& name : hub_.names()) {
      if (!source_.contains(name))
        ++report_.missing;
      else if (ordered.insert(name).second)
        plan(name);
    }
    for (const std::string& name : source_.names())
      if (!ordered.count(name) && !settled_scales_.count(name)) plan(name);
    for (const TensorSpec& t : specs_) report_.bytes_after += t.bytes();
    if (report_.bytes_after / options.max_shard_bytes > kMostFiles)
      fail(ErrorKind::usage, "--shard-size", "would make about {} files; {} are the most",
           report_.bytes_after / options.max_shard_bytes, kMostFiles);
  }

  const Checkpoint& source() const { return source_; }
  uint64_t bytes_after() const { return report_.bytes_after; }

  ConvertReport write(const fs::path& folder) {
    Progress progress("convert", static_cast<int64_t>(report_.bytes_after), "bytes");
    progress_ = &progress;
    write_model_folder(
        folder, specs_, [&](size_t i, const TensorSink& sink) { write_tensor(i, sink); }, options_.max_shard_bytes);
    progress.finish();
    for (const Fp8Change& change : changes_) report_.change += change;
    for (const auto& entry : fs::directory_iterator(folder))
      report_.files += entry.path().extension() == ".safetensors";
    return std::move(report_);
  }

 private:
  std::string where(const std::string& name) const {
    return source_.file_of(name).string() + ": tensor '" + name + "'";
  }

  // The type to store it in. What is small keeps its digits: in BF16 where it is stored so, else in F32.
  FileDType target(const std::string& name, const FileTensor& t) const {
    const HubRole role = hub_.role(name);
    const bool stored_fp8 = t.dtype == FileDType::f8_e4m3;
    if (options_.dtype.empty() || (!is_floating(t.dtype) && !stored_fp8)) return t.dtype;
    if (options_.dtype == "f32") return FileDType::f32;
    if (role == HubRole::scale) return t.dtype;
    if (options_.dtype == "fp8" && (stored_fp8 || role == HubRole::block_matrix)) return FileDType::f8_e4m3;
    if (is_small(role, t) && t.dtype != FileDType::bf16) return FileDType::f32;
    return FileDType::bf16;
  }

  static bool is_small(HubRole role, const FileTensor& t) {
    return role == HubRole::full || role == HubRole::bias || (role == HubRole::other && t.shape.size() < 2);
  }

  // Counts what does not get the type that was asked for, and why.
  void explain(const std::string& name, const FileTensor& t, FileDType to) {
    const FileDType asked = options_.dtype == "f32"    ? FileDType::f32
                            : options_.dtype == "bf16" ? FileDType::bf16
                                                       : FileDType::f8_e4m3;
    const HubRole role = hub_.role(name);
    if (options_.dtype.empty() || to == asked || role == HubRole::scale) return;
    const char* what = !is_floating(t.dtype)    ? "not computed in by this program"
                       : role == HubRole::other ? "not of config.json's shape"
                       : is_small(role, t)      ? "norms, gates and biases, which keep their digits"
                                                : "embedding, head and MTP projection, as in the hub's FP8 files";
    ++report_.other_types[fmt::format("{} {}", name_of(to), what)];
  }

  void plan(const std::string& name) {
    const FileTensor& t = source_.at(name);
    const HubTensor* known = hub_.find(name);
    if (known && known->shape != t.shape)
      fail(ErrorKind::shape, where(name), "is {}, but config.json asks for {}", shape_text(t.shape),
           shape_text(known->shape));
    const bool stored_fp8 = t.dtype == FileDType::f8_e4m3;
    const FileDType to = target(name, t);
    explain(name, t, to);
    if (stored_fp8 && (known || to != t.dtype)) check_scales(name, t, to != t.dtype);
    const bool centered = options_.center_bias && hub_.role(name) == HubRole::bias;
    if (stored_fp8 && to == FileDType::f8_e4m3) {
      add(name, {name, Work::pass}, to, t.shape);
      if (const FileTensor* scales = source_.find(scale_name(name)))
        add(scale_name(name), {scale_name(name), Work::pass}, scales->dtype, scales->shape);
      settled_scales_.insert(scale_name(name));
    } else if (to == FileDType::f8_e4m3) {
      const Fp8Shape matrix = matrix_of(t.shape);
      add(name, {name, Work::codes}, to, t.shape);
      add(scale_name(name), {name, Work::scales}, FileDType::f32, {matrix.block_rows(), matrix.block_cols()});
      settled_scales_.insert(scale_name(name));
      check_original(name, t);
      ++report_.quantized;
    } else {
      if (stored_fp8) settled_scales_.insert(scale_name(name));
      const Work work = centered ? Work::center : to == t.dtype ? Work::pass : Work::values;
      add(name, {name, work}, centered ? FileDType::f32 : to, t.shape);
    }
    count(t.dtype, specs_.back().name == name ? specs_.back().dtype : to);
  }

  // Before a byte is written. Without its scales a matrix of the model is lost, whatever becomes of it.
  void check_scales(const std::string& name, const FileTensor& t, bool dequantized) const {
    if (!source_.contains(scale_name(name)))
      fail(ErrorKind::format, where(name), "is F8_E4M3, but its scales '{}' are not there", scale_name(name));
    if (!dequantized) return;
    std::vector<float> scales;
    const Fp8Shape shape = matrix_of(t.shape);
    read_scales(source_, name, shape, where(name), scales);
    const auto bad = std::find_if(scales.begin(), scales.end(), [](float s) { return !std::isfinite(s); });
    if (bad == scales.end()) return;
    const int64_t block = bad - scales.begin();
    fail(ErrorKind::format, where(name),
         "the scale of its block ({}, {}) is {}, so that its values are lost; take the tensor from another copy",
         block / shape.block_cols(), block % shape.block_cols(), *bad);
  }

  void add(const std::string& name, Planned planned, FileDType dtype, std::vector<int64_t> shape) {
    specs_.push_back({name, dtype, std::move(shape)});
    planned_.push_back(std::move(planned));
  }

  void count(FileDType before, FileDType after) {
    ++report_.tensors[before == after ? fmt::format("{} as they were", name_of(before))
                                      : fmt::format("{} -> {}", name_of(before), name_of(after))];
  }

  void check_original(const std::string& name, const FileTensor& t) const {
    if (!original_) return;
    const FileTensor* was = original_->find(name);
    if (!was || was->dtype != FileDType::f8_e4m3 || was->shape != t.shape || !original_->contains(scale_name(name)))
      fail(ErrorKind::format, options_.compare.string() + ": tensor '" + name + "'",
           "is not FP8 of shape {} with its scales: nothing to compare with", shape_text(t.shape));
  }

  void write_tensor(size_t index, const TensorSink& sink) {
    const Planned& p = planned_[index];
    const FileTensor& t = source_.at(p.source);
    if (p.work == Work::pass) return pass(t, sink);
    if (p.work == Work::center) return center(p.source, t, sink);
    const Fp8Shape shape = matrix_of(t.shape);
    if (t.dtype == FileDType::f8_e4m3) read_scales(source_, p.source, shape, where(p.source), source_scales_);
    if (original_ && p.work == Work::codes)
      read_scales(*original_, p.source, shape, options_.compare.string(), original_scales_);
    // Whole blocks of rows, so that each task has the blocks of its rows to itself.
    const int64_t blocks = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, shape.cols * kFp8Block));
    const int64_t rows = blocks * kFp8Block, step = rows * pool_.size();
    for (int64_t row = 0; row < shape.rows; row += step) {
      const int64_t end = std::min(shape.rows, row + step), tasks = (end - row + rows - 1) / rows;
      std::vector<std::exception_ptr> failed(static_cast<size_t>(tasks));
      results_.resize(static_cast<size_t>(tasks));
      pool_.for_each(tasks, [&](int64_t task, int worker) {
        try {
          const int64_t first = row + task * rows;
          convert_rows(p, t, shape, first, std::min(end, first + rows), results_[task], changes_[worker]);
        } catch (...) {
          failed[task] = std::current_exception();
        }
      });
      for (const std::exception_ptr& e : failed)
        if (e) std::rethrow_exception(e);
      for (const auto& bytes : results_) emit(bytes, sink);
      drop_rows(t, shape, row, end);
    }
  }

  void convert_rows(const Planned& p, const FileTensor& t, const Fp8Shape& shape, int64_t begin, int64_t end,
                    std::vector<std::byte>& out, Fp8Change& change) const {
    const Fp8Shape part{end - begin, shape.cols};
    std::vector<float> values(static_cast<size_t>(part.elements()));
    if (t.dtype == FileDType::f8_e4m3) {
      dequantize_fp8<float>(shape, t.bytes, source_scales_, begin, end, values);
    } else {
      CHECK(read_elements(t, begin * shape.cols, values));
    }
    const auto take = [&](const auto& numbers) {
      const auto bytes = std::as_bytes(std::span(numbers));
      out.assign(bytes.begin(), bytes.end());
    };
    const std::string place = begin ? fmt::format("{}, counted from row {}", where(p.source), begin) : where(p.source);
    if (p.work == Work::scales) return take(fp8_block_scales(part, values, place));
    if (p.work == Work::codes) {
      Fp8Matrix stored = quantize_fp8(part, values, place);
      change += original_ ? change_from(p.source, shape, begin, stored) : change_of(stored, values);
      return out.swap(stored.codes);
    }
    if (target(p.source, t) == FileDType::f32) return take(values);
    std::vector<bf16> narrow(values.size());
    std::transform(values.begin(), values.end(), narrow.begin(), [](float v) { return bf16(v); });
    take(narrow);
  }

  Fp8Change change_from(const std::string& name, const Fp8Shape& shape, int64_t begin, const Fp8Matrix& stored) const {
    const auto codes = original_->at(name).bytes.subspan(static_cast<size_t>(begin * shape.cols), stored.codes.size());
    const auto first = static_cast<size_t>(begin / kFp8Block * shape.block_cols());
    return change_of(stored, codes, std::span(original_scales_).subspan(first, stored.scales.size()));
  }

  static void read_scales(const Checkpoint& checkpoint, const std::string& name, const Fp8Shape& shape,
                          const std::string& place, std::vector<float>& scales) {
    if (!checkpoint.contains(scale_name(name)))
      fail(ErrorKind::format, place, "is F8_E4M3, but its scales '{}' are not there", scale_name(name));
    scales.resize(static_cast<size_t>(shape.blocks()));
    checkpoint.read(scale_name(name), std::array{shape.block_rows(), shape.block_cols()}, std::span<float>(scales));
  }

  void pass(const FileTensor& t, const TensorSink& sink) {
    for (size_t at = 0; at < t.bytes.size(); at += kPassedBytes) {
      const auto piece = t.bytes.subspan(at, std::min(kPassedBytes, t.bytes.size() - at));
      emit(piece, sink);
      drop_pages(piece);
    }
  }

  void center(const std::string& name, const FileTensor& t, const TensorSink& sink) {
    std::vector<double> bias(static_cast<size_t>(t.elements()));
    source_.read(name, t.shape, std::span<double>(bias));
    const double mean = std::accumulate(bias.begin(), bias.end(), 0.0) / static_cast<double>(bias.size());
    std::vector<float> out(bias.size());
    std::transform(bias.begin(), bias.end(), out.begin(), [&](double b) { return static_cast<float>(b - mean); });
    emit(std::as_bytes(std::span<const float>(out)), sink);
  }

  void emit(std::span<const std::byte> bytes, const TensorSink& sink) {
    if (interrupted()) fail(ErrorKind::interrupted, "convert", "interrupted; nothing was written");
    sink(bytes);
    written_ += bytes.size();
    progress_->update(static_cast<int64_t>(written_));
  }

  static void drop_rows(const FileTensor& t, const Fp8Shape& shape, int64_t begin, int64_t end) {
    const size_t row = static_cast<size_t>(shape.cols) * size_of(t.dtype);
    drop_pages(t.bytes.subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row));
  }

  const ConvertOptions& options_;
  Checkpoint source_;
  std::optional<Checkpoint> original_;
  HubTensors hub_;
  ThreadPool pool_;
  std::vector<Fp8Change> changes_;  // by worker: sums and a maximum, whatever the order
  std::vector<TensorSpec> specs_;
  std::vector<Planned> planned_;                        // beside specs_
  std::set<std::string> settled_scales_;                // planned beside their tensor, or no longer needed
  std::vector<float> source_scales_, original_scales_;  // of the tensor in work
  std::vector<std::vector<std::byte>> results_;         // of its tasks
  uint64_t written_ = 0;
  Progress* progress_ = nullptr;
  ConvertReport report_;
};

void write_config(const fs::path& from, const fs::path& to, const std::string& dtype) {
  if (dtype.empty()) return write_file_atomic(to / "config.json", read_file(from / "config.json"));
  Json config = Json::read(from / "config.json");
  set_weight_dtype(config, dtype == "f32" ? "float32" : dtype == "bf16" ? "bfloat16" : dtype);
  write_file_atomic(to / "config.json", config.dump(2) + "\n");
}

void check_space(const fs::path& there, const fs::path& to, uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(there, error);
  if (!error && space.available < bytes)
    fail(ErrorKind::device, to.string(), "the checkpoint will take {}, and the disk has {} left",
         format_bytes(static_cast<double>(bytes)), format_bytes(static_cast<double>(space.available)));
}

void check_place(const fs::path& from, const fs::path& to) {
  const fs::path inside = fs::weakly_canonical(fs::absolute(to)).lexically_relative(fs::canonical(from));
  if (!inside.empty() && *inside.begin() != "..")
    fail(ErrorKind::usage, to.string(), "lies in the folder that is converted, {}; name a place beside it",
         from.string());
}

void check_options(const fs::path& to, const ConvertOptions& o) {
  if (!o.dtype.empty() && o.dtype != "f32" && o.dtype != "bf16" && o.dtype != "fp8")
    fail(ErrorKind::usage, "--dtype", "'{}'; it is f32, bf16 or fp8", o.dtype);
  if (!o.compare.empty() && o.dtype != "fp8")
    fail(ErrorKind::usage, "--compare",
         "is the FP8 checkpoint that newly quantized weights are held against: with --dtype fp8");
  std::error_code error;
  if (fs::exists(fs::symlink_status(to, error)))
    fail(ErrorKind::usage, to.string(), "is there already; a conversion makes a new folder");
}

std::string joined(const std::vector<std::string>& names) {
  return printable(fmt::format("{}", fmt::join(names, ", ")));
}

}  // namespace

ConvertReport convert(const fs::path& from, const fs::path& to_given, const ConvertOptions& options) {
  const double start = steady_seconds();
  const fs::path to = to_given.has_filename() ? to_given : to_given.parent_path();  // "out/" is "out"
  const fs::path parent = to.has_parent_path() ? to.parent_path() : fs::path(".");
  check_options(to, options);
  if (!fs::is_directory(from)) fail(ErrorKind::file, from.string(), "not a model folder");
  check_place(from, to);
  const fs::path there = require_writable_folder(parent);
  const bool listed = verify_checksums(from);  // where it is a checkpoint of ours
  Converter converter(from, options);
  const CarriedFiles others = list_carried_files(from, converter.source());
  check_space(there, to, converter.bytes_after() + others.bytes);
  fs::create_directories(parent);
  const fs::path partial = parent / (".partial-" + to.filename().string());
  if (!fs::create_directory(partial))
    fail(ErrorKind::usage, partial.string(),
         "is there already: another conversion is writing it, or one was killed; remove it then");
  ConvertReport report;
  try {
    report = converter.write(partial);
    carry_files(others, from, partial);
    write_config(from, partial, options.dtype);
    if (listed) write_checksums(partial);
    fs::rename(partial, to);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    for (fs::path made = parent; made != there && fs::remove(made, ignored);) made = made.parent_path();
    throw;
  }
  sync_folder(parent);
  report.carried = others.names;
  report.left_out = others.left_out;
  report.seconds = steady_seconds() - start;
  return report;
}

Json ConvertReport::to_json() const {
  Json json = Json::object();
  Json& by_type = json["tensors"] = Json::object();
  for (const auto& [what, n] : tensors) by_type[what] = n;
  json["bytes_before"] = bytes_before;
  json["bytes_after"] = bytes_after;
  json["files"] = files;
  json["missing_tensors"] = missing;
  Json& others = json["other_types"] = Json::object();
  for (const auto& [what, n] : other_types) others[what] = n;
  json["ill_scales"] = Json(Json::Array(ill_scales.begin(), ill_scales.end()));
  json["carried"] = Json(Json::Array(carried.begin(), carried.end()));
  json["left_out"] = Json(Json::Array(left_out.begin(), left_out.end()));
  json["seconds"] = seconds;
  if (quantized == 0) return json;
  Json& q = json["quantized"] = Json::object();
  q["tensors"] = quantized;
  q["codes"] = change.codes;
  q["scales"] = change.scales;
  q["largest_relative_error"] = change.largest_relative_error;
  if (!compared) return json;
  q["changed_code_share"] = change.changed_code_share();
  q["changed_scale_share"] = change.changed_scale_share();
  return json;
}

std::string ConvertReport::to_text() const {
  std::string text =
      fmt::format("weights     {} in {} file{}, before {}; {}\n", format_bytes(double(bytes_after)), files,
                  files == 1 ? "" : "s", format_bytes(double(bytes_before)), format_duration(seconds));
  std::vector<std::string> kinds;
  for (const auto& [what, n] : tensors) kinds.push_back(fmt::format("{} {}", n, what));
  text += "tensors     " + joined(kinds) + "\n";
  if (missing)
    text += fmt::format("missing     {} tensors of config.json's shape (ballast inspect names them)\n", missing);
  if (quantized && compared)
    text += fmt::format(
        "quantized   {:.4g} % of {} codes and {:.4g} % of {} scales changed, largest relative error {:.3g}\n",
        100 * change.changed_code_share(), change.codes, 100 * change.changed_scale_share(), change.scales,
        change.largest_relative_error);
  else if (quantized)
    text += fmt::format("quantized   {} codes with {} scales, largest relative error {:.3g}\n", change.codes,
                        change.scales, change.largest_relative_error);
  for (const auto& [what, n] : other_types) text += fmt::format("stays       {} {}\n", n, what);
  if (!ill_scales.empty())
    text += fmt::format("ill         {} FP8 tensor{} passed on with scales that cannot be ({})\n", ill_scales.size(),
                        ill_scales.size() == 1 ? "" : "s", printable(ill_scales.front()));
  if (!carried.empty()) text += "carried     " + joined(carried) + "\n";
  if (!left_out.empty()) text += "left out    " + joined(left_out) + "\n";
  return text;
}

}  // namespace ballast
