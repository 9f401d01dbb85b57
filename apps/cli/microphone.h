// What is said into the microphone of this machine: mono at 16 kHz.
//
//   auto microphone = TRY(Microphone::open());
//   const std::size_t n = TRY(microphone->read(samples));   // 0: nothing came for a while
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace fourfold {

class Microphone {
 public:
  // The one that the system prefers. FailedPrecondition when there is none; Unimplemented, naming
  // the package, in a build without its library.
  static Result<std::unique_ptr<Microphone>> open();
  virtual ~Microphone() = default;

  virtual const std::string& name() const = 0;
  // At most out.size() of the samples that have come; waits a tenth of a second for the first. What
  // nobody reads is kept for a minute. Unavailable when the device has gone.
  virtual Result<std::size_t> read(std::span<float> out) = 0;
  // Samples that were not kept.
  virtual std::int64_t n_lost() const = 0;
};

}  // namespace fourfold
