// For programs that feed damaged files to libsndfile: what it does not free of a cut Ogg file (some
// kilobytes each) is no finding of the leak sanitizer. Include it once per program.
#pragma once

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init\n"; }
