# The headers that nearly every file reads, parsed once a build. Files still include what they use: with ccache, which
# cannot share what was compiled with a precompiled header between checkouts and saves more, there is none.
set(BALLAST_PRECOMPILED <algorithm> <cmath> <cstring> <filesystem> <functional> <map> <memory> <optional> <span> <string>
    <string_view> <vector> <fmt/format.h>)
# Assertions are most of a test's code and none of its time: a quarter less to compile.
set(BALLAST_TEST_OPTIONS $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1>)

if(NOT CCACHE AND NOT BALLAST_TIDY)
  file(WRITE ${CMAKE_BINARY_DIR}/generated/empty.cc "")
  add_library(precompiled OBJECT ${CMAKE_BINARY_DIR}/generated/empty.cc)
  target_precompile_headers(precompiled PRIVATE ${BALLAST_PRECOMPILED})
  if(BALLAST_TESTS)
    add_library(precompiled_test OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/empty.cc)
    target_compile_options(precompiled_test PRIVATE ${BALLAST_TEST_OPTIONS})
    target_precompile_headers(precompiled_test PRIVATE ${BALLAST_PRECOMPILED} <gtest/gtest.h>)
  endif()
endif()

# reuse_precompiled(target from): of `precompiled` or `precompiled_test`, where there are any
function(reuse_precompiled target from)
  if(TARGET ${from})
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

function(compile_as_test target)
  target_compile_options(${target} PRIVATE ${BALLAST_TEST_OPTIONS})
  reuse_precompiled(${target} precompiled_test)
endfunction()
