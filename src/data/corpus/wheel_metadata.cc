#include "data/corpus/wheel_metadata.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/file.h"
#include "data/corpus/licenses.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

constexpr size_t kMostHeader = 1 << 20;  // bytes of metadata that are read; the description follows the header

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

template <class F>
void for_each_line(std::string_view text, F&& on_line) {  // until it returns false
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!on_line(line)) return;
  }
}

// "LICENSE.txt", "see COPYING", "Dual License": where to look, not what it is.
bool points_elsewhere(std::string_view name) {
  const std::string low = lower(trimmed(name));
  return is_license_file(low) || low.starts_with("see ") || low.starts_with("file:") || low.starts_with("dual");
}

std::string license_of_name(std::string_view name) {
  if (trimmed(name).empty() || lower(trimmed(name)) == "unknown" || points_elsewhere(name)) return {};
  if (name.size() > 200 || name.find('\n') != std::string_view::npos) {
    const std::string told = classify_license_text(name);
    return told == kUnknownLicense ? std::string() : told;
  }
  return license_expression(name);
}

bool has_numbered_bsd(const std::string& license) {
  return license.find("BSD-2") != std::string::npos || license.find("BSD-3") != std::string::npos ||
         license.find("BSD-4") != std::string::npos;
}

// Both hold, but what is named twice: "BSD" beside "BSD-3-Clause", or one side of an "MIT OR GPL-2.0-only".
std::string with_also(const std::string& license, const std::string& also) {
  if (also.empty() || license.find(also) != std::string::npos) return license;
  if (also == "LicenseRef-BSD" && has_numbered_bsd(license)) return license;
  if (license == "LicenseRef-BSD" && has_numbered_bsd(also)) return also;
  return license_and(license, also);
}

std::string read_if_there(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none) ? read_file(path) : std::string();
}

std::vector<fs::path> license_files_of(const fs::path& info, const std::vector<std::string>& named) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const std::string& name : named) {
    if (name.find("..") != std::string::npos) continue;
    for (const fs::path& file : {info / "licenses" / name, info / name}) {
      if (fs::is_regular_file(file, none)) files.push_back(file);
    }
  }
  if (files.empty()) {
    for (const fs::directory_entry& entry : fs::directory_iterator(info, none)) {
      if (entry.is_regular_file(none) && is_license_file(entry.path().filename().string()))
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  }
  return files;
}

}  // namespace

bool is_license_file(std::string_view name) {
  const std::string low = lower(name);
  for (const char* stem : {"license", "licence", "copying", "unlicense"}) {
    if (!low.starts_with(stem)) continue;
    const std::string rest = low.substr(std::string_view(stem).size());
    if (rest.empty() || rest == ".txt" || rest == ".md" || rest == ".rst" || rest[0] == '-' || rest[0] == '_')
      return true;
    return rest == ".lesser" || rest == ".mit" || rest == ".apache" || rest == ".bsd" || rest == ".lib";
  }
  return false;
}

WheelMetadata parse_wheel_metadata(std::string_view text) {
  WheelMetadata out;
  std::string expression, name_of_license;
  std::vector<std::string> classified;
  std::string* last = nullptr;
  for_each_line(text.substr(0, kMostHeader), [&](std::string_view line) {
    if (line.empty()) return false;
    if (line[0] == ' ' || line[0] == '\t') {
      if (last != nullptr) *last += "\n" + std::string(line);
      return true;
    }
    last = nullptr;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    const std::string key = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (key == "name") out.name = value;
    if (key == "version") out.version = value;
    if (key == "license-expression") expression = value;
    if (key == "license-file") out.license_files.emplace_back(value);
    if (key == "license") last = &(name_of_license = value);
    if (key == "classifier") classified.push_back(spdx_id_of_classifier(value));
    return true;
  });
  // Several classifiers mean "either" as often as "both"; the stricter reading is taken, of them and of the fields.
  if (!expression.empty()) out.license = license_expression(expression);
  out.license = with_also(out.license, license_of_name(name_of_license));
  for (const std::string& id : classified) out.license = with_also(out.license, id);
  if (out.license.empty()) out.license = kUnknownLicense;
  return out;
}

std::vector<std::string> parse_record(std::string_view text) {
  std::vector<std::string> paths;
  for_each_line(text, [&](std::string_view line) {
    std::string path;
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        break;
      } else {
        path += c;
      }
    }
    if (!path.empty()) paths.push_back(std::move(path));
    return true;
  });
  return paths;
}

Distribution read_distribution(const fs::path& info) {
  std::error_code none;
  const bool folder = fs::is_directory(info, none);
  std::string text = folder ? read_if_there(info / "METADATA") : read_if_there(info);
  if (folder && text.empty()) text = read_if_there(info / "PKG-INFO");
  WheelMetadata metadata = parse_wheel_metadata(text);
  Distribution out{metadata.name, metadata.version, metadata.license, {}};
  if (out.name.empty()) out.name = info.stem().string().substr(0, info.stem().string().find('-'));
  if (folder && (out.license == kUnknownLicense || out.license == "LicenseRef-BSD")) {
    std::string told;
    for (const fs::path& file : license_files_of(info, metadata.license_files))
      told = license_and(told, classify_license_text(read_file(file)));
    if (!told.empty() && told != kUnknownLicense) out.license = told;
  }
  std::set<std::string> modules;
  const auto add = [&](const std::string& path) {
    if (path.starts_with("..") || path.starts_with('/')) return;
    const size_t first = path.find('/');
    if (first == std::string::npos) {
      modules.insert(path);
      return;
    }
    modules.insert(path.substr(0, first));
    modules.insert(path.substr(0, path.find('/', first + 1)));
  };
  for (const std::string& path : parse_record(folder ? read_if_there(info / "RECORD") : "")) add(path);
  if (modules.empty() && folder) {
    for_each_line(read_if_there(info / "top_level.txt"), [&](std::string_view line) {
      if (const std::string_view module = trimmed(line); !module.empty()) {
        modules.insert(std::string(module));
        modules.insert(std::string(module) + ".py");
      }
      return true;
    });
  }
  if (modules.empty()) {
    std::string module = lower(out.name);
    std::replace(module.begin(), module.end(), '-', '_');
    modules = {out.name, module, module + ".py"};
  }
  out.modules.assign(modules.begin(), modules.end());
  return out;
}

}  // namespace ballast
