# One target per folder; its links are the arrows of ARCHITECTURE.md.

# Flags that every target of ours shares. No contraction, no fast-math: the order of floating-point
# operations is part of the product's contract (docs/decisions/0003-same-bits.md).
add_library(fourfold_options INTERFACE)
target_compile_options(fourfold_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
if(FOURFOLD_WERROR)
  target_compile_options(fourfold_options INTERFACE -Werror)
endif()
# GCC 12 takes an assignment to a std::string for a copy onto itself (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(fourfold_options INTERFACE -Wno-restrict)
endif()
# GCC's own documentation warns of false findings here once code is instrumented.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND
   "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "-fsanitize")
  target_compile_options(fourfold_options INTERFACE -Wno-maybe-uninitialized)
endif()
target_compile_definitions(fourfold_options INTERFACE FOURFOLD_VERSION="${PROJECT_VERSION}")
target_include_directories(fourfold_options INTERFACE ${PROJECT_SOURCE_DIR}/src)

# fourfold_library(NAME SOURCES … LINKS …): a folder of src/.
function(fourfold_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(fourfold_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(fourfold_${name} PUBLIC fourfold_options ${ARG_LINKS})
  if(FOURFOLD_FUZZ)
    target_compile_options(fourfold_${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# fourfold_limit_test(NAME SECONDS LABEL …): gives a test its limit of time. What may take longest
# starts first, so that all cores have something to do to the end.
function(fourfold_limit_test name seconds)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} COST ${seconds} LABELS "${ARGN}")
endfunction()

# fourfold_test(NAME SOURCES … LINKS … [LABELS …] [TIMEOUT s] [HOT]): one test program and ctest
# entry. HOT: its own code takes long to run, and is optimised in every preset.
function(fourfold_test name)
  if(NOT FOURFOLD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "HOT" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  # Limits of time are those of an optimised program.
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main GTest::gmock)
  # Sanitizers make a test's own code, which is long and seldom hot, slow to optimise.
  if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT ARG_HOT)
    target_compile_options(${name} PRIVATE -O0)
  endif()
  target_compile_definitions(${name} PRIVATE
    FOURFOLD_SOURCE_DIR="${PROJECT_SOURCE_DIR}" FOURFOLD_BUILD_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  fourfold_limit_test(${name} ${ARG_TIMEOUT} ${ARG_LABELS})
endfunction()

# fourfold_fuzzer(NAME SOURCE LINKS …): a libFuzzer target in build/<preset>/fuzz. The target
# `fuzzers` is all of them.
add_custom_target(fuzzers)
function(fourfold_fuzzer name source)
  if(NOT FOURFOLD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers ${name})
endfunction()

if(FOURFOLD_TESTS)
  find_package(GTest REQUIRED)
endif()
