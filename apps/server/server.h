// The whole server, from its options to its end.
//
//   ServeOptions options;
//   options.models.models = {{"", "gemma.gguf"}};
//   const Status ended = serve(std::move(options));   // after SIGTERM, or why it could not begin
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/http/http_server.h"
#include "server/models.h"
#include "server/server_log.h"
#include "server/server_state.h"

namespace fourfold {

struct ServeOptions {
  ServerSettings settings;
  ModelsOptions models;
  HttpOptions http;
  LogOptions log;  // its `redact` is filled in
  std::string api_key_file;
  bool no_auth = false;  // a host other than loopback needs no keys
  std::chrono::milliseconds grace{30'000};
  std::vector<std::string> notes;  // to be said once the server listens
};

// Says "listening on http://HOST:PORT" on standard error when the socket accepts, "ready" when the
// models of the command line are loaded. SIGTERM and SIGINT end it when its answers are done, a
// second one at once; SIGHUP reads the keys again. Returns after that.
Status serve(ServeOptions options);

}  // namespace fourfold
