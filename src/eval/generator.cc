#include "eval/generator.h"

#include <algorithm>

namespace ballast {

std::string cut_completion(std::string_view text, const GenerateRequest& request, bool* stopped) {
  size_t end = std::string_view::npos;
  for (const std::string& stop : request.stop) end = std::min(end, text.find(stop));
  if (request.one_line) {
    const size_t first = text.find_first_not_of(" \t\r\n\f\v");
    if (first != std::string_view::npos) end = std::min(end, text.find('\n', first));
  }
  if (stopped != nullptr) *stopped = end != std::string_view::npos;
  return std::string(text.substr(0, end));
}

}  // namespace ballast
