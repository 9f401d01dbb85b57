# The packages of an arm64 build, from what Debian installs for any CPU: header-only libraries, and
# the sources of GoogleTest (package googletest, which libgtest-dev brings along).

macro(fourfold_header_only name target)
  if(NOT TARGET ${target})
    add_library(${target} INTERFACE IMPORTED)
  endif()
  set(${name}_FOUND TRUE)
endmacro()

macro(fourfold_arm64_package method name)
  if("${name}" STREQUAL "fmt")
    fourfold_header_only(fmt fmt::fmt)
    set_target_properties(fmt::fmt PROPERTIES INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY)
  elseif("${name}" STREQUAL "nlohmann_json")
    fourfold_header_only(nlohmann_json nlohmann_json::nlohmann_json)
  elseif("${name}" STREQUAL "CLI11")
    fourfold_header_only(CLI11 CLI11::CLI11)
  elseif("${name}" STREQUAL "Boost")
    fourfold_header_only(Boost Boost::headers)
  elseif("${name}" STREQUAL "GTest")
    if(NOT TARGET GTest::gtest)
      add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
    endif()
    set(GTest_FOUND TRUE)
  endif()
endmacro()

cmake_language(SET_DEPENDENCY_PROVIDER fourfold_arm64_package SUPPORTED_METHODS FIND_PACKAGE)

# Libraries of this machine's own CPU are not offered: pictures, sound and films by their `_none` files.
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_DISABLE_FIND_PACKAGE_GIF TRUE)

# Only for what an arm64 build does not link: Debian installs this library for one CPU at a time.
set(FOURFOLD_ZSTD zstd CACHE STRING "libzstd")
