// What ptxas says of every kernel, checked without a GPU: no stack frame, no spill, no warning that wgmma is serialised
// or setmaxnreg ignored, and no more registers or shared memory than tests/gpu/ptxas.txt allows. The reports are left
// beside the objects by cmake/ptxas_log.sh. BALLAST_UPDATE=1 rewrites the table; look at the diff.
#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Use {
  int registers = 0, shared = 0;
  int stack = 0, spills = 0;
};
using Table = std::map<std::string, Use>;  // by "source kernel"

struct Report {
  Table kernels;
  std::vector<std::string> faults;
};

// "forward_kernel<4, float>" of a mangled entry; the hash of an unnamed namespace does not belong to the name.
std::string kernel_name(const std::string& mangled) {
  int status = 0;
  char* text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  const std::string full = status == 0 ? text : mangled;
  std::free(text);
  std::smatch m;
  return std::regex_search(full, m, std::regex(R"((\w+_kernel(<[^(]*>)?)\()")) ? m[1].str() : full;
}

int number(const std::string& line, const char* pattern) {
  std::smatch m;
  return std::regex_search(line, m, std::regex(pattern)) ? std::stoi(m[1]) : 0;
}

void read_report(std::istream& in, const std::string& source, Report& report) {
  static const std::regex entry("Compiling entry function '([^']+)'");
  std::string key;
  std::smatch m;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_search(line, m, entry)) {
      key = source + " " + kernel_name(m[1]);
      report.kernels[key];
    } else if (line.find("bytes stack frame") != std::string::npos && !key.empty()) {
      Use& use = report.kernels[key];
      use.stack = number(line, R"((\d+) bytes stack frame)");
      use.spills = number(line, R"((\d+) bytes spill stores)") + number(line, R"((\d+) bytes spill loads)");
      if (use.stack || use.spills)
        report.faults.push_back(key + ": " + line.substr(line.find_first_not_of(' ')) +
                                ": an array or a register went to memory");
    } else if (line.find(": Used ") != std::string::npos && !key.empty()) {
      report.kernels[key].registers = number(line, R"(Used (\d+) registers)");
      report.kernels[key].shared = number(line, R"((\d+) bytes smem)");
    } else if (line.find("C7508") != std::string::npos || line.find("C7510") != std::string::npos) {
      report.faults.push_back(source + ": " + line);
    }
  }
}

Table read_table(std::istream& in) {
  Table table;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Use use;
    std::string key;
    fields >> use.registers >> use.shared;
    std::getline(fields >> std::ws, key);
    table[key] = use;
  }
  return table;
}

// What is wrong with `report` beside the table.
std::vector<std::string> compare(const Report& report, const Table& table) {
  std::vector<std::string> faults = report.faults;
  for (const auto& [key, use] : report.kernels) {
    const auto it = table.find(key);
    if (it == table.end()) {
      faults.push_back(key + " is not in the table");
    } else if (use.registers > it->second.registers || use.shared > it->second.shared) {
      std::ostringstream text;
      text << key << ": " << use.registers << " registers, " << use.shared
           << " bytes of shared memory; the table allows " << it->second.registers << " and " << it->second.shared;
      faults.push_back(text.str());
    }
  }
  for (const auto& [key, use] : table)
    if (!report.kernels.count(key)) faults.push_back(key + " is in the table, but was not built");
  return faults;
}

// Every .cu under src/ has a report; one that is missing was not compiled with the launcher.
Report read_reports(const fs::path& build, const fs::path& sources) {
  std::map<std::string, fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(build)) {
    const std::string path = entry.path().string(), suffix = ".cu.o.ptxas";
    const size_t at = path.find(".dir/src/");
    if (at == std::string::npos || path.size() < suffix.size() || path.substr(path.size() - suffix.size()) != suffix)
      continue;
    found[path.substr(at + 9, path.size() - at - 9 - std::string(".o.ptxas").size())] = entry.path();
  }
  Report report;
  for (const auto& entry : fs::recursive_directory_iterator(sources)) {
    if (entry.path().extension() != ".cu") continue;
    const std::string source = fs::relative(entry.path(), sources).string();
    std::ifstream in(found.count(source) ? found[source] : fs::path());
    if (!in) report.faults.push_back(source + " was not compiled in " + build.string());
    read_report(in, source, report);
  }
  return report;
}

void write_table(const fs::path& file, const Table& kernels) {
  std::ofstream out(file);
  out << "# registers, bytes of shared memory, source, kernel: upper bounds, as nvcc 13.0 compiles for sm_90a.\n"
         "# BALLAST_UPDATE=1 build/cuda/ptxas_test rewrites this.\n";
  for (const auto& [key, use] : kernels) out << use.registers << ' ' << use.shared << ' ' << key << '\n';
}

TEST(Ptxas, KernelsKeepToTheTable) {
  const std::string objects = BALLAST_CUDA_OBJECTS;
  if (objects.empty()) GTEST_SKIP() << "this build has no CUDA: configure with `cmake --preset cuda`";
  const fs::path root = BALLAST_SOURCE_DIR, file = root / "tests/gpu/ptxas.txt";
  const Report report = read_reports(objects, root / "src");
  if (std::getenv("BALLAST_UPDATE")) write_table(file, report.kernels);
  std::ifstream in(file);
  const auto faults = compare(report, read_table(in));
  for (const std::string& fault : faults) ADD_FAILURE() << fault;
  EXPECT_FALSE(report.kernels.empty());
}

constexpr char kReport[] =
    "ptxas info    : Compiling entry function '_ZN7ballast3ops4cuda39_GLOBAL__N__fdc008a8_7_cuda_cu_5b0d517a15backward_"
    "kernelILi1EfEEvPKflPKiS5_S5_lPT0_l' for 'sm_90a'\n"
    "    %STACK% bytes stack frame, 0 bytes spill stores, %SPILL% bytes spill loads\n"
    "ptxas info    : Used 29 registers, used 1 barriers, 128 bytes smem\n";

std::vector<std::string> faults_of(const std::string& stack, const std::string& spill, const std::string& table,
                                   const std::string& more = "") {
  const std::string text = std::regex_replace(std::regex_replace(std::string(kReport), std::regex("%STACK%"), stack),
                                              std::regex("%SPILL%"), spill);
  Report report;
  std::istringstream in(text + more), rows(table);
  read_report(in, "a/cuda.cu", report);
  return compare(report, read_table(rows));
}

TEST(Ptxas, TheGateGoesRed) {
  const std::string fits = "29 128 a/cuda.cu backward_kernel<1, float>\n";
  EXPECT_TRUE(faults_of("0", "0", fits).empty());
  EXPECT_EQ(faults_of("8", "0", fits).size(), 1u);
  EXPECT_EQ(faults_of("0", "4", fits).size(), 1u);
  EXPECT_EQ(faults_of("0", "0", "28 128 a/cuda.cu backward_kernel<1, float>\n").size(), 1u) << "one register more";
  EXPECT_EQ(faults_of("0", "0", "29 64 a/cuda.cu backward_kernel<1, float>\n").size(), 1u) << "more shared memory";
  EXPECT_EQ(faults_of("0", "0", "").size(), 1u) << "a kernel without a line";
  EXPECT_EQ(faults_of("0", "0", fits + "1 0 a/cuda.cu gone_kernel\n").size(), 1u) << "a line without a kernel";
  EXPECT_EQ(faults_of("0", "0", fits, "ptxas info : (C7510) Potential Performance Loss: wgmma.mma_async\n").size(), 1u);
  EXPECT_EQ(faults_of("0", "0", fits, "ptxas warning : (C7508) setmaxnreg ignored\n").size(), 1u);
}

}  // namespace
