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

# A header that includes every folder/<name>.h and lists the types: `using <types> = std::tuple<ns::name...>` and
# `k<Kind>Names[]`. A new file in the folder is a new entry; nothing else changes.
function(generate_type_registry output folder namespace types names)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.h)
  set(includes "")
  set(list "")
  set(strings "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    string(APPEND includes "#include \"${folder}/${name}.h\"\n")
    list(APPEND list "${namespace}::${name}")
    list(APPEND strings "\"${name}\"")
  endforeach()
  list(JOIN list ", " list)
  list(JOIN strings ", " strings)
  file(GENERATE OUTPUT ${output} CONTENT
"// Generated from src/${folder}/.
#pragma once
#include <string_view>
#include <tuple>
${includes}
namespace ballast {
using ${types} = std::tuple<${list}>;
inline constexpr const char* ${names}[] = {${strings}};
}  // namespace ballast
")
endfunction()
