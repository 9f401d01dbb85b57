#include "cli/microphone.h"

namespace fourfold {

Result<std::unique_ptr<Microphone>> Microphone::open() {
  return unimplemented(
      "this build records no sound: it was made without PortAudio (portaudio19-dev)");
}

}  // namespace fourfold
