#include "data/corpus/document_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "data/corpus/licenses.h"
#include "data/corpus/source_tree.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

// Of the standard library: tables, generated data, copies of other grammars, an application, tests.
const char* const kExcludedFromLibrary[] = {"encodings", "pydoc_data", "lib2to3", "idlelib", "test"};

// The names that several sources put before their paths: the last part of each, numbered where two are equal.
std::vector<std::string> source_prefixes(const std::vector<fs::path>& sources) {
  std::vector<std::string> prefixes;
  for (const fs::path& source : sources) {
    if (sources.size() == 1) return {""};
    const std::string name = fs::weakly_canonical(source).filename().string();
    std::string prefix = name;
    for (int n = 2; std::find(prefixes.begin(), prefixes.end(), prefix) != prefixes.end(); ++n)
      prefix = name + "-" + std::to_string(n);
    prefixes.push_back(prefix);
  }
  return prefixes;
}

// The order of the entries by path, applied to both lists.
template <class Place>
void sort_by_path(std::vector<ManifestEntry>& entries, std::vector<Place>& places) {
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return entries[a].path < entries[b].path; });
  std::vector<ManifestEntry> sorted;
  std::vector<Place> sorted_places;
  sorted.reserve(entries.size());
  for (const uint32_t i : order) {
    sorted.push_back(std::move(entries[i]));
    sorted_places.push_back(places[i]);
  }
  entries = std::move(sorted);
  places = std::move(sorted_places);
}

// Empty where the record has none, or null. Throws Error{format} where it is anything but text.
std::string string_member(const Json& record, const char* key, const std::string& where) {
  const Json* value = record.find(key);
  return value == nullptr || value->is_null() ? std::string() : value->as_string(where + ": " + key);
}

// What a command prints; nothing where it fails.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>/dev/null").c_str(), "r"), pclose);
  std::string text;
  char buffer[256];
  for (size_t n; pipe && (n = fread(buffer, 1, sizeof buffer, pipe.get())) > 0;) text.append(buffer, n);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

DocumentSource::DocumentSource(const CorpusOptions& options, std::vector<ManifestEntry>& entries)
    : field_(options.field) {
  if (!options.source.empty() && !options.jsonl.empty())
    fail(ErrorKind::usage, "corpus", "both source and jsonl are given; give one of them");
  if (options.jsonl.empty()) {
    list_folders(options, entries);
  } else {
    list_json_lines(options, entries);
  }
  sort_by_path(entries, places_);
}

void DocumentSource::list_folders(const CorpusOptions& options, std::vector<ManifestEntry>& entries) {
  const bool library = options.source.empty();
  SourceTreeOptions listing{options.extension, options.exclude};
  folders_.assign(options.source.begin(), options.source.end());
  if (library) {
    folders_ = {python_standard_library()};
    listing.exclude.insert(listing.exclude.end(), std::begin(kExcludedFromLibrary), std::end(kExcludedFromLibrary));
  }
  prefixes_ = source_prefixes(folders_);
  for (uint32_t s = 0; s < folders_.size(); ++s) {
    origin_ += (origin_.empty() ? "" : ", ") + folders_[s].string();
    SourceTree tree = list_source_tree(folders_[s], listing);
    for (SourceFile& file : tree.files) {
      if (std::find(options.exclude.begin(), options.exclude.end(), file.package) != options.exclude.end()) continue;
      ManifestEntry e;
      const bool prefixed = !prefixes_[s].empty();
      e.path = prefixed ? prefixes_[s] + "/" + file.path : std::move(file.path);
      e.package = prefixed && !file.named_by_metadata ? prefixes_[s] + "/" + file.package : std::move(file.package);
      e.version = std::move(file.version);
      e.license = library ? "PSF-2.0" : std::move(file.license);
      entries.push_back(std::move(e));
      places_.push_back({s, 0, 0});
    }
    licensed_.push_back(library || tree.licensed);
    if (!library) skipped_.insert(skipped_.end(), tree.skipped.begin(), tree.skipped.end());
  }
}

// A record's package is its "package" where it has one; else every record is one of its own.
void DocumentSource::list_json_lines(const CorpusOptions& options, std::vector<ManifestEntry>& entries) {
  origin_ = options.jsonl;
  json_lines_ = std::make_unique<MappedFile>(fs::path(options.jsonl));
  licensed_.push_back(false);
  const std::string_view all = json_lines_->text();
  int64_t line = 0;
  for (size_t at = 0; at < all.size();) {
    const size_t begin = at, end = std::min(all.find('\n', at), all.size());
    at = end + 1;
    ++line;
    const std::string_view text = all.substr(begin, end - begin);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = options.jsonl + ":" + std::to_string(line);
    const Json record = Json::parse(text, where);
    record.at(options.field, where).as_string(where + ": " + options.field);
    ManifestEntry e;
    e.path = fmt::format("line {:09}", line);
    e.package = string_member(record, "package", where);
    e.version = string_member(record, "version", where);
    const std::string license = string_member(record, "license", where);
    e.license = license.empty() ? kUnknownLicense : license_expression(license);
    if (!license.empty()) licensed_[0] = true;
    if (e.package.empty()) e.package = e.path;
    entries.push_back(std::move(e));
    places_.push_back({0, begin, end});
  }
}

DocumentSource::Text DocumentSource::read(size_t document, const std::string& path) const {
  const Place& place = places_[document];
  Text out;
  if (json_lines_) {
    const Json record = json_line(document, path);
    out.text = record.at(field_, origin_ + " " + path).as_string();
    out.bytes = static_cast<int64_t>(out.text.size());
    out.sha256 = sha256_hex(out.text);
    out.too_large = out.bytes > kLargestSourceFile;
    return out;
  }
  const std::string& prefix = prefixes_[place.source];
  const fs::path file = folders_[place.source] / (prefix.empty() ? path : path.substr(prefix.size() + 1));
  std::error_code error;
  const auto size = fs::file_size(file, error);
  const std::string advice = exclude_advice(file.lexically_relative(folders_[place.source]));
  if (error) fail(ErrorKind::file, file.string(), "cannot be read: {}{}", error.message(), advice);
  if (::faccessat(AT_FDCWD, file.c_str(), R_OK, AT_EACCESS) != 0)
    fail(ErrorKind::file, file.string(), "cannot be read: {}{}", std::strerror(errno), advice);
  if (static_cast<int64_t>(size) <= kLargestSourceFile) {
    out.text = read_file(file);
    out.bytes = static_cast<int64_t>(out.text.size());
    out.sha256 = sha256_hex(out.text);
    return out;
  }
  out.too_large = true;
  std::ifstream stream(file, std::ios::binary);
  std::string piece(1 << 20, '\0');
  Sha256 sha;
  while (stream.read(piece.data(), static_cast<std::streamsize>(piece.size())), stream.gcount() > 0) {
    sha.update(std::string_view(piece.data(), static_cast<size_t>(stream.gcount())));
    out.bytes += stream.gcount();
  }
  if (stream.bad() || out.bytes == 0) fail(ErrorKind::file, file.string(), "cannot be read");
  out.sha256 = sha.hex();
  return out;
}

std::string DocumentSource::path(size_t document, const std::string& path) const {
  return json_lines_ ? string_member(json_line(document, path), "path", origin_ + " " + path) : path;
}

Json DocumentSource::json_line(size_t document, const std::string& path) const {
  const Place& place = places_[document];
  return Json::parse(json_lines_->text().substr(place.begin, place.end - place.begin), origin_ + " " + path);
}

fs::path python_standard_library() {
  const std::string ask = " -I -S -c \"import os; print(os.path.dirname(os.__file__))\"";
  for (const char* python : {"/usr/bin/python3", "python3"}) {
    fs::path folder = output_of(python + ask);
    if (!folder.empty() && fs::is_directory(folder)) return folder;
  }
  std::set<fs::path> folders;  // installed without its program
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator("/usr/lib", none)) {
    if (entry.path().filename().string().starts_with("python3.") && fs::exists(entry.path() / "os.py")) {
      folders.insert(entry.path());
    }
  }
  if (folders.empty()) {
    fail(ErrorKind::usage, "corpus.source",
         "no python3 found for the default corpus; install python3 or name folders "
         "with --source DIR");
  }
  return *folders.rbegin();
}

}  // namespace ballast
