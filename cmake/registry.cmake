# Registries by globbed folder: no static initialisers, which a static library silently drops.
# One function per ops/<op>/cases.cc: std::vector<OpCase> <op>_cases().
function(generate_case_registry output)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*/cases.cc)
  set(declarations "")
  set(calls "")
  foreach(file ${files})
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(op ${folder} NAME)
    string(APPEND declarations "std::vector<OpCase> ${op}_cases();\n")
    string(APPEND calls "  for (auto& c : ${op}_cases()) all.push_back(std::move(c));\n")
  endforeach()
  file(GENERATE OUTPUT ${output} CONTENT
"// Generated from ops/*/cases.cc.
#include \"ops/case.h\"
namespace ballast::ops {
${declarations}
std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
${calls}  return all;
}
}  // namespace ballast::ops
")
endfunction()
