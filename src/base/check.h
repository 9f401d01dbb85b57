// CHECK(condition): for states that no input can reach. Prints where and stops the process.
#pragma once

namespace fourfold {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace fourfold

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) ::fourfold::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
