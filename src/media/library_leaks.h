// For programs that feed damaged files to libsndfile: what it does not free of a cut Ogg file (some
// kilobytes each) is no finding of the leak sanitizer. Named by its file, which needs no symbols.
// Include it once per program.
#pragma once

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libvorbis.so\n"; }
