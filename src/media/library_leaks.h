// For programs that feed damaged files to libsndfile, or encode HEIC: what libraries do not free
// (some kilobytes each) is no finding of the leak sanitizer. Named by its file, which needs no
// symbols. Include it once per program.
#pragma once

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libvorbis.so\nleak:libx265.so\n";
}
