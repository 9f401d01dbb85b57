#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace fourfold {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "fourfold: fatal: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace fourfold
