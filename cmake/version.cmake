# The commit as of configuration; "+" where files had changed.
execute_process(COMMAND git describe --always --abbrev=9 --dirty=+ WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                OUTPUT_VARIABLE BALLAST_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT BALLAST_COMMIT)
  set(BALLAST_COMMIT unknown)
endif()
set(type ${CMAKE_BUILD_TYPE})
if(BALLAST_SANITIZE)
  string(APPEND type ", -fsanitize=${BALLAST_SANITIZE}")
endif()
set(definitions BALLAST_VERSION="${PROJECT_VERSION}" BALLAST_COMMIT="${BALLAST_COMMIT}" BALLAST_BUILD_TYPE="${type}")
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/base/version.cc PROPERTIES COMPILE_DEFINITIONS "${definitions}")

# The quickstart's recipe is part of the program: it runs from anywhere.
file(READ ${CMAKE_SOURCE_DIR}/configs/quickstart.toml recipe)
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/generated/study/quickstart_recipe.h CONTENT
"// Generated from configs/quickstart.toml.
#pragma once
namespace ballast {
inline constexpr char kQuickstartRecipe[] = R\"toml(${recipe})toml\";
}  // namespace ballast
")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/configs/quickstart.toml)
