# A static library that Cargo builds. All presets share one build, in build/rust: its code does not
# depend on them, and Cargo itself keeps two builds from running at once.

# fourfold_rust_library(NAME FOLDER dir HEADER_OF crate RUST_VERSION x.y): target NAME with the
# package in dir, whose Cargo.toml names it NAME, and the folder of that crate, for its C header.
# Without Rust there is no target, and FOURFOLD_RUST_PROBLEM says why.
function(fourfold_rust_library name)
  cmake_parse_arguments(ARG "" "FOLDER;HEADER_OF;RUST_VERSION" "" ${ARGN})

  # Debian's own toolchain is rustc-web and cargo-web of the security suite.
  find_program(CARGO_PROGRAM cargo)
  find_program(RUSTC_PROGRAM rustc)
  mark_as_advanced(CARGO_PROGRAM RUSTC_PROGRAM)
  if(NOT CARGO_PROGRAM OR NOT RUSTC_PROGRAM)
    set(FOURFOLD_RUST_PROBLEM "cargo and rustc are not installed (rustc-web, cargo-web)"
      PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${RUSTC_PROGRAM} --version OUTPUT_VARIABLE version ERROR_QUIET)
  string(REGEX MATCH "[0-9]+\\.[0-9]+" version "${version}")
  if(NOT version OR version VERSION_LESS ARG_RUST_VERSION)
    set(FOURFOLD_RUST_PROBLEM "rustc is ${version}, ${ARG_RUST_VERSION} is needed" PARENT_SCOPE)
    return()
  endif()

  # Fetches the crates too, so that a machine that cannot is known now and not at build time.
  set(manifest ${ARG_FOLDER}/Cargo.toml)
  execute_process(
    COMMAND ${CARGO_PROGRAM} metadata --format-version 1 --locked --manifest-path ${manifest}
    OUTPUT_VARIABLE metadata ERROR_VARIABLE problem RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(REGEX MATCH "[^\n]*" problem "${problem} (${status})")
    set(FOURFOLD_RUST_PROBLEM "its crates cannot be fetched: ${problem}" PARENT_SCOPE)
    return()
  endif()
  string(REGEX MATCH "\"manifest_path\":\"([^\"]*/${ARG_HEADER_OF}-[^\"/]*)/Cargo.toml\"" _
    "${metadata}")
  set(header_folder ${CMAKE_MATCH_1})

  set(target_folder ${PROJECT_SOURCE_DIR}/build/rust)
  set(library ${target_folder}/release/lib${name}.a)
  add_custom_command(
    OUTPUT ${library}
    COMMAND ${CMAKE_COMMAND} -E env RUSTC=${RUSTC_PROGRAM} ${CARGO_PROGRAM} build --release --locked
      --quiet --manifest-path ${manifest} --target-dir ${target_folder}
    COMMAND ${CMAKE_COMMAND} -E touch ${library}
    DEPENDS ${manifest} ${ARG_FOLDER}/Cargo.lock ${ARG_FOLDER}/src/lib.rs
    COMMENT "Building ${name} with Cargo"
    VERBATIM)
  add_custom_target(${name}_build DEPENDS ${library})

  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_build)
  target_include_directories(${name} SYSTEM INTERFACE ${header_folder})
  target_link_libraries(${name} INTERFACE ${library} Threads::Threads ${CMAKE_DL_LIBS} m)
  # Much of the library is never called.
  target_link_options(${name} INTERFACE LINKER:--gc-sections)
endfunction()
